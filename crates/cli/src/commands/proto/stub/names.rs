//! Names in a stub.

use prost_reflect::{FileDescriptor, MessageDescriptor};
use std::{collections::BTreeSet, path::PathBuf};

/// The type for names that Python cannot express.
pub(super) const UNKNOWN: &str = "_Any";

/// A stub's alias of its own module, for types whose names a field hides.
const OWN: &str = "_own";

/// Python's keywords: an item with such a name is left out of the stub.
const KEYWORDS: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def",
    "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is",
    "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
];

pub(super) fn is_keyword(name: &str) -> bool {
    KEYWORDS.contains(&name)
}

/// The path of the stub for a `.proto`, where protoc would write the module.
pub(in crate::commands::proto) fn path(proto: &str) -> PathBuf {
    PathBuf::from(format!("{}_pb2.pyi", stem(proto)))
}

/// The Python module of a `.proto`.
pub(super) fn module(proto: &str) -> String {
    format!("{}_pb2", stem(proto).replace('/', "."))
}

fn stem(proto: &str) -> String {
    proto.strip_suffix(".proto").unwrap_or(proto).replace('-', "_")
}

/// The alias under which a stub imports a module.
fn alias(proto: &str) -> String {
    format!("_{}_pb2", stem(proto).replace('/', "_"))
}

fn is_importable(proto: &str) -> bool {
    !module(proto).split('.').any(is_keyword)
}

/// The type names in one file's stub.
pub(super) struct Names<'a> {
    file: &'a FileDescriptor,
    /// Names of fields and nested types: inside their class they hide outer names.
    hidden: BTreeSet<String>,
}

impl<'a> Names<'a> {
    pub(super) fn of(file: &'a FileDescriptor) -> Self {
        let mut hidden = BTreeSet::new();
        file.messages().for_each(|message| inner(&message, &mut hidden));
        Self { file, hidden }
    }

    /// The import lines of other modules.
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

    /// The expression for a type in this stub.
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

    /// The expression for a type of this file.
    pub(super) fn own(&self, full_name: &str, package: &str) -> String {
        let name = within(full_name, package);
        let first = name.split('.').next().unwrap_or_default();
        if self.hidden.contains(first) { format!("{OWN}.{name}") } else { name.to_owned() }
    }
}

/// The files whose types a file may use: its imports, and their public imports.
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

/// A type's name within its module.
fn within<'a>(full_name: &'a str, package: &str) -> &'a str {
    let rest = full_name.strip_prefix(package).unwrap_or(full_name);
    rest.strip_prefix('.').unwrap_or(rest)
}

/// Collects the names within a message, including nested messages.
fn inner(message: &MessageDescriptor, names: &mut BTreeSet<String>) {
    names.extend(message.fields().map(|field| field.name().to_owned()));
    names.extend(message.child_enums().map(|of_enum| of_enum.name().to_owned()));
    for child in message.child_messages().filter(|child| !child.is_map_entry()) {
        names.insert(child.name().to_owned());
        inner(&child, names);
    }
}
