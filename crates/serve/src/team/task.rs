//! One version at work, from its start to its end.

use super::packages;
use super::{Key, Team, launch::PrepareRequest};
use krt_model::{hint, name::VariableName};
use krt_registry::state::Event as VersionEvent;
use krt_runtime::{Engine, Error, Parts, Running, traces::Traces};
use miette::Diagnostic;
use std::{
    any::Any,
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock, Weak},
};
use tokio::{task::JoinHandle, time::Duration};
use tokio_util::sync::CancellationToken;

/// How long the export of spans may take after a version has ended.
const TRACE_FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// A version at work.
#[derive(Debug)]
pub(super) struct VersionTask {
    engine: Arc<OnceLock<Weak<Engine>>>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// A running engine, and what must outlive it.
struct RunningVersion {
    engine: Arc<Engine>,
    running: Running,
    traces: Traces,
    _keep: Box<dyn Any + Send + Sync>,
}

impl VersionTask {
    /// Starts a version that is STARTING in the registry.
    pub(super) fn start(team: Arc<Team>, key: Key) -> Self {
        let (engine, stop) = (Arc::new(OnceLock::new()), CancellationToken::new());
        let task = tokio::spawn(run(team, key, Arc::clone(&engine), stop.clone()));
        Self { engine, stop, task }
    }

    /// Refuses new requests, finishes those in flight, and ends.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits until the task has ended.
    pub(super) async fn ended(self) {
        if let Err(error) = self.task.await {
            tracing::error!("a version was lost: {error}");
        }
    }

    /// The engine, once it exists.
    pub(super) fn engine(&self) -> Option<Arc<Engine>> {
        self.engine.get()?.upgrade()
    }

    /// Whether this is its engine.
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
    if !matches!(started, Ok(Some(_))) {
        team.directory.remove(key.0.as_str(), key.1.as_str()).await;
    }
    match started {
        Ok(Some(work)) => {
            serve(&team, &key, work, &stop).await;
            if team.ended.is_cancelled() && !stop.is_cancelled() {
                return;
            }
            team.forget(&key, &engine);
            team.record_event(&key, VersionEvent::Ended, Vec::new()).await;
        }
        Ok(None) => {
            team.forget(&key, &engine);
            team.record_event(&key, VersionEvent::Ended, Vec::new()).await;
        }
        Err(reasons) => {
            team.forget(&key, &engine);
            tracing::warn!("`{}` of `{}` does not start", key.1, key.0);
            team.record_event(&key, VersionEvent::Failed, reasons).await;
        }
    }
}

/// Serves until stopped.
async fn serve(team: &Team, key: &Key, work: RunningVersion, stop: &CancellationToken) {
    let (runtime, version) = (key.0.as_str(), key.1.as_str());
    team.record_event(key, VersionEvent::Ready, Vec::new()).await;
    tokio::select! {
        () = stop.cancelled() => {}
        () = team.ended.cancelled() => {}
    }
    // Calls that hold a lease get their answer before the version's ingress closes.
    let limit = team.launch.options.drain + Duration::from_secs(1);
    let _ = tokio::time::timeout(limit, team.directory.remove(runtime, version)).await;
    work.engine.stop(work.running).await;
    work.traces.close(TRACE_FLUSH_TIMEOUT).await;
}

/// Prepares and starts a version; the error has the reasons as messages.
async fn start(
    team: &Arc<Team>,
    key: &Key,
    slot: &OnceLock<Weak<Engine>>,
) -> Result<RunningVersion, Vec<String>> {
    let (runtime, version) = key;
    let words = |error: &dyn Diagnostic| vec![hint::chain(error)];
    let stores = team.store_set.open(runtime).await.map_err(|error| words(&error))?;
    let logs = team.logs.of_version(stores.store.clone(), version);
    let place = team.registry.folder().version(runtime, version);
    let package = packages::load(place.package()).await;
    let package = Arc::new(package.map_err(|error| words(&error))?);
    let (of, name) = (runtime.clone(), version.clone());
    let values = team.with_registry(move |registry| registry.values(&of, &name)).await;
    let values = values.map_err(|error| words(&error))?;
    let values = values
        .into_iter()
        .filter_map(|(name, value)| Some((VariableName::parse(&name).ok()?, value.reveal().to_owned())));
    let values: BTreeMap<_, _> = values.collect();
    let here: BTreeSet<_> = package.version.own_nodes().collect();
    let order = PrepareRequest {
        runtime: runtime.clone(),
        package: Arc::clone(&package),
        here: here.clone(),
        environment: place.environment(),
        values,
        logs: logs.clone(),
        store: stores.store.clone(),
    };
    let traces = logs.around(async { (team.launch.traces)(version) }).await;
    let options = team.launch.options;
    let broker = match &team.launch.nats {
        Some(nats) => {
            let joined = nats.join(runtime, version, options.in_flight, options.requests.message);
            Some(logs.around(joined).await.map_err(|error| words(&error))?)
        }
        None => None,
    };
    let parts = Parts {
        runtime: runtime.to_string(),
        broker,
        here,
        package,
        traces: traces.clone(),
        store: stores.store.clone(),
        documents: stores.documents.clone(),
        logs,
        gpus: Arc::clone(&team.launch.gpus),
        lifeline: Arc::clone(&team.lifeline),
        options,
    };
    let engine = Engine::build(parts, true).await.map_err(|error| words(&error))?;
    let engine = Arc::new(engine);
    // Never fails: a task starts once.
    let _ = slot.set(Arc::downgrade(&engine));
    // The ingress tells clients that the version is starting, while it does.
    team.directory.add(runtime.as_str(), version.as_str(), Arc::clone(engine.ingress()));
    let prepared = (team.launch.prepare)(order).await.map_err(|words| vec![words])?;
    let running = engine.start(prepared.launches).await.map_err(|error| reasons(&error))?;
    Ok(RunningVersion { engine, running, traces, _keep: prepared.keep })
}

/// Why an engine did not start: one reason per node.
fn reasons(error: &Error) -> Vec<String> {
    match error {
        Error::Nodes(error) => error.reasons(),
        error => vec![hint::chain(error)],
    }
}
