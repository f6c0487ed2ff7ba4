//! `krt worker`: the guard of one worker, started by the engine (see `krt_guard`).

use crate::error::Result;
use clap::Args;
use krt_guard::Isolation;
use std::process::ExitCode;

/// The arguments of `krt worker`; the engine sends the rest on standard input.
#[derive(Debug, Args)]
pub(crate) struct WorkerArgs {
    /// Keep the worker from what is not its own
    #[arg(long, value_name = "JSON", value_parser = isolation)]
    isolate: Option<Isolation>,

    /// Go on as process 1 of the namespaces that --isolate made
    #[arg(long, value_name = "JSON", value_parser = isolation, conflicts_with = "isolate")]
    inner: Option<Isolation>,

    /// Guard a worker that runs, the child of this process that was forked with it
    #[arg(long, value_name = "PID", conflicts_with_all = ["isolate", "inner"])]
    forked: Option<i32>,
}

/// Guards the worker until it ends.
pub(crate) fn execute(args: &WorkerArgs) -> Result<ExitCode> {
    match (&args.isolate, &args.inner, args.forked) {
        (Some(isolation), _, _) => isolation.enter()?,
        (None, Some(isolation), _) => krt_guard::inner(isolation)?,
        (None, None, Some(program)) => krt_guard::forked(program)?,
        (None, None, None) => krt_guard::run()?,
    }
    Ok(ExitCode::SUCCESS)
}

fn isolation(text: &str) -> Result<Isolation, serde_json::Error> {
    serde_json::from_str(text)
}
