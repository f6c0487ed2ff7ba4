//! Where a runtime keeps its data, and whether that takes data now.

use super::{
    App,
    read::RuntimePath,
    refusal::Refusal,
    response::{self, JsonResponse},
};
use axum::extract::State;
use krt_api::store::{Content, Keeper, RuntimeStore};
use krt_model::{hint, name::Name};
use krt_remote::{Documents, InfluxWatch};
use krt_runtime::nats::ServerState;

pub(super) async fn list(
    State(app): State<App>,
    RuntimePath(runtime): RuntimePath,
) -> Result<JsonResponse<Vec<RuntimeStore>>, Refusal> {
    let stores = app.backend().stores(&runtime).await?;
    let mut all = vec![documents(&stores.documents).await, measurements(stores.influx.as_ref(), &runtime)];
    all.extend(app.backend().nats(&runtime).as_ref().map(messages));
    Ok(response::ok(all))
}

/// A store in the data folder.
fn in_folder(holds: Content) -> RuntimeStore {
    RuntimeStore {
        holds,
        kept_by: Keeper::Folder,
        address: None,
        database: None,
        up: true,
        reason: None,
        waiting: 0,
        dropped: 0,
        deleted_with_runtime: true,
    }
}

async fn documents(documents: &Documents) -> RuntimeStore {
    let here = in_folder(Content::Documents);
    let Documents::Mongo(mongo) = documents else { return here };
    let reason = mongo.check().await.err().map(|error| hint::messages(&error));
    RuntimeStore {
        kept_by: Keeper::MongoDb,
        address: Some(mongo.address().to_string()),
        database: Some(mongo.name().to_owned()),
        up: reason.is_none(),
        reason,
        ..here
    }
}

fn measurements(influx: Option<&InfluxWatch>, runtime: &Name) -> RuntimeStore {
    let here = in_folder(Content::Measurements);
    let Some(influx) = influx else { return here };
    let state = influx.state();
    RuntimeStore {
        kept_by: Keeper::InfluxDb,
        address: Some(influx.address().to_string()),
        database: Some(runtime.to_string()),
        up: state.away.is_none(),
        reason: state.away,
        waiting: state.waiting,
        dropped: state.dropped,
        deleted_with_runtime: influx.has_database(),
        ..here
    }
}

fn messages(state: &ServerState) -> RuntimeStore {
    RuntimeStore {
        kept_by: Keeper::Nats,
        address: Some(state.address.to_string()),
        up: state.up,
        reason: (!state.up).then(|| "not connected".to_owned()),
        ..in_folder(Content::Messages)
    }
}
