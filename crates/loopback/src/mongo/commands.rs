//! Dispatches commands.

use super::{
    Shared, arguments::Arguments, error::CommandError, pipeline, read, server_info, wire::Request, write,
};
use bson::{Document, doc};

/// Commands of MongoDB that change stored data, or need features that the store lacks.
const NOT_SUPPORTED: [&str; 26] = [
    "abortTransaction",
    "bulkWrite",
    "collMod",
    "collStats",
    "commitTransaction",
    "create",
    "createIndexes",
    "createUser",
    "dbStats",
    "delete",
    "distinct",
    "drop",
    "dropDatabase",
    "dropIndexes",
    "explain",
    "findAndModify",
    "findandmodify",
    "listIndexes",
    "mapReduce",
    "mapreduce",
    "renameCollection",
    "startSession",
    "update",
    "usersInfo",
    "validate",
    "currentOp",
];

/// Whether a client may send a command before it has signed in, as in MongoDB.
pub(super) fn is_open(name: &str) -> bool {
    matches!(
        name,
        "hello" | "isMaster" | "ismaster" | "ping" | "buildInfo" | "buildinfo" | "endSessions" | "logout"
    )
}

pub(super) async fn run(shared: &Shared, request: &Request) -> Result<Document, CommandError> {
    let Request { body, database, .. } = request;
    match request.name() {
        name @ ("hello" | "isMaster" | "ismaster") => Ok(server_info::hello(name, body)),
        "buildInfo" | "buildinfo" => Ok(server_info::build_info()),
        "ping" | "endSessions" | "logout" => Ok(doc! { "ok": 1.0 }),
        "listDatabases" => {
            let names = Arguments::new("listDatabases", body).flag("nameOnly", false)?;
            Ok(server_info::databases(shared, names))
        }
        "listCollections" => read::collections(shared, database, body).await,
        "insert" => write::insert(shared, database, body).await,
        "find" => read::find(shared, database, body).await,
        "count" => read::count(shared, database, body).await,
        "aggregate" => pipeline::aggregate(shared, database, body).await,
        "getMore" => read::get_more(shared, database, body).await,
        "killCursors" => read::kill_cursors(shared, database, body),
        name if NOT_SUPPORTED.contains(&name) => {
            Err(CommandError::NotSupported { what: format!("`{name}`") })
        }
        name => Err(CommandError::NotFound { command: name.to_owned() }),
    }
}
