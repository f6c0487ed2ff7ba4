//! `krt login`: signs in to a server, and keeps a token for the commands to come.

use crate::{
    exit,
    service::block_on,
    team::{Api, login::Login},
    terminal,
};
use anyhow::{Context as _, ensure};
use clap::Args;
use http::{Method, header::SET_COOKIE};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde_json::{Value, json};
use std::{
    io::{self, BufRead as _, IsTerminal as _},
    process::ExitCode,
};

/// What `krt login` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
The password is asked for, or read from standard input where that is no terminal. It is not kept: a token
is made, and kept in ~/.config/krt for this user only. Programs set KRT_SERVER and KRT_TOKEN instead.")]
pub(crate) struct LoginArgs {
    /// The server, such as https://krt.example:9001
    #[arg(default_value = "http://127.0.0.1:9001")]
    server: String,

    /// The user
    #[arg(long, value_name = "LOGIN", default_value = "admin")]
    user: String,
}

/// Signs in.
pub(crate) fn execute(args: &LoginArgs) -> anyhow::Result<ExitCode> {
    let password = password()?;
    block_on(async {
        let server = args.server.trim_end_matches('/');
        let api = Api::new(server, None)?;
        let sign_in = json!({"login": args.user, "password": password});
        let opened = api.send(Method::POST, "/session", &[], Some(&sign_in)).await?;
        let cookie = opened.headers.get(SET_COOKIE).and_then(|cookie| cookie.to_str().ok());
        let cookie =
            cookie.and_then(|cookie| cookie.split(';').next()).context("the server let nobody in")?;
        let text = |name: &str| opened.json[name].as_str().unwrap_or_default().to_owned();
        let (csrf, role) = (text("csrf_token"), text("role"));
        let headers = [("cookie", cookie), ("x-csrf-token", &*csrf)];
        let new = json!({"name": "krt login", "role": role});
        let made = api.send(Method::POST, "/tokens", &headers, Some(&new)).await?;
        api.send(Method::DELETE, "/session", &headers, None).await?;
        save(server, &made.json)?;
        terminal::print_note(&format!("signed in to {server} as {}, {role}", args.user));
        Ok(exit::SUCCESS)
    })
}

fn save(server: &str, made: &Value) -> anyhow::Result<()> {
    let token = made["secret"].as_str().context("the server made no token")?.to_owned();
    Login { server: server.to_owned(), token }.save()
}

/// The password, typed unseen, or the first line of what is piped in.
fn password() -> anyhow::Result<String> {
    let input = io::stdin();
    let mut line = String::new();
    if input.is_terminal() {
        terminal::print_note("password:");
        let shown = tcgetattr(&input)?;
        let mut hidden = shown.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&input, OptionalActions::Flush, &hidden)?;
        let read = input.lock().read_line(&mut line);
        tcsetattr(&input, OptionalActions::Flush, &shown)?;
        read?;
    } else {
        input.lock().read_line(&mut line)?;
    }
    let password = line.trim_end_matches(['\r', '\n']);
    ensure!(!password.is_empty(), "no password was given");
    Ok(password.to_owned())
}
