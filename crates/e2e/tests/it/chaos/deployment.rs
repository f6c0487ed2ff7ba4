//! The version on its hosts: an entrypoint, two instances of each node, and the servers.

use super::hosts::Hosts;
use crate::support::{krt, processes, scratch, scratch::Scratch};
use krt_servers::{NatsMember, NatsOptions, NatsServer};
use std::{
    collections::BTreeSet,
    fs::File,
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Stdio},
    sync::Mutex,
    time::{Duration, Instant},
};
use tempfile::TempDir;

pub(super) const CLIENT: &str = "clients";
/// The servers' hosts: only the first one, or all for a cluster.
pub(super) const SERVERS: [&str; 3] = ["server-a", "server-b", "server-c"];
pub(super) const INGRESS: &str = "ingress";
/// The nodes' hosts, each with its node; each node has two hosts.
pub(super) const NODES: [(&str, &str); 6] = [
    ("first-a", "first"),
    ("first-b", "first"),
    ("middle-a", "middle"),
    ("middle-b", "middle"),
    ("last-a", "last"),
    ("last-b", "last"),
];

/// How long an engine may take to serve.
const START_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a server may take to catch up with the others.
const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(60);
/// How long confirmed work may take, including repeated redeliveries.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(120);
/// The polling interval for files.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

pub(super) struct Deployment {
    pub(super) hosts: Hosts,
    servers: Vec<Mutex<NatsServer>>,
    kind: Kind,
    /// The servers' URLs, by host.
    urls: Vec<(&'static str, String)>,
    scratch: Scratch,
    folder: TempDir,
    engines: Mutex<Vec<Engine>>,
}

/// The kind of NATS deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// One server.
    Core,
    /// One server with JetStream.
    JetStream,
    /// Three servers, each with all messages.
    Cluster,
}

impl Kind {
    fn mode(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::JetStream | Self::Cluster => "jetstream",
        }
    }

    /// Whether confirmed work survives the faults.
    pub(super) fn keeps_work(self) -> bool {
        self != Self::Core
    }

    fn servers(self) -> &'static [&'static str] {
        match self {
            Self::Core | Self::JetStream => &SERVERS[..1],
            Self::Cluster => &SERVERS,
        }
    }
}

/// A `krt` process, killed on drop.
struct Engine {
    host: &'static str,
    child: Child,
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Fails if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) fn package() -> PathBuf {
    krt::packages().join("confirm")
}

impl Deployment {
    /// Creates the hosts and starts the servers; `None` if no server is installed.
    pub(super) async fn open(test: &str, kind: Kind) -> Option<Self> {
        let nodes = NODES.map(|(host, _)| host);
        let names: Vec<_> = kind.servers().iter().copied().chain([INGRESS, CLIENT]).chain(nodes).collect();
        let mut hosts = Hosts::make(&names);
        let servers = start_servers(test, kind, &hosts)?;
        let mut urls = Vec::new();
        for host in nodes.into_iter().chain([INGRESS]) {
            let mut all = Vec::new();
            for (name, server) in kind.servers().iter().zip(&servers) {
                all.push(hosts.server(host, name, server.port).await);
            }
            urls.push((host, all.join(",")));
        }
        let folder = tempfile::tempdir().unwrap();
        let scratch = Scratch::below(folder.path());
        let servers = servers.into_iter().map(Mutex::new).collect();
        let deployment = Self { hosts, servers, kind, urls, scratch, folder, engines: Mutex::default() };
        deployment.wait_until_current();
        Some(deployment)
    }

    /// Starts all parts, and waits until they serve; returns the ingress's address.
    pub(super) fn start(&self) -> SocketAddr {
        for (index, (host, node)) in NODES.into_iter().enumerate() {
            self.start_node(host, node);
            // The first node creates the streams, which takes time in a cluster: started together, all nodes
            // would time out.
            if index == 0 {
                self.wait_for_log(host, &format!("taking messages for {node}"));
            }
        }
        let listen = format!("{}:0", self.hosts.address(INGRESS));
        self.spawn(INGRESS, &["entrypoint", &package().display().to_string(), "--listen", &listen]);
        for (host, node) in NODES {
            self.wait_for_log(host, &format!("taking messages for {node}"));
        }
        let line = self.wait_for_log(INGRESS, "listening on ");
        let address = line.split("listening on ").nth(1).and_then(|rest| rest.split('"').next());
        address.expect("the record names an address").parse().unwrap()
    }

    /// Starts a node's engine on its host.
    fn start_node(&self, host: &'static str, node: &str) {
        self.spawn(host, &["node", node, &package().display().to_string()]);
    }

    /// Kills a node's engine, and starts another one.
    pub(super) fn replace_node(&self, host: &'static str, node: &str) {
        self.engines.lock().unwrap().retain(|engine| engine.host != host);
        self.start_node(host, node);
    }

    /// The processes with a node's user code, on any host.
    pub(super) fn processes_of(&self, node: &str) -> Vec<i32> {
        let found = processes::marked(scratch::VARIABLE, self.scratch.path()).into_iter();
        found.filter(|found| found.node.as_deref() == Some(node)).map(|found| found.pid).collect()
    }

    /// The number of servers.
    pub(super) fn servers(&self) -> usize {
        self.servers.len()
    }

    /// Kills a server.
    pub(super) fn kill_server(&self, index: usize) {
        self.servers[index].lock().unwrap().kill();
    }

    /// Deletes the streams of a stopped server.
    pub(super) fn lose_disk(&self, index: usize) {
        self.servers[index].lock().unwrap().lose_disk();
    }

    /// Restarts a server with its remaining streams.
    pub(super) fn start_server(&self, index: usize) {
        let server = &self.servers[index];
        self.hosts.on(SERVERS[index], || server.lock().unwrap().start_again());
    }

    /// Waits until each server of a cluster has caught up.
    pub(super) fn wait_until_current(&self) {
        if self.kind != Kind::Cluster {
            return;
        }
        let until = Instant::now() + CATCH_UP_TIMEOUT;
        for (name, server) in SERVERS.iter().zip(&self.servers) {
            while let Some(lacks) = self.hosts.on(name, || server.lock().unwrap().lacks()) {
                assert!(Instant::now() < until, "{name} does not get what the others have: {lacks}");
                std::thread::sleep(POLL_INTERVAL);
            }
        }
    }

    /// Restores every cable.
    pub(super) fn restore(&self) {
        for host in NODES.map(|(host, _)| host).into_iter().chain([INGRESS]) {
            self.hosts.restore(host);
        }
    }

    /// The numbers of requests whose work is done.
    pub(super) fn done(&self) -> BTreeSet<usize> {
        let files = std::fs::read_dir(self.scratch.path()).unwrap().map(|entry| entry.unwrap().path());
        let texts = files.map(|path| std::fs::read_to_string(path).unwrap());
        texts.flat_map(|text| text.lines().map(|line| line.parse().unwrap()).collect::<Vec<_>>()).collect()
    }

    /// Like [`Self::done`], but waits until it contains all of `confirmed`, or until the time is up.
    pub(super) fn done_with(&self, confirmed: &BTreeSet<usize>) -> BTreeSet<usize> {
        let until = Instant::now() + DRAIN_TIMEOUT;
        loop {
            let done = self.done();
            if confirmed.is_subset(&done) || Instant::now() > until {
                return done;
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// The last warnings and errors of each engine.
    pub(super) fn complaints(&self) -> String {
        let hosts = NODES.map(|(host, _)| host).into_iter().chain([INGRESS]);
        let of = |host| {
            let text = std::fs::read_to_string(self.log(host)).unwrap_or_default();
            let lines: Vec<_> =
                text.lines().filter(|line| !line.contains("\"INFO\"")).map(str::to_owned).collect();
            let last = lines.len().saturating_sub(20);
            format!("{host}:\n{}\n", lines[last..].join("\n"))
        };
        hosts.map(of).collect()
    }

    /// Waits until an engine's log contains a text; returns the line.
    fn wait_for_log(&self, host: &str, words: &str) -> String {
        let until = Instant::now() + START_TIMEOUT;
        loop {
            let text = std::fs::read_to_string(self.log(host)).unwrap_or_default();
            if let Some(line) = text.lines().find(|line| line.contains(words)) {
                return line.to_owned();
            }
            assert!(Instant::now() < until, "{host} did not say `{words}`:\n{text}");
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    fn log(&self, host: &str) -> PathBuf {
        self.folder.path().join(format!("{host}.log"))
    }

    fn spawn(&self, host: &'static str, arguments: &[&str]) {
        let (_, url) = self.urls.iter().find(|(name, _)| *name == host).expect("the host was made");
        let log = File::options().create(true).append(true).open(self.log(host)).unwrap();
        let mut command = krt::command();
        if self.kind == Kind::Cluster {
            command.env("KRT_NATS_REPLICAS", self.servers.len().to_string());
        }
        command
            .args(arguments)
            .args(["--nats", url, "--nats-mode", self.kind.mode(), "--log-format", "json", "--data"])
            .arg(self.folder.path().join(host))
            .env(scratch::VARIABLE, self.scratch.path())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdout(Stdio::null())
            .stderr(log);
        let child = self.hosts.on(host, || command.spawn()).expect("the binary is there");
        self.engines.lock().unwrap().push(Engine { host, child });
    }
}

fn start_servers(test: &str, kind: Kind, hosts: &Hosts) -> Option<Vec<NatsServer>> {
    let names = kind.servers();
    let addresses: Vec<_> = names.iter().map(|name| hosts.address(name)).collect();
    let mut members = match kind {
        Kind::Core | Kind::JetStream => vec![None],
        Kind::Cluster => {
            let free_port = |address| {
                let index = addresses.iter().position(|known| *known == address).unwrap_or_default();
                hosts.on(names[index], || NatsMember::free_port(address))
            };
            NatsMember::of(&addresses, free_port).into_iter().map(Some).collect()
        }
    };
    let start = |(index, name): (usize, &&str)| {
        let (address, cluster) = (Some(addresses[index]), members[index].take());
        let options =
            NatsOptions { jetstream: true, survives_kills: true, address, cluster, ..NatsOptions::default() };
        hosts.on(name, || NatsServer::start(test, options))
    };
    names.iter().enumerate().map(start).collect()
}
