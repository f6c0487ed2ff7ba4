/** Small formatted texts: states, times, levels, code. */

import { Fragment, type ReactNode } from "react";
import type { Ending, Level, NodeState, State } from "../api/schema";
import { ago, moment } from "../lib/format";
import { useNow } from "../lib/url";
import { CopyButton } from "./controls";

/** Text with names in backticks, as in the API's messages. */
export function Prose({ text }: { text: string }) {
  const parts = text.split(/`([^`]+)`/);
  return (
    <>
      {parts.map((part, i) =>
        // biome-ignore lint/suspicious/noArrayIndexKey: the parts of one text never change places
        i % 2 ? <code key={i}>{part}</code> : <Fragment key={i}>{part}</Fragment>,
      )}
    </>
  );
}

type Tone = "good" | "info" | "warn" | "bad" | "idle";

const STATES: Record<State, [Tone, string]> = {
  CREATED: ["idle", "Created"],
  STARTING: ["warn", "Starting"],
  STARTED: ["info", "Started"],
  PUBLISHED: ["good", "Published"],
  STOPPING: ["warn", "Stopping"],
  STOPPED: ["idle", "Stopped"],
  ERROR: ["bad", "Error"],
};

export function StateBadge({ state }: { state: State }) {
  const [tone, text] = STATES[state];
  const moving = state === "STARTING" || state === "STOPPING";
  return (
    <Badge tone={tone} moving={moving}>
      {text}
    </Badge>
  );
}

const ENDINGS: Record<Ending, Tone> = { answered: "good", failed: "bad", left: "warn", in_flight: "info" };

export function EndingBadge({ ending }: { ending: Ending }) {
  return <Badge tone={ENDINGS[ending]}>{ending === "left" ? "client left" : ending}</Badge>;
}

const CACHED = { hit: "from the cache", shared: "answer of an equal request" };

/** How a cache answered a request, instead of its handlers. */
export function CachedBadge({ cached }: { cached: keyof typeof CACHED }) {
  return <Badge tone="info">{CACHED[cached]}</Badge>;
}

const NODES: Record<NodeState, Tone> = {
  up: "good",
  starting: "warn",
  degraded: "warn",
  down: "bad",
  asleep: "idle",
  stopped: "idle",
};

export function NodeBadge({ state }: { state: NodeState }) {
  return (
    <Badge tone={NODES[state]} moving={state === "starting"}>
      {state}
    </Badge>
  );
}

export function Badge({ tone, moving, children }: { tone: Tone; moving?: boolean; children: ReactNode }) {
  return (
    <span className={`badge ${tone}${moving ? " moving" : ""}`}>
      <span className="dot" aria-hidden />
      {children}
    </span>
  );
}

export function LevelText({ level }: { level: Level }) {
  return <span className={`level ${level}`}>{level}</span>;
}

/** A relative time, with the exact one on hover and for machines. */
export function Ago({ time }: { time: string }) {
  const now = useNow(10_000);
  return (
    <time dateTime={time} title={moment(time)} className="number">
      {ago(Date.parse(time), now)}
    </time>
  );
}

export function Moment({ time }: { time: string }) {
  return (
    <time dateTime={time} className="number">
      {moment(time)}
    </time>
  );
}

/** A block of code or of a log; users can copy it, and scroll it by keyboard. */
export function Code({ text, label, height }: { text: string; label: string; height?: number }) {
  return (
    <div className="code">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard must reach it */}
      {/* biome-ignore lint/a11y/useSemanticElements: the element holds preformatted text, too */}
      <pre tabIndex={0} role="region" aria-label={label} style={height ? { maxHeight: height } : undefined}>
        {text}
      </pre>
      <CopyButton text={text} label={`Copy ${label.toLowerCase()}`} />
    </div>
  );
}
