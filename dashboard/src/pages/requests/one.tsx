import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { Link, useParams } from "react-router";
import * as api from "../../api/queries";
import type { Log, Prediction, Request, RequestDetail, StoredDocument, StoredPoint } from "../../api/schema";
import { bytes, clockWithMilliseconds, count, duration, number } from "../../lib/format";
import { CopyButton } from "../../ui/controls";
import { type Column, Figures, PageHeader, Panel, Table, usePageTitle } from "../../ui/layout";
import { Loaded } from "../../ui/loaded";
import { Badge, CachedBadge, Code, EndingBadge, LevelText, Moment } from "../../ui/text";
import "./requests.css";
import { coding, marks, timeline } from "./timeline";

export default function RequestPage() {
  const { runtime = "", id = "" } = useParams();
  usePageTitle(`Request ${id}`, runtime);
  const query = useQuery({
    ...api.request(runtime, id),
    refetchInterval: ({ state }) => (state.data?.request.ending === "in_flight" ? 1000 : false),
  });
  return (
    <Loaded query={query} height={400}>
      {(detail) => <Detail runtime={runtime} detail={detail} />}
    </Loaded>
  );
}

function Detail({ runtime, detail }: { runtime: string; detail: RequestDetail }) {
  const { request, logs, points, documents, predictions, saved } = detail;
  const traceback = useMemo(
    () => logs.findLast(({ level, message }) => level === "ERROR" && message.includes("\n")),
    [logs],
  );
  return (
    <>
      <PageHeader
        above={<Link to={`/runtimes/${runtime}/requests`}>Requests</Link>}
        title={
          <>
            <span className="mono request-id">{request.id}</span>
            <CopyButton text={request.id} label="Copy id" />
            <EndingBadge ending={request.ending} />
            {request.early_reply && <Badge tone="info">early reply</Badge>}
            {request.cached && <CachedBadge cached={request.cached} />}
          </>
        }
        below={
          <>
            <Link to={`/runtimes/${runtime}/versions/${request.version}?workflow=${request.workflow}`}>
              {request.workflow} of {request.version}
            </Link>
            , <Moment time={request.start} />
          </>
        }
      />
      {request.error && (
        <section className="notice bad" aria-label="Why it failed">
          <div className="grow stack" style={{ gap: 8 }}>
            <p className="message">{request.error}</p>
            {traceback && <Code text={traceback.message} label="Traceback" height={320} />}
          </div>
        </section>
      )}
      <Sums request={request} />
      <Panel title="Waterfall" flush>
        <Waterfall request={request} />
      </Panel>
      <Panel
        title="Logs"
        flush
        actions={<Link to={`/runtimes/${runtime}/logs?request=${request.id}`}>In all logs</Link>}
      >
        {logs.length ? <Lines logs={logs} /> : <p className="nothing muted">It logged nothing.</p>}
      </Panel>
      <Panel title="Measurements" flush>
        {points.length ? (
          <Points points={points} />
        ) : (
          <p className="nothing muted">No measurement names it.</p>
        )}
      </Panel>
      {documents.length > 0 && (
        <Panel title="Documents" flush>
          <Documents documents={documents} />
        </Panel>
      )}
      {predictions.length > 0 && (
        <Panel title="Predictions" flush>
          <Predictions predictions={predictions} />
        </Panel>
      )}
      {saved > documents.length + predictions.length && (
        <p className="muted">It saved {saved} documents; these are the first.</p>
      )}
    </>
  );
}

function Sums({ request }: { request: Request }) {
  const { between } = timeline(request);
  const sum = (of: (hop: Request["hops"][number]) => number) =>
    request.hops.reduce((all, hop) => all + of(hop), 0);
  return (
    <Figures
      items={[
        {
          label: request.early_reply ? "Until the early reply" : "Elapsed",
          value: duration(request.elapsed_ms),
        },
        ...(request.stream
          ? [
              { label: "First message", value: duration(request.stream.first_ms) },
              { label: "Messages", value: count(request.stream.messages) },
            ]
          : []),
        { label: "In handlers", value: duration(sum(({ handler_ms }) => handler_ms)) },
        { label: "Waiting", value: duration(sum(({ waiting_ms }) => waiting_ms)) },
        { label: "Serialising", value: duration(sum(coding)) },
        { label: "Between nodes", value: duration(between) },
        { label: "Request", value: bytes(request.request_bytes) },
        { label: "Answer", value: request.answer_bytes === null ? "–" : bytes(request.answer_bytes) },
      ]}
    />
  );
}

const OUTCOMES = {
  ok: "ok",
  error: "failed",
  died: "its worker died",
  timed_out: "timed out",
  cancelled: "cancelled",
  out_of_memory: "its worker ran out of memory",
} as const;

function Waterfall({ request }: { request: Request }) {
  const { whole, bars, first, answer } = timeline(request);
  const axis = marks(whole);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard must reach it
    <section className="waterfall" aria-label="Waterfall" tabIndex={0}>
      <table>
        <thead>
          <tr>
            <th scope="col">Node</th>
            <th scope="col" className="lane" aria-label="Time">
              <span className="axis" aria-hidden>
                {axis.map((at) => (
                  <span key={at} style={{ left: `${(at / whole) * 100}%` }}>
                    {at === 0 ? "0" : `${number(at)} ms`}
                  </span>
                ))}
              </span>
            </th>
            <th scope="col" className="end wide-only">
              Waiting
            </th>
            <th scope="col" className="end wide-only">
              Serialising
            </th>
            <th scope="col" className="end wide-only">
              Handler
            </th>
          </tr>
        </thead>
        <tbody>
          {bars.map(({ hop, wait, serialisation, handler }) => (
            <tr key={`${hop.position} ${hop.start_ms}`}>
              <th scope="row">
                {hop.node}
                {hop.outcome !== "ok" && <span className="tone-bad small"> {OUTCOMES[hop.outcome]}</span>}
                <p className="narrow-only muted small number">
                  {duration(hop.waiting_ms)} + {duration(coding(hop))} + {duration(hop.handler_ms)}
                </p>
              </th>
              <td className="lane">
                <div aria-hidden>
                  {axis.map((at) => (
                    <span key={at} className="mark" style={{ left: `${(at / whole) * 100}%` }} />
                  ))}
                  {first !== null && <span className="first" style={{ left: `${first}%` }} />}
                  {answer < 99.9 && <span className="answer" style={{ left: `${answer}%` }} />}
                  <span className="wait" style={{ left: `${wait.left}%`, width: `${wait.width}%` }} />
                  {serialisation.map(({ left, width }) =>
                    width > 0 ? (
                      <span key={left} className="code" style={{ left: `${left}%`, width: `${width}%` }} />
                    ) : null,
                  )}
                  <span
                    className={`work ${hop.outcome}`}
                    style={{
                      left: `${handler.left}%`,
                      width: `${handler.width}%`,
                      ...(hop.outcome === "ok" && { background: `var(--series-${(hop.position % 8) + 1})` }),
                    }}
                  />
                </div>
              </td>
              <td className="end number wide-only">{duration(hop.waiting_ms)}</td>
              <td className="end number wide-only">{duration(coding(hop))}</td>
              <td className="end number wide-only">{duration(hop.handler_ms)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {bars.length === 0 && <p className="nothing muted">No call of a handler is known.</p>}
      {request.hops_left_out > 0 && (
        <p className="nothing muted">
          {request.hops_left_out} more calls of handlers followed; these are the first.
        </p>
      )}
      <p className="legend small muted" aria-hidden>
        <span className="key wait" /> waiting <span className="key code" /> serialising{" "}
        <span className="key work" /> handler
        {first !== null && (
          <>
            <span className="key first" /> the first message
          </>
        )}
        {answer < 99.9 && (
          <>
            <span className="key answer" /> the client was answered
          </>
        )}
      </p>
    </section>
  );
}

function Lines({ logs }: { logs: Log[] }) {
  return (
    <ol className="request-logs">
      {logs.map((log) => (
        <li key={log.id}>
          <span className="muted number">{clockWithMilliseconds(log.time)}</span>
          <LevelText level={log.level} />
          <span className="muted">{log.node ?? "engine"}</span>
          <pre>{log.message}</pre>
        </li>
      ))}
    </ol>
  );
}

function value(field: unknown): string {
  return typeof field === "number"
    ? number(field)
    : typeof field === "string"
      ? field
      : JSON.stringify(field);
}

function Points({ points }: { points: StoredPoint[] }) {
  const columns: Column<StoredPoint>[] = [
    { title: "Measurement", shrink: true, cell: ({ measurement }) => <code>{measurement}</code> },
    { title: "Tags", spare: true, cell: ({ tags }) => <Pairs of={tags} /> },
    { title: "Fields", cell: ({ fields }) => <Pairs of={fields} /> },
  ];
  return <Table label="Points" columns={columns} items={points} id={(point) => JSON.stringify(point)} />;
}

function Documents({ documents }: { documents: StoredDocument[] }) {
  const columns: Column<StoredDocument>[] = [
    { title: "Node", shrink: true, cell: ({ node }) => node },
    { title: "Collection", shrink: true, cell: ({ collection }) => <code>{collection}</code> },
    {
      title: "Document",
      cell: ({ document, bytes: size, id }) =>
        document ? (
          <Pairs of={document} />
        ) : (
          <span className="muted">
            {value(id)}: {size === null ? "no longer stored" : `${bytes(size)}, too large to show`}
          </span>
        ),
    },
  ];
  return <Table label="Documents" columns={columns} items={documents} id={({ id }) => JSON.stringify(id)} />;
}

function Predictions({ predictions }: { predictions: Prediction[] }) {
  const columns: Column<Prediction>[] = [
    { title: "Time", shrink: true, cell: ({ time }) => <Moment time={time} /> },
    { title: "Predicted", cell: ({ predicted }) => predicted },
    { title: "True", cell: ({ true_value }) => true_value },
    { title: "Error", cell: ({ error }) => error ?? "–" },
    { title: "Extra", spare: true, cell: ({ extra }) => value(extra) },
  ];
  return <Table label="Predictions" columns={columns} items={predictions} id={({ id }) => id} />;
}

function Pairs({ of }: { of: Record<string, unknown> }) {
  return (
    <span className="map">
      {Object.entries(of).map(([name, field]) => (
        <span key={name}>
          <span className="muted">{name}</span> {value(field)}
        </span>
      ))}
    </span>
  );
}
