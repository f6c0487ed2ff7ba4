//! The version on its hosts: an entrypoint, each node twice, and the server.

use super::hosts::Hosts;
use crate::support::{krt, processes, scratch, scratch::Scratch};
use krt_servers::{NatsOptions, NatsServer};
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
pub(super) const SERVER: &str = "server";
pub(super) const DOOR: &str = "door";
/// The hosts of nodes, and what runs there: each node is on two.
pub(super) const NODES: [(&str, &str); 6] = [
    ("first-a", "first"),
    ("first-b", "first"),
    ("middle-a", "middle"),
    ("middle-b", "middle"),
    ("last-a", "last"),
    ("last-b", "last"),
];

/// How long an engine may take to say that it serves.
const STARTS_WITHIN: Duration = Duration::from_secs(120);
/// How long confirmed work may take that is given out again and again.
const DONE_WITHIN: Duration = Duration::from_secs(120);
/// How often a file is looked at.
const LOOK: Duration = Duration::from_millis(20);

pub(super) struct Site {
    pub(super) hosts: Hosts,
    server: Mutex<NatsServer>,
    mode: &'static str,
    /// Where the server is, by host.
    urls: Vec<(&'static str, String)>,
    scratch: Scratch,
    folder: TempDir,
    engines: Mutex<Vec<Engine>>,
}

/// One `krt`, killed when it is dropped.
struct Engine {
    host: &'static str,
    child: Child,
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Fails when it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) fn package() -> PathBuf {
    krt::packages().join("confirm")
}

impl Site {
    /// Makes the hosts and starts the server; `None` where there is none to start.
    pub(super) async fn open(test: &str, mode: &'static str) -> Option<Self> {
        let nodes = NODES.map(|(host, _)| host);
        let names: Vec<_> = [SERVER, DOOR, CLIENT].into_iter().chain(nodes).collect();
        let mut hosts = Hosts::make(&names);
        let address = Some(hosts.address(SERVER));
        let options = NatsOptions { jetstream: true, address, ..NatsOptions::default() };
        let server = hosts.on(SERVER, || NatsServer::start(test, options))?;
        let mut urls = Vec::new();
        for host in nodes.into_iter().chain([DOOR]) {
            urls.push((host, hosts.server(host, server.port).await));
        }
        let folder = tempfile::tempdir().unwrap();
        let scratch = Scratch::below(folder.path());
        let (server, engines) = (Mutex::new(server), Mutex::default());
        Some(Self { hosts, server, mode, urls, scratch, folder, engines })
    }

    /// Starts all parts, and waits until they serve; returns where the door is.
    pub(super) fn start(&self) -> SocketAddr {
        for (host, node) in NODES {
            self.start_node(host, node);
        }
        let listen = format!("{}:0", self.hosts.address(DOOR));
        self.spawn(DOOR, &["entrypoint", &package().display().to_string(), "--listen", &listen]);
        for (host, node) in NODES {
            self.said(host, &format!("taking messages for {node}"));
        }
        let line = self.said(DOOR, "listening on ");
        let address = line.split("listening on ").nth(1).and_then(|rest| rest.split('"').next());
        address.expect("the record names an address").parse().unwrap()
    }

    /// Starts the engine of a node on its host.
    fn start_node(&self, host: &'static str, node: &str) {
        self.spawn(host, &["node", node, &package().display().to_string()]);
    }

    /// Ends the engine of a node at once, and starts another one.
    pub(super) fn replace_node(&self, host: &'static str, node: &str) {
        self.engines.lock().unwrap().retain(|engine| engine.host != host);
        self.start_node(host, node);
    }

    /// The processes that run the user's code of a node, on whichever host.
    pub(super) fn processes_of(&self, node: &str) -> Vec<i32> {
        let found = processes::marked(scratch::VARIABLE, self.scratch.path()).into_iter();
        found.filter(|found| found.node.as_deref() == Some(node)).map(|found| found.pid).collect()
    }

    /// Ends the server at once.
    pub(super) fn kill_server(&self) {
        self.server.lock().unwrap().kill();
    }

    /// Starts it again, with the streams it had.
    pub(super) fn start_server(&self) {
        self.hosts.on(SERVER, || self.server.lock().unwrap().start_again());
    }

    /// Puts back every cable.
    pub(super) fn mend(&self) {
        for host in NODES.map(|(host, _)| host).into_iter().chain([DOOR]) {
            self.hosts.mend(host);
        }
    }

    /// The requests whose work is done, by their number.
    pub(super) fn done(&self) -> BTreeSet<usize> {
        let files = std::fs::read_dir(self.scratch.path()).unwrap().map(|entry| entry.unwrap().path());
        let texts = files.map(|path| std::fs::read_to_string(path).unwrap());
        texts.flat_map(|text| text.lines().map(|line| line.parse().unwrap()).collect::<Vec<_>>()).collect()
    }

    /// The same, when all of `confirmed` are among them, or would have been long ago.
    pub(super) fn done_with(&self, confirmed: &BTreeSet<usize>) -> BTreeSet<usize> {
        let until = Instant::now() + DONE_WITHIN;
        loop {
            let done = self.done();
            if confirmed.is_subset(&done) || Instant::now() > until {
                return done;
            }
            std::thread::sleep(LOOK);
        }
    }

    /// What all engines have said that may need a look.
    pub(super) fn complaints(&self) -> String {
        let hosts = NODES.map(|(host, _)| host).into_iter().chain([DOOR]);
        let of = |host| {
            let text = std::fs::read_to_string(self.log(host)).unwrap_or_default();
            let lines: Vec<_> =
                text.lines().filter(|line| !line.contains("\"INFO\"")).map(str::to_owned).collect();
            let last = lines.len().saturating_sub(20);
            format!("{host}:\n{}\n", lines[last..].join("\n"))
        };
        hosts.map(of).collect()
    }

    /// Waits until an engine has said something; returns the line.
    fn said(&self, host: &str, words: &str) -> String {
        let until = Instant::now() + STARTS_WITHIN;
        loop {
            let text = std::fs::read_to_string(self.log(host)).unwrap_or_default();
            if let Some(line) = text.lines().find(|line| line.contains(words)) {
                return line.to_owned();
            }
            assert!(Instant::now() < until, "{host} did not say `{words}`:\n{text}");
            std::thread::sleep(LOOK);
        }
    }

    fn log(&self, host: &str) -> PathBuf {
        self.folder.path().join(format!("{host}.log"))
    }

    fn spawn(&self, host: &'static str, arguments: &[&str]) {
        let (_, url) = self.urls.iter().find(|(name, _)| *name == host).expect("the host was made");
        let log = File::options().create(true).append(true).open(self.log(host)).unwrap();
        let mut command = krt::command();
        command
            .args(arguments)
            .args(["--nats", url, "--nats-mode", self.mode, "--log-format", "json", "--data"])
            .arg(self.folder.path().join(host))
            .env(scratch::VARIABLE, self.scratch.path())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdout(Stdio::null())
            .stderr(log);
        let child = self.hosts.on(host, || command.spawn()).expect("the binary is there");
        self.engines.lock().unwrap().push(Engine { host, child });
    }
}
