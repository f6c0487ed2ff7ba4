//! `krt login` and `krt logout`: sign in to a server, and store the token for later commands.

use crate::{
    error::{Context as _, Result, bail, ensure},
    team::{
        self, Api, ApiError, AuthSource,
        api::Answer,
        login::{Login, Logins, StoredLogin},
        prompt, segment,
    },
    terminal,
    time_spec::after,
    values::{duration, hinted},
};
use clap::Args;
use http::{Method, header::SET_COOKIE};
use krt_api::{
    Hidden,
    server::{Mode, Server},
    session::{Me, SignIn},
    token::{CreatedToken, NewToken, Token},
};
use std::{path::PathBuf, process::ExitCode, time::Duration};

/// The arguments of `krt login`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  krt login                                             to a server on this machine
  krt login https://krt.example:9001 --user ada
  krt login https://krt.example:9001 --user ada < file  with the password in a file

Asks for the password, or reads it from the first line of standard input. The password is not
stored: a token is created and stored in ~/.config/krt/logins.json, which only this user can read.
Each server has its own token; --server selects a server, by default the last one.

Programs do not need a login: set KRT_SERVER and KRT_TOKEN (see `krt token --help`).")]
pub(crate) struct LoginArgs {
    /// The server.
    #[arg(
        value_name = "URL",
        default_value = "http://127.0.0.1:9001",
        env = "KRT_SERVER",
        value_parser = hinted::<team::Server>,
        help = "The server, such as https://krt.example:9001"
    )]
    server: team::Server,

    /// The user
    #[arg(long, value_name = "LOGIN", default_value = "admin")]
    user: String,

    /// Lifetime of the token: 12h, 30d
    #[arg(long, value_name = "DURATION", default_value = "30d", value_parser = duration)]
    expires: Duration,

    /// Trust only the certificate authorities in this PEM file
    #[arg(long, value_name = "FILE", env = "KRT_CACERT")]
    cacert: Option<PathBuf>,

    /// Send the password over a network without TLS
    #[arg(long)]
    insecure: bool,
}

/// The arguments of `krt logout`.
#[derive(Debug, Args)]
#[command(
    after_help = "Deletes the token that `krt login` stored, here and on the server, and all tokens that were created\n\
                  with it."
)]
pub(crate) struct LogoutArgs {
    /// The server [default: that of the last `krt login`]
    #[arg(value_name = "URL", env = "KRT_SERVER", value_parser = hinted::<team::Server>)]
    server: Option<team::Server>,
}

/// Signs in.
pub(crate) fn sign_in(args: LoginArgs) -> Result<ExitCode> {
    ensure!(
        args.insecure || !args.server.is_open(),
        "the password would cross the network unencrypted to `{}`", args.server;
        hint: "use https://, or --insecure"
    );
    let LoginArgs { server, user, expires, cacert, .. } = args;
    let cacert = cacert.map(std::path::absolute).transpose()?;
    team::run(async {
        let mut logins = Logins::load()?;
        let api = Api::open(server.clone(), AuthSource::Anonymous, cacert.as_deref())?;
        require_team(&api).await?;
        let password = prompt::password(&format!("password of {user} at {server}")).await?;
        let session = session(&api, &user, &password).await?;
        let Me { role, .. } = session.get("/session").await?;
        let new = NewToken { name: name(), role, expires: Some(after(expires)) };
        let made: CreatedToken = session.post("/tokens", &new).await?;
        if let Ok(earlier) = logins.of(Some(&server)) {
            replace(&session, &earlier.id).await?;
        }
        session.delete("/session").await?;
        let (token, id) = (made.secret.0, made.token.id);
        terminal::print_note(&format!("signed in to {server} as {user}, {role}"));
        logins.add(StoredLogin { server, user, id, token, cacert })
    })
}

/// Deletes the token of an earlier login, unless other tokens were created with it and would be deleted, too.
async fn replace(session: &Api, earlier: &str) -> Result<()> {
    let tokens: Vec<Token> = session.get("/tokens").await?;
    let made = tokens.iter().filter(|token| token.parent.as_deref() == Some(earlier)).count();
    if made > 0 {
        terminal::print_note(&format!(
            "the token of the last login stays until it expires, for {made} that were made with it"
        ));
        return Ok(());
    }
    // It may not exist any more, or belong to another user.
    let _ = session.delete(&format!("/tokens/{}", segment(earlier))).await;
    Ok(())
}

/// Runs `work` as the owner of a token, authenticated by password.
pub(super) async fn proven<T>(api: &Api, work: impl AsyncFnOnce(&Api) -> Result<T>) -> Result<T> {
    let server = api.server();
    ensure!(
        !server.is_open(),
        "the password would cross the network unencrypted to `{server}`";
        hint: "use https://"
    );
    let Me { login: user, .. } = api.get("/session").await?;
    let password = prompt::password(&format!("password of {user} at {server}")).await?;
    let session = session(api, &user, &password).await?;
    let done = work(&session).await;
    session.delete("/session").await?;
    done
}

/// Refuses to send a password to anything but a `krt serve` server.
async fn require_team(api: &Api) -> Result<()> {
    match api.get("/server").await {
        Ok(Server { mode: Mode::Serve, .. }) => Ok(()),
        Ok(Server { mode: Mode::Run, .. }) => {
            bail!(
                "`{}` is a `krt run`, which has no users", api.server();
                hint: "a team's server is `krt serve`"
            )
        }
        Err(error) if matches!(error.downcast_ref(), Some(ApiError::Refused { .. })) => {
            Err(api.unexpected_response(error).into())
        }
        Err(error) => Err(error),
    }
}

/// Opens a session with a user's password.
async fn session(api: &Api, user: &str, password: &str) -> Result<Api> {
    let sign_in = SignIn { login: user.to_owned(), password: Hidden(password.to_owned()) };
    let opened: Answer<Me> = api.send(Method::POST, "/session", &sign_in).await?;
    let cookie = opened.headers.get(SET_COOKIE).and_then(|cookie| cookie.to_str().ok()?.split(';').next());
    let cookie = cookie.context("the server let nobody in")?.to_owned();
    let csrf = opened.content.csrf_token.map(|token| token.0).unwrap_or_default();
    Ok(api.by(AuthSource::Session { cookie, csrf }))
}

/// The display name of the token in lists.
fn name() -> String {
    let system = rustix::system::uname();
    format!("krt login, {}", system.nodename().to_string_lossy()).chars().take(64).collect()
}

/// Signs out.
pub(crate) fn sign_out(args: &LogoutArgs) -> Result<ExitCode> {
    team::run(async {
        let mut logins = Logins::load()?;
        let kept = logins.of(args.server.as_ref())?;
        let (server, id) = (kept.server.clone(), kept.id.clone());
        let login = Login::from(kept);
        logins.remove(&server)?;
        let api = Api::open(login.server, login.by, login.cacert.as_deref())?;
        if let Err(error) = api.delete(&format!("/tokens/{}", segment(&id))).await {
            let error = error.line();
            terminal::print_warning(&format!(
                "the token is forgotten here, and may still hold there: {error}"
            ));
        }
        terminal::print_note(&format!("signed out of {server}"));
        Ok(())
    })
}
