//! `krt env`: the environment variables with which another runner of KRT v1 stands for a node.

use crate::{
    exit, output,
    service::{NatsArgs, RemoteArgs, named},
    terminal,
};
use anyhow::{Context as _, bail};
use clap::Args;
use krt_broker::{Era, Place};
use krt_package::Package;
use serde_json::{Map, Value};
use std::{path::PathBuf, process::ExitCode};

/// What `krt env` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  env $(krt env etl . --nats nats://10.0.0.1:4222) ./kre-runner

With `runner: external` in krt.yml the node is left to that runner. The URLs are printed as they are given,
with the secrets in them.")]
pub(crate) struct EnvArgs {
    /// The node
    node: String,

    /// The package: a folder with a krt.yml, or a .krt file
    #[arg(default_value = ".")]
    path: PathBuf,

    /// The workflow, where the node is in several
    #[arg(long, value_name = "NAME")]
    workflow: Option<String>,

    /// Which time the workflow comes by the node, where it does so more than once
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u16).range(1..))]
    turn: u16,

    /// Print a JSON object
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    nats: NatsArgs,

    #[command(flatten)]
    remote: RemoteArgs,
}

/// Prints the variables.
pub(crate) fn execute(args: &EnvArgs) -> anyhow::Result<ExitCode> {
    let package =
        krt_package::load(&args.path).map_err(|error| terminal::package_error(error, &args.path))?;
    let runtime = args.remote.runtime(&package.version);
    let variables = variables(args, &place(args, &package, &runtime)?, &package)?;
    output::print(&if args.json { as_json(variables)? } else { as_lines(&variables) })?;
    Ok(exit::SUCCESS)
}

/// Where in a workflow the node stands.
fn place<'a>(args: &EnvArgs, package: &'a Package, runtime: &'a str) -> anyhow::Result<Place<'a>> {
    let version = &package.version;
    let node = named(package, &args.node)?;
    let with_node = version.workflows.iter().filter(|workflow| workflow.sequence.contains(&node));
    let workflow = match (&args.workflow, with_node.collect::<Vec<_>>().as_slice()) {
        (_, []) => bail!("no workflow has the node `{}`", args.node),
        (None, [only]) => *only,
        (None, several) => {
            let names: Vec<_> = several.iter().map(|workflow| workflow.name.as_str()).collect();
            bail!("several workflows have the node `{}`; hint: --workflow {}", args.node, names.join(" or "))
        }
        (Some(name), several) => several
            .iter()
            .find(|workflow| workflow.name.as_str() == name)
            .with_context(|| format!("no workflow `{name}` has the node `{}`", args.node))?,
    };
    let mut turns = (0..workflow.sequence.len()).filter(|&position| workflow.sequence[position] == node);
    let position = turns.nth(usize::from(args.turn) - 1);
    let position = position.with_context(|| {
        format!("workflow `{}` does not come by `{}` {} times", workflow.name, args.node, args.turn)
    })?;
    Ok(Place { runtime, version, workflow, position })
}

/// The variables, by their names (KRT v1, "On the wire").
fn variables(
    args: &EnvArgs,
    place: &Place<'_>,
    package: &Package,
) -> anyhow::Result<Vec<(&'static str, String)>> {
    let (version, era) = (&package.version, args.nats.era());
    let node = &version.nodes[place.workflow.sequence[place.position]];
    let mut variables = vec![
        ("KRT_WORKFLOW_NAME", place.workflow.name.to_string()),
        ("KRT_VERSION_ID", version.name.to_string()),
        ("KRT_VERSION", version.name.to_string()),
        ("KRT_NODE_NAME", node.name.to_string()),
        ("KRT_NATS_SERVER", args.nats.address()?.secret().to_owned()),
        ("KRT_NATS_INPUT", place.input(era)),
        ("KRT_NATS_OUTPUT", place.output(era).unwrap_or_default()),
        ("KRT_NATS_MONGO_WRITER", place.mongo_writer()),
        ("KRT_BASE_PATH", package.root.display().to_string()),
        ("KRT_HANDLER_PATH", node.src.clone()),
        ("KRT_MONGO_URI", args.remote.mongo().map(|url| url.secret().to_owned()).unwrap_or_default()),
        ("KRT_INFLUX_URI", args.remote.influx().map(|url| url.secret().to_owned()).unwrap_or_default()),
        ("KRT_RUNTIME_ID", place.runtime.to_owned()),
    ];
    if era == Era::JetStream {
        variables.extend([
            ("KRT_NATS_STREAM", place.stream()),
            ("KRT_IS_LAST_NODE", place.is_last().to_string()),
            ("KRT_NATS_ENTRYPOINT_SUBJECT", place.entrypoint()),
        ]);
    }
    Ok(variables)
}

fn as_json(variables: Vec<(&'static str, String)>) -> anyhow::Result<String> {
    let object: Map<_, _> =
        variables.into_iter().map(|(name, value)| (name.to_owned(), Value::String(value))).collect();
    Ok(serde_json::to_string_pretty(&object)?)
}

fn as_lines(variables: &[(&'static str, String)]) -> String {
    let lines: Vec<_> = variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
    lines.join("\n")
}
