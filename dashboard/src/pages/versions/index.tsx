import { useQuery } from "@tanstack/react-query";
import { History, Layers, Pencil, Trash2 } from "lucide-react";
import { useState } from "react";
import { Link, useNavigate, useParams } from "react-router";
import { RuntimeDialog } from "../../actions/runtime";
import { DeletedElsewhere, StoresAway } from "../../actions/stores";
import { VersionActions } from "../../actions/version";
import { client, take } from "../../api/client";
import * as api from "../../api/queries";
import type { Runtime, Version } from "../../api/schema";
import { useMay } from "../../app/session";
import { bytes } from "../../lib/format";
import { Button, Menu } from "../../ui/controls";
import { CommentDialog } from "../../ui/dialog";
import { Empty } from "../../ui/feedback";
import { type Column, PageHeader, Panel, Table, usePageTitle } from "../../ui/layout";
import { Loaded } from "../../ui/loaded";
import { Ago, StateBadge } from "../../ui/text";
import { Upload } from "./upload";
import "./versions.css";

export default function VersionsPage() {
  const { runtime: id = "" } = useParams();
  const runtime = useQuery(api.runtime(id));
  const versions = useQuery(api.versions(id));
  const mayUpload = useMay("manager");
  usePageTitle("Versions", runtime.data?.name ?? id);
  return (
    <Loaded query={runtime}>
      {(runtime) => (
        <>
          <PageHeader title={runtime.name} below={runtime.description}>
            {mayUpload && <Rollback runtime={runtime} versions={versions.data ?? []} />}
            <RuntimeMenu runtime={runtime} />
          </PageHeader>
          {runtime.hosts.length > 0 && (
            <p className="muted">
              Clients reach it as{" "}
              {runtime.hosts.map((host, i) => (
                <span key={host}>
                  {i > 0 && ", "}
                  <code>{host}</code>
                </span>
              ))}
              , or by the metadata <code>krt-runtime: {runtime.id}</code>.
            </p>
          )}
          <StoresAway runtime={id} />
          {mayUpload && <Upload runtime={id} />}
          <Loaded query={versions}>
            {(versions) => (versions.length ? <List versions={versions} runtime={runtime} /> : <Nothing />)}
          </Loaded>
        </>
      )}
    </Loaded>
  );
}

/** Shortens a reason to one line: the exception of a traceback. */
function short(reason: string): string {
  const lines = reason.replaceAll("`", "").trim().split("\n");
  const first = lines[0] ?? "";
  const raised = first.replace(/Traceback \(most recent call last\):$/, "");
  return raised === first ? first : `${raised}${lines.at(-1)}`;
}

function Nothing() {
  return (
    <Empty title="No version yet" icon={<Layers aria-hidden size={28} />}>
      Upload a package, a <code>.krt</code> file, to create one.
    </Empty>
  );
}

function List({ versions, runtime }: { versions: Version[]; runtime: Runtime }) {
  const columns: Column<Version>[] = [
    {
      title: "Version",
      cell: (version) => (
        <>
          <Link className="strong" to={version.name}>
            {version.name}
          </Link>
          <p className="narrow-only">
            <StateBadge state={version.state} />
          </p>
          {version.state === "ERROR" && <p className="second tone-bad">{short(version.reasons[0] ?? "")}</p>}
          {version.missing_config.length > 0 && (
            <p className="second">lacks {version.missing_config.join(", ")}</p>
          )}
        </>
      ),
    },
    { title: "State", shrink: true, spare: true, cell: ({ state }) => <StateBadge state={state} /> },
    {
      title: "Created",
      spare: true,
      cell: (version) => (
        <>
          <Ago time={version.created} /> <span className="second">by {version.created_by}</span>
        </>
      ),
    },
    {
      title: "Published",
      spare: true,
      cell: (version) =>
        version.published_at ? (
          <>
            <Ago time={version.published_at} /> <span className="second">by {version.published_by}</span>
          </>
        ) : (
          <span className="muted">–</span>
        ),
    },
    { title: "Nodes", end: true, spare: true, cell: ({ nodes }) => nodes },
    { title: "Size", end: true, spare: true, cell: ({ package_bytes }) => bytes(package_bytes) },
    {
      title: <span className="hidden-visually">Actions</span>,
      shrink: true,
      end: true,
      cell: (version) => <VersionActions version={version} published={runtime.published ?? undefined} />,
    },
  ];
  return (
    <Panel flush>
      <Table label="Versions" columns={columns} items={versions} id={({ name }) => name} />
    </Panel>
  );
}

function Rollback({ runtime, versions }: { runtime: Runtime; versions: Version[] }) {
  const [asked, setAsked] = useState(false);
  const change = api.useChange(
    (comment: string) =>
      take(
        client.POST("/runtimes/{runtime}/rollback", {
          params: { path: { runtime: runtime.id } },
          body: { comment },
        }),
      ),
    "runtimes",
  );
  if (!runtime.published || versions.length < 2) return null;
  return (
    <>
      <Button icon={<History aria-hidden size={14} />} onPress={() => setAsked(true)}>
        Roll back
      </Button>
      {asked && (
        <CommentDialog
          title={`Roll back ${runtime.name}`}
          action="Roll back"
          onConfirm={(comment) => change.mutateAsync(comment)}
          onClose={() => setAsked(false)}
        >
          <p>
            Publishes the version that was published before <b>{runtime.published}</b> again, and starts it
            first if it is stopped.
          </p>
        </CommentDialog>
      )}
    </>
  );
}

function RuntimeMenu({ runtime }: { runtime: Runtime }) {
  const [asked, setAsked] = useState<"change" | "delete" | null>(null);
  const navigate = useNavigate();
  const remove = api.useChange(
    (comment: string) =>
      take(
        client.DELETE("/runtimes/{runtime}", {
          params: { path: { runtime: runtime.id }, query: { comment } },
        }),
      ),
    "runtimes",
  );
  if (!useMay("admin")) return null;
  return (
    <>
      <Menu
        label={`More for ${runtime.name}`}
        actions={[
          {
            id: "change",
            text: "Change…",
            icon: <Pencil aria-hidden size={14} />,
            onAction: () => setAsked("change"),
          },
          {
            id: "delete",
            text: "Delete…",
            icon: <Trash2 aria-hidden size={14} />,
            danger: true,
            onAction: () => setAsked("delete"),
          },
        ]}
      />
      {asked === "change" && <RuntimeDialog runtime={runtime} onClose={() => setAsked(null)} />}
      {asked === "delete" && (
        <CommentDialog
          title={`Delete ${runtime.name}`}
          action="Delete"
          danger
          onConfirm={async (comment) => {
            await remove.mutateAsync(comment);
            await navigate("/");
          }}
          onClose={() => setAsked(null)}
        >
          <p>Deletes all its versions, logs, measurements, predictions and boards. This cannot be undone.</p>
          <DeletedElsewhere runtime={runtime.id} />
        </CommentDialog>
      )}
    </>
  );
}
