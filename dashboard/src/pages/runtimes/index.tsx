import { useQuery } from "@tanstack/react-query";
import { Boxes, Plus } from "lucide-react";
import { useState } from "react";
import { Link, Navigate } from "react-router";
import { RuntimeDialog } from "../../actions/runtime";
import * as api from "../../api/queries";
import type { Runtime, State } from "../../api/schema";
import { useMay, useSession } from "../../app/session";
import { plural } from "../../lib/format";
import { Button } from "../../ui/controls";
import { Empty } from "../../ui/feedback";
import { PageHeader, usePageTitle } from "../../ui/layout";
import { Loaded } from "../../ui/loaded";
import { StateBadge } from "../../ui/text";
import "./runtimes.css";

export default function RuntimesPage() {
  usePageTitle("Runtimes");
  const { server } = useSession();
  const query = useQuery(api.runtimes());
  const mayCreate = useMay("admin");
  const [creating, setCreating] = useState(false);

  const only = query.data?.[0];
  if (server.mode === "run" && only)
    return <Navigate to={`/runtimes/${only.id}/versions/${only.id}`} replace />;

  return (
    <>
      <PageHeader title="Runtimes">
        {mayCreate && (
          <Button look="primary" icon={<Plus aria-hidden size={14} />} onPress={() => setCreating(true)}>
            New runtime
          </Button>
        )}
      </PageHeader>
      <Loaded query={query}>
        {(runtimes) =>
          runtimes.length ? (
            <ul className="runtimes">
              {runtimes.map((runtime) => (
                <Card key={runtime.id} runtime={runtime} />
              ))}
            </ul>
          ) : (
            <Empty title="No runtime yet" icon={<Boxes aria-hidden size={28} />}>
              A runtime holds the versions of one solution and publishes one of them.
              {!mayCreate && " An admin can create one."}
            </Empty>
          )
        }
      </Loaded>
      {creating && <RuntimeDialog onClose={() => setCreating(false)} />}
    </>
  );
}

const ORDER: State[] = ["ERROR", "STARTING", "STOPPING", "PUBLISHED", "STARTED", "CREATED", "STOPPED"];

function Card({ runtime }: { runtime: Runtime }) {
  const states = ORDER.filter((state) => state !== "PUBLISHED" && runtime.states[state]);
  return (
    <li className="panel runtime">
      <header>
        <h2>
          <Link to={`/runtimes/${runtime.id}/versions`}>{runtime.name}</Link>
        </h2>
        <code className="muted">{runtime.id}</code>
      </header>
      <p className="muted description">{runtime.description || "No description."}</p>
      <div className="row wrap published">
        {runtime.published ? (
          <>
            <StateBadge state="PUBLISHED" />
            <Link to={`/runtimes/${runtime.id}/versions/${runtime.published}`}>{runtime.published}</Link>
          </>
        ) : (
          <span className="muted">Nothing is published</span>
        )}
      </div>
      <footer className="small muted row wrap">
        <span>{plural(runtime.versions, "version")}</span>
        {states.map((state) => (
          <span key={state} className={state === "ERROR" ? "tone-bad" : undefined}>
            {runtime.states[state]} {state.toLowerCase()}
          </span>
        ))}
      </footer>
    </li>
  );
}
