/** The current user and their permissions. */

import { createContext, useContext } from "react";
import type { Me, Role, Server } from "../api/schema";

export interface Session {
  server: Server;
  me: Me;
}

export const SessionContext = createContext<Session | null>(null);

export function useSession(): Session {
  const session = useContext(SessionContext);
  if (!session) throw new Error("a page stands outside the session");
  return session;
}

/** What each role may do, least first. */
export const ROLES: { id: Role; text: string; description: string }[] = [
  { id: "viewer", text: "viewer", description: "sees everything except secrets" },
  { id: "manager", text: "manager", description: "uploads, starts, publishes, calls, configures" },
  { id: "admin", text: "admin", description: "also creates runtimes and users" },
];

const RANKS: Record<Role, number> = { viewer: 0, manager: 1, admin: 2 };

export function may(role: Role, needed: Role): boolean {
  return RANKS[role] >= RANKS[needed];
}

/** Whether the user has a role, on a server that allows changes. */
export function useMay(needed: Role): boolean {
  const { me, server } = useSession();
  return server.mode === "serve" && may(me.role, needed);
}
