/** The routes. Each page is its own file and loads on demand. */

import type { ComponentType } from "react";
import { createBrowserRouter, Navigate, useParams } from "react-router";
import { Broken, NotFound } from "./lost";
import { SessionGuard } from "./session-guard";

const page = (load: () => Promise<{ default: ComponentType }>) => async () => ({
  Component: (await load()).default,
});

function ToVersions() {
  const { runtime } = useParams();
  return <Navigate to={`/runtimes/${runtime}/versions`} replace />;
}

export const router = createBrowserRouter([
  {
    path: "/sign-in",
    lazy: page(() => import("../pages/sign-in")),
    errorElement: <Broken />,
    HydrateFallback: () => null,
  },
  {
    path: "/",
    element: <SessionGuard />,
    errorElement: <Broken />,
    HydrateFallback: () => null,
    children: [
      {
        errorElement: <Broken />,
        children: [
          { index: true, lazy: page(() => import("../pages/runtimes")) },
          { path: "account", lazy: page(() => import("../pages/account")) },
          { path: "users", lazy: page(() => import("../pages/users")) },
          { path: "audit", lazy: page(() => import("../pages/audit")) },
          {
            path: "runtimes/:runtime",
            children: [
              { index: true, element: <ToVersions /> },
              { path: "versions", lazy: page(() => import("../pages/versions")) },
              {
                path: "versions/:version",
                lazy: page(() => import("../pages/version")),
                children: [
                  { index: true, lazy: page(() => import("../pages/version/graph")) },
                  { path: "try", lazy: page(() => import("../pages/version/try")) },
                  { path: "docs", lazy: page(() => import("../pages/version/docs")) },
                  { path: "config", lazy: page(() => import("../pages/version/config")) },
                ],
              },
              { path: "logs", lazy: page(() => import("../pages/logs")) },
              { path: "requests", lazy: page(() => import("../pages/requests")) },
              { path: "requests/:id", lazy: page(() => import("../pages/requests/one")) },
              { path: "measurements", lazy: page(() => import("../pages/measurements")) },
              { path: "measurements/explore", lazy: page(() => import("../pages/measurements/explore")) },
              { path: "measurements/boards/:board", lazy: page(() => import("../pages/measurements/board")) },
              { path: "predictions", lazy: page(() => import("../pages/predictions")) },
            ],
          },
          { path: "*", element: <NotFound /> },
        ],
      },
    ],
  },
]);
