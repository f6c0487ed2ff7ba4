/** Shows the pages to signed-in users, and the sign-in page to others. */

import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { Navigate, useLocation } from "react-router";
import { keepCsrfToken, refused } from "../api/client";
import * as api from "../api/queries";
import type { Me } from "../api/schema";
import { Failure, Waiting } from "../ui/feedback";
import { type Session, SessionContext } from "./session";
import { Shell } from "./shell";

/** Without sign-in every visitor may do everything that the server allows. */
const ANYBODY: Me = { login: "", role: "admin", csrf_token: null };

export function SessionGuard() {
  const location = useLocation();
  const server = useQuery(api.server());
  const me = useQuery({ ...api.me(), retry: false });
  const who = me.data ?? (server.data && !server.data.sign_in ? ANYBODY : undefined);
  keepCsrfToken(who?.csrf_token ?? null);
  const session = useMemo<Session | null>(
    () => (server.data && who ? { server: server.data, me: who } : null),
    [server.data, who],
  );

  const error = server.error ?? (server.data?.sign_in ? me.error : null);
  if (error && refused(error).status === 401) {
    const next = location.pathname + location.search;
    return <Navigate to={next === "/" ? "/sign-in" : `/sign-in?next=${encodeURIComponent(next)}`} replace />;
  }
  if (error) {
    return (
      <div className="stack" style={{ padding: 24, maxWidth: 640 }}>
        <Failure error={refused(error)} retry={() => void server.refetch().then(() => me.refetch())} />
      </div>
    );
  }
  if (!session) return <Waiting height={400} />;
  return (
    <SessionContext.Provider value={session}>
      <Shell />
    </SessionContext.Provider>
  );
}
