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

const RANKS: Record<Role, number> = { viewer: 0, manager: 1, admin: 2 };

export function may(role: Role, needed: Role): boolean {
  return RANKS[role] >= RANKS[needed];
}

/** Whether the user has a role, on a server that allows changes. */
export function useMay(needed: Role): boolean {
  const { me, server } = useSession();
  return server.mode === "serve" && may(me.role, needed);
}
