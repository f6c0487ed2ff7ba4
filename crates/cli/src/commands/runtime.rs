//! `krt runtime`: manages the runtimes of a server.

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
    runtime::{NewRuntime, Runtime, RuntimeChange},
    store::{Content, Keeper, RuntimeStore},
};
use std::process::ExitCode;

/// The arguments of `krt runtime`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  krt runtime ls
  krt runtime create shop --name 'The shop' --host shop.example -m 'a new product'
  krt runtime change shop --host shop.example --host www.shop.example
  krt runtime stores shop

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
    /// Show where a runtime keeps its data, and whether that takes data now
    Stores {
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
    /// Delete a runtime and all its data, also in MongoDB, InfluxDB and NATS; none of its versions may run
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

const COLUMNS: [Column<Runtime>; 5] = [
    ("ID", |runtime| cell(&runtime.id)),
    ("PUBLISHED", |runtime| cell(&runtime.published)),
    ("VERSIONS", |runtime| cell(&runtime.versions)),
    ("HOSTS", |runtime| cell(&runtime.hosts)),
    ("NAME", |runtime| cell(&runtime.name)),
];
const DETAILS: [Column<Runtime>; 8] = [
    COLUMNS[0],
    COLUMNS[4],
    ("DESCRIPTION", |runtime| cell(&runtime.description)),
    COLUMNS[3],
    COLUMNS[1],
    COLUMNS[2],
    ("STATES", states),
    ("CREATED", |runtime| cell(&runtime.created)),
];

const STORES: [Column<RuntimeStore>; 6] = [
    ("HOLDS", |store| content(store.holds).to_owned()),
    ("IN", |store| keeper(store.kept_by).to_owned()),
    ("DATABASE", |store| cell(&store.database)),
    ("ADDRESS", |store| cell(&store.address)),
    ("UP", |store| cell(&store.up)),
    ("ABOUT", about),
];

/// Runs the action.
pub(crate) fn execute(args: &RuntimeArgs) -> Result<ExitCode> {
    let api = args.team.open()?;
    let json = args.team.json;
    team::run(async {
        match &args.action {
            Action::Ls => show::list(&api.get::<Vec<_>>("/runtimes").await?, &COLUMNS, json),
            Action::Show { id } => show::item(&api.get(&path(id)).await?, &DETAILS, json),
            Action::Stores { id } => show::list(&stores(&api, id).await?, &STORES, json),
            Action::Create { id, name, description, hosts, comment } => {
                let new = NewRuntime {
                    id: id.clone(),
                    name: name.as_ref().unwrap_or(id).clone(),
                    description: description.clone(),
                    hosts: hosts.clone(),
                    comment: comment.comment.clone(),
                };
                show(&api.post("/runtimes", &new).await?, "was made", json)
            }
            Action::Change { id, name, description, hosts, no_hosts, comment } => {
                let hosts = (*no_hosts || !hosts.is_empty()).then_some(hosts);
                ensure!(
                    name.is_some() || description.is_some() || hosts.is_some(),
                    "nothing is to change";
                    hint: "--name, --description, --host or --no-hosts"
                );
                let change = RuntimeChange {
                    name: name.clone(),
                    description: description.clone(),
                    hosts: hosts.cloned(),
                    comment: comment.comment.clone(),
                };
                show(&api.patch(&path(id), &change).await?, "was changed", json)
            }
            Action::Delete { id, yes, comment } => delete(&api, id, *yes, comment).await,
        }
    })
}

fn path(id: &str) -> String {
    format!("/runtimes/{}", segment(id))
}

fn show(runtime: &Runtime, what: &str, json: bool) -> Result<()> {
    if json { show::json(runtime) } else { output::print(&format!("{} {what}", runtime.id)) }
}

async fn delete(api: &Api, id: &str, yes: bool, comment: &CommentArgs) -> Result<()> {
    let Runtime { versions, .. } = api.get(&path(id)).await?;
    let stores = stores(api, id).await?;
    let mut lost = format!("`{id}` has {versions} versions, with measurements, documents and logs");
    for store in stores.iter().filter(|store| store.deleted_with_runtime) {
        lost.push_str(&elsewhere(store).map(|place| format!(", {place}")).unwrap_or_default());
    }
    ensure!(yes || prompt::is_terminal(), "{lost}, which would be lost"; hint: "--yes says that it is meant");
    if !yes {
        let answer = prompt::answer(&format!("{lost}; type its id to remove it all")).await?;
        ensure!(answer == id, "nothing was removed");
    }
    api.delete_because(&path(id), comment).await?;
    terminal::print_note(&format!("{id} was removed"));
    for place in stores.iter().filter(|store| !store.deleted_with_runtime).filter_map(elsewhere) {
        terminal::print_note(&format!("{place} stays"));
    }
    Ok(())
}

async fn stores(api: &Api, id: &str) -> Result<Vec<RuntimeStore>> {
    api.get(&format!("{}/stores", path(id))).await
}

/// A database on another server, by name and address.
fn elsewhere(store: &RuntimeStore) -> Option<String> {
    let (database, address) = (store.database.as_ref()?, store.address.as_ref()?);
    Some(format!("`{database}` in {} at {address}", keeper(store.kept_by)))
}

fn content(content: Content) -> &'static str {
    match content {
        Content::Documents => "documents and predictions",
        Content::Measurements => "measurements",
        Content::Messages => "messages",
    }
}

fn keeper(keeper: Keeper) -> &'static str {
    match keeper {
        Keeper::Folder => "the data folder",
        Keeper::MongoDb => "MongoDB",
        Keeper::InfluxDb => "InfluxDB",
        Keeper::Nats => "NATS",
    }
}

/// Why a store takes no data, and the measurements that it has not got.
fn about(store: &RuntimeStore) -> String {
    let counted = |count: u64, what: &str| (count > 0).then(|| format!("{count} {what}"));
    let parts = [store.reason.clone(), counted(store.waiting, "wait"), counted(store.dropped, "dropped")];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    cell(&(!parts.is_empty()).then(|| parts.join("; ")))
}

/// The number of versions in each state.
fn states(runtime: &Runtime) -> String {
    cell(&runtime.states.iter().map(|(state, count)| format!("{count} {state}")).collect::<Vec<_>>())
}
