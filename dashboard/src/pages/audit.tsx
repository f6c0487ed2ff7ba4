import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { ShieldCheck } from "lucide-react";
import { Link } from "react-router";
import { client, refused, take } from "../api/client";
import * as api from "../api/queries";
import type { AuditAction, AuditEntry } from "../api/schema";
import { useRange, useUrl } from "../lib/url";
import { Button, Filter } from "../ui/controls";
import { Empty, Failure, Waiting } from "../ui/feedback";
import { type Column, PageHeader, Panel, Table, usePageTitle } from "../ui/layout";
import { RangePicker } from "../ui/range-picker";
import { Ago, Moment, Prose } from "../ui/text";

const ACTIONS: Record<AuditAction, string> = {
  signed_in: "signed in",
  sign_in_failed: "failed to sign in",
  signed_out: "signed out",
  password_changed: "changed the password",
  user_created: "created the user",
  user_changed: "changed the user",
  user_deleted: "deleted the user",
  token_created: "created the token",
  token_deleted: "deleted the token",
  session_revoked: "ended a session",
  runtime_created: "created the runtime",
  runtime_changed: "changed the runtime",
  runtime_deleted: "deleted the runtime",
  version_created: "uploaded",
  version_deleted: "deleted",
  version_started: "started",
  version_stopped: "stopped",
  version_published: "published",
  version_unpublished: "unpublished",
  version_failed: "could not start",
  config_changed: "configured",
  board_saved: "saved the board",
  board_deleted: "deleted the board",
  audit_pruned: "deleted old entries of this log",
};

const NAMES = Object.keys(ACTIONS) as AuditAction[];

export default function AuditPage() {
  usePageTitle("Audit log");
  const url = useUrl();
  const [login, runtime] = [url.get("login"), url.get("runtime")];
  const action = NAMES.find((name) => name === url.get("action"));
  const timed = url.get("range") !== undefined || url.get("from") !== undefined;
  const time = useRange("7d", 60_000);
  const filter = {
    ...(timed && time.resolved),
    ...(login && { login }),
    ...(runtime && { runtime }),
    ...(action && { action }),
  };
  const users = useQuery(api.users()).data ?? [];
  const runtimes = useQuery(api.runtimes()).data ?? [];
  const query = useInfiniteQuery({
    queryKey: ["audit", filter],
    queryFn: ({ pageParam }) =>
      take(
        client.GET("/audit", { params: { query: { ...filter, ...(pageParam && { cursor: pageParam }) } } }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next }) => next ?? undefined,
    placeholderData: (before) => before,
  });
  const entries = query.data?.pages.flatMap((page) => page.entries) ?? [];
  return (
    <>
      <PageHeader title="Audit log" />
      <div className="toolbar">
        <Filter
          label="Who"
          all="Everybody"
          value={login}
          options={["krt", ...users.map((user) => user.login)]}
          onChange={(login) => url.set({ login })}
        />
        <Filter
          label="What"
          all="Everything"
          value={action}
          options={NAMES.map((id) => ({ id, text: id.replaceAll("_", " ") }))}
          onChange={(action) => url.set({ action })}
        />
        <Filter
          label="Runtime"
          all="All runtimes"
          value={runtime}
          options={runtimes.map(({ id, name }) => ({ id, text: name }))}
          onChange={(runtime) => url.set({ runtime })}
        />
        <RangePicker
          range={timed ? time.range : null}
          resolved={time.resolved}
          onChange={(next) =>
            url.set(
              next.kind === "preset"
                ? { range: next.preset, from: null, to: null }
                : { range: null, from: next.from, to: next.to },
            )
          }
          none="Any time"
          onNone={() => url.set({ range: null, from: null, to: null })}
        />
      </div>
      {query.isError && <Failure error={refused(query.error)} retry={() => void query.refetch()} />}
      {query.isPending ? (
        <Waiting height={320} />
      ) : entries.length ? (
        <Panel flush>
          <Table label="Audit log" columns={COLUMNS} items={entries} id={({ id }) => String(id)} />
        </Panel>
      ) : (
        !query.isError && <Empty title="No matching entries" icon={<ShieldCheck aria-hidden size={28} />} />
      )}
      {query.hasNextPage && (
        <span>
          <Button isPending={query.isFetchingNextPage} onPress={() => void query.fetchNextPage()}>
            More
          </Button>
        </span>
      )}
    </>
  );
}

const COLUMNS: Column<AuditEntry>[] = [
  {
    title: "When",
    shrink: true,
    cell: ({ time }) => (
      <>
        <span className="wide-only">
          <Moment time={time} />
        </span>
        <p className="second">
          <Ago time={time} />
        </p>
      </>
    ),
  },
  { title: "Who", shrink: true, cell: ({ login }) => <b>{login}</b> },
  { title: "What", cell: (entry) => <What entry={entry} /> },
  { title: "Comment", spare: true, cell: ({ comment }) => <Prose text={comment} /> },
];

function What({ entry: { action, runtime, version, subject, comment } }: { entry: AuditEntry }) {
  const at = `/runtimes/${runtime}/versions`;
  return (
    <div className="in-text">
      {ACTIONS[action]} {subject && <b>{subject}</b>}{" "}
      {version && <Link to={`${at}/${version}`}>{version}</Link>}
      {version && runtime && <span className="muted"> of </span>}
      {runtime && <Link to={at}>{runtime}</Link>}
      {comment && (
        <p className="second narrow-only">
          <Prose text={comment} />
        </p>
      )}
    </div>
  );
}
