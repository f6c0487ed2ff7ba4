//! References between parts of a manifest: repeated names, and names of nodes.

use super::read::Reader;
use super::{Located, Manifest, NodeEntry, WorkflowEntry};
use std::collections::{HashMap, HashSet};
use std::ops::Range;

pub(super) fn check(reader: &mut Reader<'_>, manifest: &mut Manifest) {
    unique(reader, manifest.nodes.iter().filter_map(|node| node.label.as_ref()), "two nodes are named");
    let workflows = &manifest.workflows;
    unique(
        reader,
        workflows.iter().filter_map(|workflow| workflow.label.as_ref()),
        "two workflows are named",
    );
    unique(
        reader,
        workflows.iter().filter_map(|workflow| workflow.entrypoint.as_ref()),
        "two workflows lead from the RPC",
    );
    for workflow in &mut manifest.workflows {
        resolve(reader, &manifest.nodes, workflow);
    }
    unused(reader, manifest);
}

/// Reports repeated texts.
fn unique<'a>(reader: &mut Reader<'_>, texts: impl Iterator<Item = &'a Located<String>>, what: &str) {
    let mut seen: HashMap<&str, &Range<usize>> = HashMap::new();
    for text in texts {
        if let Some(first) = seen.get(text.value.as_str()) {
            let hint = format!("the first is on line {}", reader.source.line(first));
            let problem = reader.source.error(&text.span, format!("{what} `{}`", text.value));
            reader.push(problem.hint(hint));
        } else {
            seen.insert(&text.value, &text.span);
        }
    }
}

/// Resolves the nodes of a workflow by name.
fn resolve(reader: &mut Reader<'_>, nodes: &[NodeEntry], workflow: &mut WorkflowEntry) {
    let labels: Vec<&str> =
        nodes.iter().map(|node| node.label.as_ref().map_or("", |label| label.value.as_str())).collect();
    for name in &workflow.sequential {
        match labels.iter().position(|label| *label == name.value) {
            Some(index) => workflow.sequence.push(index),
            None => {
                let known = labels.iter().copied().filter(|label| !label.is_empty());
                let hint = reader.suggest(&name.value, known);
                let problem = reader.source.error(&name.span, format!("there is no node `{}`", name.value));
                reader.push(problem.maybe_hint(hint));
            }
        }
    }
}

/// Warns of nodes in no workflow, unless a workflow has errors.
fn unused(reader: &mut Reader<'_>, manifest: &Manifest) {
    let whole = |workflow: &WorkflowEntry| {
        !workflow.sequence.is_empty() && workflow.sequence.len() == workflow.sequential.len()
    };
    if manifest.workflows.is_empty() || !manifest.workflows.iter().all(whole) {
        return;
    }
    let names = manifest.workflows.iter().flat_map(|workflow| &workflow.sequential);
    let used: HashSet<&str> = names.map(|name| name.value.as_str()).collect();
    for label in manifest.nodes.iter().filter_map(|node| node.label.as_ref()) {
        if !used.contains(label.value.as_str()) {
            let message = format!("node `{}` is in no workflow: it will not be started", label.value);
            reader.push(reader.source.warning(&label.span, message));
        }
    }
}
