//! `krt runtime`: manages the runtimes of a server.

use crate::{
    output,
    team::{
        self, Api, CommentArgs, TeamArgs, prompt, query, segment,
        show::{self, Column, cell, text, time},
    },
    terminal,
};
use anyhow::ensure;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::process::ExitCode;

/// The arguments of `krt runtime`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  krt runtime ls
  krt runtime create shop --name 'The shop' --host shop.example -m 'a new product'
  krt runtime change shop --host shop.example --host www.shop.example

Clients reach the published version of a runtime by one of its host names, or by the metadata
`krt-runtime`.")]
pub(crate) struct RuntimeArgs {
    #[command(subcommand)]
    action: Action,

    #[command(flatten)]
    team: TeamArgs,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List all runtimes
    Ls,
    /// Show one runtime
    Show {
        /// Its id
        id: String,
    },
    /// Create a runtime
    Create {
        /// Id: at most 19 lowercase letters, digits and -
        id: String,
        /// Display name [default: the id]
        #[arg(long)]
        name: Option<String>,
        /// Description
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        description: String,
        /// Host name of the runtime for clients; may be given several times
        #[arg(long = "host", value_name = "HOST")]
        hosts: Vec<String>,
        #[command(flatten)]
        comment: CommentArgs,
    },
    /// Change a runtime; fields that are not given stay
    Change {
        /// Its id
        id: String,
        /// Display name
        #[arg(long)]
        name: Option<String>,
        /// Description
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        /// Host names of the runtime for clients; may be given several times
        #[arg(long = "host", value_name = "HOST", conflicts_with = "no_hosts")]
        hosts: Vec<String>,
        /// Remove all host names
        #[arg(long)]
        no_hosts: bool,
        #[command(flatten)]
        comment: CommentArgs,
    },
    /// Delete a runtime and all its data; none of its versions may run
    Delete {
        /// Its id
        id: String,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        comment: CommentArgs,
    },
}

const COLUMNS: [Column; 5] = [
    ("ID", |runtime| cell(&runtime["id"])),
    ("PUBLISHED", |runtime| cell(&runtime["published"])),
    ("VERSIONS", |runtime| cell(&runtime["versions"])),
    ("HOSTS", |runtime| cell(&runtime["hosts"])),
    ("NAME", |runtime| cell(&runtime["name"])),
];
const DETAILS: [Column; 8] = [
    COLUMNS[0],
    COLUMNS[4],
    ("DESCRIPTION", |runtime| cell(&runtime["description"])),
    COLUMNS[3],
    COLUMNS[1],
    COLUMNS[2],
    ("STATES", states),
    ("CREATED", |runtime| time(&runtime["created"])),
];

/// Runs the action.
pub(crate) fn execute(args: &RuntimeArgs) -> anyhow::Result<ExitCode> {
    let api = args.team.open()?;
    let json = args.team.json;
    team::run(async {
        match &args.action {
            Action::Ls => {
                let all = api.get("/runtimes").await?;
                if json { show::json(&all) } else { show::table(&all, &COLUMNS) }
            }
            Action::Show { id } => {
                let runtime = api.get(&path(id)).await?;
                if json { show::json(&runtime) } else { show::one(&runtime, &DETAILS) }
            }
            Action::Create { id, name, description, hosts, comment } => {
                let (name, comment) = (name.as_ref().unwrap_or(id), &comment.comment);
                let new = json!({"id": id, "name": name, "description": description, "hosts": hosts, "comment": comment});
                let made = api.post("/runtimes", &new).await?;
                if json { show::json(&made) } else { say(&made, "was made") }
            }
            Action::Change { id, name, description, hosts, no_hosts, comment } => {
                let hosts = (*no_hosts || !hosts.is_empty()).then_some(hosts);
                ensure!(
                    name.is_some() || description.is_some() || hosts.is_some(),
                    "nothing is to change; hint: --name, --description, --host or --no-hosts"
                );
                let comment = &comment.comment;
                let change =
                    json!({"name": name, "description": description, "hosts": hosts, "comment": comment});
                let changed = api.patch(&path(id), &change).await?;
                if json { show::json(&changed) } else { say(&changed, "was changed") }
            }
            Action::Delete { id, yes, comment } => delete(&api, id, *yes, comment).await,
        }
    })
}

fn path(id: &str) -> String {
    format!("/runtimes/{}", segment(id))
}

fn say(runtime: &Value, what: &str) -> anyhow::Result<()> {
    output::print(&format!("{} {what}", text(runtime, "id")))
}

async fn delete(api: &Api, id: &str, yes: bool, comment: &CommentArgs) -> anyhow::Result<()> {
    let runtime = api.get(&path(id)).await?;
    let versions = &runtime["versions"];
    let lost = format!("`{id}` has {versions} versions, with measurements, documents and logs");
    ensure!(yes || prompt::is_terminal(), "{lost}, which would be lost\nhint: --yes says that it is meant");
    if !yes {
        let answer = prompt::answer(&format!("{lost}; type its id to remove it all")).await?;
        ensure!(answer == id, "nothing was removed");
    }
    api.delete(&format!("{}?{}", path(id), query(&[("comment", &comment.comment)]))).await?;
    terminal::print_note(&format!("{id} was removed"));
    Ok(())
}

/// The number of versions in each state.
fn states(runtime: &Value) -> String {
    let states = runtime["states"].as_object().into_iter().flatten();
    let states: Vec<_> = states.map(|(state, count)| format!("{count} {state}")).collect();
    if states.is_empty() { "-".to_owned() } else { states.join(", ") }
}
