import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Target, X } from "lucide-react";
import { useMemo } from "react";
import { useParams } from "react-router";
import { refused } from "../../api/client";
import * as api from "../../api/queries";
import type { ClassScore, Confusion, Prediction, PredictionSummary } from "../../api/schema";
import { useSession } from "../../app/session";
import { Chart } from "../../charts/chart";
import { count, percent, span } from "../../lib/format";
import { every, iso, type Resolved } from "../../lib/range";
import { oneOf, useRange, useUrl } from "../../lib/url";
import { Button, Filter } from "../../ui/controls";
import { Empty, Failure, Waiting, Warning } from "../../ui/feedback";
import { type Column, Figures, PageHeader, Panel, Table, usePageTitle } from "../../ui/layout";
import { Loaded } from "../../ui/loaded";
import { RangePicker } from "../../ui/range-picker";
import { Badge, Moment } from "../../ui/text";
import "./predictions.css";

const ERRORS = ["missing_values", "new_labels"] as const;
const ERROR_WORDS = { missing_values: "missing values", new_labels: "new label" };

export default function PredictionsPage() {
  const { runtime = "" } = useParams();
  usePageTitle("Predictions", runtime);
  const url = useUrl();
  const { server } = useSession();
  const range = useRange("24h", 30_000);
  const version = url.get("version");
  const versions = useQuery(api.versions(runtime)).data ?? [];
  const step = every(range.resolved, 60);
  const query = useQuery(
    api.predictionSummary(runtime, { ...range.resolved, every_seconds: step, ...(version && { version }) }),
  );
  return (
    <>
      <PageHeader title="Predictions">
        {server.mode === "serve" && (
          <div className="range">
            <Filter
              label="Version"
              all="All versions"
              value={version}
              options={versions.map(({ name }) => name)}
              onChange={(version) => url.set({ version })}
            />
          </div>
        )}
        <div className="range">
          <RangePicker range={range.range} resolved={range.resolved} onChange={range.set} />
        </div>
      </PageHeader>
      <Loaded query={query} height={480}>
        {(summary) =>
          summary.predictions +
            summary.missing_values +
            summary.new_labels +
            summary.pending +
            summary.unmatched_updates ===
          0 ? (
            <Empty title="No predictions in this period" icon={<Target aria-hidden size={28} />}>
              A handler saves the predicted and the true value with <code>ctx.prediction.save</code>.
            </Empty>
          ) : (
            <>
              {summary.truncated && (
                <Warning>Too many predictions to include all. Choose a shorter period.</Warning>
              )}
              <Figures
                items={[
                  { label: "Accuracy", value: percent(summary.accuracy) },
                  { label: "Predictions", value: count(summary.predictions) },
                  { label: "Wrong", value: count(summary.predictions - summary.correct) },
                  {
                    label: "Missing values",
                    value: count(summary.missing_values),
                    ...(summary.missing_values && { tone: "warn" }),
                  },
                  {
                    label: "New labels",
                    value: count(summary.new_labels),
                    ...(summary.new_labels && { tone: "warn" }),
                  },
                  ...(summary.pending ? [{ label: "Pending", value: count(summary.pending) }] : []),
                  ...(summary.unmatched_updates
                    ? [
                        {
                          label: "Updates without prediction",
                          value: count(summary.unmatched_updates),
                          tone: "warn" as const,
                        },
                      ]
                    : []),
                ]}
              />
              <OverTime
                summary={summary}
                range={range.resolved}
                onZoom={(from, to) =>
                  range.set({ kind: "fixed", from: iso(from * 1000), to: iso(Math.max(to, from + 1) * 1000) })
                }
              />
              <div className="quality">
                <Matrix confusion={summary.confusion} />
                <Classes classes={summary.classes} />
              </div>
              <List runtime={runtime} range={range.resolved} version={version} classes={summary.classes} />
            </>
          )
        }
      </Loaded>
    </>
  );
}

function OverTime({
  summary,
  range,
  onZoom,
}: {
  summary: PredictionSummary;
  range: Resolved;
  onZoom: (from: number, to: number) => void;
}) {
  const { times, accuracy, errors } = useMemo(() => {
    const windows = summary.over_time;
    return {
      times: windows.map(({ start }) => Date.parse(start) / 1000),
      accuracy: [{ label: "accuracy", values: windows.map((one) => one.accuracy) }],
      errors: [
        { label: "wrong", values: windows.map((one) => one.predictions - one.correct) },
        { label: "missing values", values: windows.map((one) => one.missing_values) },
        { label: "new labels", values: windows.map((one) => one.new_labels) },
      ],
    };
  }, [summary]);
  const axis = { from: Date.parse(range.from) / 1000, to: Date.parse(range.to) / 1000 };
  const step = <span className="muted small plain">each {span(summary.every_seconds)}</span>;
  const least = accuracy[0]?.values.reduce<number>((a, b) => Math.min(a, b ?? 1), 1) ?? 0;
  return (
    <div className="charts">
      <div data-width="6">
        <Panel title={<>Accuracy over time {step}</>}>
          <Chart
            title="Accuracy over time"
            times={times}
            lines={accuracy}
            bounds={[least > 0.5 ? Math.floor(least * 20 - 0.5) / 20 : 0, 1]}
            format={(value) => percent(value, least > 0.9 ? 1 : 0)}
            sync="predictions"
            {...axis}
            onZoom={onZoom}
          />
        </Panel>
      </div>
      <div data-width="6">
        <Panel title={<>Mistakes {step}</>}>
          <Chart
            title="Mistakes"
            times={times}
            lines={errors}
            whole
            sync="predictions"
            {...axis}
            onZoom={onZoom}
          />
        </Panel>
      </div>
    </div>
  );
}

function Matrix({ confusion: { labels, counts } }: { confusion: Confusion }) {
  const { set } = useUrl();
  // Mistakes are rare: shade each row by its own share, and correct cells in another colour.
  const sums = counts.map((row) => row.reduce((a, b) => a + b, 0));
  return (
    <Panel title="Confusion matrix">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard must reach it */}
      <section className="matrix" aria-label="Confusion matrix" tabIndex={0}>
        <table>
          <thead>
            <tr>
              <th scope="col" className="corner">
                <span>true ↓</span> <span>predicted →</span>
              </th>
              {labels.map((label) => (
                <th key={label} scope="col">
                  {label}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {labels.map((truth, i) => (
              <tr key={truth}>
                <th scope="row">{truth}</th>
                {labels.map((predicted, j) => {
                  const value = counts[i]?.[j] ?? 0;
                  const share = value / (sums[i] || 1);
                  return (
                    <td key={predicted} className={i === j ? "right" : "wrong"}>
                      {value > 0 ? (
                        <button
                          type="button"
                          style={
                            {
                              "--share": `${Math.round(i === j ? share * 70 : Math.min(1, share * 6) * 70)}%`,
                            } as object
                          }
                          aria-label={`${value} times ${truth} predicted as ${predicted}`}
                          onClick={() => set({ true: truth, predicted, error: null })}
                        >
                          {count(value)}
                        </button>
                      ) : (
                        <span className="none">
                          <span aria-hidden>·</span>
                          <span className="hidden-visually">0</span>
                        </span>
                      )}
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </Panel>
  );
}

function Share({ value }: { value: number | null }) {
  return (
    <span className="share">
      <span className="number">{percent(value)}</span>
      <span className="share-bar" aria-hidden>
        <span style={{ width: `${(value ?? 0) * 100}%` }} />
      </span>
    </span>
  );
}

function Classes({ classes }: { classes: ClassScore[] }) {
  const columns: Column<ClassScore>[] = [
    { title: "Class", cell: ({ label }) => <b>{label}</b> },
    { title: "Precision", cell: ({ precision }) => <Share value={precision} /> },
    { title: "Recall", cell: ({ recall }) => <Share value={recall} /> },
    { title: "F1", end: true, spare: true, cell: ({ f1 }) => (f1 === null ? "–" : f1.toFixed(3)) },
    { title: "Support", end: true, cell: ({ support }) => count(support) },
  ];
  return (
    <Panel title="Classes" flush>
      <Table label="Classes" columns={columns} items={classes} id={({ label }) => label} />
    </Panel>
  );
}

function List({
  runtime,
  range,
  version,
  classes,
}: {
  runtime: string;
  range: api.Span;
  version: string | undefined;
  classes: ClassScore[];
}) {
  const url = useUrl();
  const [truth, predicted, error] = [url.get("true"), url.get("predicted"), oneOf(url.get("error"), ERRORS)];
  const filter: api.PredictionFilter = {
    ...range,
    ...(version && { version }),
    ...(truth && { true_value: truth }),
    ...(predicted && { predicted }),
    ...(error && { error }),
  };
  const query = useInfiniteQuery({
    queryKey: ["predictions", runtime, "list", filter],
    queryFn: ({ pageParam }) => api.predictionPage(runtime, filter, pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next }) => next ?? undefined,
    placeholderData: (before) => before,
  });
  const items = query.data?.pages.flatMap(({ predictions }) => predictions) ?? [];
  const labels = classes.map(({ label }) => label);
  const columns: Column<Prediction>[] = [
    { title: "Time", shrink: true, cell: ({ time }) => <Moment time={time} /> },
    {
      title: "True",
      cell: (one) =>
        one.error ? (
          <Badge tone="warn">{ERROR_WORDS[one.error as "new_labels"] ?? one.error}</Badge>
        ) : one.true_value ? (
          <>
            {one.true_value}
            {one.updated && (
              <span className="muted small">
                {" updated "}
                <Moment time={one.updated} />
              </span>
            )}
          </>
        ) : (
          <Badge tone="idle">pending</Badge>
        ),
    },
    {
      title: "Predicted",
      cell: (one) =>
        one.error ? (
          ""
        ) : (
          <span className={!one.true_value || one.predicted === one.true_value ? undefined : "tone-bad"}>
            {one.predicted}
          </span>
        ),
    },
    {
      title: "Extra",
      spare: true,
      cell: ({ extra }) =>
        extra === null || extra === undefined ? (
          ""
        ) : (
          <code className="muted">{JSON.stringify(extra).slice(0, 120)}</code>
        ),
    },
    { title: "Version", spare: true, shrink: true, cell: ({ version }) => version },
  ];
  return (
    <Panel title="Predictions" flush>
      <div className="toolbar list-bar">
        <Filter
          label="True value"
          all="Any true value"
          value={truth}
          options={labels}
          onChange={(value) => url.set({ true: value })}
        />
        <Filter
          label="Predicted"
          all="Any predicted"
          value={predicted}
          options={labels}
          onChange={(predicted) => url.set({ predicted })}
        />
        <Filter
          label="Outcome"
          all="Any outcome"
          value={error}
          options={ERRORS.map((id) => ({ id, text: ERROR_WORDS[id] }))}
          onChange={(error) => url.set({ error })}
        />
        {(truth || predicted || error) && (
          <Button
            look="quiet"
            icon={<X aria-hidden size={14} />}
            onPress={() => url.set({ true: null, predicted: null, error: null })}
          >
            Clear
          </Button>
        )}
      </div>
      {query.isError && <Failure error={refused(query.error)} retry={() => void query.refetch()} />}
      {query.isPending ? (
        <Waiting height={200} />
      ) : items.length ? (
        <Table label="Predictions" columns={columns} items={items} id={({ id }) => id} />
      ) : (
        <p className="nothing muted">None fits.</p>
      )}
      {query.hasNextPage && (
        <p className="list-bar">
          <Button isPending={query.isFetchingNextPage} onPress={() => void query.fetchNextPage()}>
            More
          </Button>
        </p>
      )}
    </Panel>
  );
}
