//! Checks a manifest against the package's other files.

use crate::build;
use crate::manifest::{Located, Manifest, WorkflowEntry};
use crate::problem::{Problem, Report, Source};
use crate::root::{self, Root};
use crate::schema::{Rpc, Schema};
use crate::suggest;

/// Where a package is to run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Target {
    /// On this machine: container images are not used and need not be named.
    #[default]
    Local,
    /// On a cluster: every node, and the entrypoint, needs an `image`.
    Cluster,
}

/// Checks that each node's `src` is a file of the package, or built from one, and shortens its path.
pub(crate) fn sources(manifest: &mut Manifest, root: &Root, source: &Source, report: &mut Report) {
    for node in &mut manifest.nodes {
        node.sources = build::find(node, root, source, report);
        let Some(src) = &mut node.src else { continue };
        let found = root.find(&src.value).or_else(|error| match error {
            root::Error::Missing { .. } if node.sources.is_some() || node.build.is_some() => {
                root.place(&src.value)
            }
            error => Err(error),
        });
        match found {
            Ok(path) => src.value = path,
            Err(error) => report.push(missing(source, src, &error)),
        }
    }
}

/// A problem with a path in the manifest.
pub(crate) fn missing(source: &Source, path: &Located<String>, error: &root::Error) -> Problem {
    source.error(&path.span, error.to_string()).maybe_hint(error.hint())
}

/// Leads each workflow from its RPC.
pub(crate) fn workflows(manifest: &Manifest, schema: &mut Schema, source: &Source, report: &mut Report) {
    for (index, workflow) in manifest.workflows.iter().enumerate() {
        match rpc(workflow, &schema.rpcs) {
            Ok(Some(place)) => schema.lead(place, index),
            Ok(None) => {}
            Err(Unled { message, hint, span }) => {
                report.push(source.error(&span, message).maybe_hint(hint));
            }
        }
    }
    for rpc in &schema.rpcs {
        if let Some(problem) = unserved(rpc) {
            report.push(problem);
        }
    }
}

/// Why a workflow leads from no RPC.
struct Unled {
    message: String,
    hint: Option<String>,
    span: std::ops::Range<usize>,
}

/// The RPC that a workflow names, by its place in `rpcs`.
fn rpc(workflow: &WorkflowEntry, rpcs: &[Rpc]) -> Result<Option<usize>, Unled> {
    let Some(Located { value: name, span }) = &workflow.entrypoint else { return Ok(None) };
    let mut found = rpcs.iter().enumerate().filter(|(_, rpc)| rpc.name == *name);
    match (found.next(), found.next()) {
        (Some((place, _)), None) => Ok(Some(place)),
        (Some((_, first)), Some((_, second))) => Err(Unled {
            message: format!("`{name}` is an RPC of `{}` and of `{}`", first.service, second.service),
            hint: Some("rename one of them: a workflow names its RPC without the service".to_owned()),
            span: span.clone(),
        }),
        (None, _) => Err(Unled {
            message: format!("the entrypoint has no RPC `{name}`"),
            hint: suggest::hint(name, rpcs.iter().map(|rpc| rpc.name.as_str())),
            span: span.clone(),
        }),
    }
}

/// What there is to say about an RPC that will not be answered.
fn unserved(rpc: &Rpc) -> Option<Problem> {
    let at = |problem: Problem| match &rpc.location {
        Some(location) => problem.at(location.clone()),
        None => problem,
    };
    let name = &rpc.name;
    match (rpc.streaming, rpc.led) {
        (true, true) => {
            let problem =
                Problem::error(&rpc.file, format!("RPC `{name}` streams: only unary RPCs can be served"));
            Some(at(problem).hint("remove `stream` on both sides: one request gives one answer"))
        }
        (true, false) => {
            let message = format!("RPC `{name}` streams and will not be served: only unary RPCs can be");
            Some(at(Problem::warning(&rpc.file, message)))
        }
        (false, false) => {
            let message = format!("RPC `{name}` has no workflow: its callers will get `UNIMPLEMENTED`");
            Some(at(Problem::warning(&rpc.file, message)))
        }
        (false, true) => None,
    }
}
