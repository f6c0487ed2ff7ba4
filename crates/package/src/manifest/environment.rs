//! `environment`: variables of the engine's environment that nodes receive.

use super::read::Reader;
use crate::yaml::Node;

/// The prefix of `krt`'s own variables, which may hold passwords, tokens and addresses of stores.
const OWN: &str = "KRT_";

/// Variables of OpenTelemetry that hold credentials.
const SECRET: [&str; 2] = ["HEADERS", "CLIENT_KEY"];

pub(super) fn read(reader: &mut Reader<'_>, list: Node) -> Vec<String> {
    let items = reader.list(list, "environment").unwrap_or_default();
    items.into_iter().filter_map(|item| name(reader, item)).collect()
}

fn name(reader: &mut Reader<'_>, item: Node) -> Option<String> {
    let name = reader.text(item, "a name in `environment`")?;
    let fault = if !is_name(&name.value) {
        "a name in `environment` has letters, digits and `_` only, and begins with no digit"
    } else if name.value.to_ascii_uppercase().starts_with(OWN) || is_secret(&name.value) {
        "this variable belongs to krt itself, and no node sees it"
    } else {
        return Some(name.value);
    };
    reader.error(&name.span, fault);
    None
}

fn is_secret(name: &str) -> bool {
    name.starts_with("OTEL_") && SECRET.iter().any(|secret| name.contains(secret))
}

fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.chars().all(allowed) && !name.starts_with(|c: char| c.is_ascii_digit())
}
