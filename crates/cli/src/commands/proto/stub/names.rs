//! What things are called in a stub.

use prost_reflect::{FileDescriptor, MessageDescriptor};
use std::{collections::BTreeSet, path::PathBuf};

/// The type of what Python cannot name.
pub(super) const UNKNOWN: &str = "_Any";

/// What a stub calls its own module, where a field hides the name of a type.
const OWN: &str = "_own";

/// Words that Python keeps for itself: what is called so has no name in a stub.
const KEYWORDS: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def",
    "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is",
    "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
];

pub(super) fn is_keyword(name: &str) -> bool {
    KEYWORDS.contains(&name)
}

/// The path of the stub for a `.proto`, where protoc would put the module.
pub(in crate::commands::proto) fn path(proto: &str) -> PathBuf {
    PathBuf::from(format!("{}_pb2.pyi", stem(proto)))
}

/// The module of a `.proto`.
pub(super) fn module(proto: &str) -> String {
    format!("{}_pb2", stem(proto).replace('/', "."))
}

fn stem(proto: &str) -> String {
    proto.strip_suffix(".proto").unwrap_or(proto).replace('-', "_")
}

/// What a module is called in the stub of another one.
fn alias(proto: &str) -> String {
    format!("_{}_pb2", stem(proto).replace('/', "_"))
}

fn is_importable(proto: &str) -> bool {
    !module(proto).split('.').any(is_keyword)
}

/// The names of types in the stub of one file.
pub(super) struct Names<'a> {
    file: &'a FileDescriptor,
    /// What fields and nested types are called: within their class they hide what is called so outside.
    hidden: BTreeSet<String>,
}

impl<'a> Names<'a> {
    pub(super) fn of(file: &'a FileDescriptor) -> Self {
        let mut hidden = BTreeSet::new();
        file.messages().for_each(|message| inner(&message, &mut hidden));
        Self { file, hidden }
    }

    /// The lines that import other modules.
    pub(super) fn imports(&self) -> Vec<String> {
        let importable = visible(self.file).into_iter().filter(|file| is_importable(file.name()));
        let mut lines: Vec<_> = importable.map(|file| import(file.name(), &alias(file.name()))).collect();
        let types = self.file.messages().map(|message| message.name().to_owned());
        let mut types = types.chain(self.file.enums().map(|of_enum| of_enum.name().to_owned()));
        if types.any(|name| self.hidden.contains(&name)) {
            lines.push(import(self.file.name(), OWN));
        }
        lines
    }

    /// How a type is named here.
    pub(super) fn reference(&self, file: &FileDescriptor, full_name: &str, package: &str) -> String {
        let name = within(full_name, package);
        if name.split('.').any(is_keyword) || !is_importable(file.name()) {
            return UNKNOWN.to_owned();
        }
        match file.name() == self.file.name() {
            true => self.own(full_name, package),
            false => format!("{}.{name}", alias(file.name())),
        }
    }

    /// How a type of this file is named.
    pub(super) fn own(&self, full_name: &str, package: &str) -> String {
        let name = within(full_name, package);
        let first = name.split('.').next().unwrap_or_default();
        if self.hidden.contains(first) { format!("{OWN}.{name}") } else { name.to_owned() }
    }
}

/// The files whose types a file may use: those it imports, and what these import publicly.
fn visible(file: &FileDescriptor) -> Vec<FileDescriptor> {
    let mut files: Vec<FileDescriptor> = file.dependencies().collect();
    let mut next = 0;
    while let Some(import) = files.get(next).cloned() {
        for public in import.public_dependencies() {
            if !files.contains(&public) {
                files.push(public);
            }
        }
        next += 1;
    }
    files
}

fn import(proto: &str, name: &str) -> String {
    match module(proto).rsplit_once('.') {
        Some((folders, module)) => format!("from {folders} import {module} as {name}"),
        None => format!("import {} as {name}", module(proto)),
    }
}

/// The name of a type within its module.
fn within<'a>(full_name: &'a str, package: &str) -> &'a str {
    let rest = full_name.strip_prefix(package).unwrap_or(full_name);
    rest.strip_prefix('.').unwrap_or(rest)
}

/// The names within a message, and within those in it.
fn inner(message: &MessageDescriptor, names: &mut BTreeSet<String>) {
    names.extend(message.fields().map(|field| field.name().to_owned()));
    names.extend(message.child_enums().map(|of_enum| of_enum.name().to_owned()));
    for child in message.child_messages().filter(|child| !child.is_map_entry()) {
        names.insert(child.name().to_owned());
        inner(&child, names);
    }
}
