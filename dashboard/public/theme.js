// The chosen theme, before the first paint; without a choice the system's counts (see style/tokens.css).
try {
  const theme = localStorage.getItem("krt-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage may be forbidden; then there is no choice to remember.
}
