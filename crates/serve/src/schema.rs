//! Describes messages for forms: all that a client needs to fill one in.

use krt_api::call::{Field, FieldType, Message, Method, Methods};
use krt_package::{Method as Rpc, Package, comments::Comments, example::example_within};
use prost_reflect::{
    Cardinality, EnumDescriptor, FieldDescriptor, FileDescriptor, Kind, MessageDescriptor, ServiceDescriptor,
};
use std::collections::{BTreeMap, HashMap};

/// The most values of examples, and of enums at fields, in a description: messages may nest, and many fields
/// may share one large enum.
const MAX_VALUES: usize = 100_000;

/// Describes the methods of a package's entrypoint.
pub fn methods(package: &Package) -> Methods {
    let mut book = Descriptions { left: MAX_VALUES, messages: BTreeMap::new(), comments: HashMap::new() };
    let methods = package.schema.methods.iter().map(|method| book.method(package, method)).collect();
    Methods { methods, messages: book.messages }
}

/// Whether proto3 JSON writes a message other than by its fields.
fn is_plain(message: &MessageDescriptor) -> bool {
    message.package_name() == "google.protobuf"
}

/// The descriptions so far.
#[derive(Debug)]
struct Descriptions {
    /// How many more values may be described.
    left: usize,
    messages: BTreeMap<String, Message>,
    /// By file name.
    comments: HashMap<String, Comments>,
}

impl Descriptions {
    fn method(&mut self, package: &Package, method: &Rpc) -> Method {
        self.add(&method.input);
        self.add(&method.output);
        let workflow = method.workflow.map(|index| &package.version.workflows[index]);
        let service = package.schema.pool.get_service_by_name(&method.service);
        Method {
            path: method.path.clone(),
            service: method.service.clone(),
            name: method.name.clone(),
            input: method.input.full_name().to_owned(),
            output: method.output.full_name().to_owned(),
            streams: method.streams,
            workflow: workflow.map(|workflow| workflow.name.to_string()),
            open_inference: workflow.is_some_and(|workflow| workflow.open_inference),
            comment: service.and_then(|service| self.of_method(&service, &method.name)),
            example: serde_json::from_str(&example_within(&method.input, &mut self.left)).unwrap_or_default(),
        }
    }

    /// Adds a message and the messages in it.
    fn add(&mut self, message: &MessageDescriptor) {
        let mut ahead = vec![message.clone()];
        while let Some(message) = ahead.pop() {
            if !is_plain(&message) && !self.messages.contains_key(message.full_name()) {
                self.add_one(&message);
                ahead.extend(message.fields().filter_map(|field| value_kind(&field).as_message().cloned()));
            }
        }
    }

    fn add_one(&mut self, message: &MessageDescriptor) {
        let name = message.full_name().to_owned();
        let comment = self.comment(&message.parent_file(), message.path());
        let fields = message.fields().map(|field| self.field(&field)).collect();
        self.messages.insert(name.clone(), Message { name, comment, fields });
    }

    fn field(&mut self, field: &FieldDescriptor) -> Field {
        let kind = value_kind(field);
        let (r#type, message) = match &kind {
            Kind::Message(message) if is_plain(message) => (of_plain(message.name()), None),
            Kind::Message(message) => (FieldType::Message, Some(message.full_name().to_owned())),
            kind => (of_scalar(kind), None),
        };
        let (values, value_comments) = match &kind {
            Kind::Enum(kind) => (Some(self.names(kind)), self.of_values(kind)),
            _ => (None, BTreeMap::new()),
        };
        let real_oneof = field.containing_oneof().filter(|oneof| !oneof.is_synthetic());
        Field {
            name: field.json_name().to_owned(),
            r#type,
            repeated: field.is_list(),
            map: field.is_map(),
            optional: field.supports_presence() && field.cardinality() != Cardinality::Required,
            oneof: real_oneof.map(|oneof| oneof.name().to_owned()),
            message,
            values,
            value_comments,
            comment: self.comment(&field.parent_message().parent_file(), field.path()),
        }
    }

    fn of_method(&mut self, service: &ServiceDescriptor, name: &str) -> Option<String> {
        let method = service.methods().find(|method| method.name() == name)?;
        self.comment(&service.parent_file(), method.path())
    }

    fn of_values(&mut self, of: &EnumDescriptor) -> BTreeMap<String, String> {
        if self.left == 0 {
            return BTreeMap::new();
        }
        let file = of.parent_file();
        let describe_value = |value: prost_reflect::EnumValueDescriptor| {
            Some((value.name().to_owned(), self.comment(&file, value.path())?))
        };
        of.values().filter_map(describe_value).collect()
    }

    fn names(&mut self, of: &EnumDescriptor) -> Vec<String> {
        let names: Vec<_> = of.values().take(self.left).map(|value| value.name().to_owned()).collect();
        self.left -= names.len();
        names
    }

    fn comment(&mut self, file: &FileDescriptor, path: &[i32]) -> Option<String> {
        let comments = self.comments.entry(file.name().to_owned()).or_insert_with(|| Comments::of(file));
        comments.at(path).map(str::to_owned)
    }
}

/// The kind of a field, or of a map's values.
fn value_kind(field: &FieldDescriptor) -> Kind {
    match field.kind() {
        Kind::Message(entry) if field.is_map() => entry.map_entry_value_field().kind(),
        kind => kind,
    }
}

fn of_scalar(kind: &Kind) -> FieldType {
    match kind {
        Kind::String => FieldType::String,
        Kind::Bytes => FieldType::Bytes,
        Kind::Bool => FieldType::Bool,
        Kind::Float | Kind::Double => FieldType::Number,
        Kind::Int64 | Kind::Uint64 | Kind::Sint64 | Kind::Fixed64 | Kind::Sfixed64 => FieldType::Int64,
        Kind::Int32 | Kind::Uint32 | Kind::Sint32 | Kind::Fixed32 | Kind::Sfixed32 => FieldType::Integer,
        Kind::Enum(_) => FieldType::Enum,
        Kind::Message(_) => FieldType::Message,
    }
}

/// The JSON kind of one of Google's well-known messages.
fn of_plain(name: &str) -> FieldType {
    match name {
        "Timestamp" | "Duration" | "FieldMask" | "StringValue" => FieldType::String,
        "BytesValue" => FieldType::Bytes,
        "BoolValue" => FieldType::Bool,
        "DoubleValue" | "FloatValue" => FieldType::Number,
        "Int64Value" | "UInt64Value" => FieldType::Int64,
        "Int32Value" | "UInt32Value" => FieldType::Integer,
        _ => FieldType::Any,
    }
}

#[cfg(test)]
mod tests;
