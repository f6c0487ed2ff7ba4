//! The OpenAPI document, made of the types and of the list of operations.

use crate::{
    Error, audit, board, call, config, docs, event, graph, log, measurement, operations, prediction, request,
    runtime, schema, server, session, store, token, user, version,
};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Components, ComponentsBuilder, HttpMethod, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder,
        PathItem, Paths, ServerBuilder,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

const ABOUT: &str = "The API of `krt serve`, and, read only, of `krt run`. JSON in and out; times are RFC 3339 in \
UTC. The cookie of a session authenticates a caller (then requests that change something carry the header \
`x-csrf-token`), or `authorization: Bearer TOKEN` does. `x-krt-role` names the role that an operation needs. An \
error is an `Error`. A request whose headers have more than 32 KiB is refused (431), and so is one that a page of \
another site makes a browser send, or that names another host than the loopback's on a port that listens there \
(403). Pages have a cursor, `next`, which is `null` on the last. Server-sent events send a comment every 15 \
seconds.\n\n`krt run` has the same read API over one runtime and one version, both named as the package's version, \
without signing in; it refuses changes (405), except `call`.";

/// The document.
pub fn document() -> OpenApi {
    let license = LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build();
    let info =
        InfoBuilder::new().title("krt").version("1.0.0").license(Some(license)).description(Some(ABOUT));
    let no_scopes: [String; 0] = [];
    let securities = ["session", "token"].map(|name| SecurityRequirement::new(name, no_scopes.clone()));
    OpenApiBuilder::new()
        .info(info.build())
        .servers(Some([ServerBuilder::new().url("/api/v1").build()]))
        .security(Some(securities))
        .paths(paths())
        .components(Some(components()))
        .build()
}

fn paths() -> Paths {
    let mut paths = Paths::new();
    for draft in operations::all() {
        let item = paths.paths.entry(draft.path.clone()).or_insert_with(|| {
            let parameters = operations::path_parameters(&draft.path);
            let mut item = PathItem::default();
            item.parameters =
                (!parameters.is_empty()).then(|| parameters.into_iter().map(Into::into).collect());
            item
        });
        let place = match draft.method {
            HttpMethod::Get => &mut item.get,
            HttpMethod::Post => &mut item.post,
            HttpMethod::Put => &mut item.put,
            HttpMethod::Patch => &mut item.patch,
            _ => &mut item.delete,
        };
        *place = Some(draft.build());
    }
    paths
}

fn components() -> Components {
    let session = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new("krt_session")));
    let token = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
    let components =
        ComponentsBuilder::new().security_scheme("session", session).security_scheme("token", token);
    schemas(operations::refusals().fold(components, |all, (name, response)| all.response(name, response)))
        .build()
}

/// Adds the schemas of these types, under their names.
macro_rules! with {
    ($components:expr, $($of:ty),* $(,)?) => {
        $components$(.schema(<$of as ToSchema>::name(), <$of as PartialSchema>::schema()))*
    };
}

fn schemas(components: ComponentsBuilder) -> ComponentsBuilder {
    let components = with!(
        components,
        schema::Time,
        schema::Name,
        schema::Level,
        schema::Ending,
        schema::Tags,
        Error,
        crate::error::ErrorCode,
        crate::error::Problem,
        schema::Severity,
        server::Server,
        server::Mode,
        server::OpenId,
        server::Limits,
        session::SignIn,
        session::Me,
        session::ChangePassword,
        session::Session,
        schema::Role,
        user::User,
        user::NewUser,
        user::UserChange,
        token::Token,
        token::NewToken,
        token::CreatedToken,
        audit::AuditEntry,
        schema::AuditAction,
        audit::AuditPage,
        runtime::Runtime,
        runtime::NewRuntime,
        runtime::RuntimeChange,
        store::RuntimeStore,
        store::Content,
        store::Keeper,
        schema::State,
        schema::Action,
        version::Version,
        version::Comment,
        config::ConfigEntry,
        config::ConfigKind,
        config::ConfigChange,
    );
    with!(
        components,
        graph::NodeState,
        schema::NodeLanguage,
        graph::Percentiles,
        graph::GraphBatch,
        graph::GraphGpu,
        graph::GraphNode,
        graph::GraphWorkflow,
        graph::Graph,
        log::Log,
        log::LogPage,
        request::Hop,
        request::Request,
        request::RequestPage,
        request::StreamedAnswer,
        request::StoredPoint,
        request::StoredDocument,
        request::RequestDetail,
        measurement::Measurement,
        measurement::Window,
        measurement::WindowSeries,
        measurement::Windows,
        board::Chart,
        board::Aggregation,
        board::NewBoard,
        board::Board,
        prediction::ClassScore,
        prediction::Confusion,
        prediction::PredictionWindow,
        prediction::PredictionSummary,
        prediction::Prediction,
        prediction::PredictionPage,
        docs::Docs,
        call::Field,
        call::FieldType,
        call::Message,
        call::Method,
        call::Methods,
        call::Call,
        call::CallResult,
        event::Event,
        event::EventKind,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::{env, fs, path::Path};

    #[test]
    fn the_committed_document_matches_the_types() {
        let document = serde_json::to_string_pretty(&document()).unwrap() + "\n";
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../serve/openapi.json");
        if env::var_os("KRT_UPDATE_DOCS").is_some() {
            fs::write(&path, &document).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap();
        assert!(committed == document, "the types have changed; KRT_UPDATE_DOCS=1 writes {}", path.display());
    }

    /// Every `$ref` in a part of the document.
    fn references<'a>(part: &'a Value, found: &mut Vec<&'a str>) {
        match part {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|field| references(field, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_resolves() {
        let document = serde_json::to_value(document()).unwrap();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(!found.is_empty());
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }
}
