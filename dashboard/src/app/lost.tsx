/** Where there is no page, and where a page broke. */

import { Compass } from "lucide-react";
import { Link, useRouteError } from "react-router";
import { refused } from "../api/client";
import { Button } from "../ui/controls";
import { Empty, Failure } from "../ui/feedback";
import { usePageTitle } from "../ui/layout";

export function NotFound() {
  usePageTitle("Not found");
  return (
    <Empty title="There is no such page" icon={<Compass aria-hidden size={28} />}>
      <Link to="/">To the runtimes</Link>
    </Empty>
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
