//! `krt node`: some nodes of a package, for entrypoints elsewhere.

use crate::service::{
    Role,
    part::{self, PartArgs},
};
use clap::Args;
use std::{path::PathBuf, process::ExitCode};

/// What `krt node` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
The same node may run on any number of machines: each message goes to one of them.

Ctrl-C (or SIGTERM) takes no more messages, finishes those in work and stops.")]
pub(crate) struct NodeArgs {
    /// The nodes, by their names
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,

    /// The package: a folder with a krt.yml, or a .krt file
    #[arg(required = true)]
    path: PathBuf,

    #[command(flatten)]
    part: PartArgs,
}

/// Runs them until told to stop.
pub(crate) fn execute(args: &NodeArgs) -> anyhow::Result<ExitCode> {
    args.part.need_nats()?;
    part::serve(&args.part, async |stop, logs| {
        let ports = args.part.ports(None)?;
        let role = Role::Nodes(args.names.clone());
        part::run_once(&args.part.wanted(&args.path, role), logs, ports, stop).await
    })
}
