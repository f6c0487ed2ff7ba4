import "./style/fonts.css";
import "./style/tokens.css";
import "./style/base.css";
import "./style/ui.css";

import { MutationCache, QueryCache, QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { RouterProvider } from "react-router";
import { refused } from "./api/client";
import { router } from "./app/routes";

/** What the server refuses for good is not asked again; what it could not do just now is, twice. */
function retry(failures: number, error: unknown): boolean {
  const { status } = refused(error);
  return failures < 2 && (status === 0 || status >= 500);
}

const queries = new QueryClient({
  queryCache: new QueryCache({
    onError: (error, query) => {
      // A session that has ended shows itself anywhere; the gate then asks to sign in.
      if (refused(error).status === 401 && query.queryKey[0] !== "session")
        void queries.invalidateQueries({ queryKey: ["session"] });
    },
  }),
  mutationCache: new MutationCache({
    onError: (error) => {
      // Another tab may have signed in anew: then the session, and what its requests carry, are others.
      if ([401, 403].includes(refused(error).status))
        void queries.invalidateQueries({ queryKey: ["session"] });
    },
  }),
  defaultOptions: { queries: { retry, staleTime: 2_000, refetchOnWindowFocus: true } },
});

const root = document.getElementById("root");
if (!root) throw new Error("index.html has no #root");
createRoot(root).render(
  <StrictMode>
    <QueryClientProvider client={queries}>
      <RouterProvider router={router} />
    </QueryClientProvider>
  </StrictMode>,
);
