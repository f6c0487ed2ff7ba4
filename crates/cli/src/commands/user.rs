//! `krt user`: who may sign in to a server.

use crate::{
    output,
    team::{
        self, Api, CommentArgs, TeamArgs, query, segment,
        show::{self, Column, cell, text, time},
        typed,
    },
    terminal,
};
use anyhow::ensure;
use clap::{Args, Subcommand};
use krt_registry::Role;
use serde_json::{Value, json};
use std::process::ExitCode;

/// What `krt user` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  krt user ls
  krt user create ada --role manager             asks for the password
  krt user create ada --role manager < file      with the password in a file
  krt user change ada --disable -m 'has left'
  krt user password                              changes one's own

A viewer looks; a manager makes, starts and publishes versions; an admin also makes runtimes and
users. A password has at least 12 characters, and is never typed as an argument.")]
pub(crate) struct UserArgs {
    #[command(subcommand)]
    action: Action,

    #[command(flatten)]
    team: TeamArgs,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List all users
    Ls,
    /// Make a user
    Create {
        /// The name to sign in with
        login: String,
        /// What the user may do: viewer, manager or admin
        #[arg(long, value_parser = role)]
        role: Role,
    },
    /// Change a user, whose sessions end
    Change {
        /// Who
        login: String,
        /// What the user may do: viewer, manager or admin
        #[arg(long, value_parser = role)]
        role: Option<Role>,
        /// Ask for a new password
        #[arg(long)]
        password: bool,
        /// Keep the user out
        #[arg(long, conflicts_with = "enable")]
        disable: bool,
        /// Let the user in again
        #[arg(long)]
        enable: bool,
        #[command(flatten)]
        comment: CommentArgs,
    },
    /// Change one's own password: the present one and the new one, each on a line of standard input
    Password,
    /// Remove a user, with sessions and tokens
    Delete {
        /// Who
        login: String,
        #[command(flatten)]
        comment: CommentArgs,
    },
}

const COLUMNS: [Column; 5] = [
    ("LOGIN", |user| cell(&user["login"])),
    ("ROLE", |user| cell(&user["role"])),
    ("CREATED", |user| time(&user["created"])),
    ("SIGNED IN", |user| time(&user["signed_in"])),
    ("DISABLED", |user| cell(&user["disabled"])),
];

/// Parses a role.
pub(super) fn role(text: &str) -> Result<Role, &'static str> {
    Role::parse(text).ok_or("expected viewer, manager or admin")
}

/// Does what was typed.
pub(crate) fn execute(args: &UserArgs) -> anyhow::Result<ExitCode> {
    let api = args.team.open()?;
    let json = args.team.json;
    team::run(async {
        match &args.action {
            Action::Ls => {
                let all = api.get("/users").await?;
                if json { show::json(&all) } else { show::table(&all, &COLUMNS) }
            }
            Action::Create { login, role, .. } => {
                let password = typed::new_password(&format!("password of {login}")).await?;
                let new = json!({"login": login, "role": role, "password": password});
                tell(&api.post("/users", &new).await?, json)
            }
            Action::Change { login, role, password, disable, enable, comment } => {
                let disabled = (*disable || *enable).then_some(*disable);
                ensure!(
                    role.is_some() || *password || disabled.is_some(),
                    "nothing is to change; hint: --role, --password, --disable or --enable"
                );
                let password = match password {
                    true => Some(typed::new_password(&format!("new password of {login}")).await?),
                    false => None,
                };
                let comment = &comment.comment;
                let change =
                    json!({"role": role, "password": password, "disabled": disabled, "comment": comment});
                tell(&api.patch(&path(login), &change).await?, json)
            }
            Action::Password => own_password(&api).await,
            Action::Delete { login, comment } => {
                api.delete(&format!("{}?{}", path(login), query(&[("comment", &comment.comment)]))).await?;
                terminal::print_note(&format!("{login} was removed"));
                Ok(())
            }
        }
    })
}

fn path(login: &str) -> String {
    format!("/users/{}", segment(login))
}

fn tell(user: &Value, json: bool) -> anyhow::Result<()> {
    if json {
        return show::json(user);
    }
    let disabled = if user["disabled"] == true { ", disabled" } else { "" };
    output::print(&format!("{} is {}{disabled}", text(user, "login"), text(user, "role")))
}

async fn own_password(api: &Api) -> anyhow::Result<()> {
    let current = typed::password("present password").await?;
    let new = typed::new_password("new password").await?;
    api.put("/session/password", &json!({"current": current, "new": new})).await?;
    terminal::print_note("the password was changed; other sessions have ended");
    Ok(())
}
