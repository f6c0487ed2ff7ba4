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

/** Retries twice after a temporary failure, and never after a refusal. */
function retry(failures: number, error: unknown): boolean {
  const { status } = refused(error);
  return failures < 2 && (status === 0 || status >= 500);
}

const queries = new QueryClient({
  queryCache: new QueryCache({
    onError: (error, query) => {
      // Any request may reveal an ended session; the session guard then asks for a sign-in.
      if (refused(error).status === 401 && query.queryKey[0] !== "session")
        void queries.invalidateQueries({ queryKey: ["session"] });
    },
  }),
  mutationCache: new MutationCache({
    onError: (error) => {
      // Another tab may have signed in again, which changes the session and its CSRF token.
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
