//! The schemas of types that other crates define, and of texts with a rule.

use krt_model::{
    language::Language,
    log,
    name::Name as ModelName,
    request::{Cached, Ending as RequestEnding, HopEnding},
    severity, team,
};
use serde::Serialize;
use std::borrow::Cow;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ObjectBuilder, RefOr, Schema,
        schema::{AdditionalProperties, KnownFormat, SchemaFormat, Type},
    },
};

/// The language of a node without sources.
pub(crate) const EXECUTABLE: &str = "executable";

/// Declares a type that has no values, for a named schema of the document.
macro_rules! stands_for {
    ($($name:ident = $schema:expr;)*) => {$(
        pub(crate) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                $schema.into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    )*};
}

stands_for! {
    Time = text()
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .description(Some("RFC 3339, UTC, with microseconds: `2026-01-31T12:00:00.000000Z`."));
    Name = text()
        .pattern(Some("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))
        .min_length(Some(1))
        .max_length(Some(ModelName::MAX_LENGTH))
        .description(Some("Lowercase letters, digits and `-`, with a letter or digit at both ends; at most 19 characters."));
    Level = words(&log::Level::ALL).description(Some("The severity of a log record."));
    Ending = words(&RequestEnding::ALL)
        .description(Some("How a request ended for its client. `left`: the client closed the connection first."));
    Severity = words(&severity::Severity::ALL).description(Some("How bad a problem is. `error`: the package cannot run."));
    Role = words(team::Role::ALL).description(Some("A role; each includes the permissions of those before it."));
    State = words(team::State::ALL).description(Some("The state of a version."));
    Action = words(team::VersionAction::ALL).description(Some("An action on a version."));
    AuditAction = words(team::AuditAction::ALL).description(Some("An audited action."));
    NodeLanguage = words(&languages()).description(Some("The language of a node."));
    Tags = ObjectBuilder::new()
        .schema_type(Type::Object)
        .additional_properties(Some(AdditionalProperties::RefOr(text().into())))
        .description(Some("Values by tag."));
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn words<T: Serialize>(all: &[T]) -> ObjectBuilder {
    let words = all.iter().map(|word| serde_json::to_value(word).expect("a unit variant is text"));
    text().enum_values(Some(words))
}

fn languages() -> Vec<&'static str> {
    Language::ALL.into_iter().map(Language::id).chain([EXECUTABLE]).collect()
}

/// The schema of how a cache answered a request.
pub(crate) fn cached() -> Schema {
    let how = "How the cache of its workflow answered it: with an answer that it had (`hit`), or with the answer to an equal \
               request that was in flight (`shared`).";
    words(&Cached::ALL).description(Some(how)).into()
}

/// The schema of a hop's ending.
pub(crate) fn outcome() -> Schema {
    words(&HopEnding::ALL).description(Some("How the call ended.")).into()
}
