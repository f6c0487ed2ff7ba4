//! Generates stubs (`.pyi`) of the modules that protoc would generate for Python.

mod message;
mod names;
#[cfg(test)]
mod tests;

use krt_package::comments::Comments;
pub(super) use names::path;
use names::{Names, is_keyword};
use prost_reflect::{EnumDescriptor, FileDescriptor};
use std::fmt;

const IMPORTS: &str = "\
import builtins as _builtins
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from google.protobuf import descriptor as _descriptor, message as _message
from google.protobuf.internal import containers as _containers
from typing import Any as _Any, Generic as _Generic, Literal as _Literal, NewType as _NewType, NoReturn as _NoReturn, Optional as _Optional, TypeVar as _TypeVar, Union as _Union, overload as _overload
";

/// The content of protobuf's `EnumTypeWrapper`. Protobuf's own stubs rename it between versions.
const ENUM: &str = r#"
_Value = _TypeVar("_Value", bound=_builtins.int)

class _Enum(_builtins.type, _Generic[_Value]):
    DESCRIPTOR: _descriptor.EnumDescriptor
    def Name(self, number: _builtins.int) -> _builtins.str: ...
    def Value(self, name: _builtins.str) -> _Value: ...
    def keys(self) -> _builtins.list[_builtins.str]: ...
    def values(self) -> _builtins.list[_Value]: ...
    def items(self) -> _builtins.list[_builtins.tuple[_builtins.str, _Value]]: ...
"#;

/// Generates the stub of a file.
pub(super) fn text(file: &FileDescriptor) -> String {
    let mut stub =
        Stub { out: String::new(), depth: 0, file, names: Names::of(file), comments: Comments::of(file) };
    stub.file();
    stub.out
}

/// A stub under construction.
struct Stub<'a> {
    out: String,
    depth: usize,
    file: &'a FileDescriptor,
    names: Names<'a>,
    comments: Comments,
}

impl Stub<'_> {
    fn line(&mut self, line: impl fmt::Display) {
        let line = format!("{}{line}", "    ".repeat(self.depth));
        self.out.push_str(line.trim_end());
        self.out.push('\n');
    }

    fn inside(&mut self, write: impl FnOnce(&mut Self)) {
        self.depth += 1;
        write(self);
        self.depth -= 1;
    }

    fn file(&mut self) {
        let name = self.file.name();
        self.line(format_args!("# Made by `krt proto` of {name}: an edit here is lost."));
        self.line("");
        self.out.push_str(IMPORTS);
        for import in self.names.imports() {
            self.line(import);
        }
        for file in self.file.public_dependencies() {
            self.republish(&file);
        }
        self.line("");
        self.line("DESCRIPTOR: _descriptor.FileDescriptor");
        if self.file.parent_pool().all_enums().any(|of_enum| of_enum.parent_file() == *self.file) {
            self.out.push_str(ENUM);
        }
        for of_enum in self.file.enums().filter(|of_enum| !is_keyword(of_enum.name())) {
            self.line("");
            self.enumeration(&of_enum);
        }
        for message in self.file.messages().filter(|message| !is_keyword(message.name())) {
            self.line("");
            self.message(&message);
        }
        self.extensions(self.file.extensions());
    }

    /// Re-exports the names of a publicly imported file.
    fn republish(&mut self, file: &FileDescriptor) {
        let module = names::module(file.name());
        let messages = file.messages().map(|message| message.name().to_owned());
        let enums = file.enums().flat_map(|of_enum| {
            let values: Vec<_> = of_enum.values().map(|value| value.name().to_owned()).collect();
            values.into_iter().chain([of_enum.name().to_owned()])
        });
        for name in messages.chain(enums).filter(|name| !is_keyword(name)) {
            self.line(format_args!("from {module} import {name} as {name}"));
        }
        for further in file.public_dependencies() {
            self.republish(&further);
        }
    }

    fn enumeration(&mut self, of_enum: &EnumDescriptor) {
        let (name, full) = (of_enum.name(), self.names.own(of_enum.full_name(), of_enum.package_name()));
        let wrapped =
            full.strip_suffix(name).map_or_else(|| format!("_{name}"), |outer| format!("{outer}_{name}"));
        self.line(format_args!("class _{name}:"));
        self.inside(|stub| stub.line("ValueType = _NewType(\"ValueType\", _builtins.int)"));
        self.line("");
        self.line(format_args!("class _{name}Values(_Enum[{wrapped}.ValueType]):"));
        self.inside(|stub| stub.values(of_enum, &wrapped));
        self.line("");
        self.line(format_args!("class {name}(_{name}, metaclass=_{name}Values):"));
        self.inside(|stub| {
            stub.comment(of_enum.path());
            stub.line("...");
        });
        self.line("");
        self.values(of_enum, &full);
    }

    fn values(&mut self, of_enum: &EnumDescriptor, of: &str) {
        for value in of_enum.values().filter(|value| !is_keyword(value.name())) {
            self.line(format_args!("{}: {of}.ValueType", value.name()));
            self.comment(value.path());
        }
    }

    /// Writes the author's comment as a docstring.
    fn comment(&mut self, path: &[i32]) {
        let Some(comment) = self.comments.at(path) else { return };
        let text = comment.replace('\\', "\\\\").replace('"', "\\\"");
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        if let Some(first) = lines.first_mut() {
            first.insert_str(0, "\"\"\"");
        }
        match &mut lines[..] {
            [only] => only.push_str("\"\"\""),
            _ => lines.push("\"\"\"".to_owned()),
        }
        lines.iter().for_each(|line| self.line(line));
    }
}
