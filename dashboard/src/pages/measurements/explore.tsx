import { useQuery } from "@tanstack/react-query";
import { ChartLine, LayoutDashboard } from "lucide-react";
import { useMemo, useState } from "react";
import { ToggleButton } from "react-aria-components";
import { useNavigate, useParams } from "react-router";
import { client, take } from "../../api/client";
import * as api from "../../api/queries";
import type { Board, Chart, Measurement } from "../../api/schema";
import { useMay } from "../../app/session";
import { AGGREGATIONS, type Aggregation } from "../../charts/align";
import { ChartCard } from "../../charts/card";
import { count } from "../../lib/format";
import { oneOf, useUrl } from "../../lib/url";
import { Button, Filter, Select, TextField } from "../../ui/controls";
import { FormDialog } from "../../ui/dialog";
import { Empty } from "../../ui/feedback";
import { Panel } from "../../ui/layout";
import { Loaded } from "../../ui/loaded";
import { Ago } from "../../ui/text";
import { Frame } from "./frame";
import "./measurements.css";

const NAMES = Object.keys(AGGREGATIONS) as Aggregation[];

/** The URL parameters for a chart. */
export function exploreQuery(chart: Chart): string {
  const query = new URLSearchParams({
    measurement: chart.measurement,
    field: chart.field,
    show: chart.aggregation,
  });
  for (const [name, value] of Object.entries(chart.tags ?? {})) query.append("tag", `${name}:${value}`);
  for (const name of chart.group_by ?? []) query.append("by", name);
  return query.toString();
}

/** Builds the chart from the URL, ignoring unknown names. */
function chartOf(
  params: URLSearchParams,
  measurements: readonly Measurement[],
): { chart: Chart; measurement: Measurement } | null {
  const measurement = measurements.find(({ name }) => name === params.get("measurement")) ?? measurements[0];
  if (!measurement) return null;
  const field =
    measurement.fields.find((name) => name === params.get("field")) ?? measurement.fields[0] ?? "";
  const aggregation = oneOf(params.get("show") ?? undefined, NAMES) ?? "mean";
  const tags = Object.fromEntries(
    params.getAll("tag").flatMap((tag) => {
      const at = tag.indexOf(":");
      return at > 0 ? [[tag.slice(0, at), tag.slice(at + 1)]] : [];
    }),
  );
  const group_by = params.getAll("by").filter((name) => name in measurement.tags);
  const what = aggregation === "count" ? measurement.name : `${measurement.name}: ${field}`;
  const title = `${what}, ${AGGREGATIONS[aggregation].toLowerCase()}`;
  const unit = field.endsWith("_ms") ? { unit: "ms" } : {};
  return {
    chart: { title, measurement: measurement.name, field, aggregation, tags, group_by, ...unit },
    measurement,
  };
}

export default function ExplorePage() {
  const { runtime = "" } = useParams();
  const query = useQuery(api.measurements(runtime));
  const url = useUrl();
  const maySave = useMay("manager");
  const [saving, setSaving] = useState(false);
  const found = useMemo(() => chartOf(url.params, query.data ?? []), [url.params, query.data]);
  return (
    <Frame
      title="Explore"
      actions={
        maySave &&
        found && (
          <Button icon={<LayoutDashboard aria-hidden size={14} />} onPress={() => setSaving(true)}>
            Add to a board
          </Button>
        )
      }
    >
      {(range) => (
        <Loaded query={query}>
          {(measurements) =>
            found ? (
              <div className="explore">
                <Question measurements={measurements} {...found} />
                <ChartCard
                  runtime={runtime}
                  chart={found.chart}
                  resolved={range.resolved}
                  onRange={range.set}
                  height={380}
                />
                {saving && (
                  <SaveDialog runtime={runtime} chart={found.chart} onClose={() => setSaving(false)} />
                )}
              </div>
            ) : (
              <Empty title="No measurements yet" icon={<ChartLine aria-hidden size={28} />} />
            )
          }
        </Loaded>
      )}
    </Frame>
  );
}

function Question({
  measurements,
  measurement,
  chart,
}: {
  measurements: readonly Measurement[];
  measurement: Measurement;
  chart: Chart;
}) {
  const { set } = useUrl();
  const groups = chart.group_by ?? [];
  const tags = chart.tags ?? {};
  const setTag = (name: string, value: string | null) => {
    const next = Object.entries({ ...tags, [name]: value }).flatMap(([name, value]) =>
      value ? [`${name}:${value}`] : [],
    );
    set({ tag: next });
  };
  return (
    <Panel>
      <div className="question">
        <Select
          label="Measurement"
          value={measurement.name}
          options={measurements.map(({ name, automatic, points }) => ({
            id: name,
            text: name,
            description: `${count(points)} points${automatic ? ", by krt" : ""}`,
          }))}
          onChange={(name) => set({ measurement: name, field: null, tag: null, by: null })}
        />
        <Select
          label="Field"
          value={chart.field}
          options={measurement.fields.map((id) => ({ id, text: id }))}
          onChange={(field) => set({ field })}
        />
        <Select
          label="Show"
          value={chart.aggregation}
          options={NAMES.map((id) => ({ id, text: AGGREGATIONS[id] }))}
          onChange={(show) => set({ show })}
        />
        <fieldset>
          <legend className="label">Tags</legend>
          {Object.entries(measurement.tags).map(([name, values]) => (
            <div key={name} className="tag-row">
              <Filter
                label={name}
                all={`Any ${name}`}
                value={tags[name]}
                options={values}
                onChange={(value) => setTag(name, value)}
              />
              <ToggleButton
                className="button by"
                aria-label={`Group by ${name}`}
                isSelected={groups.includes(name)}
                onChange={(on) => set({ by: on ? [...groups, name] : groups.filter((one) => one !== name) })}
              >
                group
              </ToggleButton>
            </div>
          ))}
          {Object.keys(measurement.tags).length === 0 && <p className="muted">It has none.</p>}
        </fieldset>
        <p className="muted small">
          Last point <Ago time={measurement.last} />
        </p>
      </div>
    </Panel>
  );
}

const NEW = "new";

function SaveDialog({ runtime, chart, onClose }: { runtime: string; chart: Chart; onClose: () => void }) {
  const navigate = useNavigate();
  const boards = useQuery(api.boards(runtime)).data ?? [];
  const [title, setTitle] = useState(chart.title);
  const [id, setId] = useState<string | null>(null);
  const [name, setName] = useState("");
  const chosen = id ?? boards[0]?.id ?? NEW;
  const save = api.useChange(async () => {
    const added = { ...chart, title, width: 6 };
    const board = boards.find((one) => one.id === chosen);
    const saved: Board = board
      ? await take(
          client.PUT("/runtimes/{runtime}/boards/{id}", {
            params: { path: { runtime, id: board.id } },
            body: { name: board.name, charts: [...board.charts, added] },
          }),
        )
      : await take(
          client.POST("/runtimes/{runtime}/boards", {
            params: { path: { runtime } },
            body: { name, charts: [added] },
          }),
        );
    await navigate(`/runtimes/${runtime}/measurements/boards/${saved.id}`);
  }, "boards");
  return (
    <FormDialog
      title="Add to a board"
      action="Add"
      onSubmit={() => save.mutateAsync(undefined)}
      onClose={onClose}
    >
      <TextField
        label="Title of the chart"
        value={title}
        onChange={setTitle}
        isRequired
        maxLength={120}
        autoFocus
      />
      <Select
        label="Board"
        value={chosen}
        options={[...boards.map(({ id, name }) => ({ id, text: name })), { id: NEW, text: "A new one" }]}
        onChange={setId}
      />
      {chosen === NEW && (
        <TextField label="Name of the board" value={name} onChange={setName} isRequired maxLength={80} />
      )}
    </FormDialog>
  );
}
