//! `metadata`: headers of clients that handlers see.

use super::read::Reader;
use crate::yaml::Node;
use krt_model::metadata::{MetadataName, NameError};

pub(super) fn read(reader: &mut Reader<'_>, list: Node) -> Vec<MetadataName> {
    let items = reader.list(list, "metadata").unwrap_or_default();
    let mut names: Vec<_> = items.into_iter().filter_map(|item| name(reader, item)).collect();
    names.sort();
    names.dedup();
    names
}

fn name(reader: &mut Reader<'_>, item: Node) -> Option<MetadataName> {
    let text = reader.text(item, "a name in `metadata`")?;
    let error = match MetadataName::parse(&text.value) {
        Ok(name) => return Some(name),
        Err(error) => error,
    };
    let hint = match &error {
        NameError::Character { text } => {
            let lower = MetadataName::parse(&text.to_ascii_lowercase()).ok();
            lower.map(|name| format!("for example `{name}`"))
        }
        NameError::Token { text } => {
            Some(format!("let clients send it under another name, such as `x-{text}`"))
        }
        NameError::Protocol { .. } => None,
    };
    reader.push(reader.source.error(&text.span, error.to_string()).maybe_hint(hint));
    None
}
