//! The number of servers of a cluster that keep a stream.
//!
//! A stream with fewer replicas than required gets more; one with more keeps them, so that engines with
//! different settings do not undo each other's changes.

use super::{failed, reason};
use crate::Error;
use async_nats::jetstream::{
    self, ErrorCode,
    context::CreateStreamErrorKind,
    response::Response,
    stream::{Config, Stream},
};
use serde_json::Value;

/// Creates a stream if it is missing; adds missing replicas to an existing one.
pub(super) async fn ensure(
    context: &jetstream::Context,
    config: Config,
    replicas: Option<u8>,
) -> Result<Stream, Error> {
    let name = config.name.clone();
    let wanted = replicas.unwrap_or(1);
    let config = Config { num_replicas: wanted.into(), ..config };
    let stream = context.get_or_create_stream(config).await.map_err(|error| match error.kind() {
        CreateStreamErrorKind::JetStream(reason) if lacks_servers(reason.error_code()) => {
            too_few(&name, wanted, &reason)
        }
        _ => failed(format!("the stream `{name}`"), "made", &error),
    })?;
    let found = stream.cached_info().config.num_replicas;
    match replicas {
        Some(wanted) if found < wanted.into() => raise(context, &name, wanted).await?,
        Some(wanted) if found > wanted.into() => {
            tracing::info!(
                "the stream `{name}` has {found} replicas: it keeps them, though {wanted} would do"
            );
        }
        _ => {}
    }
    Ok(stream)
}

/// Changes only the number of replicas, and keeps all settings, even those that this client does not know.
async fn raise(context: &jetstream::Context, name: &str, wanted: u8) -> Result<(), Error> {
    let unchanged = |error: &dyn std::error::Error| failed(format!("the stream `{name}`"), "changed", &error);
    let info = context.request(format!("STREAM.INFO.{name}"), &()).await;
    let mut config = match info.map_err(|error| unchanged(&error))? {
        Response::Ok::<Value>(mut info) => info["config"].take(),
        Response::Err { error } => return Err(unchanged(&error)),
    };
    if let Some(settings) = config.as_object_mut() {
        settings.insert("num_replicas".to_owned(), wanted.into());
    }
    let updated = context.request(format!("STREAM.UPDATE.{name}"), &config).await;
    match updated.map_err(|error| unchanged(&error))? {
        Response::Ok::<Value>(_) => {
            tracing::info!("the stream `{name}` gets {wanted} replicas");
            Ok(())
        }
        Response::Err { error } => Err(too_few(name, wanted, &error)),
    }
}

/// Returns whether the error means that the cluster has too few servers.
fn lacks_servers(code: ErrorCode) -> bool {
    [ErrorCode::STREAM_REPLICAS_NOT_SUPPORTED, ErrorCode::CLUSTER_NO_PEERS, ErrorCode::INSUFFICIENT_RESOURCES]
        .contains(&code)
}

fn too_few(name: &str, replicas: u8, error: &jetstream::Error) -> Error {
    Error::Replicas { stream: name.to_owned(), replicas, reason: reason(error) }
}
