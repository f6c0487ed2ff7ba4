//! `krt runtime`: the runtimes of a server.

use crate::{
    exit,
    service::block_on,
    team::{TeamArgs, show},
};
use clap::{Args, Subcommand};
use serde_json::json;
use std::process::ExitCode;

/// What `krt runtime` takes.
#[derive(Debug, Args)]
pub(crate) struct RuntimeArgs {
    #[command(flatten)]
    team: TeamArgs,

    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List all runtimes
    Ls,
    /// Make a runtime
    Create {
        /// Its id
        id: String,
        /// What people call it [default: its id]
        #[arg(long)]
        name: Option<String>,
        /// What it is for
        #[arg(long, default_value = "")]
        description: String,
        /// A host name by which clients reach it; may be given several times
        #[arg(long = "host", value_name = "HOST")]
        hosts: Vec<String>,
    },
    /// Remove a runtime, with everything that it stored
    Delete {
        /// Its id
        id: String,
    },
}

/// Does what was typed.
pub(crate) fn execute(args: &RuntimeArgs) -> anyhow::Result<ExitCode> {
    let api = args.team.open()?;
    block_on(async {
        match &args.action {
            Action::Ls => {
                let all = api.get("/runtimes").await?;
                if args.team.json { show::json(&all)? } else { show::table(&all, &COLUMNS)? }
            }
            Action::Create { id, name, description, hosts } => {
                let name = name.as_ref().unwrap_or(id);
                let new = json!({"id": id, "name": name, "description": description, "hosts": hosts});
                let made = api.post("/runtimes", &new).await?;
                if args.team.json {
                    show::json(&made)?;
                }
            }
            Action::Delete { id } => api.delete(&format!("/runtimes/{id}")).await?,
        }
        Ok(exit::SUCCESS)
    })
}

const COLUMNS: [&str; 4] = ["id", "published", "versions", "name"];
