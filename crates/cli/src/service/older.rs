//! Servers for executables of older runners: NATS, MongoDB and InfluxDB, on the loopback.
//!
//! - [`jetstream`]: a NATS server with JetStream, for runners that need it.

mod jetstream;

use super::NatsArgs;
use crate::error::{Context as _, Result};
use jetstream::JetStream;
use krt_loopback::{influx, mongo, nats};
use krt_model::{
    address::Address,
    name::Name,
    version::{Generation, Node, OlderRunner, Version},
};
use krt_package::executable::{self, DetectedRunner, Executable};
use krt_runtime::node::older::{Older, OlderBroker};
use krt_store::Store;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The maximum size of a NATS message beyond the user's payload, bytes.
const ENVELOPE_OVERHEAD: usize = 1 << 20;

/// The stores behind the servers, and their remote replacements.
pub(crate) struct Stores<'a> {
    /// The embedded store.
    pub(crate) store: &'a Store,
    /// The server for documents, if remote.
    pub(crate) mongo: Option<&'a Address>,
    /// The server for measurements, if remote.
    pub(crate) influx: Option<&'a Address>,
}

/// Running servers. They stop on drop.
#[derive(Default)]
pub(crate) struct Servers {
    /// The servers for each generation of runners.
    generations: Vec<(Generation, GenerationServers)>,
    tasks: JoinSet<()>,
    stop: Option<DropGuard>,
    jetstream: Option<JetStream>,
}

/// The servers for nodes of one generation.
#[derive(Clone)]
struct GenerationServers {
    broker: OlderBroker,
    mongo: Address,
    influx: Address,
}

/// Requirements of the servers.
pub(crate) struct ServerSettings<'a> {
    /// The runtime's id.
    pub(crate) runtime: &'a str,
    /// The maximum size of the user's message, bytes.
    pub(crate) message: usize,
    /// A folder for a server's data, not shared with other servers.
    pub(crate) data: &'a Path,
    /// The NATS server from the flags, if any.
    pub(crate) nats: &'a NatsArgs,
}

impl Servers {
    /// Starts the servers that the older runners among `nodes` need.
    pub(crate) async fn start(
        nodes: impl IntoIterator<Item = &Node>,
        stores: Stores<'_>,
        needed: ServerSettings<'_>,
    ) -> Result<Self> {
        let generations = generations(nodes);
        let mut servers = Self::default();
        if generations.is_empty() {
            return Ok(servers);
        }
        let stop = CancellationToken::new();
        servers.stop = Some(stop.clone().drop_guard());
        let (mongo, influx) = servers.start_stores(stores, &needed, &stop).await?;
        for generation in generations {
            let broker = match generation {
                Generation::Core => servers.start_core(&needed, &stop).await?,
                Generation::JetStream => servers.start_jetstream(&needed).await?,
            };
            let ready = GenerationServers { broker, mongo: mongo.clone(), influx: influx.clone() };
            servers.generations.push((generation, ready));
        }
        Ok(servers)
    }

    /// The servers for a node that was built with an older runner.
    pub(crate) fn provide(&self, runner: OlderRunner) -> Option<Arc<Older>> {
        let (_, ready) = self.generations.iter().find(|(generation, _)| *generation == runner.generation)?;
        let GenerationServers { broker, mongo, influx } = ready.clone();
        Some(Arc::new(Older { runner, broker, mongo, influx }))
    }

    /// Stops the servers. Call it when no client is connected any more.
    pub(crate) async fn stop(mut self) {
        drop(self.stop.take());
        self.tasks.join_all().await;
        if let Some(jetstream) = self.jetstream {
            jetstream.stop().await;
        }
    }

    async fn start_stores(
        &mut self,
        stores: Stores<'_>,
        needed: &ServerSettings<'_>,
        stop: &CancellationToken,
    ) -> Result<(Address, Address)> {
        let mongo = match stores.mongo {
            Some(url) => url.clone(),
            None => {
                let server = mongo::Server::bind(stores.store.clone(), needed.runtime).await;
                let server = server.context("cannot serve documents to executables of older runners")?;
                let url = Address::from(&*server.url());
                self.tasks.spawn(server.run(stop.clone()));
                url
            }
        };
        let influx = match stores.influx {
            Some(url) => Address::from(influx_base(url.secret())),
            None => {
                let server = influx::Server::bind(stores.store.clone()).await;
                let server = server.context("cannot take measurements of executables of older runners")?;
                let url = Address::from(&*server.url());
                self.tasks.spawn(server.run(stop.clone()));
                url
            }
        };
        Ok((mongo, influx))
    }

    async fn start_core(
        &mut self,
        needed: &ServerSettings<'_>,
        stop: &CancellationToken,
    ) -> Result<OlderBroker> {
        let server = nats::Server::bind(needed.message.saturating_add(ENVELOPE_OVERHEAD)).await;
        let server = server.context("cannot serve NATS to executables of older runners")?;
        let handle = server.handle();
        self.tasks.spawn(server.run(stop.clone()));
        Ok(OlderBroker::Core(handle))
    }

    /// Connects to the server from the flags, or starts one.
    async fn start_jetstream(&mut self, needed: &ServerSettings<'_>) -> Result<OlderBroker> {
        let name = format!("krt {}, older runners", needed.runtime);
        let engine = uuid::Uuid::now_v7().simple().to_string();
        if needed.nats.is_given() {
            needed.nats.require_plain_url()?;
            let connection = needed.nats.connect(name).await?;
            return Ok(OlderBroker::JetStream {
                connection: Box::new(connection),
                server: needed.nats.address()?.clone(),
                engine,
            });
        }
        let max_payload = needed.message.saturating_add(ENVELOPE_OVERHEAD);
        let jetstream = self.jetstream.insert(JetStream::start(needed.data, max_payload).await?);
        let connection = jetstream.connect(name).await?;
        Ok(OlderBroker::JetStream {
            connection: Box::new(connection),
            server: jetstream.url().clone(),
            engine,
        })
    }
}

fn generations<'a>(nodes: impl IntoIterator<Item = &'a Node>) -> Vec<Generation> {
    let found: Vec<_> = nodes.into_iter().filter_map(|node| node.run.runner.older()).collect();
    let has = |generation: &Generation| found.iter().any(|older| older.generation == *generation);
    [Generation::Core, Generation::JetStream].into_iter().filter(has).collect()
}

/// Finds a node that would run an older runner's executable although it has sources, because the tool to
/// build them is missing. `executables` are by node name.
pub(crate) fn prebuilt<'a>(
    version: &'a Version,
    executables: &BTreeMap<String, PathBuf>,
    root: &Path,
) -> Option<(&'a Name, DetectedRunner)> {
    version.nodes.iter().filter(|node| node.build.is_some()).find_map(|node| {
        let own = root.join(&node.src);
        if executables.get(node.name.as_str()) != Some(&own) {
            return None;
        }
        match executable::inspect(&own, None) {
            Ok(Executable::Older(found)) => Some((&node.name, found)),
            _ => None,
        }
    })
}

/// InfluxDB's URL without the optional path and query of `--influx`: a runner appends its own.
pub(crate) fn influx_base(url: &str) -> &str {
    let url = url.split(['?', '#']).next().unwrap_or(url).trim_end_matches('/');
    let url = url.strip_suffix("/api/v2/write").or_else(|| url.strip_suffix("/write")).unwrap_or(url);
    url.trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn influx_urls_for_runners() {
        for (url, expected) in [
            ("http://h:8086", "http://h:8086"),
            ("http://h:8086/", "http://h:8086"),
            ("https://t@h:8086?org=us", "https://t@h:8086"),
            ("http://h/influx/?org=us#x", "http://h/influx"),
            ("http://h:8086/api/v2/write", "http://h:8086"),
            ("http://u:p@h:8086/write/", "http://u:p@h:8086"),
        ] {
            assert_eq!(influx_base(url), expected);
        }
    }
}
