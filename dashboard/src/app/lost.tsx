/** Where there is no page, and where a page broke. */

import { Compass } from "lucide-react";
import { Link, useRouteError } from "react-router";
import { refused } from "../api/client";
import { Button } from "../ui/controls";
import { Failure } from "../ui/feedback";
import { usePageTitle } from "../ui/layout";

export function NotFound() {
  usePageTitle("Not found");
  return (
    <div className="empty">
      <Compass aria-hidden size={28} />
      <h1>There is no such page</h1>
      <Link to="/">To the runtimes</Link>
    </div>
  );
}

export function Broken() {
  usePageTitle("Error");
  const error = refused(useRouteError());
  return (
    <div className="stack" style={{ padding: 16 }}>
      <h1>This page broke</h1>
      <Failure error={error} />
      <span>
        <Button onPress={() => window.location.reload()}>Load it again</Button>
      </span>
    </div>
  );
}
