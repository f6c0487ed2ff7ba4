//! `krt env`: prints the environment variables with which another KRT v1 runner replaces a node or the
//! entrypoint.
//!
//! - [`variables`]: their names and values.
//! - [`lines`]: output formats.

mod lines;
mod variables;

use crate::{
    error::{Context as _, Result, bail},
    exit, output,
    service::{NatsArgs, RemoteArgs, RuntimeArgs, named, older},
    terminal,
    values::duration,
};
use clap::Args;
use krt_broker::{Namespace, StageRef};
use krt_package::Package;
use krt_reader::CancelHandle;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};
use variables::{Servers, Variables};

/// The arguments of `krt env`.
#[derive(Debug, Args)]
#[command(
    override_usage = "krt env [OPTIONS] <NODE> [PATH]\n       krt env [OPTIONS] --entrypoint [PATH]",
    after_help = "\
Examples:
  env $(krt env etl . --nats nats://10.0.0.1:4222 --mongo mongodb://10.0.0.2 --influx http://10.0.0.3:8086) ./kre-runner
  eval \"$(krt env etl . --export)\"
  env $(krt env --entrypoint . --subjects-file subjects.json) python main.py

`runner: external` in krt.yml leaves a node to another runner. Standard error names
the variables that the runner needs and no flag sets. URLs are printed as given, with their secrets."
)]
pub(crate) struct EnvArgs {
    /// The node
    #[arg(required_unless_present = "entrypoint")]
    node: Option<String>,

    /// The package: a folder with a krt.yml, or a .krt file [default: .]
    path: Option<PathBuf>,

    /// Print the variables of an existing entrypoint instead of a node's
    #[arg(long, conflicts_with_all = ["workflow", "turn"])]
    entrypoint: bool,

    /// Write the subjects file of an entrypoint: each RPC with the subject of its workflow; - prints it instead
    /// of the variables
    #[arg(long, value_name = "FILE", requires = "entrypoint")]
    subjects_file: Option<PathBuf>,

    /// Time that the entrypoint waits for an answer, rounded up to whole seconds
    #[arg(long, value_name = "DURATION", default_value = "30s", env = "KRT_REQUEST_TIMEOUT", value_parser = duration)]
    request_timeout: Duration,

    /// The workflow, if the node is part of several
    #[arg(long, value_name = "NAME")]
    workflow: Option<String>,

    /// The position among the node's occurrences, if the workflow contains the node more than once
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u16).range(1..))]
    turn: u16,

    /// Print a JSON object
    #[arg(long, conflicts_with = "export")]
    json: bool,

    /// Print `export NAME='VALUE'` for `eval`, which keeps spaces in values
    #[arg(long)]
    export: bool,

    #[command(flatten)]
    nats: NatsArgs,

    #[command(flatten)]
    remote: RemoteArgs,

    #[command(flatten)]
    runtime: RuntimeArgs,
}

/// Prints the variables.
pub(crate) fn execute(args: &EnvArgs) -> Result<ExitCode> {
    let (node, path) = named_by(args)?;
    let package = krt_reader::load(path, &CancelHandle::default())
        .map_err(|error| terminal::package_error(error, path))?;
    let namespace = args.runtime.namespace(&package.version);
    let servers = servers(args)?;
    let variables = match node {
        Some(node) => {
            let place = place(args, node, &package, &namespace)?;
            variables::of_node(&place, args.nats.protocol(), &package, &servers)
        }
        None => {
            let subjects = lines::subjects(&variables::subjects(&namespace, &package, args.nats.protocol()))?;
            if args.subjects_file.as_deref() == Some(Path::new("-")) {
                output::print_json(&subjects)?;
                return Ok(exit::SUCCESS);
            }
            let file = args.subjects_file.as_deref().map(|file| write(file, &subjects)).transpose()?;
            variables::of_entrypoint(namespace.runtime(), &package, args.request_timeout, file, &servers)
        }
    };
    print(args, variables)?;
    Ok(exit::SUCCESS)
}

/// Returns the node, if any, and the package. With `--entrypoint`, no node precedes the package.
fn named_by(args: &EnvArgs) -> Result<(Option<&str>, &Path)> {
    let here = Path::new(".");
    match (args.entrypoint, &args.node, &args.path) {
        (false, node, path) => Ok((node.as_deref(), path.as_deref().unwrap_or(here))),
        (true, path, None) => Ok((None, path.as_deref().map_or(here, Path::new))),
        (true, _, Some(_)) => {
            bail!("--entrypoint stands instead of a node"; hint: "krt env --entrypoint PATH")
        }
    }
}

fn servers(args: &EnvArgs) -> Result<Servers> {
    let secret = |address: &krt_remote::Address| address.secret().to_owned();
    Ok(Servers {
        nats: secret(args.nats.address()?),
        mongo: args.remote.mongo().map(secret).filter(|url| !url.is_empty()),
        influx: args.remote.influx().map(|address| older::influx_base(address.secret()).to_owned()),
    })
}

fn write(file: &Path, subjects: &str) -> Result<PathBuf> {
    let failed = || format!("failed to write the subjects to `{}`", file.display());
    std::fs::write(file, format!("{subjects}\n")).with_context(failed)?;
    // The entrypoint may start in another folder.
    std::path::absolute(file).with_context(failed)
}

/// Prints the variables that have a value, and reports missing ones on standard error.
fn print(args: &EnvArgs, variables: Variables) -> Result<()> {
    let (variables, missing) = variables::present(variables);
    let kind = if args.entrypoint { "entrypoints" } else { "runners" };
    for (name, flag) in missing {
        let message = format!("{name} is not printed, and existing {kind} do not start without it");
        terminal::print_warning_with_hint(&message, flag);
    }
    if !args.json && !args.export {
        for name in lines::split_by_a_shell(&variables) {
            let message = format!("`env $(…)` splits the value of {name}");
            terminal::print_warning_with_hint(&message, "eval \"$(krt env … --export)\"");
        }
    }
    match (args.json, args.export) {
        (true, _) => output::print_json(&lines::json(&variables)?),
        (false, true) => output::print_data(&lines::export(&variables)),
        (false, false) => output::print_data(&lines::plain(&variables)),
    }
}

/// Finds the node's position in a workflow.
fn place<'a>(
    args: &EnvArgs,
    name: &str,
    package: &'a Package,
    namespace: &'a Namespace,
) -> Result<StageRef<'a>> {
    let version = &package.version;
    let node = named(package, name)?;
    let with_node = version.workflows.iter().filter(|workflow| workflow.sequence.contains(&node));
    let workflow = match (&args.workflow, with_node.collect::<Vec<_>>().as_slice()) {
        (_, []) => bail!("no workflow has the node `{name}`"),
        (None, [only]) => *only,
        (None, several) => {
            let names: Vec<_> = several.iter().map(|workflow| workflow.name.as_str()).collect();
            bail!("several workflows have the node `{name}`"; hint: "--workflow {}", names.join(" or "))
        }
        (Some(wanted), several) => several
            .iter()
            .find(|workflow| workflow.name.as_str() == wanted)
            .with_context(|| format!("no workflow `{wanted}` has the node `{name}`"))?,
    };
    let mut turns = (0..workflow.sequence.len()).filter(|&position| workflow.sequence[position] == node);
    let position = turns.nth(usize::from(args.turn) - 1);
    let position = position.with_context(|| {
        format!("workflow `{}` does not come by `{name}` {} times", workflow.name, args.turn)
    })?;
    Ok(StageRef { namespace, version, workflow, position })
}
