//! `krt version`: manages the versions of a server's runtime.
//!
//! - [`create`]: uploads packages.
//! - [`progress`]: waits for states.
//! - [`config`]: configuration values.
//! - [`logs`]: log records.

mod config;
mod create;
mod logs;
mod progress;

use crate::{
    error::{Result, bail},
    output,
    team::{
        self, Api, CommentArgs, Problem, TeamArgs, segment,
        show::{self, Column, cell},
    },
    terminal,
};
use clap::{Args, Subcommand};
use krt_api::{State, version::Version};
use progress::WaitArgs;
use std::process::ExitCode;

/// The arguments of `krt version`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  krt version create . -m 'a better model'
  krt version config shop-v2 --set REGION=eu --set-file API_KEY=-    one value from standard input
  krt version start shop-v2 && krt version publish shop-v2
  krt version logs shop-v2 --level warn --follow
  krt version rollback -m 'prices were wrong'
  krt version ls --json | jq -r '.[] | select(.state == \"PUBLISHED\").name'

Sign in by `krt login` first, or set KRT_SERVER and KRT_TOKEN.")]
pub(crate) struct VersionArgs {
    #[command(subcommand)]
    action: Action,

    #[command(flatten)]
    team: TeamArgs,

    /// The runtime [default: the only one]
    #[arg(long, value_name = "ID", env = "KRT_RUNTIME", global = true, help_heading = "Server")]
    runtime: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List versions, newest first
    Ls,
    /// Show a version: its state, the reasons for it, and missing configuration
    Show(NameArgs),
    /// Upload a version from a folder or a .krt file
    Create(create::CreateArgs),
    /// Start a version and wait until it runs
    Start(StartArgs),
    /// Stop a version and wait until its requests in flight have finished
    Stop(StopArgs),
    /// Route the runtime's traffic to a running version
    Publish(PublishArgs),
    /// Stop routing traffic to a version; it keeps running
    Unpublish(ActArgs),
    /// Publish the previously published version again
    Rollback(RollbackArgs),
    /// Delete a version that does not run, with its messages and dead letters in NATS
    Delete(ActArgs),
    /// Show or change a version's configuration
    Config(config::ConfigArgs),
    /// Show a version's log records
    Logs(logs::LogsArgs),
}

#[derive(Debug, Args)]
struct NameArgs {
    /// The version
    #[arg(value_name = "VERSION")]
    name: String,
}

#[derive(Debug, Args)]
struct ActArgs {
    #[command(flatten)]
    of: NameArgs,

    #[command(flatten)]
    comment: CommentArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The exit code is 0 only if the version runs. If it fails to start, prints the reasons. A start
needs a complete configuration: see `krt version config`.")]
struct StartArgs {
    #[command(flatten)]
    act: ActArgs,

    #[command(flatten)]
    wait: WaitArgs,
}

#[derive(Debug, Args)]
struct StopArgs {
    #[command(flatten)]
    act: ActArgs,

    #[command(flatten)]
    wait: WaitArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
New requests reach the version at once. Requests in flight finish on the previous version, which
keeps running, so that `krt version rollback` is as quick.")]
struct PublishArgs {
    #[command(flatten)]
    act: ActArgs,

    /// Start the version first if it does not run
    #[arg(long)]
    start: bool,

    /// Time that the version has to start [default: unlimited]
    #[arg(long, value_name = "DURATION", value_parser = crate::values::duration, requires = "start")]
    timeout: Option<std::time::Duration>,
}

#[derive(Debug, Args)]
#[command(after_help = "Starts that version first if it was stopped.")]
struct RollbackArgs {
    #[command(flatten)]
    comment: CommentArgs,

    #[command(flatten)]
    wait: WaitArgs,
}

const COLUMNS: [Column<Version>; 5] = [
    ("NAME", |version| cell(&version.name)),
    ("STATE", |version| cell(&version.state)),
    ("CREATED", |version| cell(&version.created)),
    ("BY", |version| cell(&version.created_by)),
    ("DESCRIPTION", |version| cell(&version.description)),
];
const DETAILS: [Column<Version>; 10] = [
    COLUMNS[0],
    ("RUNTIME", |version| cell(&version.runtime)),
    COLUMNS[4],
    COLUMNS[1],
    ("CREATED", |version| format!("{} by {}", cell(&version.created), cell(&version.created_by))),
    ("PUBLISHED", |version| match &version.published_at {
        None => "-".to_owned(),
        Some(at) => format!("{} by {}", cell(at), cell(&version.published_by)),
    }),
    ("NODES", |version| cell(&version.nodes)),
    ("WORKFLOWS", |version| cell(&version.workflows)),
    ("BYTES", |version| cell(&version.package_bytes)),
    ("MISSING VALUES", |version| cell(&version.missing_config)),
];

/// A runtime of a server.
struct Runtime<'a> {
    api: &'a Api,
    path: String,
    json: bool,
}

/// Runs the action.
pub(crate) fn execute(args: &VersionArgs) -> Result<ExitCode> {
    let api = args.team.open()?;
    // The build of nodes starts an async runtime of its own, so it runs before ours.
    let upload = match &args.action {
        Action::Create(args) => Some(args.upload()?),
        _ => None,
    };
    team::run(async {
        let id = match &args.runtime {
            Some(runtime) => runtime.clone(),
            None => only(&api).await?,
        };
        let runtime =
            Runtime { api: &api, path: format!("/runtimes/{}", segment(&id)), json: args.team.json };
        match upload {
            Some(upload) => runtime.create(&upload).await,
            None => runtime.execute(&args.action).await,
        }
    })
}

/// The server's only runtime.
async fn only(api: &Api) -> Result<String> {
    let all: Vec<krt_api::runtime::Runtime> = api.get("/runtimes").await?;
    let ids: Vec<_> = all.into_iter().map(|runtime| runtime.id).collect();
    match ids.as_slice() {
        [only] => Ok(only.clone()),
        [] => bail!("`{}` has no runtime", api.server(); hint: "`krt runtime create ID`"),
        ids => bail!("`{}` has several runtimes", api.server(); hint: "--runtime, one of {}", ids.join(", ")),
    }
}

impl Runtime<'_> {
    async fn execute(&self, action: &Action) -> Result<()> {
        match action {
            Action::Ls => self.list().await,
            Action::Show(of) => self.detail(&of.name).await,
            // The upload above has created it.
            Action::Create(_) => Ok(()),
            Action::Start(args) => self.start(&args.act, &args.wait).await,
            Action::Stop(args) => {
                let begun = self.act(&args.act, "stop").await?;
                self.show(&self.until(begun, State::Stopping, State::Stopped, &args.wait).await?)
            }
            Action::Publish(args) => self.publish(args).await,
            Action::Unpublish(args) => self.show(&self.act(args, "unpublish").await?),
            Action::Rollback(args) => {
                let path = format!("{}/rollback", self.path);
                let begun = self.api.post(&path, &args.comment.body()).await?;
                self.show(&self.until(begun, State::Starting, State::Published, &args.wait).await?)
            }
            Action::Delete(args) => {
                self.api.delete_because(&self.of(&args.of.name), &args.comment).await?;
                terminal::print_note(&format!("{} was removed", args.of.name));
                Ok(())
            }
            Action::Config(args) => self.config(args).await,
            Action::Logs(args) => self.logs(args).await,
        }
    }

    /// The API path of a version.
    fn of(&self, version: &str) -> String {
        format!("{}/versions/{}", self.path, segment(version))
    }

    async fn list(&self) -> Result<()> {
        let all: Vec<_> = self.api.get(&format!("{}/versions", self.path)).await?;
        show::list(&all, &COLUMNS, self.json)
    }

    async fn detail(&self, name: &str) -> Result<()> {
        let version: Version = self.api.get(&self.of(name)).await?;
        show::item(&version, &DETAILS, self.json)?;
        if self.json {
            return Ok(());
        }
        for reason in &version.reasons {
            output::print(&format!("\nwhy it is in ERROR: {reason}"))?;
        }
        let mut warnings = version.warnings.iter();
        warnings.try_for_each(|warning| output::print(&format!("\nwarning: {}", Problem(warning))))
    }

    async fn act(&self, args: &ActArgs, action: &str) -> Result<Version> {
        self.api.post(&format!("{}/{action}", self.of(&args.of.name)), &args.comment.body()).await
    }

    async fn start(&self, args: &ActArgs, wait: &WaitArgs) -> Result<()> {
        let begun = self.act(args, "start").await?;
        self.show(&self.until(begun, State::Starting, State::Started, wait).await?)
    }

    async fn publish(&self, args: &PublishArgs) -> Result<()> {
        if args.start {
            let version: Version = self.api.get(&self.of(&args.act.of.name)).await?;
            let version = match version.state {
                State::Created | State::Stopped | State::Error => self.act(&args.act, "start").await?,
                _ => version,
            };
            let wait = WaitArgs::within(args.timeout);
            self.until(version, State::Starting, State::Started, &wait).await?;
        }
        self.show(&self.act(&args.act, "publish").await?)
    }

    /// Prints the version's current state.
    fn show(&self, version: &Version) -> Result<()> {
        match self.json {
            true => show::json(version),
            false => output::print(&format!("{} is {}", version.name, version.state)),
        }
    }
}
