//! `krt token`: manages tokens for programs.

use super::{login, user::role};
use crate::{
    error::Result,
    output,
    team::{
        self, TeamArgs, segment,
        show::{self, Column, cell},
    },
    terminal,
    time_spec::after,
    values::duration,
};
use clap::{Args, Subcommand};
use krt_api::{
    Role,
    token::{CreatedToken, NewToken, Token},
};
use std::{process::ExitCode, time::Duration};

/// The arguments of `krt token`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  krt token create deploy --role manager --expires 90d --password > deploy.token
  KRT_SERVER=https://krt.example:9001 KRT_TOKEN=$(cat deploy.token) krt version ls
  krt token ls
  krt token delete Qm3x0Wd2v7a1kZ9b

A token has at most its owner's role, and ends with its owner. It is shown only once, when it is
created.

A token that is made with another one, such as that of `krt login` or KRT_TOKEN, ends with that
one: no later, and as soon as that one is deleted. With --password it depends on no other.")]
pub(crate) struct TokenArgs {
    #[command(subcommand)]
    action: Action,

    #[command(flatten)]
    team: TeamArgs,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List your tokens; admins see all tokens
    Ls,
    /// Create a token and print it
    Create {
        /// Display name
        name: String,
        /// Role: viewer, manager or admin
        #[arg(long, value_parser = role)]
        role: Role,
        /// Lifetime, such as 90d [default: until it is deleted]
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        expires: Option<Duration>,
        /// Ask for the password, so that the token outlives the one that this command uses
        #[arg(long)]
        password: bool,
    },
    /// Delete a token, and the tokens that were created with it
    Delete {
        /// Its id, as `krt token ls` shows it
        #[arg(allow_hyphen_values = true)]
        id: String,
    },
}

const COLUMNS: [Column<Token>; 7] = [
    ("ID", |token| cell(&token.id)),
    ("BEGINS", |token| cell(&token.prefix)),
    ("OWNER", |token| cell(&token.login)),
    ("ROLE", |token| cell(&token.role)),
    ("USED", |token| cell(&token.used)),
    ("EXPIRES", |token| cell(&token.expires)),
    ("NAME", |token| cell(&token.name)),
];

/// Runs the action.
pub(crate) fn execute(args: &TokenArgs) -> Result<ExitCode> {
    let api = args.team.open()?;
    let json = args.team.json;
    team::run(async {
        match &args.action {
            Action::Ls => show::list(&api.get::<Vec<_>>("/tokens").await?, &COLUMNS, json),
            Action::Create { name, role, expires, password } => {
                let new = NewToken { name: name.clone(), role: *role, expires: expires.map(after) };
                let made: CreatedToken = match password {
                    true => login::proven(&api, async |session| session.post("/tokens", &new).await).await?,
                    false => api.post("/tokens", &new).await?,
                };
                if made.token.parent.is_some() {
                    note_end(&made.token);
                }
                if json { show::json(&made) } else { output::print_data(made.secret.reveal()) }
            }
            Action::Delete { id } => {
                api.delete(&format!("/tokens/{}", segment(id))).await?;
                terminal::print_note("the token was deleted");
                Ok(())
            }
        }
    })
}

/// Notes that a token ends together with another one.
fn note_end(token: &Token) {
    let end = match &token.expires {
        Some(expires) => format!("on {} at the latest", cell(expires)),
        None => "when that one is deleted".to_owned(),
    };
    terminal::print_note_with_hint(
        &format!("it ends with the token that made it, {end}"),
        "--password makes one that depends on no other",
    );
}
