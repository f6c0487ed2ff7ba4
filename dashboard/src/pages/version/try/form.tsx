/** A form for a message type. It leaves out empty fields, as proto3 does. */

import { Plus, Trash2 } from "lucide-react";
import { type ReactNode, useEffect, useId, useRef, useState } from "react";
import { FileTrigger } from "react-aria-components";
import type { Field, Methods } from "../../../api/schema";
import { Button, Checkbox, IconButton, Select, TextField } from "../../../ui/controls";
import {
  blank,
  blankItem,
  type Fields,
  isFields,
  type Json,
  type Parsed,
  parseNumber,
  parseNumbers,
  withChoice,
  withField,
} from "./message";

interface MessageProps {
  methods: Methods;
  /** The full name of the message type. */
  type: string;
  value: Fields;
  onChange: (value: Fields) => void;
}

export function MessageForm({ methods, type, value, onChange }: MessageProps) {
  const fields = methods.messages[type]?.fields;
  if (!fields) return <p className="muted">{type} is written as JSON, beside.</p>;
  if (fields.length === 0) return <p className="muted">The message has no fields.</p>;
  const choices = new Map<string, Field[]>();
  for (const field of fields)
    if (field.oneof) choices.set(field.oneof, [...(choices.get(field.oneof) ?? []), field]);
  const drawn = new Set<string>();
  return (
    <div className="message-form">
      {fields.map((field) => {
        if (!field.oneof)
          return (
            <FieldForm
              key={field.name}
              methods={methods}
              field={field}
              value={value[field.name]}
              onChange={(next) => onChange(withField(value, field.name, next))}
            />
          );
        if (drawn.has(field.oneof)) return null;
        drawn.add(field.oneof);
        const group = choices.get(field.oneof) ?? [];
        return (
          <Choice
            key={`oneof ${field.oneof}`}
            methods={methods}
            name={field.oneof}
            group={group}
            value={value}
            onChange={onChange}
          />
        );
      })}
    </div>
  );
}

const NONE = "";

function Choice({
  methods,
  name,
  group,
  value,
  onChange,
}: {
  methods: Methods;
  name: string;
  group: Field[];
  value: Fields;
  onChange: (value: Fields) => void;
}) {
  const chosen = group.find((field) => field.name in value);
  return (
    <Group label={name} comment="At most one of these.">
      <Select
        label={`Which ${name}`}
        hideLabel
        value={chosen?.name ?? NONE}
        options={[
          { id: NONE, text: "None" },
          ...group.map((field) => ({ id: field.name, text: field.name })),
        ]}
        onChange={(id) => {
          const field = group.find((one) => one.name === id);
          onChange(withChoice(value, group, field?.name ?? null, field && blank(field)));
        }}
      />
      {chosen && (
        <FieldForm
          methods={methods}
          field={chosen}
          value={value[chosen.name]}
          onChange={(next) => onChange(withField(value, chosen.name, next ?? blank(chosen)))}
        />
      )}
    </Group>
  );
}

interface FieldProps {
  methods: Methods;
  field: Field;
  value: Json | undefined;
  onChange: (value: Json | undefined) => void;
}

const NUMBERS = ["number", "integer", "int64"];

function FieldForm(props: FieldProps) {
  const { field } = props;
  if (field.map) return <MapForm {...props} />;
  if (field.repeated)
    return field.type && NUMBERS.includes(field.type) ? <NumbersForm {...props} /> : <ListForm {...props} />;
  return <OneForm {...props} label={field.name} comment={field.comment} />;
}

function OneForm({
  methods,
  field,
  value,
  onChange,
  label,
  comment,
  bare,
}: FieldProps & { label: string; comment?: string | null; bare?: boolean }) {
  const description = comment ?? undefined;
  switch (field.type) {
    case "bool":
      return (
        <div>
          <Checkbox isSelected={value === true} onChange={(on) => onChange(on || undefined)}>
            <span className="mono">{label}</span>
          </Checkbox>
          {description && <p className="description">{description}</p>}
        </div>
      );
    case "enum":
      return (
        <Select
          label={label}
          hideLabel={bare ?? false}
          description={description}
          value={typeof value === "string" ? value : (field.values?.[0] ?? null)}
          options={(field.values ?? []).map((id) => {
            const said = field.value_comments[id];
            return { id, text: id, ...(said && { description: said }) };
          })}
          onChange={onChange}
        />
      );
    case "number":
    case "integer":
    case "int64":
      return (
        <Text
          {...{ label, description, bare, value }}
          parse={(text) => parseNumber(text, field.type)}
          onChange={onChange}
          numeric
        />
      );
    case "bytes":
      return <BytesForm {...{ label, description, bare, value, onChange }} />;
    case "message":
      return <MessageField {...{ methods, field, value, onChange, label, comment: comment ?? null }} />;
    case "any":
      return <Text {...{ label, description, bare, value }} parse={parseJson} onChange={onChange} json />;
    default:
      return (
        <TextField
          label={label}
          hideLabel={bare ?? false}
          description={description}
          value={typeof value === "string" ? value : ""}
          onChange={(text) => onChange(text || undefined)}
          {...(typeof value === "string" && (value.includes("\n") || value.length > 80) ? { rows: 4 } : {})}
        />
      );
  }
}

function parseJson(text: string): Parsed<Json> {
  try {
    return { ok: true, value: JSON.parse(text) as Json };
  } catch (error) {
    return { ok: false, error: String(error) };
  }
}

/** A text field for a value; an invalid text shows an error and does not change the value. */
function Text({
  label,
  description,
  bare,
  value,
  parse,
  onChange,
  numeric,
  json,
  rows,
  show,
}: {
  label: string;
  description?: ReactNode;
  bare?: boolean | undefined;
  value: Json | undefined;
  parse: (text: string) => Parsed<Json>;
  onChange: (value: Json | undefined) => void;
  numeric?: boolean;
  json?: boolean;
  rows?: number;
  show?: (value: Json) => string;
}) {
  const shown = value === undefined ? "" : (show?.(value) ?? (json ? JSON.stringify(value) : String(value)));
  const [text, setText] = useState(shown);
  const [error, setError] = useState<string>();
  const own = useRef(value);
  useEffect(() => {
    // Only a change from outside replaces the text.
    if (JSON.stringify(own.current) === JSON.stringify(value)) return;
    own.current = value;
    setText(shown);
    setError(undefined);
  }, [value, shown]);
  return (
    <TextField
      label={label}
      hideLabel={bare ?? false}
      description={description}
      value={text}
      error={error}
      mono={numeric || json || false}
      inputMode={numeric && !rows ? "decimal" : "text"}
      {...(rows ? { rows } : {})}
      onChange={(next) => {
        setText(next);
        const parsed: Parsed<Json | undefined> =
          next.trim() === "" ? { ok: true, value: undefined } : parse(next);
        setError(parsed.ok ? undefined : parsed.error);
        if (!parsed.ok) return;
        own.current = parsed.value;
        onChange(parsed.value);
      }}
    />
  );
}

function NumbersForm({ field, value, onChange }: FieldProps) {
  const list = Array.isArray(value) ? value : [];
  return (
    <Text
      label={field.name}
      description={
        <>
          {field.comment && `${field.comment} `}
          {list.length} {list.length === 1 ? "number" : "numbers"}, with spaces or commas between them.
        </>
      }
      value={value}
      parse={(text) => parseNumbers(text, field.type)}
      onChange={(next) => onChange(Array.isArray(next) && next.length === 0 ? undefined : next)}
      show={(value) => rows(Array.isArray(value) ? value : [])}
      rows={list.length > 24 ? 9 : 3}
      numeric
    />
  );
}

/** Formats numbers that fill a square as a square. */
function rows(values: Json[]): string {
  const side = Math.sqrt(values.length);
  if (!Number.isInteger(side) || side < 4 || side > 40) return values.join(" ");
  const width = Math.max(...values.map((value) => String(value).length));
  const lines: string[] = [];
  for (let i = 0; i < values.length; i += side) {
    lines.push(
      values
        .slice(i, i + side)
        .map((value) => String(value).padStart(width))
        .join(" "),
    );
  }
  return lines.join("\n");
}

function BytesForm({
  label,
  description,
  bare,
  value,
  onChange,
}: {
  label: string;
  description: string | undefined;
  bare: boolean | undefined;
  value: Json | undefined;
  onChange: (value: Json | undefined) => void;
}) {
  const text = typeof value === "string" ? value : "";
  const size = Math.floor((text.replace(/=+$/, "").length * 3) / 4);
  async function read(file: File | undefined) {
    if (!file) return;
    const reader = new FileReader();
    reader.onload = () => onChange(String(reader.result).split(",")[1] || undefined);
    reader.readAsDataURL(file);
  }
  return (
    <div className="bytes">
      <TextField
        label={label}
        hideLabel={bare ?? false}
        description={`${description ? `${description} ` : ""}Base64; ${size} bytes.`}
        value={text.length > 4000 ? `${text.slice(0, 4000)}…` : text}
        isReadOnly={text.length > 4000}
        onChange={(next) => onChange(next || undefined)}
        mono
      />
      <FileTrigger onSelect={(files) => void read(files?.[0])}>
        <Button>From a file</Button>
      </FileTrigger>
    </div>
  );
}

function MessageField({
  methods,
  field,
  value,
  onChange,
  label,
  comment,
}: FieldProps & { label: string; comment: string | null }) {
  const set = isFields(value);
  return (
    <Group
      label={label}
      comment={comment}
      action={
        set ? (
          <IconButton
            label={`Leave out ${label}`}
            icon={<Trash2 aria-hidden size={14} />}
            onPress={() => onChange(undefined)}
          />
        ) : (
          <IconButton
            label={`Add ${label}`}
            icon={<Plus aria-hidden size={14} />}
            onPress={() => onChange({})}
          />
        )
      }
    >
      {set && <MessageForm methods={methods} type={field.message ?? ""} value={value} onChange={onChange} />}
    </Group>
  );
}

function ListForm({ methods, field, value, onChange }: FieldProps) {
  const list = Array.isArray(value) ? value : [];
  const replace = (next: Json[]) => onChange(next.length ? next : undefined);
  return (
    <Group
      label={field.name}
      comment={field.comment}
      action={
        <IconButton
          label={`Add to ${field.name}`}
          icon={<Plus aria-hidden size={14} />}
          onPress={() => replace([...list, blankItem(field)])}
        />
      }
    >
      {list.map((item, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: an item's index is its identity
        <div key={i} className="list-item">
          <OneForm
            methods={methods}
            field={field}
            label={`${field.name} ${i + 1}`}
            bare
            value={item}
            onChange={(next) => replace(list.map((one, j) => (j === i ? (next ?? blankItem(field)) : one)))}
          />
          <IconButton
            label={`Remove ${field.name} ${i + 1}`}
            icon={<Trash2 aria-hidden size={14} />}
            onPress={() => replace(list.filter((_, j) => j !== i))}
          />
        </div>
      ))}
    </Group>
  );
}

function MapForm({ methods, field, value, onChange }: FieldProps) {
  const entries = isFields(value) ? Object.entries(value) : [];
  const replace = (next: [string, Json][]) => onChange(next.length ? Object.fromEntries(next) : undefined);
  const put = (i: number, entry: [string, Json]) => replace(entries.map((one, j) => (j === i ? entry : one)));
  return (
    <Group
      label={field.name}
      comment={field.comment}
      action={
        <IconButton
          label={`Add to ${field.name}`}
          icon={<Plus aria-hidden size={14} />}
          isDisabled={entries.some(([name]) => name === "")}
          onPress={() => replace([...entries, ["", blankItem(field)]])}
        />
      }
    >
      {entries.map(([name, item], i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the key is being edited
        <div key={i} className="list-item map-item">
          <TextField
            label={`Key ${i + 1} of ${field.name}`}
            hideLabel
            placeholder="key"
            value={name}
            onChange={(next) => put(i, [next, item])}
          />
          <OneForm
            methods={methods}
            field={field}
            label={`Value ${i + 1} of ${field.name}`}
            bare
            value={item}
            onChange={(next) => put(i, [name, next ?? blankItem(field)])}
          />
          <IconButton
            label={`Remove ${name || `entry ${i + 1}`} of ${field.name}`}
            icon={<Trash2 aria-hidden size={14} />}
            onPress={() => replace(entries.filter((_, j) => j !== i))}
          />
        </div>
      ))}
    </Group>
  );
}

function Group({
  label,
  comment,
  action,
  children,
}: {
  label: string;
  comment?: string | null;
  action?: ReactNode;
  children?: ReactNode;
}) {
  const id = useId();
  return (
    // biome-ignore lint/a11y/useSemanticElements: a legend cannot share a row with a button
    <div role="group" aria-labelledby={id} className="message-group">
      <div className="row">
        <span id={id} className="label grow">
          {label}
        </span>
        {action}
      </div>
      {comment && <p className="description">{comment}</p>}
      {children && <div className="message-inner">{children}</div>}
    </div>
  );
}
