//! `krt entrypoint`: gRPC and HTTP in front of a package whose nodes run elsewhere.

use crate::service::{
    Role,
    part::{self, PartArgs},
};
use clap::Args;
use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

/// What `krt entrypoint` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
Any number of entrypoints may serve a version at the same time: each answers its own clients. The nodes are
run by `krt node`, or by other runners of KRT v1.")]
pub(crate) struct EntrypointArgs {
    /// The package: a folder with a krt.yml, or a .krt file
    #[arg(default_value = ".")]
    path: PathBuf,

    /// Where gRPC and HTTP are served; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9000", env = "KRT_LISTEN")]
    listen: SocketAddr,

    #[command(flatten)]
    part: PartArgs,
}

/// Serves until told to stop.
pub(crate) fn execute(args: &EntrypointArgs) -> anyhow::Result<ExitCode> {
    args.part.need_nats()?;
    part::serve(&args.part, async |stop, logs| {
        let ports = args.part.ports(Some(args.listen))?;
        part::run_once(&args.part.wanted(&args.path, Role::Entrypoint), logs, ports, stop).await
    })
}
