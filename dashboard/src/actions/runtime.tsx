/** The form of a runtime: a new one, or one to change. */

import { useState } from "react";
import { useNavigate } from "react-router";
import { client, take } from "../api/client";
import { useChange } from "../api/queries";
import type { Runtime } from "../api/schema";
import { TextField } from "../ui/controls";
import { FormDialog } from "../ui/dialog";

/** Derives an id from a name. */
function idOf(name: string): string {
  return name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, 19)
    .replace(/^-+|-+$/g, "");
}

const hostsOf = (text: string) => text.split(/[\s,]+/).filter(Boolean);

/** Creates a runtime, or changes the given one. */
export function RuntimeDialog({ runtime, onClose }: { runtime?: Runtime; onClose: () => void }) {
  const navigate = useNavigate();
  const [name, setName] = useState(runtime?.name ?? "");
  const [id, setId] = useState<string | null>(null);
  const [description, setDescription] = useState(runtime?.description ?? "");
  const [hosts, setHosts] = useState(runtime?.hosts.join("\n") ?? "");
  const [comment, setComment] = useState("");

  const save = useChange(async () => {
    const body = { name, description, hosts: hostsOf(hosts), comment };
    if (runtime)
      return take(client.PATCH("/runtimes/{runtime}", { params: { path: { runtime: runtime.id } }, body }));
    const made = await take(client.POST("/runtimes", { body: { ...body, id: id ?? idOf(name) } }));
    await navigate(`/runtimes/${made.id}/versions`);
    return made;
  }, "runtimes");

  return (
    <FormDialog
      title={runtime ? `Change ${runtime.name}` : "New runtime"}
      action={runtime ? "Save" : "Create"}
      onSubmit={() => save.mutateAsync(undefined)}
      onClose={onClose}
    >
      <TextField label="Name" value={name} onChange={setName} isRequired maxLength={80} autoFocus />
      {!runtime && (
        <TextField
          label="Id"
          description="Clients send it in the metadata krt-runtime. It cannot be changed later."
          value={id ?? idOf(name)}
          onChange={setId}
          isRequired
          maxLength={19}
          pattern="[a-z0-9]([\-a-z0-9]*[a-z0-9])?"
          mono
        />
      )}
      <TextField label="Description" value={description} onChange={setDescription} maxLength={500} rows={2} />
      <TextField
        label="Host names"
        description="Clients can also reach it by these names. One per line."
        value={hosts}
        onChange={setHosts}
        rows={2}
        mono
      />
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
