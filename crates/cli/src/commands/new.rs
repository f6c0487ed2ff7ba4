//! `krt new`: a package that runs, or one more node of a package.

mod node;
mod package;
mod template;

use clap::{Args, Subcommand};
use std::{path::PathBuf, process::ExitCode};
use template::Language;

/// What `krt new` takes.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "\
Examples:
  krt new shop                       a package in the folder `shop`, with one node in Python
  krt new shop --lang go             the same in Go
  krt new node checker --lang rust   one more node for the package in this folder"
)]
pub(crate) struct NewArgs {
    #[command(subcommand)]
    what: Option<What>,

    /// The package's folder, which is made; its last part is the package's name
    #[arg(required = true)]
    name: Option<PathBuf>,

    /// What its node is written in
    #[arg(long = "lang", value_name = "LANGUAGE", value_enum, default_value_t)]
    language: Language,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Add a node to a package, behind the last one of a workflow
    Node(NodeArgs),
}

/// What `krt new node` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
The node passes on what it gets, until it is edited. In krt.yml a few lines are added, and
nothing else is changed.")]
struct NodeArgs {
    /// The node's name
    name: String,

    /// What it is written in
    #[arg(long = "lang", value_name = "LANGUAGE", value_enum, default_value_t)]
    language: Language,

    /// The package's folder
    #[arg(long, value_name = "DIR", default_value = ".")]
    package: PathBuf,

    /// The workflow that it becomes the last node of [default: the only one]
    #[arg(long)]
    workflow: Option<String>,
}

/// Makes what was asked for, and says what to do next.
pub(crate) fn execute(args: &NewArgs) -> anyhow::Result<ExitCode> {
    match (&args.what, &args.name) {
        (Some(What::Node(args)), _) => node::add(args),
        (None, Some(folder)) => package::make(folder, args.language),
        (None, None) => anyhow::bail!("name the package; hint: krt new shop"),
    }
}
