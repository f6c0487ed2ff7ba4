//! `krt entrypoint`: serves gRPC and HTTP for a package whose nodes run elsewhere.

use crate::error::Result;
use crate::service::{
    Ports, Role,
    part::{self, ClientPortArgs, PartArgs},
};
use clap::Args;
use std::{path::PathBuf, process::ExitCode};

/// The arguments of `krt entrypoint`.
#[derive(Debug, Args)]
#[command(after_help = "\
Any number of entrypoints may serve the same version: each answers its own clients. `krt node` or
other runners of KRT v1 run the nodes.")]
pub(crate) struct EntrypointArgs {
    /// The package: a folder with a krt.yml, or a .krt file
    #[arg(default_value = ".")]
    path: PathBuf,

    #[command(flatten)]
    front: ClientPortArgs,

    #[command(flatten)]
    part: PartArgs,
}

/// Serves until a signal.
pub(crate) fn execute(args: &EntrypointArgs) -> Result<ExitCode> {
    args.part.need_nats()?;
    part::serve(&args.part, async |stop, logs| {
        let wanted = args.part.wanted(&args.path, Role::Entrypoint);
        let limits = args.part.limits(&args.front);
        let ports = Ports {
            front: Some(args.front.open(limits)?),
            ..args.part.ports(limits, Some(&args.front.browsers))?
        };
        part::run_once(&wanted, logs, ports, stop).await
    })
}
