//! The top of the manifest: `version`, `description`, `entrypoint`, `config`.

use super::read::{Fields, Reader};
use super::{Located, Manifest, environment, limits, metadata, node, other_versions, workflow};
use crate::yaml::Node;
use krt_model::name::VariableName;
use krt_model::version::{Variable, VariableKind};
use std::collections::HashMap;
use std::ops::Range;

pub(super) const KEYS: [&str; 9] = [
    "version",
    "description",
    "entrypoint",
    "config",
    "environment",
    "metadata",
    "limits",
    "nodes",
    "workflows",
];
pub(super) const ENTRYPOINT_KEYS: [&str; 2] = ["proto", "image"];
pub(super) const CONFIG_KEYS: [&str; 2] = ["variables", "files"];

pub(super) fn read(reader: &mut Reader<'_>, mut root: Node) -> Manifest {
    if let Some(problem) = other_versions::problem(reader.source, &mut root) {
        reader.push(problem);
        return Manifest::default();
    }
    let Some(mut fields) = reader.fields(root, "the package", &KEYS) else { return Manifest::default() };
    let limits = limits::read(reader, &mut fields);
    let mut manifest = Manifest {
        name: reader.name(&mut fields, "version").1,
        description: reader.required_text(&mut fields, "description").map(|text| text.value),
        proto: entrypoint(reader, &mut fields),
        config: fields.get("config").map(|block| config(reader, block)).unwrap_or_default(),
        environment: fields
            .get("environment")
            .map(|list| environment::read(reader, list))
            .unwrap_or_default(),
        metadata: fields.get("metadata").map(|list| metadata::read(reader, list)).unwrap_or_default(),
        nodes: node::read(reader, &mut fields),
        workflows: workflow::read(reader, &mut fields),
    };
    for node in &mut manifest.nodes {
        node.run.limits = node.run.limits.or(limits);
    }
    manifest
}

fn entrypoint(reader: &mut Reader<'_>, fields: &mut Fields) -> Option<Located<String>> {
    let block = reader.required(fields, "entrypoint")?;
    let mut fields = reader.fields(block, "`entrypoint`", &ENTRYPOINT_KEYS)?;
    reader.image(&mut fields);
    let proto = reader.required_text(&mut fields, "proto")?;
    if proto.value.ends_with(".proto") {
        return Some(proto);
    }
    let message = format!("`{}` does not end in `.proto`", proto.value);
    reader.error(&proto.span, message);
    None
}

fn config(reader: &mut Reader<'_>, block: Node) -> Vec<Variable> {
    let Some(mut fields) = reader.fields(block, "`config`", &CONFIG_KEYS) else {
        return Vec::new();
    };
    let mut seen = HashMap::new();
    let mut variables = Vec::new();
    for (key, kind) in [("variables", VariableKind::Text), ("files", VariableKind::File)] {
        let items = fields.get(key).and_then(|node| reader.list(node, key)).unwrap_or_default();
        for item in items {
            variables.extend(variable(reader, item, kind, &mut seen));
        }
    }
    variables
}

fn variable(
    reader: &mut Reader<'_>,
    item: Node,
    kind: VariableKind,
    seen: &mut HashMap<VariableName, Range<usize>>,
) -> Option<Variable> {
    let text = reader.text(item, "a name in `config`")?;
    let name = match VariableName::parse(&text.value) {
        Ok(name) => name,
        Err(error) => {
            let upper = text.value.to_ascii_uppercase().replace(['-', ' ', '.'], "_");
            let hint = VariableName::parse(&upper).ok().map(|name| format!("for example `{name}`"));
            reader.push(reader.source.error(&text.span, error.to_string()).maybe_hint(hint));
            return None;
        }
    };
    if let Some(first) = seen.get(&name) {
        let hint = format!("the first is on line {}", reader.source.line(first));
        let problem = reader.source.warning(&text.span, format!("`{name}` is in `config` twice"));
        reader.push(problem.hint(hint));
        return None;
    }
    seen.insert(name.clone(), text.span);
    Some(Variable { name, kind })
}
