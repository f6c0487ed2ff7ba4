//! `krt token`: tokens, for programs.

use super::user::role;
use crate::{
    moment::{after, span},
    output,
    team::{
        self, TeamArgs, segment,
        show::{self, Column, cell, text, time},
    },
    terminal,
};
use clap::{Args, Subcommand};
use krt_registry::Role;
use serde_json::json;
use std::{process::ExitCode, time::Duration};

/// What `krt token` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  krt token create deploy --role manager --expires 90d > deploy.token
  KRT_SERVER=https://krt.example:9001 KRT_TOKEN=$(cat deploy.token) krt version ls
  krt token ls
  krt token delete Qm3x0Wd2v7a1kZ9b

A token can be what its owner is, at most, and ends with its owner. It is told once: when it is
made.")]
pub(crate) struct TokenArgs {
    #[command(subcommand)]
    action: Action,

    #[command(flatten)]
    team: TeamArgs,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List one's tokens; admins see everybody's
    Ls,
    /// Make a token, and print it
    Create {
        /// What people call it
        name: String,
        /// What its holder may do: viewer, manager or admin
        #[arg(long, value_parser = role)]
        role: Role,
        /// How long it holds, such as 90d [default: until it is deleted]
        #[arg(long, value_name = "SPAN", value_parser = span)]
        expires: Option<Duration>,
    },
    /// Delete a token: whoever holds it is let in no more
    Delete {
        /// Its id, as `krt token ls` shows it
        #[arg(allow_hyphen_values = true)]
        id: String,
    },
}

const COLUMNS: [Column; 7] = [
    ("ID", |token| cell(&token["id"])),
    ("BEGINS", |token| cell(&token["prefix"])),
    ("OWNER", |token| cell(&token["login"])),
    ("ROLE", |token| cell(&token["role"])),
    ("USED", |token| time(&token["used"])),
    ("EXPIRES", |token| time(&token["expires"])),
    ("NAME", |token| cell(&token["name"])),
];

/// Does what was typed.
pub(crate) fn execute(args: &TokenArgs) -> anyhow::Result<ExitCode> {
    let api = args.team.open()?;
    let json = args.team.json;
    team::run(async {
        match &args.action {
            Action::Ls => {
                let all = api.get("/tokens").await?;
                if json { show::json(&all) } else { show::table(&all, &COLUMNS) }
            }
            Action::Create { name, role, expires } => {
                let new = json!({"name": name, "role": role, "expires": expires.map(after)});
                let made = api.post("/tokens", &new).await?;
                if json { show::json(&made) } else { output::print(text(&made, "secret")) }
            }
            Action::Delete { id } => {
                api.delete(&format!("/tokens/{}", segment(id))).await?;
                terminal::print_note("the token was deleted");
                Ok(())
            }
        }
    })
}
