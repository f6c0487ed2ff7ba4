//! `krt node`: some nodes of a package, for entrypoints elsewhere.

use crate::service::{
    Role,
    part::{self, PartArgs},
};
use anyhow::bail;
use clap::Args;
use std::{path::Path, process::ExitCode};

/// What `krt node` takes.
#[derive(Debug, Args)]
#[command(override_usage = "krt node [OPTIONS] <NAME>... <PATH>")]
#[command(after_help = "\
The same node may run on any number of machines: each message goes to one of them.

Ctrl-C (or SIGTERM) takes no more messages, finishes those in work and stops.")]
pub(crate) struct NodeArgs {
    /// The nodes, by their names, and then the package: a folder with a krt.yml, or a .krt file
    #[arg(required = true, num_args = 1.., value_name = "NAME… PATH")]
    words: Vec<String>,

    #[command(flatten)]
    part: PartArgs,
}

/// Runs them until told to stop.
pub(crate) fn execute(args: &NodeArgs) -> anyhow::Result<ExitCode> {
    args.part.need_nats()?;
    part::serve(&args.part, async |stop, logs| {
        let ports = args.part.ports(None)?;
        let (names, path) = args.names_and_path()?;
        let wanted = args.part.wanted(Path::new(path), Role::Nodes(names.to_vec()));
        part::run_once(&wanted, logs, ports, stop).await
    })
}

impl NodeArgs {
    /// Flags may stand between them, so that only their order tells which is which.
    fn names_and_path(&self) -> anyhow::Result<(&[String], &str)> {
        match self.words.split_last() {
            Some((path, names)) if !names.is_empty() => Ok((names, path)),
            _ => bail!("which nodes of which package? hint: krt node NAME… PATH, as in `krt node etl .`"),
        }
    }
}
