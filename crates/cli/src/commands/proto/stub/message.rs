//! Stubs of messages: a class with an attribute for each field.

use super::{
    Stub,
    names::{self, is_keyword},
};
use prost_reflect::{
    Cardinality, ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor, OneofDescriptor,
};

impl Stub<'_> {
    pub(super) fn message(&mut self, message: &MessageDescriptor) {
        self.line(format_args!("class {}(_message.Message):", message.name()));
        self.inside(|stub| stub.body(message));
    }

    fn body(&mut self, message: &MessageDescriptor) {
        self.comment(message.path());
        self.line("DESCRIPTOR: _descriptor.Descriptor");
        for of_enum in message.child_enums().filter(|of_enum| !is_keyword(of_enum.name())) {
            self.line("");
            self.enumeration(&of_enum);
        }
        for inner in
            message.child_messages().filter(|inner| !inner.is_map_entry() && !is_keyword(inner.name()))
        {
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
        self.extensions(message.child_extensions());
        self.init(&fields);
        self.presence(message);
    }

    /// Writes a field: an attribute if it is assignable, a property if it can only change in place.
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
        let own = if named.iter().any(|field| field.name() == "self") { "self_" } else { "self" };
        let mut parameters = vec![own.to_owned()];
        parameters.extend((!named.is_empty()).then(|| "*".to_owned()));
        for field in &named {
            parameters.push(format!("{}: _Optional[{}] = ...", field.name(), self.given(field)));
        }
        parameters.extend((named.len() < fields.len()).then(|| "**_others: _Any".to_owned()));
        self.line(format_args!("def __init__({}) -> None: ...", parameters.join(", ")));
    }

    /// Writes the methods that test for and clear fields.
    fn presence(&mut self, message: &MessageDescriptor) {
        let oneofs: Vec<OneofDescriptor> = message.oneofs().filter(|oneof| !oneof.is_synthetic()).collect();
        let all = message.fields().map(|field| field.name().to_owned());
        let all: Vec<_> = all.chain(oneofs.iter().map(|oneof| oneof.name().to_owned())).collect();
        let present = message.fields().filter(FieldDescriptor::supports_presence);
        let present = present.map(|field| field.name().to_owned());
        let present: Vec<_> = present.chain(oneofs.iter().map(|oneof| oneof.name().to_owned())).collect();
        self.line(format_args!(
            "def HasField(self, field_name: {}) -> _builtins.bool: ...",
            literal(&present)
        ));
        self.line(format_args!("def ClearField(self, field_name: {}) -> None: ...", literal(&all)));
        let several = oneofs.len() > 1;
        for oneof in &oneofs {
            if several {
                self.line("@_overload");
            }
            let fields: Vec<_> = oneof.fields().map(|field| field.name().to_owned()).collect();
            let group = literal(&[oneof.name().to_owned()]);
            self.line(format_args!(
                "def WhichOneof(self, oneof_group: {group}) -> _Optional[{}]: ...",
                literal(&fields)
            ));
        }
    }

    /// Writes the extensions of other messages that this file declares.
    pub(super) fn extensions(&mut self, extensions: impl Iterator<Item = ExtensionDescriptor>) {
        for extension in extensions.filter(|extension| !is_keyword(extension.name())) {
            self.line(format_args!("{}_FIELD_NUMBER: _builtins.int", extension.name().to_uppercase()));
            self.line(format_args!("{}: _Any", extension.name()));
        }
    }

    /// The type of a field when it is read.
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

    /// The type of a field as a constructor argument.
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

    /// The type of a single value.
    fn value(&self, field: &FieldDescriptor) -> String {
        let builtin = match field.kind() {
            Kind::Double | Kind::Float => "float",
            Kind::Bool => "bool",
            Kind::String => "str",
            Kind::Bytes => "bytes",
            Kind::Message(message) => {
                return self.names.reference(
                    &message.parent_file(),
                    message.full_name(),
                    message.package_name(),
                );
            }
            Kind::Enum(of_enum) => {
                let file = of_enum.parent_file();
                let name = self.names.reference(&file, of_enum.full_name(), of_enum.package_name());
                return if name == names::UNKNOWN { name } else { format!("{name}.ValueType") };
            }
            _ => "int",
        };
        format!("_builtins.{builtin}")
    }
}

/// The key and value fields of a map's entries.
fn map_of(field: &FieldDescriptor) -> Option<(FieldDescriptor, FieldDescriptor)> {
    let Kind::Message(entry) = field.kind() else { return None };
    field.is_map().then(|| (entry.map_entry_key_field(), entry.map_entry_value_field()))
}

/// The `Literal` type of some texts; `NoReturn` if there are none.
fn literal(names: &[String]) -> String {
    if names.is_empty() {
        return "_NoReturn".to_owned();
    }
    let names: Vec<_> = names.iter().map(|name| format!("\"{name}\"")).collect();
    format!("_Literal[{}]", names.join(", "))
}
