//! Detects manifests of other KRT versions, which would otherwise cause many errors.

use crate::problem::{Problem, Source};
use crate::yaml::{Node, Value};
use std::ops::Range;

/// The key that names the version of KRT. Packages of KRT v1 hardly ever have it.
pub(super) const KEY: &str = "krtVersion";

/// Keys of workflows in KRT v2 only.
const WORKFLOW_KEYS: [&str; 4] = ["processes", "nodes", "exitpoint", "type"];
/// Other keys of KRT v2 only.
const OTHER_KEYS: [&str; 7] =
    ["processes", "exitpoint", "subscriptions", "objectStore", "networking", "secrets", "resourceLimits"];
/// The hint for a package of KRT v2.
const HINT: &str = "krt runs KRT v1: list all `nodes` at the top, and give each workflow the `sequential` list of \
    those it goes through, in the place of subscriptions";

/// The problem of a manifest that is not of KRT v1. Removes the mark of one that is.
pub(super) fn problem(source: &Source, root: &mut Node) -> Option<Problem> {
    if let Some((span, message)) = foreign(root) {
        return Some(source.error(&span, message).hint(HINT));
    }
    if let Value::Map(entries) = &mut root.value {
        entries.retain(|entry| entry.key != KEY || !is_scalar(&entry.value));
    }
    None
}

/// The hint for a key of KRT v2 in a manifest of KRT v1.
pub(super) fn hint(key: &str) -> Option<String> {
    OTHER_KEYS.contains(&key).then(|| format!("`{key}` is a key of KRT v2, and means nothing in KRT v1"))
}

fn is_scalar(node: &Node) -> bool {
    matches!(node.value, Value::Plain(_) | Value::Quoted(_) | Value::Null)
}

/// The evidence of another KRT version in a manifest, with its place.
fn foreign(root: &Node) -> Option<(Range<usize>, String)> {
    if let Some(version) = value(root, KEY) {
        let text = match &version.value {
            Value::Plain(text) | Value::Quoted(text) => text.trim(),
            _ => return None,
        };
        return match text.trim_start_matches(['v', 'V']) {
            "1" | "1.0" => None,
            "2" | "2.0" => Some((version.span.clone(), "this is a KRT v2 package".to_owned())),
            _ => Some((version.span.clone(), format!("this is a package of KRT `{text}`"))),
        };
    }
    if value(root, "nodes").is_some() {
        return None;
    }
    let Value::List(workflows) = &value(root, "workflows")?.value else { return None };
    let marks = workflows.iter().filter(|workflow| value(workflow, "sequential").is_none());
    let span = marks.into_iter().find_map(mark)?;
    Some((span, "this is a KRT v2 package".to_owned()))
}

/// The place that marks a workflow as KRT v2.
fn mark(workflow: &Node) -> Option<Range<usize>> {
    let Value::Map(entries) = &workflow.value else { return None };
    WORKFLOW_KEYS
        .iter()
        .find_map(|key| entries.iter().find(|entry| entry.key == *key))
        .map(|entry| entry.key_span.clone())
}

fn value<'a>(node: &'a Node, key: &str) -> Option<&'a Node> {
    let Value::Map(entries) = &node.value else { return None };
    let entry = entries.iter().find(|entry| entry.key == key)?;
    (!matches!(entry.value.value, Value::Null)).then_some(&entry.value)
}
