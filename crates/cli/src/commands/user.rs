//! `krt user`: manages the users of a server.

use crate::{
    error::{Result, ensure},
    output,
    team::{
        self, Api, CommentArgs, TeamArgs, prompt, segment,
        show::{self, Column, cell},
    },
    terminal,
};
use clap::{Args, Subcommand};
use krt_api::{
    Hidden, Role,
    session::ChangePassword,
    user::{NewUser, User, UserChange},
};
use std::process::ExitCode;

/// The arguments of `krt user`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  krt user ls
  krt user create ada --role manager             asks for the password
  krt user create ada --role manager < file      with the password in a file
  krt user change ada --disable -m 'has left'
  krt user password                              changes one's own

Viewers can look; managers can create, start and publish versions; admins can also manage runtimes
and users. A password has at least 12 characters, and is never passed as an argument.")]
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
    /// Create a user
    Create {
        /// Name to sign in with
        login: String,
        /// Role: viewer, manager or admin
        #[arg(long, value_parser = role)]
        role: Role,
    },
    /// Change a user and end their sessions
    Change {
        /// Login of the user
        login: String,
        /// Role: viewer, manager or admin
        #[arg(long, value_parser = role)]
        role: Option<Role>,
        /// Ask for a new password, and revoke the user's tokens
        #[arg(long)]
        password: bool,
        /// Keep the user's tokens despite the new password
        #[arg(long, requires = "password")]
        keep_tokens: bool,
        /// Disable the user
        #[arg(long, conflicts_with = "enable")]
        disable: bool,
        /// Enable the user again
        #[arg(long)]
        enable: bool,
        #[command(flatten)]
        comment: CommentArgs,
    },
    /// Change your password; reads the current and the new one, each on a line of standard input
    #[command(
        after_help = "Ends other sessions, and revokes all tokens but the one that `krt login` stored here."
    )]
    Password {
        /// Keep other tokens despite the new password
        #[arg(long)]
        keep_tokens: bool,
    },
    /// Delete a user, with sessions and tokens
    Delete {
        /// Login of the user
        login: String,
        #[command(flatten)]
        comment: CommentArgs,
    },
}

const COLUMNS: [Column<User>; 5] = [
    ("LOGIN", |user| cell(&user.login)),
    ("ROLE", |user| cell(&user.role)),
    ("CREATED", |user| cell(&user.created)),
    ("SIGNED IN", |user| cell(&user.signed_in)),
    ("DISABLED", |user| cell(&user.disabled)),
];

/// Parses a role.
pub(super) fn role(text: &str) -> Result<Role, &'static str> {
    Role::parse(text).ok_or("expected viewer, manager or admin")
}

/// Runs the action.
pub(crate) fn execute(args: &UserArgs) -> Result<ExitCode> {
    let api = args.team.open()?;
    let json = args.team.json;
    team::run(async {
        match &args.action {
            Action::Ls => show::list(&api.get::<Vec<_>>("/users").await?, &COLUMNS, json),
            Action::Create { login, role, .. } => {
                let password = prompt::new_password(&format!("password of {login}")).await?;
                let new = NewUser { login: login.clone(), role: *role, password: password.into() };
                show(&api.post("/users", &new).await?, json)
            }
            Action::Change { login, role, password, keep_tokens, disable, enable, comment } => {
                let disabled = (*disable || *enable).then_some(*disable);
                ensure!(
                    role.is_some() || *password || disabled.is_some(),
                    "nothing is to change";
                    hint: "--role, --password, --disable or --enable"
                );
                let password = match password {
                    true => Some(prompt::new_password(&format!("new password of {login}")).await?),
                    false => None,
                };
                let change = UserChange {
                    role: *role,
                    password: password.map(Hidden::from),
                    disabled,
                    revoke_tokens: keep_tokens.then_some(false),
                    comment: comment.comment.clone(),
                };
                show(&api.patch(&path(login), &change).await?, json)
            }
            Action::Password { keep_tokens } => own_password(&api, *keep_tokens).await,
            Action::Delete { login, comment } => {
                api.delete_because(&path(login), comment).await?;
                terminal::print_note(&format!("{login} was removed"));
                Ok(())
            }
        }
    })
}

fn path(login: &str) -> String {
    format!("/users/{}", segment(login))
}

fn show(user: &User, json: bool) -> Result<()> {
    if json {
        return show::json(user);
    }
    let disabled = if user.disabled { ", disabled" } else { "" };
    output::print(&format!("{} is {}{disabled}", user.login, user.role))
}

async fn own_password(api: &Api, keep_tokens: bool) -> Result<()> {
    let current = prompt::password("present password").await?;
    let new = prompt::new_password("new password").await?;
    let change = ChangePassword { current: current.into(), new: new.into(), revoke_tokens: !keep_tokens };
    api.put::<()>("/session/password", &change).await?;
    let ended = if keep_tokens { "other sessions" } else { "other sessions and tokens" };
    terminal::print_note(&format!("the password was changed; {ended} have ended"));
    Ok(())
}
