import { useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { Form } from "react-aria-components";
import { useNavigate, useSearchParams } from "react-router";
import { client, keepCsrfToken, type Refused, refused, take } from "../api/client";
import * as api from "../api/queries";
import { Button, TextField } from "../ui/controls";
import { Failure } from "../ui/feedback";
import { usePageTitle } from "../ui/layout";
import "./sign-in.css";

/** The page after the sign-in: always within the dashboard, regardless of the URL. */
function inside(next: string | null): string {
  return next?.startsWith("/") && !next.startsWith("//") && !next.includes("\\") ? next : "/";
}

export default function SignInPage() {
  usePageTitle("Sign in");
  const [params] = useSearchParams();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const openid = useQuery(api.server()).data?.openid;
  const next = inside(params.get("next"));
  const [login, setLogin] = useState("");
  const [password, setPassword] = useState("");
  const [error, setError] = useState<Refused | null>(null);
  const [busy, setBusy] = useState(false);

  async function signIn(event: FormEvent) {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      const me = await take(client.POST("/session", { body: { login, password } }));
      keepCsrfToken(me.csrf_token);
      queries.clear();
      queries.setQueryData(api.me().queryKey, me);
      await navigate(next, { replace: true });
    } catch (thrown) {
      setError(refused(thrown));
      setBusy(false);
    }
  }

  return (
    <main className="sign-in">
      <Form onSubmit={signIn} className="form">
        <h1>
          <img src="/favicon.svg" alt="" width={24} height={24} /> Sign in to krt
        </h1>
        <TextField
          label="Name"
          value={login}
          onChange={setLogin}
          autoComplete="username"
          isRequired
          autoFocus
        />
        <TextField
          label="Password"
          type="password"
          value={password}
          onChange={setPassword}
          autoComplete="current-password"
          isRequired
        />
        {error && <Failure error={error} />}
        <Button type="submit" look="primary" isPending={busy}>
          Sign in
        </Button>
        {openid && (
          <a className="elsewhere" href={`/api/v1/session/openid?next=${encodeURIComponent(next)}`}>
            Sign in with {openid.name}
          </a>
        )}
      </Form>
    </main>
  );
}
