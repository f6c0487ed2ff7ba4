/**
 * A virtual list of many lines: only visible rows exist. One row has the focus; arrows move it, Enter opens
 * it.
 */

import { useVirtualizer } from "@tanstack/react-virtual";
import { ArrowUp, ChevronRight } from "lucide-react";
import {
  type KeyboardEvent,
  memo,
  type ReactNode,
  type RefObject,
  useCallback,
  useEffect,
  useRef,
  useState,
} from "react";
import { Link } from "react-router";
import type { Log } from "../../api/schema";
import { count, shortMoment } from "../../lib/format";
import { Button, CopyButton } from "../../ui/controls";
import { LevelText, Moment } from "../../ui/text";

const ROW = 25;

interface Props {
  runtime: string;
  lines: readonly Log[];
  text: string | undefined;
  more: boolean;
  waiting: number;
  scroller: RefObject<HTMLDivElement | null>;
  onEnd: () => void;
  onTop: () => void;
  onFilter: (changes: Record<string, string>) => void;
}

export function LogList({ runtime, lines, text, more, waiting, scroller, onEnd, onTop, onFilter }: Props) {
  const [open, setOpen] = useState<ReadonlySet<number>>(new Set());
  const [focused, setFocused] = useState<number | null>(null);
  const wanted = useRef<number | null>(null);

  const virtual = useVirtualizer({
    count: lines.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW,
    getItemKey: (index) => lines[index]?.id ?? index,
    overscan: 12,
  });
  const rows = virtual.getVirtualItems();
  const last = rows.at(-1)?.index ?? 0;
  useEffect(() => {
    if (more && lines.length > 0 && last >= lines.length - 30) onEnd();
  }, [more, last, lines.length, onEnd]);

  const toggle = useCallback((id: number) => {
    setFocused(id);
    setOpen((before) => {
      const after = new Set(before);
      if (!after.delete(id)) after.add(id);
      return after;
    });
  }, []);

  /** Moves the focus to a row that may not exist yet. */
  useEffect(() => {
    if (wanted.current === null) return;
    const row = scroller.current?.querySelector<HTMLElement>(`[data-id="${wanted.current}"]`);
    if (!row) return;
    wanted.current = null;
    row.focus({ preventScroll: true });
  });

  // The row that Tab focuses.
  const entry =
    focused !== null && rows.some(({ key }) => key === focused)
      ? focused
      : (lines[rows[0]?.index ?? 0]?.id ?? null);

  function move(event: KeyboardEvent) {
    if (!(event.target instanceof HTMLElement) || event.target.getAttribute("role") !== "row") return;
    const at = lines.findIndex(({ id }) => id === entry);
    const page = Math.max(1, Math.floor((scroller.current?.clientHeight ?? 0) / ROW) - 2);
    const steps: Record<string, number> = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      PageDown: at + page,
      PageUp: at - page,
      Home: 0,
      End: lines.length - 1,
    };
    const line = lines[at];
    if (line && (event.key === "Enter" || event.key === " ")) toggle(line.id);
    else if (
      line &&
      ((event.key === "ArrowRight" && !open.has(line.id)) || (event.key === "ArrowLeft" && open.has(line.id)))
    )
      toggle(line.id);
    else {
      const step = steps[event.key];
      if (step === undefined) return;
      const target = Math.max(0, Math.min(lines.length - 1, step));
      const next = lines[target];
      if (!next) return;
      virtual.scrollToIndex(target);
      wanted.current = next.id;
      setFocused(next.id);
    }
    event.preventDefault();
  }

  return (
    <div className="log-frame">
      {waiting > 0 && (
        <div className="log-waiting">
          <Button look="primary" icon={<ArrowUp aria-hidden size={14} />} onPress={onTop}>
            {count(waiting)} new
          </Button>
        </div>
      )}
      <div
        ref={scroller}
        className="log-scroll"
        role="treegrid"
        tabIndex={lines.length ? -1 : 0}
        aria-label="Log lines, newest first"
        aria-rowcount={more ? -1 : lines.length}
        onKeyDown={move}
      >
        <div style={{ height: virtual.getTotalSize(), position: "relative" }} role="rowgroup">
          {rows.map((row) => {
            const log = lines[row.index];
            return log ? (
              <div
                key={row.key}
                ref={virtual.measureElement}
                data-index={row.index}
                className="log-place"
                style={{ transform: `translateY(${row.start}px)` }}
                role="presentation"
              >
                <Row
                  runtime={runtime}
                  log={log}
                  index={row.index}
                  text={text}
                  open={open.has(log.id)}
                  entry={entry === log.id}
                  onToggle={toggle}
                  onFilter={onFilter}
                />
              </div>
            ) : null;
          })}
        </div>
      </div>
    </div>
  );
}

interface RowProps {
  runtime: string;
  log: Log;
  index: number;
  text: string | undefined;
  open: boolean;
  entry: boolean;
  onToggle: (id: number) => void;
  onFilter: Props["onFilter"];
}

const Row = memo(function Row({ runtime, log, index, text, open, entry, onToggle, onFilter }: RowProps) {
  const [first = "", ...rest] = log.message.split("\n");
  // The last line of a traceback names the error.
  const summary = rest.length && first.startsWith("Traceback") ? `${rest.at(-1)}  (traceback)` : first;
  return (
    <>
      {/* biome-ignore lint/a11y/useKeyWithClickEvents: the grid handles the keys of its rows */}
      <div
        role="row"
        className={`log-row ${log.level}${open ? " open" : ""}`}
        data-id={log.id}
        tabIndex={entry ? 0 : -1}
        aria-expanded={open}
        aria-level={1}
        aria-rowindex={index + 1}
        onClick={() => onToggle(log.id)}
      >
        <span role="gridcell" className="log-time number">
          <ChevronRight aria-hidden size={12} className="chevron" />
          {shortMoment(log.time)}
        </span>
        <span role="gridcell">
          <LevelText level={log.level} />
        </span>
        <span role="gridcell" className="log-node clip">
          {log.node ?? "engine"}
        </span>
        <span role="gridcell" className="log-message clip">
          <Marked text={summary} part={text} />
        </span>
      </div>
      {open && (
        <div role="row" aria-level={2} className="log-more">
          <div role="gridcell" className="stack">
            <div className="code">
              <pre>
                <Marked text={log.message} part={text} />
              </pre>
              <CopyButton text={log.message} label="Copy message" />
            </div>
            <dl className="log-facts">
              <Fact name="Time">
                <Moment time={log.time} />
              </Fact>
              <Fact name="Version">
                <FilterLink value={log.version} onPress={() => onFilter({ version: log.version })} />
              </Fact>
              {log.workflow && (
                <Fact name="Workflow">
                  <FilterLink
                    value={log.workflow}
                    onPress={() => onFilter({ workflow: log.workflow ?? "" })}
                  />
                </Fact>
              )}
              {log.node && (
                <Fact name="Node">
                  <FilterLink value={log.node} onPress={() => onFilter({ node: log.node ?? "" })} />
                </Fact>
              )}
              {log.request && (
                <Fact name="Request">
                  <FilterLink value={log.request} onPress={() => onFilter({ request: log.request ?? "" })} />{" "}
                  <Link to={`/runtimes/${runtime}/requests/${log.request}`}>waterfall</Link>
                </Fact>
              )}
            </dl>
          </div>
        </div>
      )}
    </>
  );
});

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function FilterLink({ value, onPress }: { value: string; onPress: () => void }) {
  return (
    <button type="button" className="filter-link mono" onClick={onPress} title={`Only ${value}`}>
      {value}
    </button>
  );
}

/** A text with every occurrence of a part highlighted. */
function Marked({ text, part }: { text: string; part: string | undefined }) {
  if (!part) return <>{text}</>;
  const pieces: ReactNode[] = [];
  const [low, wanted] = [text.toLowerCase(), part.toLowerCase()];
  let from = 0;
  for (let at = low.indexOf(wanted); at >= 0 && pieces.length < 200; at = low.indexOf(wanted, from)) {
    pieces.push(text.slice(from, at), <mark key={at}>{text.slice(at, at + wanted.length)}</mark>);
    from = at + wanted.length;
  }
  // A bare string, without an element around it, would bypass `visible`.
  return <>{[...pieces, text.slice(from)]}</>;
}
