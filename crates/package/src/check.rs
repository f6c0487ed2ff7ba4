//! Checks a manifest against the package's other files.

use crate::build;
use crate::executable::{self, Executable, Foreign, System, Unsupported};
use crate::manifest::{Located, Manifest, WorkflowEntry};
use crate::path;
use crate::problem::{Problem, Report, Source};
use crate::root::{self, Root};
use crate::samples::{self, Inputs};
use crate::schema::{Rpc, Schema};
use crate::suggest;
use krt_model::hint;
use krt_model::language::Language;
use krt_model::version::{Generation, PayloadForm, Runner};

/// Checks that each node's `src` is a file of the package, or built from one, and normalizes its path.
pub(crate) fn sources(manifest: &mut Manifest, root: &Root, source: &Source, report: &mut Report) {
    for node in &mut manifest.nodes {
        if let Some((language, sources)) = build::find(node, root, source, report) {
            (node.language, node.sources) = (Some(language), sources);
        }
        let Some(src) = &mut node.src else { continue };
        let found = root.find(&src.value).or_else(|error| match error {
            root::Error::Missing { .. } if node.sources.is_some() || node.build.is_some() => {
                root.place(&src.value)
            }
            error => Err(error),
        });
        match found {
            Ok(short) => path::take(src, short, source, report),
            Err(error) => report.push(path::missing(source, src, &error)),
        }
    }
}

/// Inspects executables that are not built from the package's sources: their platform, and the runner that
/// they were built with. `system` is the required platform.
pub(crate) fn executables(
    manifest: &mut Manifest,
    root: &Root,
    source: &Source,
    system: Option<System>,
    report: &mut Report,
) {
    for node in &mut manifest.nodes {
        let (Some(src), None) = (&node.src, node.language) else { continue };
        let place = root.path().join(&src.value);
        let Ok(executable) = executable::inspect(&place, system) else { continue };
        let name = node.label.as_ref().map_or(src.value.as_str(), |label| label.value.as_str());
        match executable {
            Executable::Other => {}
            Executable::Older(_) if node.run.runner == Runner::External => {}
            Executable::Older(found) => {
                node.run.runner = Runner::Older(found.runner);
                report.push(source.note(&src.span, older(name, &found)));
                if node.run.payload == PayloadForm::Json {
                    let message = format!(
                        "node `{name}` cannot have `payload: json`: its runner ({found}) knows messages only"
                    );
                    report.push(source.error(&src.span, message).hint("remove `payload`"));
                }
            }
            Executable::Unsupported(unsupported) => report.push(refused(source, src, name, unsupported)),
            Executable::Foreign(Foreign { is_for, needed, hint }) => {
                let message = format!("`{}` is built for {is_for}, and would run on {needed}", src.value);
                report.push(
                    source
                        .error(&src.span, message)
                        .hint(format!("build it for that system, with `{hint}` if it is in Go")),
                );
            }
        }
    }
}

/// Checks that each node with `batch` has a runner that knows batches. Whether its SDK does shows when it starts.
pub(crate) fn batches(manifest: &Manifest, source: &Source, report: &mut Report) {
    for node in &manifest.nodes {
        let (Some(src), Some(_)) = (&node.src, node.run.batch) else { continue };
        let reason = match node.run.runner {
            Runner::External => "another runner calls its handler",
            Runner::Older(_) => "its runner gives a handler one message at a time",
            Runner::Krt => continue,
        };
        let name = node.label.as_ref().map_or(src.value.as_str(), |label| label.value.as_str());
        let message = format!("node `{name}` cannot have `batch`: {reason}");
        report.push(source.error(&src.span, message).hint("remove `batch`"));
    }
}

/// Checks that each node whose replicas follow the load has a runner whose calls krt can measure.
pub(crate) fn replicas(manifest: &Manifest, source: &Source, report: &mut Report) {
    for node in &manifest.nodes {
        let (Some(src), true) = (&node.src, node.run.replicas.follow()) else { continue };
        let reason = match node.run.runner {
            Runner::External => "another program starts its processes",
            Runner::Older(_) => "each process of its runner serves one place in a workflow",
            Runner::Krt => continue,
        };
        let name = node.label.as_ref().map_or(src.value.as_str(), |label| label.value.as_str());
        let message = format!("node `{name}` cannot have `replicas` that follow the load: {reason}");
        report.push(source.error(&src.span, message).hint("write a number, such as `replicas: 2`"));
    }
}

/// Checks that each node whose workers are forked is one that can be.
pub(crate) fn forks(manifest: &Manifest, source: &Source, report: &mut Report) {
    for node in &manifest.nodes {
        let (Some(src), true) = (&node.src, node.run.replicas.fork) else { continue };
        // A file that is not there has no language, which is another problem.
        let is_missing = node.language.is_none() && src.value.ends_with(".py");
        let reason = if node.run.runner == Runner::External {
            "another program starts its processes"
        } else if node.language != Some(Language::PYTHON) && !is_missing {
            "only workers in Python can be forked"
        } else if node.gpu.is_some() {
            "a process that uses a GPU cannot be forked, and each worker sees devices of its own"
        } else if node.run.recycle.memory.is_some() {
            "with `recycle.memory` the end of one worker could replace the others: what they share then counts as theirs"
        } else {
            continue;
        };
        let name = node.label.as_ref().map_or(src.value.as_str(), |label| label.value.as_str());
        let message = format!("node `{name}` cannot have `replicas` with `share: fork`: {reason}");
        report.push(source.error(&src.span, message).hint("remove `share`"));
    }
}

/// Checks the samples of each node with `warmup`.
pub(crate) fn warmups(
    manifest: &mut Manifest,
    schema: &Schema,
    root: &Root,
    source: &Source,
    report: &mut Report,
) {
    let Manifest { nodes, workflows, .. } = manifest;
    let sequences: Vec<&[usize]> = workflows.iter().map(|workflow| workflow.sequence.as_slice()).collect();
    for (index, node) in nodes.iter_mut().enumerate() {
        let Some(warmup) = &mut node.warmup else { continue };
        if node.run.runner != Runner::Krt {
            let message = "`warmup` needs a handler that krt calls, and another runner calls this one";
            report.push(source.error(&warmup.span, message).hint("remove `warmup`"));
            continue;
        }
        match root.find(&warmup.value) {
            Ok(short) => path::take(warmup, short, source, report),
            Err(error) => {
                report.push(path::missing(source, warmup, &error));
                continue;
            }
        }
        let inputs = Inputs::of(index, node.run.payload == PayloadForm::Json, &sequences, schema);
        match samples::read(&root.path().join(&warmup.value)) {
            Ok(text) => lines(&warmup.value, text, &inputs, report),
            Err(error) => {
                let message = format!("cannot warm up with `{}`: {}", warmup.value, hint::messages(&error));
                report.push(source.error(&warmup.span, message).maybe_hint(hint::hints(&error).pop()));
            }
        }
    }
}

/// Checks each line of a file of samples.
fn lines(file: &str, text: String, inputs: &Inputs<'_>, report: &mut Report) {
    let source = Source::new(file, text);
    let mut failed = false;
    for (line, text) in samples::lines(source.text()) {
        let Err(error) = inputs.parse(line, text) else { continue };
        let start = source.offset(line - 1, 0).unwrap_or_default();
        let problem = source.error(&(start..start), hint::messages(&error));
        report.push(problem.maybe_hint(hint::hints(&error).pop()));
        failed = true;
    }
    if failed {
        report.add_source(source);
    }
}

/// The message about an executable of an older runner.
fn older(name: &str, found: &executable::DetectedRunner) -> String {
    let servers = match found.runner.generation {
        Generation::Core => "NATS, MongoDB and InfluxDB",
        Generation::JetStream => "NATS with JetStream, MongoDB and InfluxDB",
    };
    format!("node `{name}` is an executable of an older runner ({found}): krt run provides {servers} for it")
}

fn refused(source: &Source, src: &Located<String>, name: &str, unsupported: Unsupported) -> Problem {
    let why = match unsupported {
        Unsupported::Json => "its runner is from before KRT v1 and sends JSON",
        Unsupported::Later => "its runner (kre-go 3 or later) is not one of KRT v1",
    };
    let problem = source.error(&src.span, format!("node `{name}` cannot be run from `{}`: {why}", src.value));
    problem.hint("add its sources in Go to the package: krt builds them with its own SDK")
}

/// Connects each workflow to its RPC.
pub(crate) fn workflows(manifest: &Manifest, schema: &mut Schema, source: &Source, report: &mut Report) {
    for (index, workflow) in manifest.workflows.iter().enumerate() {
        match rpc(workflow, &schema.rpcs) {
            Ok(Some(place)) => {
                schema.connect(place, index);
                if let Some(problem) = cannot_stream(manifest, workflow, &schema.rpcs[place], source) {
                    report.push(problem);
                }
                if let Some(problem) = cannot_cache(workflow, schema, place, source) {
                    report.push(problem);
                }
            }
            Ok(None) => {}
            Err(NoRpc { message, hint, span }) => {
                report.push(source.error(&span, message).maybe_hint(hint));
            }
        }
    }
    for rpc in &schema.rpcs {
        if let Some(problem) = without_workflow(rpc) {
            report.push(problem);
        }
    }
}

/// The problem of a workflow whose RPC streams its answer, if the last node cannot do that. Whether a node's SDK can
/// shows when it starts.
fn cannot_stream(
    manifest: &Manifest,
    workflow: &WorkflowEntry,
    rpc: &Rpc,
    source: &Source,
) -> Option<Problem> {
    let (Some(&last), Some(place), true) =
        (workflow.sequence.last(), workflow.sequential.last(), rpc.streams)
    else {
        return None;
    };
    let run = &manifest.nodes.get(last)?.run;
    let (reason, remedy) = match run.runner {
        Runner::External => ("another runner calls its handler", "choose a node without `runner: external`"),
        Runner::Older(_) => ("its runner gives one answer", "build the node with the SDK of this krt"),
        Runner::Krt if run.batch.is_some() => {
            ("a batch has one answer for each message", "remove `batch` from the node")
        }
        Runner::Krt => return None,
    };
    let message = format!("node `{}` cannot stream the answer of `{}`: {reason}", place.value, rpc.name);
    let hint = format!("{remedy}, or `stream` from the RPC");
    Some(source.error(&place.span, message).hint(hint))
}

/// The problem of a workflow with `cache` whose RPC may have side effects, or streams its answer.
fn cannot_cache(workflow: &WorkflowEntry, schema: &Schema, rpc: usize, source: &Source) -> Option<Problem> {
    let Located { span, .. } = workflow.cache.as_ref()?;
    let rpc = &schema.rpcs[rpc];
    let (reason, hint) = if rpc.streams {
        ("its answer is a stream", "remove `cache` from the workflow, or `stream` from the RPC")
    } else if !schema.is_safe(rpc) && !rpc.takes_stream {
        (
            "it is not marked as free of side effects",
            "add `option idempotency_level = NO_SIDE_EFFECTS;` to the RPC if its handlers only compute an answer",
        )
    } else {
        return None;
    };
    let message = format!("the answers of `{}` cannot be kept in a `cache`: {reason}", rpc.name);
    Some(source.error(span, message).hint(hint))
}

/// Why a workflow has no RPC.
struct NoRpc {
    message: String,
    hint: Option<String>,
    span: std::ops::Range<usize>,
}

/// The index in `rpcs` of a workflow's RPC.
fn rpc(workflow: &WorkflowEntry, rpcs: &[Rpc]) -> Result<Option<usize>, NoRpc> {
    let Some(Located { value: name, span }) = &workflow.entrypoint else { return Ok(None) };
    let mut found = rpcs.iter().enumerate().filter(|(_, rpc)| rpc.name == *name);
    match (found.next(), found.next()) {
        (Some((place, _)), None) => Ok(Some(place)),
        (Some((_, first)), Some((_, second))) => Err(NoRpc {
            message: format!("`{name}` is an RPC of `{}` and of `{}`", first.service, second.service),
            hint: Some("rename one of them: a workflow names its RPC without the service".to_owned()),
            span: span.clone(),
        }),
        (None, _) => Err(NoRpc {
            message: format!("the entrypoint has no RPC `{name}`"),
            hint: suggest::hint(name, rpcs.iter().map(|rpc| rpc.name.as_str())),
            span: span.clone(),
        }),
    }
}

/// The problem of an RPC without a workflow.
fn without_workflow(rpc: &Rpc) -> Option<Problem> {
    let at = |problem: Problem| match &rpc.location {
        Some(location) => problem.at(location.clone()),
        None => problem,
    };
    let name = &rpc.name;
    match (rpc.takes_stream, rpc.led) {
        (true, true) => {
            let message = format!("RPC `{name}` takes a stream of requests, which cannot be served");
            let hint = "remove `stream` before the request: only the answer can be a stream";
            Some(at(Problem::error(&rpc.file, message)).hint(hint))
        }
        (true, false) => {
            let message = format!("RPC `{name}` takes a stream of requests and will not be served");
            Some(at(Problem::warning(&rpc.file, message)))
        }
        (false, false) => {
            let message = format!("RPC `{name}` has no workflow: its callers will get `UNIMPLEMENTED`");
            Some(at(Problem::warning(&rpc.file, message)))
        }
        (false, true) => None,
    }
}
