import { useQuery } from "@tanstack/react-query";
import { Eye, EyeOff, SlidersHorizontal } from "lucide-react";
import { Fragment, useState } from "react";
import { FileTrigger } from "react-aria-components";
import { Link } from "react-router";
import { client, take } from "../../api/client";
import * as api from "../../api/queries";
import type { ConfigEntry, Version } from "../../api/schema";
import { useMay } from "../../app/session";
import { bytes } from "../../lib/format";
import { Button, IconButton, Menu, TextField } from "../../ui/controls";
import { CommentDialog, FormDialog } from "../../ui/dialog";
import { Empty } from "../../ui/feedback";
import { type Column, Panel, Table } from "../../ui/layout";
import { Loaded } from "../../ui/loaded";
import { Badge } from "../../ui/text";
import { useVersion } from ".";

export default function ConfigPage() {
  const version = useVersion();
  const query = useQuery(api.config(version.runtime, version.name));
  const running = version.state === "STARTED" || version.state === "PUBLISHED";
  return (
    <Loaded query={query}>
      {(entries) =>
        entries.length ? (
          <>
            {running && (
              <p className="muted">
                The running version keeps its current values. Changes take effect at its next start.
              </p>
            )}
            <Entries version={version} entries={entries} />
          </>
        ) : (
          <Empty title="No configuration needed" icon={<SlidersHorizontal aria-hidden size={28} />}>
            Variables and files that a package declares in <code>krt.yml</code> appear here.
          </Empty>
        )
      }
    </Loaded>
  );
}

type Asked = { what: "set" | "remove"; entry: ConfigEntry };

function Entries({ version, entries }: { version: Version; entries: ConfigEntry[] }) {
  const mayEdit = useMay("manager");
  const [asked, setAsked] = useState<Asked | null>(null);
  const change = api.useChange(
    ({ name, value, comment }: { name: string; value: string | null; comment: string }) =>
      take(
        client.PUT("/runtimes/{runtime}/versions/{version}/config", {
          params: { path: { runtime: version.runtime, version: version.name } },
          body: { values: { [name]: value }, comment },
        }),
      ),
    "runtimes",
  );
  const columns: Column<ConfigEntry>[] = [
    {
      title: "Name",
      cell: ({ name, kind }) => (
        <>
          <code>
            {name.split(/(?<=_)/).map((part, i) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: the parts of a name never change places
              <Fragment key={i}>
                {part}
                <wbr />
              </Fragment>
            ))}
          </code>
          <p className="second">{kind}</p>
        </>
      ),
    },
    {
      title: "Value",
      cell: (entry) =>
        entry.set ? <Value entry={entry} mayEdit={mayEdit} /> : <Badge tone="warn">missing</Badge>,
    },
    {
      title: "From",
      spare: true,
      cell: ({ inherited_from, set }) =>
        inherited_from ? (
          <Link to={`/runtimes/${version.runtime}/versions/${inherited_from}/config`}>{inherited_from}</Link>
        ) : (
          <span className="muted">{set ? "this version" : "–"}</span>
        ),
    },
    {
      title: <span className="hidden-visually">Actions</span>,
      shrink: true,
      end: true,
      cell: (entry) =>
        mayEdit && (
          <span className="row">
            <Button onPress={() => setAsked({ what: "set", entry })}>{entry.set ? "Change" : "Set"}</Button>
            {entry.set && !entry.inherited_from && (
              <Menu
                label={`More for ${entry.name}`}
                actions={[
                  {
                    id: "remove",
                    text: "Remove…",
                    danger: true,
                    onAction: () => setAsked({ what: "remove", entry }),
                  },
                ]}
              />
            )}
          </span>
        ),
    },
  ];
  return (
    <Panel flush>
      <Table label="Configuration" columns={columns} items={entries} id={({ name }) => name} />
      {asked?.what === "set" && (
        <SetDialog
          entry={asked.entry}
          onSubmit={(value, comment) => change.mutateAsync({ name: asked.entry.name, value, comment })}
          onClose={() => setAsked(null)}
        />
      )}
      {asked?.what === "remove" && (
        <CommentDialog
          title={`Remove ${asked.entry.name}`}
          action="Remove"
          danger
          onConfirm={(comment) => change.mutateAsync({ name: asked.entry.name, value: null, comment })}
          onClose={() => setAsked(null)}
        >
          <p>The version cannot start again without a value.</p>
        </CommentDialog>
      )}
    </Panel>
  );
}

/** Hides a value until the user asks for it. */
function Value({ entry, mayEdit }: { entry: ConfigEntry; mayEdit: boolean }) {
  const [shown, setShown] = useState(false);
  if (!mayEdit || entry.value === undefined || entry.value === null)
    return <span className="muted">set</span>;
  const long = entry.value.includes("\n") || entry.value.length > 120;
  return (
    <span className="row">
      <code
        style={
          shown
            ? { whiteSpace: long ? "pre-wrap" : "normal", overflowWrap: "anywhere" }
            : { whiteSpace: "nowrap" }
        }
      >
        {shown ? entry.value : "••••••"}
      </code>
      <IconButton
        label={`${shown ? "Hide" : "Show"} ${entry.name}`}
        icon={shown ? <EyeOff aria-hidden size={14} /> : <Eye aria-hidden size={14} />}
        onPress={() => setShown(!shown)}
      />
    </span>
  );
}

function SetDialog({
  entry,
  onSubmit,
  onClose,
}: {
  entry: ConfigEntry;
  onSubmit: (value: string, comment: string) => Promise<unknown>;
  onClose: () => void;
}) {
  const [value, setValue] = useState(entry.value ?? "");
  const [comment, setComment] = useState("");
  const file = entry.kind === "file";
  return (
    <FormDialog
      title={entry.name}
      action="Save"
      wide={file}
      onSubmit={() => onSubmit(value, comment)}
      onClose={onClose}
    >
      <TextField
        label={file ? "Content" : "Value"}
        value={value}
        onChange={setValue}
        description={
          file ? `${bytes(new Blob([value]).size)}; the node reads it below its root` : "Hidden from viewers."
        }
        mono
        autoFocus
        autoComplete="off"
        {...(file || value.includes("\n") ? { rows: 10 } : {})}
      />
      {file && (
        <span>
          <FileTrigger onSelect={async (files) => files?.[0] && setValue(await files[0].text())}>
            <Button>Read from a file</Button>
          </FileTrigger>
        </span>
      )}
      <TextField
        label="Comment"
        description="Recorded in the audit log."
        value={comment}
        onChange={setComment}
        maxLength={500}
      />
    </FormDialog>
  );
}
