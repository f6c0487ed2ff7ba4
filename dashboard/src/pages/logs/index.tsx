import { useQuery } from "@tanstack/react-query";
import { ScrollText } from "lucide-react";
import { useCallback, useMemo, useRef } from "react";
import { ToggleButton } from "react-aria-components";
import { useParams } from "react-router";
import type { Connection } from "../../api/live";
import * as api from "../../api/queries";
import type { Level } from "../../api/schema";
import { useSession } from "../../app/session";
import { count } from "../../lib/format";
import { parseRange } from "../../lib/range";
import { oneOf, useRange, useUrl } from "../../lib/url";
import { Button, Filter, SearchField } from "../../ui/controls";
import { Empty, Failure, Waiting } from "../../ui/feedback";
import { PageHeader, usePageTitle } from "../../ui/layout";
import { RangePicker } from "../../ui/range-picker";
import { LogList } from "./list";
import "./logs.css";
import { useLogs } from "./use-logs";

const LEVELS: Level[] = ["DEBUG", "INFO", "WARN", "ERROR"];
const FILTERS = ["version", "text", "level", "node", "workflow", "request"] as const;

const WORDS: Record<Connection, string> = {
  connecting: "connecting…",
  open: "live",
  lost: "connection lost, trying again…",
  paused: "paused",
};

export default function LogsPage() {
  const { runtime = "" } = useParams();
  usePageTitle("Logs", runtime);
  const url = useUrl();
  const { params, set } = url;
  const scroller = useRef<HTMLDivElement>(null);

  const filter = useMemo<api.LogFilter>(() => {
    const found = Object.fromEntries(
      FILTERS.flatMap((name) => (params.get(name) ? [[name, params.get(name)]] : [])),
    );
    const { level: _, ...rest } = found;
    const level = oneOf(params.get("level") ?? undefined, LEVELS);
    return level ? { ...rest, level } : rest;
  }, [params]);

  const timed = params.has("range") || (params.has("from") && params.has("to"));
  const words = params.get("range");
  const time = useRange("15m", 60_000);
  const range = timed ? parseRange(params, "15m") : null;
  const { from, to } = time.resolved;
  const fixed = range?.kind === "fixed";
  // A range that ends now continues into the future. It keeps the start it had when chosen: the lines on
  // screen must not reload every minute.
  // biome-ignore lint/correctness/useExhaustiveDependencies: see above
  const span = useMemo<api.Span>(
    () => (!timed ? {} : fixed ? { from, to } : { from }),
    [timed, words, fixed && from, fixed && to],
  );
  const live = !fixed && params.get("live") !== "off";

  const atTop = useCallback(() => (scroller.current?.scrollTop ?? 0) < 8, []);
  const logs = useLogs(runtime, filter, span, live, atTop);
  const filtered = timed || Object.keys(filter).length > 0;
  const change = useCallback((changes: Record<string, string>) => set(changes), [set]);
  const toTop = () => {
    scroller.current?.scrollTo({ top: 0 });
    logs.showWaiting();
  };

  return (
    <div className="logs">
      <PageHeader title="Logs">
        <span className="muted small number" role="status">
          {count(logs.lines.length)}
          {logs.more ? "+" : ""} lines{live && `, ${WORDS[logs.connection]}`}
        </span>
        {!fixed && (
          <ToggleButton
            className="button live-toggle"
            isSelected={live}
            onChange={(on) => set({ live: on ? null : "off" })}
          >
            <span className={`live-dot${live && logs.connection === "open" ? " on" : ""}`} aria-hidden />
            Live
          </ToggleButton>
        )}
        <div className="range">
          <RangePicker
            range={range}
            resolved={time.resolved}
            onChange={(next) =>
              set(
                next.kind === "preset"
                  ? { range: next.preset, from: null, to: null }
                  : { range: null, from: next.from, to: next.to },
              )
            }
            none="Any time"
            onNone={() => set({ range: null, from: null, to: null })}
          />
        </div>
      </PageHeader>
      <div className="toolbar">
        <SearchField
          label="Search in messages"
          value={filter.text ?? ""}
          onChange={(text) => set({ text })}
        />
        <Facets runtime={runtime} filter={filter} />
        {filtered && (
          <Button
            look="quiet"
            onPress={() =>
              set({
                ...Object.fromEntries(FILTERS.map((name) => [name, null])),
                range: null,
                from: null,
                to: null,
              })
            }
          >
            Clear
          </Button>
        )}
      </div>
      {logs.error && <Failure error={logs.error} retry={logs.retry} />}
      {logs.lines.length > 0 ? (
        <LogList
          runtime={runtime}
          lines={logs.lines}
          text={filter.text}
          more={logs.more}
          waiting={logs.waiting}
          scroller={scroller}
          onEnd={logs.loadOlder}
          onTop={toTop}
          onFilter={change}
        />
      ) : logs.loading ? (
        <Waiting height={400} />
      ) : (
        !logs.error && (
          <Empty
            title={filtered ? "No matching lines" : "No logs yet"}
            icon={<ScrollText aria-hidden size={28} />}
          >
            {live ? "New lines appear here." : "Turn on live to follow new lines."}
          </Empty>
        )
      )}
    </div>
  );
}

function Facets({ runtime, filter }: { runtime: string; filter: api.LogFilter }) {
  const { set } = useUrl();
  const { server } = useSession();
  const versions = useQuery(api.versions(runtime)).data ?? [];
  const looked = filter.version ?? (versions.find(({ state }) => state === "PUBLISHED") ?? versions[0])?.name;
  const graph = useQuery({
    ...api.graph(runtime, looked ?? ""),
    enabled: looked !== undefined,
    staleTime: 60_000,
    retry: false,
  }).data;
  return (
    <>
      <Filter
        label="Level"
        all="All levels"
        value={filter.level}
        options={LEVELS.slice(1).map((id) => ({ id, text: id === "ERROR" ? "ERROR" : `${id} and up` }))}
        onChange={(level) => set({ level })}
      />
      {server.mode === "serve" && (
        <Filter
          label="Version"
          all="All versions"
          value={filter.version}
          options={versions.map(({ name }) => name)}
          onChange={(version) => set({ version })}
        />
      )}
      <Filter
        label="Node"
        all="All nodes"
        value={filter.node}
        options={graph?.nodes.map(({ name }) => name) ?? []}
        onChange={(node) => set({ node })}
      />
      <Filter
        label="Workflow"
        all="All workflows"
        value={filter.workflow}
        options={graph?.workflows.map(({ name }) => name) ?? []}
        onChange={(workflow) => set({ workflow })}
      />
      <SearchField
        label="Request id"
        mono
        value={filter.request ?? ""}
        onChange={(request) => set({ request })}
      />
    </>
  );
}
