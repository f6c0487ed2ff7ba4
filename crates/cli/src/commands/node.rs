//! `krt node`: runs some nodes of a package for entrypoints elsewhere.

use crate::error::{Result, bail};
use crate::service::{
    Role,
    part::{self, PartArgs},
};
use clap::Args;
use krt_runtime::ingress::listener::Limits;
use std::{path::Path, process::ExitCode};

/// The arguments of `krt node`.
#[derive(Debug, Args)]
#[command(override_usage = "krt node [OPTIONS] <NAME>... <PATH>")]
#[command(after_help = "\
The same node may run on any number of machines; each message goes to one of them.

Ctrl-C (or SIGTERM) stops taking messages, finishes those in flight, and exits.")]
pub(crate) struct NodeArgs {
    /// Names of the nodes, then the package: a folder with a krt.yml, or a .krt file
    #[arg(required = true, num_args = 1.., value_name = "NAME… PATH")]
    words: Vec<String>,

    #[command(flatten)]
    part: PartArgs,
}

/// Runs the nodes until a signal.
pub(crate) fn execute(args: &NodeArgs) -> Result<ExitCode> {
    args.part.need_nats()?;
    part::serve(&args.part, async |stop, logs| {
        let ports = args.part.ports(Limits::default(), None)?;
        let (names, path) = args.names_and_path()?;
        let wanted = args.part.wanted(Path::new(path), Role::Nodes(names.to_vec()));
        part::run_once(&wanted, logs, ports, stop).await
    })
}

impl NodeArgs {
    /// Splits the words into nodes and path by position only, since flags may stand between them.
    fn names_and_path(&self) -> Result<(&[String], &str)> {
        match self.words.split_last() {
            Some((path, names)) if !names.is_empty() => Ok((names, path)),
            _ => bail!("which nodes of which package?"; hint: "krt node NAME… PATH, as in `krt node etl .`"),
        }
    }
}
