//! `krt login` and `krt logout`: who signs in to a server, and the token for the commands to come.

use crate::{
    moment::{after, span},
    team::{
        self, Api, No, Server,
        api::By,
        login::{Kept, Login, Logins},
        segment,
        show::text,
        typed,
    },
    terminal,
};
use anyhow::{Context as _, bail, ensure};
use clap::Args;
use http::{Method, header::SET_COOKIE};
use serde_json::json;
use std::{path::PathBuf, process::ExitCode, time::Duration};

/// What `krt login` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  krt login                                             to a server on this machine
  krt login https://krt.example:9001 --user ada
  krt login https://krt.example:9001 --user ada < file  with the password in a file

The password is asked for, or is the first line of standard input. It is not kept: a token is made,
and kept in ~/.config/krt/logins.json, which only this user may read. Each server has its own;
--server chooses one, else the last is meant.

Programs need no login: they set KRT_SERVER and KRT_TOKEN (see `krt token --help`).")]
pub(crate) struct LoginArgs {
    /// The server.
    #[arg(
        value_name = "URL",
        default_value = "http://127.0.0.1:9001",
        env = "KRT_SERVER",
        help = "The server, such as https://krt.example:9001"
    )]
    server: Server,

    /// The user
    #[arg(long, value_name = "LOGIN", default_value = "admin")]
    user: String,

    /// How long the token holds: 12h, 30d
    #[arg(long, value_name = "SPAN", default_value = "30d", value_parser = span)]
    expires: Duration,

    /// Trust the authorities in this PEM file, and not the system's, for https://
    #[arg(long, value_name = "FILE", env = "KRT_CACERT")]
    cacert: Option<PathBuf>,

    /// Let the password cross a network without TLS
    #[arg(long)]
    insecure: bool,
}

/// What `krt logout` takes.
#[derive(Debug, Args)]
#[command(after_help = "The token that `krt login` kept is deleted, here and on the server.")]
pub(crate) struct LogoutArgs {
    /// The server [default: that of the last `krt login`]
    #[arg(value_name = "URL", env = "KRT_SERVER")]
    server: Option<Server>,
}

/// Signs in.
pub(crate) fn sign_in(args: LoginArgs) -> anyhow::Result<ExitCode> {
    ensure!(
        args.insecure || !args.server.is_open(),
        "the password would cross the network unencrypted to `{}`\nhint: use https://, or --insecure",
        args.server
    );
    let LoginArgs { server, user, expires, cacert, .. } = args;
    let cacert = cacert.map(std::path::absolute).transpose()?;
    team::run(async {
        let mut logins = Logins::load()?;
        let api = Api::open(server.clone(), By::Nobody, cacert.as_deref())?;
        require_team(&api).await?;
        let password = typed::password(&format!("password of {user} at {server}")).await?;
        let session = session(&api, &user, &password).await?;
        let role = text(&session.get("/session").await?, "role").to_owned();
        let new = json!({"name": name(), "role": role, "expires": after(expires)});
        let made = session.post("/tokens", &new).await?;
        if let Ok(earlier) = logins.of(Some(&server)) {
            // It may be gone already, or be somebody else's.
            let _ = session.delete(&format!("/tokens/{}", segment(&earlier.id))).await;
        }
        session.delete("/session").await?;
        let token = made["secret"].as_str().context("the server made no token")?.to_owned();
        let id = text(&made["token"], "id").to_owned();
        terminal::print_note(&format!("signed in to {server} as {user}, {role}"));
        logins.add(Kept { server, user, id, token, cacert })
    })
}

/// Refuses to send a password to whatever is no server of a team's.
async fn require_team(api: &Api) -> anyhow::Result<()> {
    match api.get("/server").await {
        Ok(told) if text(&told, "mode") == "serve" => Ok(()),
        Ok(told) if text(&told, "mode") == "run" => bail!(
            "`{}` is a `krt run`, to which nobody signs in\nhint: a team's server is `krt serve`",
            api.server()
        ),
        Ok(_) => bail!(api.stranger("it does not say what it is")),
        Err(error) if error.is::<No>() => bail!(api.stranger(error)),
        Err(error) => Err(error),
    }
}

/// The server, as somebody who has just signed in.
async fn session(api: &Api, user: &str, password: &str) -> anyhow::Result<Api> {
    let sign_in = json!({"login": user, "password": password});
    let opened = api.send(Method::POST, "/session", Some(&sign_in)).await?;
    let cookie = opened.headers.get(SET_COOKIE).and_then(|cookie| cookie.to_str().ok()?.split(';').next());
    let cookie = cookie.context("the server let nobody in")?.to_owned();
    Ok(api.by(By::Session { cookie, csrf: text(&opened.json, "csrf_token").to_owned() }))
}

/// What the token is called, for those who look at the list of tokens.
fn name() -> String {
    let system = rustix::system::uname();
    format!("krt login, {}", system.nodename().to_string_lossy()).chars().take(64).collect()
}

/// Signs out.
pub(crate) fn sign_out(args: &LogoutArgs) -> anyhow::Result<ExitCode> {
    team::run(async {
        let mut logins = Logins::load()?;
        let kept = logins.of(args.server.as_ref())?;
        let (server, id) = (kept.server.clone(), kept.id.clone());
        let login = Login::from(kept);
        logins.remove(&server)?;
        let api = Api::open(login.server, login.by, login.cacert.as_deref())?;
        if let Err(error) = api.delete(&format!("/tokens/{}", segment(&id))).await {
            let error = terminal::chain(&error);
            terminal::print_warning(&format!(
                "the token is forgotten here, and may still hold there: {error}"
            ));
        }
        terminal::print_note(&format!("signed out of {server}"));
        Ok(())
    })
}
