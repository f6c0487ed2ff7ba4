import { useQuery } from "@tanstack/react-query";
import { UserPlus } from "lucide-react";
import { useState } from "react";
import { client, take } from "../api/client";
import * as api from "../api/queries";
import type { Role, User, UserChange } from "../api/schema";
import { ROLES, useMay, useSession } from "../app/session";
import { Button, Checkbox, Menu, Select, TextField } from "../ui/controls";
import { CommentDialog, FormDialog } from "../ui/dialog";
import { type Column, PageHeader, Panel, Table, usePageTitle } from "../ui/layout";
import { Loaded } from "../ui/loaded";
import { Ago, Badge } from "../ui/text";

type Asked = { what: "create" } | { what: "role" | "password" | "disable" | "enable" | "delete"; user: User };

export default function UsersPage() {
  usePageTitle("Users");
  const query = useQuery(api.users());
  const { me, server } = useSession();
  const mayChange = useMay("admin");
  const [asked, setAsked] = useState<Asked | null>(null);
  const columns: Column<User>[] = [
    {
      title: "Name",
      cell: ({ login, disabled, openid }) => (
        <span className="row">
          <b>{login}</b>
          {login === me.login && <span className="muted small">you</span>}
          {disabled && <Badge tone="idle">disabled</Badge>}
          {openid && <span className="muted small">signs in with {server.openid?.name ?? "OpenID"}</span>}
        </span>
      ),
    },
    { title: "Role", shrink: true, cell: ({ role }) => role },
    { title: "Created", spare: true, cell: ({ created }) => <Ago time={created} /> },
    {
      title: "Signed in",
      spare: true,
      cell: ({ signed_in }) => (signed_in ? <Ago time={signed_in} /> : <span className="muted">never</span>),
    },
    {
      title: <span className="hidden-visually">Actions</span>,
      shrink: true,
      end: true,
      cell: (user) => (
        <Menu
          label={`More for ${user.login}`}
          actions={[
            { id: "role", text: "Change the role…", onAction: () => setAsked({ what: "role", user }) },
            {
              id: "password",
              text: "Set a new password…",
              onAction: () => setAsked({ what: "password", user }),
            },
            user.disabled
              ? { id: "enable", text: "Enable…", onAction: () => setAsked({ what: "enable", user }) }
              : { id: "disable", text: "Disable…", onAction: () => setAsked({ what: "disable", user }) },
            {
              id: "delete",
              text: "Delete…",
              danger: true,
              onAction: () => setAsked({ what: "delete", user }),
            },
          ]}
        />
      ),
    },
  ];
  return (
    <>
      <PageHeader title="Users">
        {mayChange && (
          <Button
            look="primary"
            icon={<UserPlus aria-hidden size={14} />}
            onPress={() => setAsked({ what: "create" })}
          >
            New user
          </Button>
        )}
      </PageHeader>
      <Loaded query={query}>
        {(users) => (
          <Panel flush>
            <Table label="Users" columns={columns} items={users} id={({ login }) => login} />
          </Panel>
        )}
      </Loaded>
      {asked && <Ask asked={asked} onClose={() => setAsked(null)} />}
    </>
  );
}

function Ask({ asked, onClose }: { asked: Asked; onClose: () => void }) {
  const change = api.useChange(
    ({ login, body }: { login: string; body: UserChange }) =>
      take(client.PATCH("/users/{login}", { params: { path: { login } }, body })),
    "users",
  );
  const remove = api.useChange(
    ({ login, comment }: { login: string; comment: string }) =>
      take(client.DELETE("/users/{login}", { params: { path: { login }, query: { comment } } })),
    "users",
  );
  if (asked.what === "create") return <Create onClose={onClose} />;
  const { login } = asked.user;
  switch (asked.what) {
    case "role":
      return (
        <ChangeRole
          user={asked.user}
          onSubmit={(body) => change.mutateAsync({ login, body })}
          onClose={onClose}
        />
      );
    case "password":
      return (
        <NewPassword
          login={login}
          onSubmit={(body) => change.mutateAsync({ login, body })}
          onClose={onClose}
        />
      );
    case "enable":
    case "disable": {
      const disabled = asked.what === "disable";
      return (
        <CommentDialog
          title={`${disabled ? "Disable" : "Enable"} ${login}`}
          action={disabled ? "Disable" : "Enable"}
          danger={disabled}
          onConfirm={(comment) => change.mutateAsync({ login, body: { disabled, comment } })}
          onClose={onClose}
        >
          <p>
            {disabled
              ? "Ends the user's sessions and disables the tokens. Enabling the user restores the tokens."
              : "The user can sign in again, and the user's tokens work again."}
          </p>
        </CommentDialog>
      );
    }
    case "delete":
      return (
        <CommentDialog
          title={`Delete ${login}`}
          action="Delete"
          danger
          onConfirm={(comment) => remove.mutateAsync({ login, comment })}
          onClose={onClose}
        >
          <p>Also deletes the user's sessions and tokens. The audit log keeps the user's actions.</p>
        </CommentDialog>
      );
  }
}

const PASSWORD_HINT = "At least 12 characters.";

function Create({ onClose }: { onClose: () => void }) {
  const [login, setLogin] = useState("");
  const [role, setRole] = useState<Role>("viewer");
  const [password, setPassword] = useState("");
  const create = api.useChange(
    () => take(client.POST("/users", { body: { login, role, password } })),
    "users",
  );
  return (
    <FormDialog
      title="New user"
      action="Create"
      onSubmit={() => create.mutateAsync(undefined)}
      onClose={onClose}
    >
      <TextField
        label="Name"
        value={login}
        onChange={setLogin}
        pattern="[A-Za-z0-9][A-Za-z0-9._@+\-]*"
        maxLength={64}
        autoComplete="off"
        isRequired
        autoFocus
      />
      <Select label="Role" value={role} options={ROLES} onChange={setRole} />
      <TextField
        label="Password"
        type="password"
        description={PASSWORD_HINT}
        value={password}
        onChange={setPassword}
        minLength={12}
        autoComplete="new-password"
        isRequired
      />
    </FormDialog>
  );
}

function ChangeRole({
  user,
  onSubmit,
  onClose,
}: {
  user: User;
  onSubmit: (body: UserChange) => Promise<unknown>;
  onClose: () => void;
}) {
  const [role, setRole] = useState(user.role);
  return (
    <CommentDialog
      title={`Role of ${user.login}`}
      action="Change"
      onConfirm={(comment) => onSubmit({ role, comment })}
      onClose={onClose}
    >
      <Select
        label="Role"
        value={role}
        options={ROLES}
        onChange={setRole}
        description="Ends the user's sessions."
      />
    </CommentDialog>
  );
}

function NewPassword({
  login,
  onSubmit,
  onClose,
}: {
  login: string;
  onSubmit: (body: UserChange) => Promise<unknown>;
  onClose: () => void;
}) {
  const [password, setPassword] = useState("");
  const [revoke, setRevoke] = useState(true);
  return (
    <FormDialog
      title={`New password for ${login}`}
      action="Save"
      onSubmit={() => onSubmit({ password, revoke_tokens: revoke })}
      onClose={onClose}
    >
      <TextField
        label="Password"
        type="password"
        description={`${PASSWORD_HINT} Ends the user's sessions.`}
        value={password}
        onChange={setPassword}
        minLength={12}
        autoComplete="new-password"
        isRequired
        autoFocus
      />
      <Checkbox isSelected={revoke} onChange={setRevoke}>
        Delete the user's tokens, too
      </Checkbox>
    </FormDialog>
  );
}
