//! `krt version`: the versions of a runtime of a server.
//!
//! - [`config`]: values of its configuration.
//! - [`logs`]: its log records.

mod config;
mod logs;

use crate::{
    exit,
    service::block_on,
    team::{Api, TeamArgs, show},
};
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use krt_package::archive;
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

/// What `krt version` takes.
#[derive(Debug, Args)]
pub(crate) struct VersionArgs {
    #[command(flatten)]
    team: TeamArgs,

    /// The runtime [default: the only one]
    #[arg(long, value_name = "ID", env = "KRT_RUNTIME", global = true)]
    runtime: Option<String>,

    /// Why it is done, for the audit log
    #[arg(short = 'm', long = "comment", value_name = "TEXT", default_value = "", global = true)]
    comment: String,

    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the versions, the newest first
    Ls,
    /// Upload a version: a .krt file, or a folder with a krt.yml
    Create {
        /// The package
        #[arg(default_value = ".")]
        path: PathBuf,
    },
    /// Start a version, and wait until it runs
    Start {
        /// Its name
        name: String,
    },
    /// Stop a version, and wait until it has ended
    Stop {
        /// Its name
        name: String,
    },
    /// Switch the runtime's traffic to a version
    Publish {
        /// Its name
        name: String,
    },
    /// Take a version off the runtime's traffic
    Unpublish {
        /// Its name
        name: String,
    },
    /// Publish the version again that was published before
    Rollback,
    /// Remove a version
    Delete {
        /// Its name
        name: String,
    },
    /// Show or change a version's configuration
    Config(config::ConfigArgs),
    /// Show a version's log records
    Logs(logs::LogsArgs),
}

/// How often a state is looked at while it is waited for.
const LOOK: Duration = Duration::from_millis(200);
const COLUMNS: [&str; 5] = ["name", "state", "created", "created_by", "description"];

/// A runtime of a server.
struct Runtime<'a> {
    api: &'a Api,
    path: String,
    json: bool,
    comment: &'a str,
}

/// Does what was typed.
pub(crate) fn execute(args: &VersionArgs) -> anyhow::Result<ExitCode> {
    let api = args.team.open()?;
    block_on(async {
        let runtime = match &args.runtime {
            Some(runtime) => runtime.clone(),
            None => only(&api).await?,
        };
        let path = format!("/runtimes/{runtime}");
        let runtime = Runtime { api: &api, path, json: args.team.json, comment: &args.comment };
        runtime.execute(&args.action).await?;
        Ok(exit::SUCCESS)
    })
}

/// The only runtime.
async fn only(api: &Api) -> anyhow::Result<String> {
    let all = api.get("/runtimes").await?;
    let ids: Vec<_> = all.as_array().into_iter().flatten().filter_map(|one| one["id"].as_str()).collect();
    match ids.as_slice() {
        [only] => Ok((*only).to_owned()),
        [] => bail!("the server has no runtime; hint: `krt runtime create ID`"),
        ids => bail!("the server has several runtimes; hint: give --runtime, one of {}", ids.join(", ")),
    }
}

impl Runtime<'_> {
    async fn execute(&self, action: &Action) -> anyhow::Result<()> {
        match action {
            Action::Ls => self.list().await,
            Action::Create { path } => self.create(path).await,
            Action::Start { name } => {
                let begun = self.act(name, "start").await?;
                let started = self.wait(&begun, "STARTING").await?;
                self.show(&started)
            }
            Action::Stop { name } => {
                let begun = self.act(name, "stop").await?;
                let stopped = self.wait(&begun, "STOPPING").await?;
                self.show(&stopped)
            }
            Action::Publish { name } => self.show(&self.act(name, "publish").await?),
            Action::Unpublish { name } => self.show(&self.act(name, "unpublish").await?),
            Action::Rollback => {
                let body = json!({"comment": self.comment});
                let begun = self.api.post(&format!("{}/rollback", self.path), &body).await?;
                let published = self.wait(&begun, "STARTING").await?;
                self.show(&published)
            }
            Action::Delete { name } => {
                let comment = query(&[("comment", self.comment)]);
                self.api.delete(&format!("{}/versions/{name}?{comment}", self.path)).await
            }
            Action::Config(args) => self.config(args).await,
            Action::Logs(args) => self.logs(args).await,
        }
    }

    async fn list(&self) -> anyhow::Result<()> {
        let all = self.api.get(&format!("{}/versions", self.path)).await?;
        if self.json { show::json(&all) } else { show::table(&all, &COLUMNS) }
    }

    async fn create(&self, path: &Path) -> anyhow::Result<()> {
        let folder = tempfile::tempdir().context("failed to make a temporary folder")?;
        let packed = folder.path().join("package.krt");
        let file = match path.is_dir() {
            true => {
                archive::pack_file(path, &packed, &mut |_| {})
                    .with_context(|| format!("cannot pack `{}`", path.display()))?;
                &packed
            }
            false => path,
        };
        let comment = query(&[("comment", self.comment)]);
        let made = self.api.upload(&format!("{}/versions?{comment}", self.path), file).await?;
        self.show(&made)
    }

    async fn act(&self, version: &str, action: &str) -> anyhow::Result<Value> {
        let body = json!({"comment": self.comment});
        self.api.post(&format!("{}/versions/{version}/{action}", self.path), &body).await
    }

    /// Waits until a version is no longer in a state; fails where it is in ERROR then.
    async fn wait(&self, told: &Value, leaves: &str) -> anyhow::Result<Value> {
        let mut told = told.clone();
        let path = format!("{}/versions/{}", self.path, text(&told, "name"));
        while told["state"] == leaves {
            tokio::time::sleep(LOOK).await;
            told = self.api.get(&path).await?;
        }
        if told["state"] == "ERROR" {
            let reasons: Vec<_> =
                told["reasons"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            bail!("`{}` is in ERROR: {}", text(&told, "name"), reasons.join("\n"));
        }
        Ok(told)
    }

    fn show(&self, version: &Value) -> anyhow::Result<()> {
        if self.json {
            return show::json(version);
        }
        crate::output::print(&format!("{} is {}", text(version, "name"), text(version, "state")))
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// A query of pairs.
fn query(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}
