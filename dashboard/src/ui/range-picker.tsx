/** Selects a range of time: a preset, or any. */

import { useState } from "react";
import { day, moment } from "../lib/format";
import { iso, PRESETS, type Preset, type Range, type Resolved } from "../lib/range";
import { type Option, Select, TextField } from "./controls";
import { FormDialog } from "./dialog";

const CUSTOM = "custom";
const FIXED = "fixed";
const NONE = "none";

/** The format of `datetime-local`: local zone, to the second. */
function local(time: string): string {
  return moment(time).replace(" ", "T");
}

/** A range such as `12:00 – 13:30`, with dates unless they are today. */
function words({ from, to }: Resolved): string {
  const today = day(new Date());
  const [first, last] = [day(new Date(from)), day(new Date(to))];
  const start = moment(from).slice(first === today ? 11 : 5, 16);
  const end = moment(to).slice(last === first ? 11 : 5, 16);
  return `${start} – ${end}`;
}

export function RangePicker({
  range,
  resolved,
  onChange,
  none,
  onNone,
}: {
  range: Range | null;
  resolved: Resolved;
  onChange: (range: Range) => void;
  /** The label of the option without a range, if there is one. */
  none?: string;
  onNone?: () => void;
}) {
  const [asking, setAsking] = useState(false);
  const presets = Object.entries(PRESETS).map(([id, [text]]): Option => ({ id, text }));
  const options: Option[] = [
    ...(none ? [{ id: NONE, text: none }] : []),
    ...presets,
    ...(range?.kind === "fixed" ? [{ id: FIXED, text: words(range) }] : []),
    { id: CUSTOM, text: "Other times…" },
  ];
  const value = range === null ? NONE : range.kind === "preset" ? range.preset : FIXED;

  function choose(id: string) {
    if (id === NONE) onNone?.();
    else if (id === CUSTOM) setAsking(true);
    else if (id !== FIXED) onChange({ kind: "preset", preset: id as Preset });
  }

  return (
    <>
      <Select label="Time" hideLabel value={value} options={options} onChange={choose} />
      {asking && <Ask resolved={resolved} onChange={onChange} onClose={() => setAsking(false)} />}
    </>
  );
}

function Ask({
  resolved,
  onChange,
  onClose,
}: {
  resolved: Resolved;
  onChange: (range: Range) => void;
  onClose: () => void;
}) {
  const [from, setFrom] = useState(local(resolved.from));
  const [to, setTo] = useState(local(resolved.to));
  const wrong = Date.parse(from) >= Date.parse(to);
  return (
    <FormDialog
      title="Other times"
      action="Show"
      onSubmit={async () => {
        if (!wrong) onChange({ kind: "fixed", from: iso(Date.parse(from)), to: iso(Date.parse(to)) });
      }}
      onClose={onClose}
    >
      <TextField
        label="From"
        type={"datetime-local" as "text"}
        value={from}
        onChange={setFrom}
        isRequired
        autoFocus
      />
      <TextField
        label="To"
        type={"datetime-local" as "text"}
        value={to}
        onChange={setTo}
        isRequired
        error={wrong ? "The end must be after the start." : undefined}
      />
    </FormDialog>
  );
}
