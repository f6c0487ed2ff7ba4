import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Activity, RefreshCw } from "lucide-react";
import { useMemo } from "react";
import { ToggleButton } from "react-aria-components";
import { Link, useParams } from "react-router";
import { refused } from "../../api/client";
import * as api from "../../api/queries";
import type { Ending, Request } from "../../api/schema";
import { useSession } from "../../app/session";
import { bytes, count, duration, shortMoment } from "../../lib/format";
import { oneOf, useUrl } from "../../lib/url";
import { Button, Filter, IconButton, Segments } from "../../ui/controls";
import { Empty, Failure, Waiting } from "../../ui/feedback";
import { type Column, PageHeader, Panel, Table, usePageTitle } from "../../ui/layout";
import { CachedBadge, EndingBadge } from "../../ui/text";
import "./requests.css";
import { timeline } from "./timeline";

const ENDINGS: Ending[] = ["answered", "failed", "left", "in_flight"];
const ORDERS = ["latest", "slowest"] as const;

export default function RequestsPage() {
  const { runtime = "" } = useParams();
  usePageTitle("Requests", runtime);
  const url = useUrl();
  const { server } = useSession();
  const order = oneOf(url.get("order"), ORDERS) ?? "latest";
  const [version, workflow, ending] = [
    url.get("version"),
    url.get("workflow"),
    oneOf(url.get("ending"), ENDINGS),
  ];
  const live = url.get("live") === "on";
  const filter: api.RequestFilter = {
    order,
    ...(version && { version }),
    ...(workflow && { workflow }),
    ...(ending && { ending }),
  };
  const query = useInfiniteQuery({
    queryKey: ["requests", runtime, filter],
    queryFn: ({ pageParam }) => api.requestPage(runtime, filter, pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next }) => next ?? undefined,
    refetchInterval: (query) => (live && (query.state.data?.pages.length ?? 0) < 2 ? 2000 : false),
    placeholderData: (before) => before,
  });
  const versions = useQuery(api.versions(runtime)).data ?? [];
  const looked = version ?? (versions.find(({ state }) => state === "PUBLISHED") ?? versions[0])?.name;
  const graph = useQuery({
    ...api.graph(runtime, looked ?? ""),
    enabled: looked !== undefined,
    retry: false,
  }).data;

  // New requests shift older ones to the next page: remove duplicates.
  const requests = useMemo(
    () => [
      ...new Map(
        (query.data?.pages ?? []).flatMap((page) => page.requests).map((one) => [one.id, one]),
      ).values(),
    ],
    [query.data],
  );
  const kept = query.data?.pages[0]?.kept ?? 0;
  return (
    <>
      <PageHeader title="Requests">
        <span className="muted small number">{count(kept)} kept</span>
        <ToggleButton
          className="button live-toggle"
          isSelected={live}
          onChange={(on) => url.set({ live: on ? "on" : null })}
        >
          <span className={`live-dot${live ? " on" : ""}`} aria-hidden />
          Live
        </ToggleButton>
        <IconButton
          label="Refresh"
          look="plain"
          icon={<RefreshCw aria-hidden size={14} />}
          onPress={() => void query.refetch()}
        />
      </PageHeader>
      <div className="toolbar">
        <Segments
          label="Order"
          value={order}
          options={[
            { id: "latest", text: "Latest" },
            { id: "slowest", text: "Slowest" },
          ]}
          onChange={(order) => url.set({ order: order === "latest" ? null : order })}
        />
        <Filter
          label="Ending"
          all="All endings"
          value={ending}
          options={ENDINGS.map((id) => ({ id, text: id === "left" ? "client left" : id }))}
          onChange={(ending) => url.set({ ending })}
        />
        <Filter
          label="Workflow"
          all="All workflows"
          value={workflow}
          options={graph?.workflows.map(({ name }) => name) ?? []}
          onChange={(workflow) => url.set({ workflow })}
        />
        {server.mode === "serve" && (
          <Filter
            label="Version"
            all="All versions"
            value={version}
            options={versions.map(({ name }) => name)}
            onChange={(version) => url.set({ version })}
          />
        )}
      </div>
      {query.isError && <Failure error={refused(query.error)} retry={() => void query.refetch()} />}
      {query.isPending ? (
        <Waiting height={400} />
      ) : requests.length === 0 ? (
        !query.isError && (
          <Empty title="No requests to show" icon={<Activity aria-hidden size={28} />}>
            New requests appear here immediately. Failed ones and the slowest of each hour are kept longest.
          </Empty>
        )
      ) : (
        <>
          <Panel flush>
            <Table
              label="Requests"
              columns={columns(runtime, requests)}
              items={requests}
              id={({ id }) => id}
            />
          </Panel>
          {query.hasNextPage && (
            <span>
              <Button isPending={query.isFetchingNextPage} onPress={() => void query.fetchNextPage()}>
                More
              </Button>
            </span>
          )}
        </>
      )}
    </>
  );
}

function columns(runtime: string, requests: Request[]): Column<Request>[] {
  // One scale for all rows makes bars comparable; a few outliers must not flatten the rest.
  const sorted = requests.map((one) => timeline(one).whole).sort((a, b) => a - b);
  const scale = sorted[Math.floor((sorted.length - 1) * 0.95)] ?? 1;
  return [
    {
      title: "Start",
      shrink: true,
      cell: (one) => (
        <Link to={`/runtimes/${runtime}/requests/${one.id}`}>
          <time dateTime={one.start} className="number">
            {shortMoment(one.start)}
          </time>
        </Link>
      ),
    },
    {
      title: "Ending",
      shrink: true,
      cell: (one) => <EndingBadge ending={one.ending} />,
    },
    { title: "Elapsed", end: true, shrink: true, cell: (one) => duration(one.elapsed_ms) },
    {
      title: <span aria-hidden>Waiting and handlers</span>,
      spare: true,
      cell: (one) =>
        one.error ? (
          <span className="request-error">{one.error}</span>
        ) : one.cached ? (
          <CachedBadge cached={one.cached} />
        ) : (
          <Strip request={one} scale={scale} />
        ),
    },
    { title: "Workflow", shrink: true, spare: true, cell: ({ workflow }) => workflow },
    { title: "Version", shrink: true, spare: true, cell: ({ version }) => version },
    {
      title: "Bytes in, out",
      end: true,
      shrink: true,
      spare: true,
      cell: (one) =>
        `${bytes(one.request_bytes)}, ${one.answer_bytes === null ? "–" : bytes(one.answer_bytes)}`,
    },
  ];
}

/** A request as one bar: grey for waiting, coloured for handlers. */
function Strip({ request, scale }: { request: Request; scale: number }) {
  const { bars, whole } = timeline(request);
  const width = Math.min(1, whole / scale) * 100;
  return (
    <div className="strip" aria-hidden>
      <div style={{ width: `${width}%` }}>
        {bars.map(({ hop, wait, handler }) => (
          <span key={hop.position}>
            <span className="wait" style={{ left: `${wait.left}%`, width: `${wait.width}%` }} />
            <span
              className="work"
              title={`${hop.node}: ${duration(hop.handler_ms)}`}
              style={{
                left: `${handler.left}%`,
                width: `${handler.width}%`,
                background: `var(--series-${(hop.position % 8) + 1})`,
              }}
            />
          </span>
        ))}
      </div>
    </div>
  );
}
