//! Stubs (`.pyi`) of the modules that protoc would generate for Python.

use super::comments::Comments;
use prost_reflect::{
    Cardinality, EnumDescriptor, FieldDescriptor, FileDescriptor, Kind, MessageDescriptor, OneofDescriptor,
};
use std::{collections::BTreeSet, fmt, path::PathBuf};

const IMPORTS: &str = "\
import builtins as _builtins
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from google.protobuf import descriptor as _descriptor, message as _message
from google.protobuf.internal import containers as _containers
from typing import Any as _Any, Generic as _Generic, Literal as _Literal, NewType as _NewType, Optional as _Optional, TypeVar as _TypeVar, Union as _Union
";

/// What protobuf's `EnumTypeWrapper` has. Its own stubs name it differently from version to version.
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

/// Words that Python keeps for itself: a field of such a name has no attribute.
const KEYWORDS: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def",
    "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is",
    "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
];

/// The path of the stub for a `.proto`, where protoc would put the module.
pub(super) fn path(proto: &str) -> PathBuf {
    PathBuf::from(format!("{}_pb2.pyi", stem(proto)))
}

/// The stub of a file.
pub(super) fn text(file: &FileDescriptor) -> String {
    let mut stub = Stub { out: String::new(), depth: 0, file, comments: Comments::of(file) };
    stub.file();
    stub.out
}

fn stem(proto: &str) -> String {
    proto.strip_suffix(".proto").unwrap_or(proto).replace('-', "_")
}

/// What a module is called in the stub of another one.
fn alias(proto: &str) -> String {
    format!("_{}_pb2", stem(proto).replace('/', "_"))
}

fn is_keyword(name: &str) -> bool {
    KEYWORDS.contains(&name)
}

/// A stub in the making.
struct Stub<'a> {
    out: String,
    depth: usize,
    file: &'a FileDescriptor,
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
        for import in self.file.dependencies() {
            self.import(import.name());
        }
        self.line("");
        self.line("DESCRIPTOR: _descriptor.FileDescriptor");
        if self.file.parent_pool().all_enums().any(|of_enum| of_enum.parent_file() == *self.file) {
            self.out.push_str(ENUM);
        }
        for of_enum in self.file.enums() {
            self.line("");
            self.enumeration(&of_enum);
        }
        for message in self.file.messages() {
            self.line("");
            self.message(&message);
        }
    }

    fn import(&mut self, proto: &str) {
        let module = format!("{}_pb2", stem(proto));
        match module.rsplit_once('/') {
            Some((folders, name)) => {
                let folders = folders.replace('/', ".");
                self.line(format_args!("from {folders} import {name} as {}", alias(proto)));
            }
            None => self.line(format_args!("import {module} as {}", alias(proto))),
        }
    }

    fn enumeration(&mut self, of_enum: &EnumDescriptor) {
        let (name, full) = (of_enum.name(), self.local(of_enum.full_name(), of_enum.package_name()));
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

    fn message(&mut self, message: &MessageDescriptor) {
        self.line(format_args!("class {}(_message.Message):", message.name()));
        self.inside(|stub| stub.body(message));
    }

    fn body(&mut self, message: &MessageDescriptor) {
        self.comment(message.path());
        self.line("DESCRIPTOR: _descriptor.Descriptor");
        for of_enum in message.child_enums() {
            self.line("");
            self.enumeration(&of_enum);
        }
        for inner in message.child_messages().filter(|inner| !inner.is_map_entry()) {
            self.line("");
            self.message(&inner);
        }
        self.line("");
        let fields: Vec<_> = message.fields().collect();
        for field in &fields {
            self.line(format_args!("{}_FIELD_NUMBER: _builtins.int", field.name().to_uppercase()));
        }
        for field in fields.iter().filter(|field| !is_keyword(field.name())) {
            self.attribute(field);
        }
        self.init(&fields);
        self.presence(message);
    }

    /// A field: what may be assigned has an attribute, the rest is changed in place.
    fn attribute(&mut self, field: &FieldDescriptor) {
        let (name, held) = (field.name(), self.held(field));
        if field.is_list() || field.is_map() || matches!(field.kind(), Kind::Message(_)) {
            self.line("@_builtins.property");
            self.line(format_args!("def {name}(self) -> {held}:"));
            self.inside(|stub| {
                stub.comment(field.path());
                stub.line("...");
            });
        } else {
            self.line(format_args!("{name}: {held}"));
            self.comment(field.path());
        }
    }

    fn init(&mut self, fields: &[FieldDescriptor]) {
        let named: Vec<_> = fields.iter().filter(|field| !is_keyword(field.name())).collect();
        let mut parameters = vec!["self".to_owned()];
        parameters.extend((!named.is_empty()).then(|| "*".to_owned()));
        for field in &named {
            parameters.push(format!("{}: _Optional[{}] = ...", field.name(), self.given(field)));
        }
        parameters.extend((named.len() < fields.len()).then(|| "**others: _Any".to_owned()));
        self.line(format_args!("def __init__({}) -> None: ...", parameters.join(", ")));
    }

    /// What `WhichOneof` may answer.
    fn presence(&mut self, message: &MessageDescriptor) {
        let oneofs: Vec<OneofDescriptor> = message.oneofs().filter(|oneof| !oneof.is_synthetic()).collect();
        let names: BTreeSet<String> = oneofs
            .iter()
            .flat_map(OneofDescriptor::fields)
            .map(|field| format!("\"{}\"", field.name()))
            .collect();
        if !names.is_empty() {
            let names = Vec::from_iter(names).join(", ");
            self.line(format_args!(
                "def WhichOneof(self, oneof_group: _Any) -> _Optional[_Literal[{names}]]: ..."
            ));
        }
    }

    /// The type of what a message holds.
    fn held(&self, field: &FieldDescriptor) -> String {
        if let Some((key, value)) = map_of(field) {
            let container = match value.kind() {
                Kind::Message(_) => "MessageMap",
                _ => "ScalarMap",
            };
            return format!("_containers.{container}[{}, {}]", self.value(&key), self.value(&value));
        }
        let value = self.value(field);
        match (field.cardinality(), field.kind()) {
            (Cardinality::Repeated, Kind::Message(_)) => {
                format!("_containers.RepeatedCompositeFieldContainer[{value}]")
            }
            (Cardinality::Repeated, _) => format!("_containers.RepeatedScalarFieldContainer[{value}]"),
            _ => value,
        }
    }

    /// The type of what a message is made with.
    fn given(&self, field: &FieldDescriptor) -> String {
        if let Some((key, value)) = map_of(field) {
            return format!("_Mapping[{}, {}]", self.value(&key), self.value(&value));
        }
        let value = match field.kind() {
            Kind::Message(_) => format!("_Union[{}, _Mapping[_builtins.str, _Any]]", self.value(field)),
            Kind::Enum(_) => format!("_Union[{}, _builtins.str]", self.value(field)),
            _ => self.value(field),
        };
        if field.is_list() { format!("_Iterable[{value}]") } else { value }
    }

    /// The type of one value.
    fn value(&self, field: &FieldDescriptor) -> String {
        let builtin = match field.kind() {
            Kind::Double | Kind::Float => "float",
            Kind::Bool => "bool",
            Kind::String => "str",
            Kind::Bytes => "bytes",
            Kind::Message(message) => {
                return self.reference(&message.parent_file(), message.full_name(), message.package_name());
            }
            Kind::Enum(of_enum) => {
                let name =
                    self.reference(&of_enum.parent_file(), of_enum.full_name(), of_enum.package_name());
                return format!("{name}.ValueType");
            }
            _ => "int",
        };
        format!("_builtins.{builtin}")
    }

    /// How a type is named in this stub.
    fn reference(&self, file: &FileDescriptor, full_name: &str, package: &str) -> String {
        let name = self.local(full_name, package);
        if file.name() == self.file.name() { name } else { format!("{}.{name}", alias(file.name())) }
    }

    /// The name of a type within its module.
    fn local(&self, full_name: &str, package: &str) -> String {
        let rest = full_name.strip_prefix(package).unwrap_or(full_name);
        rest.strip_prefix('.').unwrap_or(rest).to_owned()
    }

    /// The author's comment, as a docstring.
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

/// The fields of a map's entries.
fn map_of(field: &FieldDescriptor) -> Option<(FieldDescriptor, FieldDescriptor)> {
    let Kind::Message(entry) = field.kind() else { return None };
    field.is_map().then(|| (entry.map_entry_key_field(), entry.map_entry_value_field()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;
    use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};

    const SHOP: &str = r#"
        syntax = "proto3";
        package shop.v1;
        import "google/protobuf/timestamp.proto";
        import "common/money-type.proto";

        // What is bought.
        message Order {
          // Who buys.
          // A "name".
          string name = 1;
          repeated Item items = 2;
          map<string, int64> counts = 3;
          map<int32, Item> places = 4;
          optional bool urgent = 5;
          oneof payment {
            string card = 6;
            bytes token = 7;
          }
          google.protobuf.Timestamp time = 8; // when
          common.Money price = 9;
          Item.Kind kind = 10;
          repeated double from = 11;
          repeated Colour colours = 12;

          message Item {
            enum Kind {
              SMALL = 0;
              LARGE = 1; // by weight
            }
            Kind kind = 1;
            Order whole = 2;
          }
        }

        message Nothing {}

        enum Colour {
          RED = 0;
          None = 1;
        }
    "#;
    const MONEY: &str = "syntax = \"proto3\"; package common; message Money { int64 cents = 1; }";

    struct Texts;

    impl FileResolver for Texts {
        fn open_file(&self, name: &str) -> Result<File, protox::Error> {
            match name {
                "shop.proto" => File::from_source(name, SHOP),
                "common/money-type.proto" => File::from_source(name, MONEY),
                _ => Err(protox::Error::file_not_found(name)),
            }
        }
    }

    fn stub_of(name: &str) -> String {
        let mut resolver = ChainFileResolver::new();
        resolver.add(Texts);
        resolver.add(GoogleFileResolver::new());
        let mut compiler = protox::Compiler::with_file_resolver(resolver);
        compiler.include_imports(true).open_file("shop.proto").unwrap();
        text(&compiler.descriptor_pool().get_file_by_name(name).unwrap())
    }

    #[test]
    fn every_kind_of_thing_has_a_type() {
        assert_snapshot!(stub_of("shop.proto"));
        assert_snapshot!("of_an_import", stub_of("common/money-type.proto"));
    }

    #[test]
    fn stubs_lie_where_the_modules_would() {
        for (proto, expected) in [
            ("public_input.proto", "public_input_pb2.pyi"),
            ("common/money-type.proto", "common/money_type_pb2.pyi"),
        ] {
            assert_eq!(path(proto), PathBuf::from(expected));
        }
    }
}
