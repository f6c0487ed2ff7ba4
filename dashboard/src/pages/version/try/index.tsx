import { useQuery } from "@tanstack/react-query";
import { Link2, Send, Square } from "lucide-react";
import { type KeyboardEvent, useEffect, useMemo, useState } from "react";
import { Link } from "react-router";
import { client, type Refused, refused, take } from "../../../api/client";
import * as api from "../../../api/queries";
import type { Call, CallResult, Method, Methods } from "../../../api/schema";
import { may, useSession } from "../../../app/session";
import { count, duration, plural } from "../../../lib/format";
import { useUrl } from "../../../lib/url";
import { Button, CopyButton, Segments, Select, TextField } from "../../../ui/controls";
import { Empty, Failure, Warning } from "../../../ui/feedback";
import { Panel, Table } from "../../../ui/layout";
import { Loaded } from "../../../ui/loaded";
import { Ago, Badge, Code } from "../../../ui/text";
import { useVersion } from "..";
import { MessageForm } from "./form";
import { type Past, useHistory } from "./history";
import { type Fields, isFields, type Json, parseMessage, write } from "./message";
import { LANGUAGES, type Language, modelUrl, snippet, target } from "./snippets";
import type { Streamed } from "./streamed";
import "./try.css";
import { useStream } from "./use-stream";

export default function TryPage() {
  const version = useVersion();
  const query = useQuery(api.methods(version.runtime, version.name));
  const url = useUrl();
  return (
    <Loaded query={query} height={420}>
      {(methods) => {
        const method = methods.methods.find(({ path }) => path === url.get("method")) ?? methods.methods[0];
        return method ? (
          <Try key={method.path} methods={methods} method={method} />
        ) : (
          <Empty title="No methods">The package's entrypoint has no service.</Empty>
        );
      }}
    </Loaded>
  );
}

function first(method: Method, shared: string | undefined): Fields {
  const parsed = shared ? parseMessage(shared) : null;
  if (parsed?.ok) return parsed.value;
  return isFields(method.example) ? method.example : {};
}

function Try({ methods, method }: { methods: Methods; method: Method }) {
  const version = useVersion();
  const url = useUrl();
  const { me } = useSession();
  const history = useHistory(version.runtime);
  const [message, setMessage] = useState<Fields>(() => first(method, url.get("message")));
  const [text, setText] = useState(() => write(message));
  const [wrong, setWrong] = useState<string>();
  const [result, setResult] = useState<CallResult | null>(null);
  const path = { runtime: version.runtime, version: version.name };
  const stream = useStream(path);
  const [error, setError] = useState<Refused | null>(null);
  const [busy, setBusy] = useState(false);
  const runs = version.state === "STARTED" || version.state === "PUBLISHED";
  const mayCall = may(me.role, "manager");

  function change(next: Fields) {
    setMessage(next);
    setText(write(next));
    setWrong(undefined);
  }

  function type(next: string) {
    setText(next);
    const parsed = parseMessage(next);
    setWrong(parsed.ok ? undefined : parsed.error);
    if (parsed.ok) setMessage(parsed.value);
  }

  async function send() {
    if (wrong || busy) return;
    setBusy(true);
    setError(null);
    try {
      const body = { method: method.path, message };
      const { code, ok, elapsed_ms, request } = method.streams ? await stream.call(body) : await once(body);
      history.add({
        time: new Date().toISOString(),
        version: version.name,
        method: method.path,
        message,
        code,
        ok,
        elapsed_ms,
        request,
      });
    } catch (thrown) {
      setResult(null);
      stream.clear();
      setError(refused(thrown));
    }
    setBusy(false);
  }

  async function once(body: Call): Promise<CallResult> {
    const done = await take(
      client.POST("/runtimes/{runtime}/versions/{version}/call", { params: { path }, body }),
    );
    setResult(done);
    return done;
  }

  function onKeyDown(event: KeyboardEvent) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      void send();
    }
  }

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the shortcut works in every field of the form
    <div className="stack" onKeyDown={onKeyDown}>
      <div className="toolbar">
        <div className="method-select">
          <Select
            label="Method"
            hideLabel
            value={method.path}
            options={methods.methods.map(({ path, name, service, input, output, streams }) => ({
              id: path,
              text: name,
              description: `${service}: ${short(input)} → ${streams ? "stream of " : ""}${short(output)}`,
            }))}
            onChange={(path) => url.set({ method: path, message: null })}
          />
        </div>
        <Button
          look="primary"
          icon={<Send aria-hidden size={14} />}
          isPending={busy}
          isDisabled={!runs || !mayCall || wrong !== undefined}
          onPress={() => void send()}
        >
          Call
        </Button>
        {busy && method.streams && (
          <Button icon={<Square aria-hidden size={12} />} onPress={stream.cancel}>
            Cancel
          </Button>
        )}
        <span className="muted small wide-only">
          <kbd>Ctrl</kbd> <kbd>Enter</kbd>
        </span>
        <span className="grow" />
        <Share message={message} />
      </div>
      {!runs && <Warning>{version.name} is not running. Start it to call it.</Warning>}
      {runs && !mayCall && (
        <Warning>Calling from here needs the role manager. The snippets below work for everybody.</Warning>
      )}
      <div className="try">
        <Panel title={<span className="mono">{short(method.input)}</span>}>
          {method.comment && <p className="description">{method.comment}</p>}
          <MessageForm methods={methods} type={method.input} value={message} onChange={change} />
        </Panel>
        <Panel title="JSON" actions={<CopyButton text={text} label="Copy JSON" />}>
          <TextField
            label="The message as JSON"
            hideLabel
            value={text}
            onChange={type}
            error={wrong}
            rows={Math.min(24, Math.max(8, text.split("\n").length + 1))}
            mono
          />
        </Panel>
      </div>
      {stream.answer ? <Stream answer={stream.answer} /> : <Outcome error={error} result={result} />}
      <Snippets method={method} message={message} />
      {history.past.length > 0 && (
        <History
          past={history.past}
          onClear={history.clear}
          onChoose={(one) => {
            if (one.method === method.path) change(one.message);
            else url.set({ method: one.method, message: JSON.stringify(one.message) });
          }}
        />
      )}
    </div>
  );
}

const short = (name: string) => name.split(".").pop() ?? name;

/** Longer URLs break in too many places. */
const LONGEST_LINK = 6000;

function Share({ message }: { message: Fields }) {
  const [copied, setCopied] = useState(false);
  const link = useMemo(() => {
    const here = new URL(window.location.href);
    here.searchParams.set("message", JSON.stringify(message));
    return here.toString();
  }, [message]);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), 1500);
    return () => clearTimeout(timer);
  }, [copied]);
  if (link.length > LONGEST_LINK) return null;
  return (
    <Button
      look="quiet"
      icon={<Link2 aria-hidden size={14} />}
      onPress={() => void navigator.clipboard.writeText(link).then(() => setCopied(true))}
    >
      {copied ? "Link copied" : "Copy a link"}
    </Button>
  );
}

function Outcome({ error, result }: { error: Refused | null; result: CallResult | null }) {
  const { runtime } = useVersion();
  return (
    <div role="status" className="outcome">
      {error && <Failure error={error} />}
      {!error && !result && <p className="muted">The answer appears here.</p>}
      {!error && result && (
        <Panel
          title={
            <span className="row">
              Answer <Badge tone={result.ok ? "good" : "bad"}>{result.code}</Badge>
              <span className="muted plain number">{duration(result.elapsed_ms)}</span>
            </span>
          }
          actions={
            result.request && (
              <Link to={`/runtimes/${runtime}/requests/${result.request}`}>Waterfall and logs</Link>
            )
          }
        >
          {result.ok ? (
            <Code text={write((result.answer ?? null) as Json)} label="Answer" height={420} />
          ) : (
            <p className="tone-bad">{result.message}</p>
          )}
        </Panel>
      )}
    </div>
  );
}

/** A streamed answer, with its messages as they come. */
function Stream({ answer }: { answer: Streamed }) {
  const { runtime } = useVersion();
  const { request, count: all, latest, ended } = answer;
  return (
    <div className="outcome">
      <Panel
        title={
          <span className="row">
            Answer{" "}
            {ended ? (
              <Badge tone={ended.ok ? "good" : "bad"}>{ended.code}</Badge>
            ) : (
              <Badge tone="info" moving>
                streaming
              </Badge>
            )}
            <span className="muted plain number">
              {plural(all, "message")}
              {ended && `, ${duration(ended.elapsed_ms)}`}
            </span>
          </span>
        }
        actions={request && <Link to={`/runtimes/${runtime}/requests/${request}`}>Waterfall and logs</Link>}
      >
        {all > latest.length && <p className="muted small">The latest {count(latest.length)} are shown.</p>}
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard must reach it */}
        <div className="stream-log" role="log" aria-label="Messages" tabIndex={0}>
          <ol>
            {latest.map(({ number, text }) => (
              <li key={number}>
                <span className="muted number">{number}</span>
                <pre>{text}</pre>
              </li>
            ))}
          </ol>
        </div>
        {ended && !ended.ok && <p className="tone-bad">{ended.message}</p>}
        <p role="status" className="hidden-visually">
          {ended && `The stream ended: ${ended.code}`}
        </p>
      </Panel>
    </div>
  );
}

const LANGUAGE_NAMES = Object.keys(LANGUAGES) as Language[];

function Snippets({ method, message }: { method: Method; message: Fields }) {
  const version = useVersion();
  const { server } = useSession();
  const url = useUrl();
  const language = LANGUAGE_NAMES.find((name) => name === url.get("as")) ?? "grpcurl";
  const where = target(server, version, window.location.hostname);
  const { path, streams } = method;
  const code = snippet(language, { ...where, method: path, streams, message: message as Json });
  return (
    <Panel
      title="Call from your code"
      actions={
        <Segments
          label="Language"
          value={language}
          options={LANGUAGE_NAMES.map((id) => ({ id, text: LANGUAGES[id] }))}
          onChange={(as) => url.set({ as: as === "grpcurl" ? null : as })}
        />
      }
    >
      <Code text={code} label={`${LANGUAGES[language]} snippet`} height={380} />
      {method.open_inference && method.workflow && (
        <p className="muted small token-note">
          Clients of the Open Inference Protocol call the model <code>{method.workflow}</code>, over REST at{" "}
          <code>{modelUrl(where, method.workflow)}</code> and over gRPC at <code>{where.address}</code>.
          {where.metadata.length > 0 && " They send the headers above, too."}
        </p>
      )}
      {where.token && (
        <p className="muted small token-note">
          {version.name} is not published: clients need a token, here from the environment variable{" "}
          <code>KRT_TOKEN</code>. <Link to="/account">Create one</Link>
        </p>
      )}
    </Panel>
  );
}

function History({
  past,
  onChoose,
  onClear,
}: {
  past: Past[];
  onChoose: (one: Past) => void;
  onClear: () => void;
}) {
  const { runtime } = useVersion();
  return (
    <Panel
      title="History"
      actions={
        <Button look="quiet" onPress={onClear}>
          Clear
        </Button>
      }
      flush
    >
      <Table
        label="History"
        items={past}
        id={({ time }) => time}
        columns={[
          { title: "When", shrink: true, cell: ({ time }) => <Ago time={time} /> },
          { title: "Method", shrink: true, cell: ({ method }) => short(method.replaceAll("/", ".")) },
          {
            title: "Message",
            spare: true,
            cell: ({ message }) => (
              <code className="past-message">{JSON.stringify(message).slice(0, 200)}</code>
            ),
          },
          { title: "Version", spare: true, shrink: true, cell: ({ version }) => version },
          {
            title: "Code",
            shrink: true,
            cell: ({ code, ok }) => <Badge tone={ok ? "good" : "bad"}>{code}</Badge>,
          },
          {
            title: "Elapsed",
            shrink: true,
            end: true,
            spare: true,
            cell: ({ elapsed_ms }) => duration(elapsed_ms),
          },
          {
            title: <span className="hidden-visually">Actions</span>,
            shrink: true,
            end: true,
            cell: (one) => (
              <span className="row">
                {one.request && (
                  <Link className="wide-only" to={`/runtimes/${runtime}/requests/${one.request}`}>
                    Waterfall
                  </Link>
                )}
                <Button onPress={() => onChoose(one)}>Use</Button>
              </span>
            ),
          },
        ]}
      />
    </Panel>
  );
}
