/**
 * The theme: the user's choice, or else the system's. `public/theme.js` applies the choice before the first
 * paint.
 */

import { useCallback, useEffect, useState, useSyncExternalStore } from "react";

export type Theme = "system" | "light" | "dark";

const KEY = "krt-theme";
const SYSTEM = "(prefers-color-scheme: dark)";
const changed = new EventTarget();

function chosen(): Theme {
  const theme = document.documentElement.dataset.theme;
  return theme === "light" || theme === "dark" ? theme : "system";
}

export function useTheme(): [Theme, (theme: Theme) => void] {
  const [theme, setTheme] = useState(chosen);
  const choose = useCallback((next: Theme) => {
    if (next === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    try {
      if (next === "system") localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, next);
    } catch {
      // Without storage the choice lasts until the page closes.
    }
    setTheme(next);
    changed.dispatchEvent(new Event("change"));
  }, []);
  useEffect(() => {
    const follow = () => setTheme(chosen());
    changed.addEventListener("change", follow);
    return () => changed.removeEventListener("change", follow);
  }, []);
  return [theme, choose];
}

function subscribe(notify: () => void) {
  const system = matchMedia(SYSTEM);
  system.addEventListener("change", notify);
  changed.addEventListener("change", notify);
  return () => {
    system.removeEventListener("change", notify);
    changed.removeEventListener("change", notify);
  };
}

/** Whether the theme is dark now, for drawings on a canvas. */
export function useDark(): boolean {
  return useSyncExternalStore(subscribe, () => {
    const theme = chosen();
    return theme === "dark" || (theme === "system" && matchMedia(SYSTEM).matches);
  });
}
