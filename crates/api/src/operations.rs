//! Every operation of the API: its path, what it takes and gives, and why it may be refused.

use crate::{
    Error, Role,
    audit::AuditPage,
    board::{Board, NewBoard},
    call::{Call, CallResult, Methods},
    config::{ConfigChange, ConfigEntry},
    docs::Docs,
    graph::Graph,
    log::LogPage,
    measurement::{Measurement, Windows},
    prediction::{PredictionPage, PredictionSummary},
    request::{RequestDetail, RequestPage},
    runtime::{NewRuntime, Runtime, RuntimeChange},
    schema,
    server::Server,
    session::{ChangePassword, Me, Session, SignIn},
    store::RuntimeStore,
    token::{CreatedToken, NewToken, Token},
    user::{NewUser, User, UserChange},
    version::{Comment, Version},
};
use serde_json::json;
use utoipa::{
    ToSchema,
    openapi::{
        ArrayBuilder, Content, ContentBuilder, HttpMethod, ObjectBuilder, Ref, RefOr, Required, Response,
        ResponseBuilder, ResponsesBuilder, Schema,
        extensions::ExtensionsBuilder,
        path::{Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn},
        request_body::RequestBodyBuilder,
        schema::{KnownFormat, SchemaFormat, Type},
        security::SecurityRequirement,
    },
};

const JSON: &str = "application/json";
const BINARY: &str = "application/octet-stream";
const RUNTIME: &str = "/runtimes/{runtime}";
const VERSION: &str = "/runtimes/{runtime}/versions/{version}";

/// The end of the description of each stream of events.
const END: &str = "The stream ends when the caller's session or token does: the last event is then named \
                   `end`, and its `data` is `{\"reason\": \"…\"}`.";

/// Why requests are refused: status, name among the document's responses, description.
const REFUSALS: [(u16, &str, &str); 13] = [
    (400, "BadRequest", "The request cannot be understood."),
    (401, "Unauthenticated", "The caller is not signed in, or the token is not valid."),
    (403, "Forbidden", "The role does not allow it, or the CSRF token is missing."),
    (404, "NotFound", "There is no such thing."),
    (405, "MethodNotAllowed", "`krt run` changes nothing."),
    (409, "Conflict", "The state does not allow it, or the name is taken."),
    (413, "TooLarge", "The body is too large."),
    (415, "Unsupported", "The body is of another type."),
    (422, "Unprocessable", "The package has problems, or values are missing or refused."),
    (429, "TooMany", "Too many attempts; wait as `retry-after` says."),
    (500, "Internal", "The server failed."),
    (
        503,
        "Unavailable",
        "The version does not run, the server stops, its disk is full, too many users sign in at this moment, or \
         MongoDB, InfluxDB or NATS do not answer.",
    ),
    (502, "NotSignedIn", "The browser is not signed in; a page says why."),
];

/// An operation of the document, before it is complete.
pub(crate) struct Draft {
    pub(crate) path: String,
    pub(crate) method: HttpMethod,
    role: Option<Role>,
    operation: OperationBuilder,
    responses: ResponsesBuilder,
    refusals: Vec<u16>,
}

impl Draft {
    fn new(method: HttpMethod, path: impl Into<String>, id: &str, tag: &str, summary: &str) -> Self {
        let path = path.into();
        let mut refusals = vec![400, 401, 403, 500];
        if path.contains('{') {
            refusals.push(404);
        }
        let role = match method {
            HttpMethod::Get => Role::Viewer,
            _ => {
                refusals.push(405);
                Role::Manager
            }
        };
        let operation = OperationBuilder::new().operation_id(Some(id)).tag(tag).summary(Some(summary));
        let responses = ResponsesBuilder::new();
        Self { path, method, role: Some(role), operation, responses, refusals }
    }

    fn get(path: impl Into<String>, id: &str, tag: &str, summary: &str) -> Self {
        Self::new(HttpMethod::Get, path, id, tag, summary)
    }

    fn post(path: impl Into<String>, id: &str, tag: &str, summary: &str) -> Self {
        Self::new(HttpMethod::Post, path, id, tag, summary)
    }

    fn put(path: impl Into<String>, id: &str, tag: &str, summary: &str) -> Self {
        Self::new(HttpMethod::Put, path, id, tag, summary)
    }

    fn patch(path: impl Into<String>, id: &str, tag: &str, summary: &str) -> Self {
        Self::new(HttpMethod::Patch, path, id, tag, summary)
    }

    fn delete(path: impl Into<String>, id: &str, tag: &str, summary: &str) -> Self {
        Self::new(HttpMethod::Delete, path, id, tag, summary)
            .gives(204, ResponseBuilder::new().description("Done."))
    }

    /// The role that it requires, if not the usual one of its method.
    fn role(mut self, role: Role) -> Self {
        self.role = Some(role);
        self
    }

    /// Nobody needs to be signed in.
    fn public(mut self) -> Self {
        self.role = None;
        self.refusals.retain(|status| !matches!(status, 401 | 403));
        self
    }

    fn description(mut self, text: &str) -> Self {
        self.operation = self.operation.description(Some(text));
        self
    }

    fn query(mut self, parameters: impl IntoIterator<Item = Parameter>) -> Self {
        self.operation = parameters.into_iter().fold(self.operation, OperationBuilder::parameter);
        self
    }

    fn body(mut self, kind: &str, schema: RefOr<Schema>) -> Self {
        let content = Content::new(Some(schema));
        let body = RequestBodyBuilder::new().required(Some(Required::True)).content(kind, content);
        self.operation = self.operation.request_body(Some(body.build()));
        self.refusals.extend([413, 415]);
        self
    }

    /// A body in JSON.
    fn takes<T: ToSchema>(self) -> Self {
        self.body(JSON, reference::<T>())
    }

    fn gives(mut self, status: u16, response: impl Into<Response>) -> Self {
        self.responses = self.responses.response(status.to_string(), response.into());
        self
    }

    /// A response in JSON.
    fn json(self, status: u16, description: &str, schema: RefOr<Schema>) -> Self {
        self.gives(status, response(description, JSON, schema))
    }

    /// One thing.
    fn one<T: ToSchema>(self) -> Self {
        self.json(200, "Done.", reference::<T>())
    }

    /// A new thing.
    fn new_one<T: ToSchema>(self) -> Self {
        self.json(201, "Created.", reference::<T>())
    }

    /// A list of things.
    fn list<T: ToSchema>(self) -> Self {
        self.json(200, "Done.", ArrayBuilder::new().items(reference::<T>()).into())
    }

    /// A stream of events.
    fn events(self, description: &str) -> Self {
        self.gives(200, response(&format!("{description} {END}"), "text/event-stream", text().into()))
    }

    /// Further statuses of refusals.
    fn or<const COUNT: usize>(mut self, statuses: [u16; COUNT]) -> Self {
        self.refusals.extend(statuses);
        self
    }

    /// Statuses that it is never refused with, although others like it are.
    fn never<const COUNT: usize>(mut self, statuses: [u16; COUNT]) -> Self {
        self.refusals.retain(|status| !statuses.contains(status));
        self
    }

    /// Statuses of refusals that are a page for a browser.
    fn or_page<const COUNT: usize>(mut self, statuses: [u16; COUNT]) -> Self {
        self = self.never(statuses);
        for status in statuses {
            self.responses =
                self.responses.response(status.to_string(), Ref::from_response_name("NotSignedIn"));
        }
        self
    }

    pub(crate) fn build(self) -> Operation {
        let Self { role, operation, mut responses, refusals, .. } = self;
        for status in refusals {
            let (_, name, _) =
                REFUSALS.iter().find(|(other, ..)| *other == status).expect("every status is in the list");
            responses = responses.response(status.to_string(), Ref::from_response_name(*name));
        }
        let role_name = role.map_or("none", Role::as_str);
        let extensions = ExtensionsBuilder::new().add("x-krt-role", role_name).build();
        let operation = operation.responses(responses.build()).extensions(Some(extensions));
        match role {
            Some(_) => operation.build(),
            None => operation.securities(Some(Vec::<SecurityRequirement>::new())).build(),
        }
    }
}

/// The responses of refusals, by name.
pub(crate) fn refusals() -> impl Iterator<Item = (&'static str, Response)> {
    REFUSALS.into_iter().map(|(_, name, description)| match name {
        "NotSignedIn" => (name, response(description, "text/html", text().into())),
        _ => (name, response(description, JSON, reference::<Error>())),
    })
}

/// The parameters in a path.
pub(crate) fn path_parameters(path: &str) -> Vec<Parameter> {
    let names = path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
    let schema = |name: &str| match name {
        "runtime" | "version" => reference::<schema::Name>(),
        "measurement" => text().max_length(Some(255)).into(),
        "path" => text().max_length(Some(1024)).description(Some("Below `docs/`; may have slashes.")).into(),
        _ => text().max_length(Some(64)).into(),
    };
    let parameter = |name: &str| {
        let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path);
        parameter.required(Required::True).schema(Some(schema(name))).build()
    };
    names.map(parameter).collect()
}

fn reference<T: ToSchema>() -> RefOr<Schema> {
    Ref::from_schema_name(T::name()).into()
}

fn response(description: &str, kind: &str, schema: RefOr<Schema>) -> Response {
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new().description(description).content(kind, content).build()
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn binary() -> RefOr<Schema> {
    text().format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary))).into()
}

fn integer(least: usize, most: usize) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(least)).maximum(Some(most))
}

fn parameter(name: &str, schema: impl Into<RefOr<Schema>>) -> ParameterBuilder {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .schema(Some(schema.into()))
}

fn named(name: &str) -> Parameter {
    parameter(name, reference::<schema::Name>()).build()
}

fn short(name: &str, most: usize) -> Parameter {
    parameter(name, text().max_length(Some(most))).build()
}

fn comment() -> [Parameter; 1] {
    let schema = text().max_length(Some(500));
    [parameter("comment", schema).description(Some("The reason, for the audit log.")).build()]
}

fn span() -> [Parameter; 2] {
    let time = |name, description| {
        parameter(name, reference::<schema::Time>()).description(Some(description)).build()
    };
    [time("from", "From this time on."), time("to", "Before this time.")]
}

/// A cursor and the most items of a page.
fn page(cursor: &str, usual: usize, most: usize) -> [Parameter; 2] {
    let cursor = parameter("cursor", text().pattern(Some(cursor)));
    let limit = integer(1, most).default(Some(json!(usual)));
    [cursor.description(Some("`next` of the previous page.")).build(), parameter("limit", limit).build()]
}

const NUMBER: &str = "^[0-9]{1,18}$";

fn every() -> ParameterBuilder {
    parameter("every_seconds", integer(1, 31_536_000))
}

fn window() -> [Parameter; 1] {
    let seconds = integer(1, 300).default(Some(json!(60)));
    [parameter("window_seconds", seconds)
        .description(Some("The span that rates and percentiles cover, in seconds."))
        .build()]
}

fn log_filter() -> [Parameter; 6] {
    let contains = parameter("text", text().max_length(Some(1000)));
    let level = parameter("level", reference::<schema::Level>());
    [
        named("version"),
        contains.description(Some("The message contains this text, in any case.")).build(),
        level.description(Some("This level or a more severe one.")).build(),
        named("node"),
        named("workflow"),
        short("request", 64),
    ]
}

/// Every operation, in the order of the document.
pub(crate) fn all() -> impl Iterator<Item = Draft> {
    let of_versions = versions().into_iter().chain(changes_of_version()).chain(of_version());
    people().into_iter().chain(runtimes()).chain(of_versions).chain(data())
}

fn people() -> Vec<Draft> {
    let object = ObjectBuilder::new().schema_type(Type::Object);
    vec![
        Draft::get("/openapi.json", "openapi", "server", "This document").public().json(
            200,
            "The document.",
            object.into(),
        ),
        Draft::get("/server", "server", "server", "The server's properties").public().one::<Server>(),
        Draft::get("/events", "events", "server", "Changes, live")
            .query([named("runtime")])
            .events("Events; `data` is an `Event` as JSON."),
        Draft::get("/session", "me", "session", "The caller").one::<Me>(),
        Draft::post("/session", "signIn", "session", "Sign in")
            .public()
            .takes::<SignIn>()
            .json(200, "Signed in; sets the cookie `krt_session`.", reference::<Me>())
            .or([401, 429, 503]),
        Draft::delete("/session", "signOut", "session", "Sign out").role(Role::Viewer),
        Draft::get("/session/openid", "beginOpenId", "session", "Send a browser to the OpenID provider")
            .public()
            .query([parameter("next", text())
                .description(Some("The path to which the browser returns."))
                .build()])
            .gives(303, ResponseBuilder::new().description("To the provider."))
            .or([404])
            .or_page([429, 502]),
        Draft::get(
            "/session/openid/callback",
            "finishOpenId",
            "session",
            "Open a session for a browser that returns from the OpenID provider",
        )
        .public()
        .query(["state", "code", "error", "error_description"].map(|name| parameter(name, text()).build()))
        .gives(303, ResponseBuilder::new().description("Signed in; to the path that was asked for."))
        .or([404])
        .or_page([403, 429, 500, 502]),
        Draft::put(
            "/session/password",
            "changePassword",
            "session",
            "Change the caller's own password; ends the caller's other sessions and revokes tokens",
        )
        .role(Role::Viewer)
        .takes::<ChangePassword>()
        .gives(204, ResponseBuilder::new().description("Done."))
        .or([422, 429, 503]),
        Draft::get("/sessions", "sessions", "session", "The caller's sessions; admins see all")
            .list::<Session>(),
        Draft::delete("/sessions/{id}", "revokeSession", "session", "End a session").role(Role::Viewer),
        Draft::get("/users", "users", "users", "All users").role(Role::Admin).list::<User>(),
        Draft::post("/users", "createUser", "users", "Create a user")
            .role(Role::Admin)
            .takes::<NewUser>()
            .new_one::<User>()
            .or([409, 422, 503]),
        Draft::patch(
            "/users/{login}",
            "changeUser",
            "users",
            "Change a user, which ends the user's sessions; a new password also revokes the tokens",
        )
        .role(Role::Admin)
        .takes::<UserChange>()
        .one::<User>()
        .or([409, 422, 503]),
        Draft::delete("/users/{login}", "deleteUser", "users", "Delete a user with sessions and tokens")
            .role(Role::Admin)
            .query(comment())
            .or([409]),
        Draft::get("/tokens", "tokens", "users", "The caller's tokens; admins see all").list::<Token>(),
        Draft::post(
            "/tokens",
            "createToken",
            "users",
            "Create a token; one that is created with a token ends with it",
        )
        .role(Role::Viewer)
        .takes::<NewToken>()
        .new_one::<CreatedToken>()
        .or([409, 422]),
        Draft::delete("/tokens/{id}", "deleteToken", "users", "Delete a token, and those that it created")
            .role(Role::Viewer),
        Draft::get("/audit", "audit", "audit", "The audit log, newest entry first")
            .role(Role::Admin)
            .query([
                short("login", 64),
                named("runtime"),
                named("version"),
                parameter("action", reference::<schema::AuditAction>()).build(),
            ])
            .query(span())
            .query(page(NUMBER, 100, 500))
            .one::<AuditPage>(),
    ]
}

fn runtimes() -> Vec<Draft> {
    vec![
        Draft::get("/runtimes", "runtimes", "runtimes", "All runtimes").list::<Runtime>(),
        Draft::post("/runtimes", "createRuntime", "runtimes", "Create a runtime")
            .role(Role::Admin)
            .takes::<NewRuntime>()
            .new_one::<Runtime>()
            .or([409, 422]),
        Draft::get(RUNTIME, "runtime", "runtimes", "One runtime").one::<Runtime>(),
        Draft::patch(RUNTIME, "changeRuntime", "runtimes", "Change name, description or host names")
            .role(Role::Admin)
            .takes::<RuntimeChange>()
            .one::<Runtime>()
            .or([409, 422]),
        Draft::delete(
            RUNTIME,
            "deleteRuntime",
            "runtimes",
            "Delete a runtime with everything that it stored; none of its versions may run",
        )
        .description(
            "Deletes its databases in MongoDB and InfluxDB, and its messages and dead letters in NATS, too; \
             `/runtimes/{runtime}/stores` names them. If one of these servers does not answer (503), the runtime \
             stays, and a later attempt deletes what is left.",
        )
        .role(Role::Admin)
        .query(comment())
        .or([409, 503]),
        Draft::get(
            format!("{RUNTIME}/stores"),
            "stores",
            "runtimes",
            "Where a runtime keeps its data, and whether that takes data now",
        )
        .list::<RuntimeStore>(),
    ]
}

fn versions() -> Vec<Draft> {
    vec![
        Draft::post(
            format!("{RUNTIME}/rollback"),
            "rollback",
            "versions",
            "Publish the version that was published before; starts it where it is stopped",
        )
        .takes::<Comment>()
        .json(202, "Under way or done; see its state.", reference::<Version>())
        .or([409, 422]),
        Draft::get(format!("{RUNTIME}/versions"), "versions", "versions", "All versions, newest first")
            .list::<Version>(),
        Draft::post(format!("{RUNTIME}/versions"), "createVersion", "versions", "Upload a package")
            .description(
                "The body is the `.krt` file. With `invalid_package` (422) the error's `problems` name \
                 everything that is wrong. The version's name is that in `krt.yml`.",
            )
            .query(comment())
            .body(BINARY, binary())
            .new_one::<Version>()
            .or([409, 422, 503]),
        Draft::get(VERSION, "version", "versions", "One version").one::<Version>(),
        Draft::delete(VERSION, "deleteVersion", "versions", "Delete a version that does not run")
            .description(
                "Deletes its messages and dead letters in NATS, too, or fails if NATS does not answer (503). What it \
                 stored belongs to its runtime, and stays.",
            )
            .query(comment())
            .or([409, 503]),
        Draft::get(format!("{VERSION}/package"), "package", "versions", "The package, as it was uploaded")
            .role(Role::Manager)
            .gives(200, response("The `.krt` file.", BINARY, binary())),
    ]
}

fn changes_of_version() -> [Draft; 4] {
    let change = |action: &str, id, status, summary| {
        Draft::post(format!("{VERSION}/{action}"), id, "versions", summary)
            .takes::<Comment>()
            .json(status, "The version as it is now.", reference::<Version>())
            .or([409])
    };
    [
        change("start", "startVersion", 202, "Start it; it becomes STARTED or ERROR later").or([422]),
        change("stop", "stopVersion", 202, "Stop it, after the requests in flight"),
        change(
            "publish",
            "publishVersion",
            200,
            "Switch the runtime's traffic to it, at once; the version published before becomes STARTED",
        ),
        change("unpublish", "unpublishVersion", 200, "Take it off the public port; it becomes STARTED"),
    ]
}

fn of_version() -> Vec<Draft> {
    let config = format!("{VERSION}/config");
    let graph = format!("{VERSION}/graph");
    vec![
        Draft::get(&*config, "config", "versions", "Its configuration").list::<ConfigEntry>(),
        Draft::put(
            config,
            "changeConfig",
            "versions",
            "Set or remove values; a version that runs keeps those that it started with",
        )
        .takes::<ConfigChange>()
        .list::<ConfigEntry>()
        .or([409, 422]),
        Draft::get(&*graph, "graph", "graph", "The version as a graph, with live numbers")
            .query(window())
            .one::<Graph>(),
        Draft::get(format!("{graph}/live"), "graphLive", "graph", "The same, once a second")
            .query(window())
            .events("Events named `graph`; `data` is a `Graph` as JSON."),
        Draft::get(format!("{VERSION}/docs"), "docs", "docs", "The package's documentation").one::<Docs>(),
        Draft::get(
            format!("{VERSION}/docs/files/{{path}}"),
            "docsFile",
            "docs",
            "An image of the documentation",
        )
        .gives(200, response("PNG, JPEG, GIF, WebP or SVG.", "image/*", binary())),
        Draft::get(
            format!("{VERSION}/methods"),
            "methods",
            "try",
            "The methods that can be called, and their messages",
        )
        .one::<Methods>(),
        Draft::post(format!("{VERSION}/call"), "call", "try", "Call a method of a version that runs")
            .takes::<Call>()
            .json(200, "What a client would have seen, error or not.", reference::<CallResult>())
            .or([422, 503])
            .never([405]),
        Draft::post(format!("{VERSION}/call/live"), "callLive", "try", "The same, message by message")
            .description(
                "For RPCs that answer with a stream, and for others. The call is cancelled when its client leaves.",
            )
            .takes::<Call>()
            .events(
                "Events: `request` with the request's id, a JSON string; `message` with a message of the answer in \
                 proto3 JSON; at last `status` with a `CallResult` whose `answer` is `null`.",
            )
            .or([422, 503])
            .never([405]),
    ]
}

fn data() -> Vec<Draft> {
    logs().into_iter().chain(measurements()).chain(boards()).chain(predictions()).collect()
}

fn logs() -> Vec<Draft> {
    let requests = format!("{RUNTIME}/requests");
    let order = text().enum_values(Some(["latest", "slowest"]));
    let cursor = "^[0-9]{1,19}\\.[0-9a-f-]{1,64}$";
    vec![
        Draft::get(format!("{RUNTIME}/logs"), "logs", "logs", "Search logs, newest record first")
            .query(log_filter())
            .query(span())
            .query(page(NUMBER, 200, 1000))
            .one::<LogPage>(),
        Draft::get(format!("{RUNTIME}/logs/tail"), "logsTail", "logs", "New log records, live")
            .query(log_filter())
            .events(
                "Events named `logs`; `data` is an array of `Log` as JSON, oldest first; `id` is the last \
                 one's, so that a client that sends it as `last-event-id` continues there.",
            ),
        Draft::get(&*requests, "requests", "requests", "The latest, slowest or failed requests")
            .description(
                "Those in flight, and those that ended: kept for as long as logs and measurements are, and \
                 within 32 MiB (some 200,000 requests of three handlers each); within as much again those \
                 that failed, and the slowest 200 of each hour.",
            )
            .query([
                named("version"),
                named("workflow"),
                parameter("ending", reference::<schema::Ending>()).build(),
                parameter("order", order).description(Some("Default `latest`.")).build(),
            ])
            .query(page(cursor, 100, 500))
            .one::<RequestPage>(),
        Draft::get(
            format!("{requests}/{{id}}"),
            "request",
            "requests",
            "One request: its hops, its logs, and what its handlers stored",
        )
        .one::<RequestDetail>()
        .or([503]),
    ]
}

fn measurements() -> Vec<Draft> {
    let many = |name: &str, item: ObjectBuilder, description| {
        parameter(name, ArrayBuilder::new().items(item)).description(Some(description)).build()
    };
    let field = parameter("field", text().min_length(Some(1)).max_length(Some(255)));
    vec![
        Draft::get(
            format!("{RUNTIME}/measurements"),
            "measurements",
            "measurements",
            "All measurements, with tags and fields",
        )
        .list::<Measurement>(),
        Draft::get(
            format!("{RUNTIME}/measurements/{{measurement}}/windows"),
            "windows",
            "measurements",
            "A field, summed up over windows of time",
        )
        .description("Without `from` the last hour. At most 100,000 windows (422).")
        .query([
            field.required(Required::True).build(),
            every().description(Some("The length of a window; the default makes about 300 windows.")).build(),
            many(
                "tag",
                text().max_length(Some(600)).pattern(Some(":")),
                "`name:value`; may be given several times.",
            ),
            many(
                "group_by",
                text().max_length(Some(255)),
                "A tag whose values are summed up apart; may be given several times.",
            ),
        ])
        .query(span())
        .one::<Windows>()
        .or([422]),
    ]
}

fn boards() -> Vec<Draft> {
    let (all, one) = (format!("{RUNTIME}/boards"), format!("{RUNTIME}/boards/{{id}}"));
    vec![
        Draft::get(&*all, "boards", "boards", "Saved boards").list::<Board>(),
        Draft::post(all, "createBoard", "boards", "Save a new board")
            .takes::<NewBoard>()
            .new_one::<Board>()
            .or([409, 422]),
        Draft::get(&*one, "board", "boards", "One board").one::<Board>(),
        Draft::put(&*one, "saveBoard", "boards", "Save a board")
            .takes::<NewBoard>()
            .one::<Board>()
            .or([409, 422]),
        Draft::delete(one, "deleteBoard", "boards", "Delete a board"),
    ]
}

fn predictions() -> Vec<Draft> {
    let path = format!("{RUNTIME}/predictions");
    let error = text().enum_values(Some(["missing_values", "new_labels"]));
    vec![
        Draft::get(&*path, "predictions", "predictions", "Predictions, newest first")
            .query([named("version")])
            .query(span())
            .query([short("predicted", 255), short("true_value", 255), parameter("error", error).build()])
            .query(page(NUMBER, 100, 500))
            .one::<PredictionPage>()
            .or([503]),
        Draft::get(
            format!("{path}/summary"),
            "predictionSummary",
            "predictions",
            "The scores of predictions",
        )
        .query([named("version")])
        .query(span())
        .query([every().build()])
        .one::<PredictionSummary>()
        .or([422, 503]),
    ]
}
