// What may import what in `src/`; README.md says why.

/** @type {import("dependency-cruiser").IConfiguration} */
export default {
  forbidden: [
    {
      name: "no-cycles",
      comment: "modules that import one another are one: join them, or move what both need to a third",
      severity: "error",
      from: {},
      to: { circular: true },
    },
    {
      name: "pages-apart",
      comment: "a page imports no other page: move what both need to ui, charts, lib or api",
      severity: "error",
      from: { path: "^src/pages/([^/.]+)" },
      to: { path: "^src/pages/", pathNot: "^src/pages/$1[/.]" },
    },
    {
      name: "pages-by-their-routes",
      comment: "only the routes import a page",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/(pages/|app/routes[.]tsx$)" },
      to: { path: "^src/pages/" },
    },
    {
      name: "actions-stand-above-the-app",
      comment: "only pages and actions import actions",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/(pages|actions)/" },
      to: { path: "^src/actions/" },
    },
    {
      name: "parts-know-no-app",
      comment: "charts, ui, lib, api and visible are what the app is made of: they do not import it",
      severity: "error",
      from: { path: "^src/(charts|ui|lib|api|visible)/" },
      to: { path: "^src/app/" },
    },
    {
      name: "parts-in-order",
      comment: "ui does not import charts; lib, api and visible import neither",
      severity: "error",
      from: { path: "^src/(ui|lib|api|visible)/" },
      to: { path: "^src/(charts|ui)/", pathNot: "^src/$1/" },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
  },
};
