//! One version at work, from its start to its end.

use super::{Key, Team, outside::Order};
use crate::blocking;
use krt_model::name::VariableName;
use krt_registry::state::Event as Happening;
use krt_runtime::errors::chain;
use krt_runtime::{Engine, Error, Running, Server, traces::Traces};
use std::{
    any::Any,
    collections::BTreeMap,
    sync::{Arc, OnceLock, Weak},
};
use tokio::{task::JoinHandle, time::Duration};
use tokio_util::sync::CancellationToken;

/// How long spans may take to leave when a version has ended.
const TRACES_END: Duration = Duration::from_secs(5);

/// A version at work.
#[derive(Debug)]
pub(super) struct Work {
    engine: Arc<OnceLock<Weak<Engine>>>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// What runs, and what must be there as long as it does.
struct AtWork {
    engine: Arc<Engine>,
    running: Running,
    traces: Traces,
    _keep: Box<dyn Any + Send + Sync>,
}

impl Work {
    /// Starts a version that the registry says is STARTING.
    pub(super) fn start(team: Arc<Team>, key: Key) -> Self {
        let (engine, stop) = (Arc::new(OnceLock::new()), CancellationToken::new());
        let task = tokio::spawn(run(team, key, Arc::clone(&engine), stop.clone()));
        Self { engine, stop, task }
    }

    /// Lets nobody new in, finishes what is in work, and ends.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits until it has ended.
    pub(super) async fn ended(self) {
        if let Err(error) = self.task.await {
            tracing::error!("a version was lost: {error}");
        }
    }

    /// Its parts, once there are some.
    pub(super) fn engine(&self) -> Option<Arc<Engine>> {
        self.engine.get()?.upgrade()
    }

    /// Whether its parts are these.
    pub(super) fn is(&self, engine: &Weak<Engine>) -> bool {
        self.engine.get().is_some_and(|own| own.ptr_eq(engine))
    }
}

async fn run(team: Arc<Team>, key: Key, slot: Arc<OnceLock<Weak<Engine>>>, stop: CancellationToken) {
    let started = tokio::select! {
        started = start(&team, &key, &slot) => started.map(Some),
        () = stop.cancelled() => Ok(None),
        () = team.ended.cancelled() => return,
    };
    let engine = slot.get_or_init(Weak::new).clone();
    match started {
        Ok(Some(work)) => {
            serve(&team, &key, work, &stop).await;
            if team.ended.is_cancelled() && !stop.is_cancelled() {
                return;
            }
            team.forget(&key, &engine);
            team.happened(&key, Happening::Ended, Vec::new()).await;
        }
        Ok(None) => {
            team.forget(&key, &engine);
            team.happened(&key, Happening::Ended, Vec::new()).await;
        }
        Err(reasons) => {
            team.forget(&key, &engine);
            tracing::warn!("`{}` of `{}` does not start", key.1, key.0);
            team.happened(&key, Happening::Failed, reasons).await;
        }
    }
}

/// Serves until told to stop.
async fn serve(team: &Team, key: &Key, work: AtWork, stop: &CancellationToken) {
    let (runtime, version) = (key.0.as_str(), key.1.as_str());
    team.directory.add(runtime, version, Arc::clone(work.engine.door()));
    team.happened(key, Happening::Ready, Vec::new()).await;
    tokio::select! {
        () = stop.cancelled() => {}
        () = team.ended.cancelled() => {}
    }
    // Those who hold the version have its answer before it lets nobody in any more.
    let limit = team.outside.options.drain + Duration::from_secs(1);
    let _ = tokio::time::timeout(limit, team.directory.remove(runtime, version)).await;
    work.engine.stop(work.running).await;
    work.traces.close(TRACES_END).await;
}

/// Makes what a version needs, and starts it; in words, why it does not start.
async fn start(team: &Arc<Team>, key: &Key, slot: &OnceLock<Weak<Engine>>) -> Result<AtWork, Vec<String>> {
    let (runtime, version) = key;
    let words = |error: &dyn std::error::Error| vec![chain(error)];
    let site = team.sites.open(runtime).await.map_err(|error| words(&error))?;
    let logs = team.logs.of_version(site.store.clone(), version);
    let place = team.registry.folder().version(runtime, version);
    let package = blocking::run(move || krt_package::load(&place.package())).await;
    let package = Arc::new(package.map_err(|error| words(&error))?);
    let (of, name) = (runtime.clone(), version.clone());
    let values = team.ask(move |registry| registry.values(&of, &name)).await;
    let values = values.map_err(|error| words(&error))?;
    let values = values
        .into_iter()
        .filter_map(|(name, value)| Some((VariableName::parse(&name).ok()?, value.reveal().to_owned())));
    let values: BTreeMap<_, _> = values.collect();
    let order = Order { runtime: runtime.clone(), package: Arc::clone(&package), values, logs: logs.clone() };
    let prepared = (team.outside.prepare)(order).await.map_err(|words| vec![words])?;
    let parts = Server {
        runtime: runtime.to_string(),
        broker: None,
        package,
        launches: prepared.launches,
        traces: prepared.traces.clone(),
        store: site.store.clone(),
        documents: site.documents.clone(),
        logs,
        lifeline: Arc::clone(&team.lifeline),
        options: team.outside.options,
    };
    let engine = Engine::build(parts, true).await.map_err(|error| words(&error))?;
    let engine = Arc::new(engine);
    // Fails never: a work starts once.
    let _ = slot.set(Arc::downgrade(&engine));
    let running = engine.start().await.map_err(|error| reasons(&error))?;
    Ok(AtWork { engine, running, traces: prepared.traces, _keep: prepared.keep })
}

/// Why an engine did not start: a reason for each node.
fn reasons(error: &Error) -> Vec<String> {
    match error {
        Error::Nodes(error) => error.reasons(),
        error => vec![chain(error)],
    }
}
