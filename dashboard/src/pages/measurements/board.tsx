import { useQuery } from "@tanstack/react-query";
import { LayoutDashboard, Pencil, Trash2 } from "lucide-react";
import { useState } from "react";
import { Link, useNavigate, useParams } from "react-router";
import { client, refused, take } from "../../api/client";
import * as api from "../../api/queries";
import type { Board, Chart } from "../../api/schema";
import { useMay } from "../../app/session";
import { ChartCard } from "../../charts/card";
import { Menu, TextField } from "../../ui/controls";
import { FormDialog } from "../../ui/dialog";
import { Empty, Failure } from "../../ui/feedback";
import { Loaded } from "../../ui/loaded";
import { Ago } from "../../ui/text";
import { exploreQuery } from "./explore";
import { Frame } from "./frame";
import "./measurements.css";

const WIDTHS = [4, 6, 8, 12];

export default function BoardPage() {
  const { runtime = "", board: id = "" } = useParams();
  const query = useQuery(api.boards(runtime));
  const board = query.data?.find((one) => one.id === id);
  const navigate = useNavigate();
  const maySave = useMay("manager");
  const [asked, setAsked] = useState<"rename" | "delete" | null>(null);
  const path = { runtime, id };
  const save = api.useChange(
    (body: Pick<Board, "name" | "charts">) =>
      take(client.PUT("/runtimes/{runtime}/boards/{id}", { params: { path }, body })),
    "boards",
  );
  const remove = api.useChange(
    () => take(client.DELETE("/runtimes/{runtime}/boards/{id}", { params: { path } })),
    "boards",
  );
  const menu = board && maySave && (
    <Menu
      label={`More for ${board.name}`}
      actions={[
        {
          id: "rename",
          text: "Rename…",
          icon: <Pencil aria-hidden size={14} />,
          onAction: () => setAsked("rename"),
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
  );
  return (
    <Frame title={board?.name ?? "Board"} actions={menu}>
      {(range) => (
        <Loaded query={query}>
          {() =>
            !board ? (
              <Empty title="Board not found" icon={<LayoutDashboard aria-hidden size={28} />} />
            ) : (
              <>
                {save.isError && <Failure error={refused(save.error)} />}
                {board.charts.length === 0 && (
                  <Empty title="The board is empty" icon={<LayoutDashboard aria-hidden size={28} />}>
                    <Link to={`/runtimes/${runtime}/measurements/explore`}>Explore</Link> adds charts to it.
                  </Empty>
                )}
                <div className="charts">
                  {board.charts.map((chart, i) => (
                    // biome-ignore lint/suspicious/noArrayIndexKey: a board may hold the same chart twice
                    <div key={`${i} ${chart.title}`} data-width={chart.width ?? 12}>
                      <ChartCard
                        runtime={runtime}
                        chart={chart}
                        resolved={range.resolved}
                        onRange={range.set}
                        actions={
                          <ChartMenu
                            runtime={runtime}
                            board={board}
                            index={i}
                            chart={chart}
                            onSave={
                              maySave ? (charts) => save.mutate({ name: board.name, charts }) : undefined
                            }
                          />
                        }
                      />
                    </div>
                  ))}
                </div>
                <p className="muted small">
                  Saved <Ago time={board.changed} /> by {board.changed_by}
                </p>
                {asked === "rename" && (
                  <Rename
                    board={board}
                    onSubmit={(name) => save.mutateAsync({ name, charts: board.charts })}
                    onClose={() => setAsked(null)}
                  />
                )}
                {asked === "delete" && (
                  <FormDialog
                    title={`Delete ${board.name}`}
                    action="Delete"
                    danger
                    onSubmit={async () => {
                      await remove.mutateAsync(undefined);
                      await navigate(`/runtimes/${runtime}/measurements`);
                    }}
                    onClose={() => setAsked(null)}
                  >
                    <p>The measurements are kept.</p>
                  </FormDialog>
                )}
              </>
            )
          }
        </Loaded>
      )}
    </Frame>
  );
}

function ChartMenu({
  runtime,
  board,
  index,
  chart,
  onSave,
}: {
  runtime: string;
  board: Board;
  index: number;
  chart: Chart;
  onSave: ((charts: Chart[]) => void) | undefined;
}) {
  const navigate = useNavigate();
  const moved = (to: number) => {
    const charts = board.charts.filter((_, i) => i !== index);
    charts.splice(to, 0, chart);
    return charts;
  };
  const sized = (width: number) => board.charts.map((one, i) => (i === index ? { ...one, width } : one));
  const width = chart.width ?? 12;
  const wider = WIDTHS.find((one) => one > width);
  const narrower = WIDTHS.findLast((one) => one < width);
  return (
    <Menu
      label={`More for ${chart.title}`}
      actions={[
        {
          id: "explore",
          text: "Explore",
          onAction: () => void navigate(`/runtimes/${runtime}/measurements/explore?${exploreQuery(chart)}`),
        },
        ...(onSave
          ? [
              {
                id: "earlier",
                text: "Move earlier",
                disabled: index === 0,
                onAction: () => onSave(moved(index - 1)),
              },
              {
                id: "later",
                text: "Move later",
                disabled: index === board.charts.length - 1,
                onAction: () => onSave(moved(index + 1)),
              },
              { id: "wider", text: "Wider", disabled: !wider, onAction: () => wider && onSave(sized(wider)) },
              {
                id: "narrower",
                text: "Narrower",
                disabled: !narrower,
                onAction: () => narrower && onSave(sized(narrower)),
              },
              {
                id: "remove",
                text: "Remove",
                danger: true,
                onAction: () => onSave(board.charts.filter((_, i) => i !== index)),
              },
            ]
          : []),
      ]}
    />
  );
}

function Rename({
  board,
  onSubmit,
  onClose,
}: {
  board: Board;
  onSubmit: (name: string) => Promise<unknown>;
  onClose: () => void;
}) {
  const [name, setName] = useState(board.name);
  return (
    <FormDialog title="Rename the board" action="Save" onSubmit={() => onSubmit(name)} onClose={onClose}>
      <TextField label="Name" value={name} onChange={setName} isRequired maxLength={80} autoFocus />
    </FormDialog>
  );
}
