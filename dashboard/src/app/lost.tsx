/** The pages for an unknown address and for a failed page. */

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
      <h1>Page not found</h1>
      <Link to="/">Go to runtimes</Link>
    </div>
  );
}

export function Broken() {
  usePageTitle("Error");
  const error = refused(useRouteError());
  return (
    <div className="stack" style={{ padding: 16 }}>
      <h1>Something went wrong on this page</h1>
      <Failure error={error} />
      <span>
        <Button onPress={() => window.location.reload()}>Reload</Button>
      </span>
    </div>
  );
}
