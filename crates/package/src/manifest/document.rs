//! The top of the manifest: `version`, `description`, `entrypoint`, `config`.

use super::read::{Fields, Reader};
use super::{Located, Manifest, node, workflow};
use crate::check::Target;
use crate::yaml::Node;
use krt_model::name::VariableName;
use krt_model::version::{Variable, VariableKind};
use std::collections::HashMap;
use std::ops::Range;

const KEYS: [&str; 6] = ["version", "description", "entrypoint", "config", "nodes", "workflows"];

pub(super) fn read(reader: &mut Reader<'_>, root: Node) -> Manifest {
    let Some(mut fields) = reader.fields(root, "the package", &KEYS) else { return Manifest::default() };
    Manifest {
        name: reader.name(&mut fields, "version").1,
        description: reader.required_text(&mut fields, "description").map(|text| text.value),
        proto: entrypoint(reader, &mut fields),
        config: fields.get("config").map(|block| config(reader, block)).unwrap_or_default(),
        nodes: node::read(reader, &mut fields),
        workflows: workflow::read(reader, &mut fields),
    }
}

fn entrypoint(reader: &mut Reader<'_>, fields: &mut Fields) -> Option<Located<String>> {
    let block = reader.required(fields, "entrypoint")?;
    let mut fields = reader.fields(block, "`entrypoint`", &["proto", "image"])?;
    image(reader, &mut fields);
    let proto = reader.required_text(&mut fields, "proto")?;
    if proto.value.ends_with(".proto") {
        return Some(proto);
    }
    let message = format!("`{}` does not end in `.proto`", proto.value);
    reader.error(&proto.span, message);
    None
}

/// The image, which only a cluster needs.
pub(super) fn image(reader: &mut Reader<'_>, fields: &mut Fields) -> Option<String> {
    let node = match reader.target {
        Target::Local => fields.get("image"),
        Target::Cluster => reader.required(fields, "image"),
    };
    reader.text(node?, "`image`").map(|text| text.value)
}

fn config(reader: &mut Reader<'_>, block: Node) -> Vec<Variable> {
    let Some(mut fields) = reader.fields(block, "`config`", &["variables", "files"]) else {
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
        let problem = reader.source.error(&text.span, format!("`{name}` is in `config` twice"));
        reader.push(problem.hint(hint));
        return None;
    }
    seen.insert(name.clone(), text.span);
    Some(Variable { name, kind })
}
