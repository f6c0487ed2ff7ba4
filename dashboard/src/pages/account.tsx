import { useQuery } from "@tanstack/react-query";
import { KeyRound, Plus } from "lucide-react";
import { useState } from "react";
import { client, take } from "../api/client";
import * as api from "../api/queries";
import type { CreatedToken, Role, Session, Token } from "../api/schema";
import { may, ROLES, useSession } from "../app/session";
import { iso } from "../lib/range";
import { madeWith } from "../lib/tokens";
import { Button, Checkbox, Select, TextField } from "../ui/controls";
import { Dialog, FormDialog } from "../ui/dialog";
import { type Column, PageHeader, Panel, Table, usePageTitle } from "../ui/layout";
import { Loaded } from "../ui/loaded";
import { Ago, Badge, Code } from "../ui/text";

export default function AccountPage() {
  usePageTitle("Account");
  const { me } = useSession();
  const [changing, setChanging] = useState(false);
  return (
    <>
      <PageHeader title={me.login || "Account"} below={`role ${me.role}`}>
        <Button icon={<KeyRound aria-hidden size={14} />} onPress={() => setChanging(true)}>
          Change the password
        </Button>
      </PageHeader>
      <Tokens />
      <Sessions />
      {changing && <Password onClose={() => setChanging(false)} />}
    </>
  );
}

function Password({ onClose }: { onClose: () => void }) {
  const [current, setCurrent] = useState("");
  const [next, setNext] = useState("");
  const [revoke, setRevoke] = useState(true);
  const change = api.useChange(
    () => take(client.PUT("/session/password", { body: { current, new: next, revoke_tokens: revoke } })),
    "sessions",
  );
  return (
    <FormDialog
      title="Change the password"
      action="Change"
      onSubmit={() => change.mutateAsync(undefined)}
      onClose={onClose}
    >
      <TextField
        label="Current password"
        type="password"
        value={current}
        onChange={setCurrent}
        autoComplete="current-password"
        isRequired
        autoFocus
      />
      <TextField
        label="New password"
        type="password"
        description="At least 12 characters. Ends your other sessions."
        value={next}
        onChange={setNext}
        minLength={12}
        autoComplete="new-password"
        isRequired
      />
      <Checkbox isSelected={revoke} onChange={setRevoke}>
        Delete my tokens, too: programs that use them need new ones
      </Checkbox>
    </FormDialog>
  );
}

function Tokens() {
  const query = useQuery(api.tokens());
  const { me } = useSession();
  const [creating, setCreating] = useState(false);
  const [made, setMade] = useState<CreatedToken | null>(null);
  const [asked, setAsked] = useState<Token | null>(null);
  const remove = api.useChange(
    (id: string) => take(client.DELETE("/tokens/{id}", { params: { path: { id } } })),
    "tokens",
  );
  const columns: Column<Token>[] = [
    {
      title: "Name",
      cell: ({ name, prefix }) => (
        <>
          <b>{name}</b>
          <p className="second">
            <code>{prefix}…</code>
          </p>
        </>
      ),
    },
    { title: "Owner", spare: true, cell: ({ login }) => login },
    { title: "Role", shrink: true, cell: ({ role }) => role },
    {
      title: "Used",
      spare: true,
      cell: ({ used }) => (used ? <Ago time={used} /> : <span className="muted">never</span>),
    },
    {
      title: "Expires",
      cell: ({ expires }) => (expires ? <Ago time={expires} /> : <span className="muted">never</span>),
    },
    {
      title: <span className="hidden-visually">Actions</span>,
      shrink: true,
      end: true,
      cell: (token) => (
        <Button aria-label={`Delete ${token.name}`} onPress={() => setAsked(token)}>
          Delete
        </Button>
      ),
    },
  ];
  return (
    <Panel
      title="Tokens"
      actions={
        <Button icon={<Plus aria-hidden size={14} />} onPress={() => setCreating(true)}>
          New token
        </Button>
      }
      flush
    >
      <Loaded query={query} height={120}>
        {(tokens) =>
          tokens.length ? (
            <Table label="Tokens" columns={columns} items={tokens} id={({ id }) => id} />
          ) : (
            <p className="muted" style={{ padding: "14px 16px" }}>
              Programs sign in with a token: the command line, a pipeline, or clients of unpublished versions.
            </p>
          )
        }
      </Loaded>
      {creating && <NewToken role={me.role} onMade={setMade} onClose={() => setCreating(false)} />}
      {made && (
        <Dialog title={made.token.name} onClose={() => setMade(null)}>
          <p>Copy the token now and store it safely. It will not be shown again.</p>
          <Code text={made.secret} label="Token" />
          <footer className="row">
            <span className="grow" />
            <Button look="primary" onPress={() => setMade(null)}>
              Done
            </Button>
          </footer>
        </Dialog>
      )}
      {asked && (
        <FormDialog
          title={`Delete ${asked.name}`}
          action="Delete"
          danger
          onSubmit={() => remove.mutateAsync(asked.id)}
          onClose={() => setAsked(null)}
        >
          <p>Programs that use it lose access immediately.</p>
          <Family tokens={madeWith(query.data ?? [], asked.id)} />
        </FormDialog>
      )}
    </Panel>
  );
}

/** Lists the tokens that are deleted with a token. */
function Family({ tokens }: { tokens: Token[] }) {
  if (!tokens.length) return null;
  return (
    <>
      <p>This also deletes the tokens made with it:</p>
      <ul>
        {tokens.map(({ id, name }) => (
          <li key={id}>{name}</li>
        ))}
      </ul>
    </>
  );
}

const LIVES = [
  { id: "7", text: "7 days" },
  { id: "30", text: "30 days" },
  { id: "90", text: "90 days" },
  { id: "365", text: "a year" },
  { id: "never", text: "no expiry" },
];

function NewToken({
  role: most,
  onMade,
  onClose,
}: {
  role: Role;
  onMade: (token: CreatedToken) => void;
  onClose: () => void;
}) {
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>("viewer");
  const [life, setLife] = useState("90");
  const create = api.useChange(async () => {
    const expires = life === "never" ? null : iso(Date.now() + Number(life) * 86_400_000);
    onMade(await take(client.POST("/tokens", { body: { name, role, expires } })));
  }, "tokens");
  return (
    <FormDialog
      title="New token"
      action="Create"
      onSubmit={() => create.mutateAsync(undefined)}
      onClose={onClose}
    >
      <TextField
        label="Name"
        description="Purpose of the token."
        value={name}
        onChange={setName}
        maxLength={64}
        isRequired
        autoFocus
      />
      <Select
        label="Role"
        value={role}
        options={ROLES.filter(({ id }) => may(most, id))}
        onChange={setRole}
      />
      <Select label="Valid for" value={life} options={LIVES} onChange={setLife} />
    </FormDialog>
  );
}

function Sessions() {
  const query = useQuery(api.sessions());
  const [asked, setAsked] = useState<Session | null>(null);
  const revoke = api.useChange(
    (id: string) => take(client.DELETE("/sessions/{id}", { params: { path: { id } } })),
    "sessions",
  );
  const columns: Column<Session>[] = [
    {
      title: "Browser",
      cell: ({ agent, current }) => (
        <span className="row wrap">
          {agent || "unknown"}
          {current && <Badge tone="info">current</Badge>}
        </span>
      ),
    },
    { title: "User", spare: true, cell: ({ login }) => login },
    { title: "Signed in", spare: true, cell: ({ created }) => <Ago time={created} /> },
    { title: "Used", cell: ({ used }) => <Ago time={used} /> },
    {
      title: <span className="hidden-visually">Actions</span>,
      shrink: true,
      end: true,
      cell: (session) =>
        !session.current && (
          <Button
            aria-label={`End the session of ${session.login} in ${session.agent}`}
            onPress={() => setAsked(session)}
          >
            End
          </Button>
        ),
    },
  ];
  return (
    <Panel title="Sessions" flush>
      <Loaded query={query} height={120}>
        {(sessions) => <Table label="Sessions" columns={columns} items={sessions} id={({ id }) => id} />}
      </Loaded>
      {asked && (
        <FormDialog
          title="End the session"
          action="End session"
          danger
          onSubmit={() => revoke.mutateAsync(asked.id)}
          onClose={() => setAsked(null)}
        >
          <p>
            {asked.login} in {asked.agent} has to sign in again.
          </p>
        </FormDialog>
      )}
    </Panel>
  );
}
