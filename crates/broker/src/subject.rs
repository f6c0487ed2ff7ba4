//! Addresses of messages: subjects, streams, queue groups and consumers.

use krt_model::{
    name::Name,
    version::{Version, Workflow},
};
use std::fmt;

/// The two wire protocols of KRT v1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(usize)]
pub enum WireProtocol {
    /// Runners 1.x and 2.0: plain NATS.
    #[default]
    Core,
    /// Runners 2.1: JetStream.
    JetStream,
}

/// The runtime of a version, and how its name appears in subjects and streams.
///
/// Two versions with different names, or of different runtimes, have no subject and no stream in common within one
/// namespace of the second kind. Names of versions contain no `_`, and neither do those of a server's runtimes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    runtime: String,
    served: bool,
}

impl Namespace {
    /// The names of KRT v1's runners: a NATS server for one runtime. Subjects of core NATS do not name it.
    pub fn of_runtime(runtime: impl Into<String>) -> Self {
        Self { runtime: runtime.into(), served: false }
    }

    /// The names of a team's server, whose runtimes share a NATS server.
    pub fn of_server(runtime: impl Into<String>) -> Self {
        Self { runtime: runtime.into(), served: true }
    }

    /// Returns the runtime's id.
    pub fn runtime(&self) -> &str {
        &self.runtime
    }

    /// Returns the version in a subject of core NATS.
    fn core(&self, version: &Name) -> String {
        if self.served { format!("{}.{version}", self.runtime) } else { version.to_string() }
    }

    /// Returns the version in the name of a stream, which has no dots.
    pub(crate) fn stream(&self, version: &Name) -> String {
        format!("{}{}{version}", self.runtime, self.separator())
    }

    fn separator(&self) -> char {
        if self.served { '_' } else { '-' }
    }

    /// Returns the stream of dead letters. Names of runtimes have no capitals, so it cannot collide.
    pub fn dead_stream(&self, version: &Name) -> String {
        format!("{DEAD}{}", self.stream(version))
    }

    /// Returns the subject on which other runners save documents.
    pub fn mongo_writer(&self, version: &Name) -> String {
        format!("{}-mongo-writer", self.stream(version))
    }

    /// Returns the subject of messages between krt's engines about a version; `about` is one word.
    pub fn engine_subject(&self, version: &Name, about: &str) -> String {
        let served = if self.served { "served." } else { "" };
        format!("krt.{served}{}.{version}.{about}", self.runtime)
    }

    /// Returns whether a stream belongs to a version, or to any version of the runtime. False for the names of
    /// KRT v1's runners, which do not tell where the version's name begins.
    pub(crate) fn has_stream(&self, stream: &str, version: Option<&Name>) -> bool {
        let name = stream.strip_prefix(DEAD).unwrap_or(stream);
        let Some((runtime, rest)) = name.split_once(self.separator()) else { return false };
        if !self.served || runtime != self.runtime {
            return false;
        }
        let Some(version) = version.map(Name::as_str) else { return true };
        // The name of an RPC has no hyphens.
        let of_rpc = |rpc: &str| !rpc.is_empty() && !rpc.contains('-');
        match stream.starts_with(DEAD) {
            true => rest == version,
            false => rest.rsplit_once('-').is_some_and(|(name, rpc)| name == version && of_rpc(rpc)),
        }
    }
}

/// The start of the names of streams of dead letters.
const DEAD: &str = "DEAD-";

/// Returns whether a subject is an inbox, on which a client may wait for an answer.
///
/// The sender of a message names the subject of its answer. The engine may publish to subjects that the
/// sender may not, such as `$JS.API.STREAM.DELETE.…`, so answers go to inboxes only.
pub fn is_inbox(subject: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'*' | b'>');
    let words = subject.strip_prefix("_INBOX.").filter(|words| words.bytes().all(plain));
    words.is_some_and(|words| words.split('.').all(|word| !word.is_empty()))
}

/// One stage of a workflow, by reference.
#[derive(Debug, Clone, Copy)]
pub struct StageRef<'a> {
    /// The runtime of the version.
    pub namespace: &'a Namespace,
    /// The version.
    pub version: &'a Version,
    /// The workflow.
    pub workflow: &'a Workflow,
    /// The stage, from 0.
    pub position: usize,
}

impl StageRef<'_> {
    /// The node.
    pub fn node(&self) -> &Name {
        &self.version.nodes[self.workflow.sequence[self.position]].name
    }

    /// Returns whether the workflow ends here.
    pub fn is_last(&self) -> bool {
        self.position + 1 == self.workflow.sequence.len()
    }

    /// Returns the subject of the node's messages.
    pub fn input(&self, protocol: WireProtocol) -> String {
        match (protocol, self.position) {
            (WireProtocol::Core, 0) => {
                format!("{}-{}-entrypoint", self.core(), self.workflow.entrypoint)
            }
            (WireProtocol::Core, _) => {
                format!("{}-{}-{}", self.core(), self.workflow.entrypoint, self.turn())
            }
            (WireProtocol::JetStream, _) => format!("{}.{}", self.stream(), self.turn()),
        }
    }

    /// Returns the subject of its results. `None` for the last node of core NATS, which answers to the
    /// request's inbox.
    pub fn output(&self, protocol: WireProtocol) -> Option<String> {
        match (protocol, self.is_last()) {
            (_, false) => Some(Self { position: self.position + 1, ..*self }.input(protocol)),
            (WireProtocol::Core, true) => None,
            (WireProtocol::JetStream, true) => Some(self.entrypoint()),
        }
    }

    /// Returns the queue group of the node's replicas: each message goes to one of them. Core NATS only.
    pub fn queue_group(&self) -> String {
        format!("queue_{}", self.input(WireProtocol::Core))
    }

    /// Returns the workflow's stream. JetStream only.
    pub fn stream(&self) -> String {
        format!("{}-{}", self.namespace.stream(&self.version.name), self.workflow.entrypoint)
    }

    /// Returns the subject on which other runners save documents.
    pub fn mongo_writer(&self) -> String {
        self.namespace.mongo_writer(&self.version.name)
    }

    /// Returns the subject of the workflow's answers, on which the entrypoint listens. JetStream only.
    pub fn entrypoint(&self) -> String {
        answers(&self.stream())
    }

    /// Returns the durable consumer of the node's replicas. JetStream only.
    pub fn consumer(&self) -> String {
        format!("{}-{}", self.version.name, self.turn())
    }

    /// Returns an owned description of the stage.
    pub fn stage(&self) -> Stage {
        Stage {
            input: [self.input(WireProtocol::Core), self.input(WireProtocol::JetStream)],
            queue_group: self.queue_group(),
            stream: self.stream(),
            consumer: self.consumer(),
            workflow: self.workflow.name.to_string(),
            node: self.node().to_string(),
            dead: self.namespace.dead_stream(&self.version.name),
        }
    }

    fn core(&self) -> String {
        self.namespace.core(&self.version.name)
    }

    /// Returns the node's name, with a number if the workflow visits it more than once.
    fn turn(&self) -> Visit<'_> {
        let node = self.workflow.sequence[self.position];
        let before = self.workflow.sequence[..self.position].iter().filter(|&&other| other == node).count();
        Visit { node: self.node(), turn: before + 1 }
    }
}

/// One stage of a workflow: its subjects, and its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    input: [String; 2],
    pub(crate) queue_group: String,
    pub(crate) stream: String,
    pub(crate) consumer: String,
    /// The workflow's name.
    pub workflow: String,
    /// The node's name.
    pub node: String,
    pub(crate) dead: String,
}

impl Stage {
    /// Returns the subject of its messages.
    pub fn input(&self, protocol: WireProtocol) -> &str {
        &self.input[protocol as usize]
    }

    /// Returns the subject of its workflow's answers. JetStream only.
    pub fn answers(&self) -> String {
        answers(&self.stream)
    }
}

fn answers(stream: &str) -> String {
    format!("{stream}.entrypoint")
}

struct Visit<'a> {
    node: &'a Name,
    turn: usize,
}

impl fmt::Display for Visit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.turn {
            1 => write!(f, "{}", self.node),
            turn => write!(f, "{}-{turn}", self.node),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use krt_model::version::{Node, RunOptions};

    pub(crate) fn version(sequence: &[usize]) -> Version {
        let name = |text: &str| Name::parse(text).unwrap();
        let node = |text: &str| Node {
            name: name(text),
            src: String::new(),
            language: None,
            build: None,
            image: None,
            gpu: None,
            run: RunOptions::default(),
        };
        Version {
            name: name("shop-v1"),
            description: String::new(),
            proto: String::new(),
            config: Vec::new(),
            environment: Vec::new(),
            metadata: Vec::new(),
            nodes: vec![node("etl"), node("model")],
            workflows: vec![Workflow {
                name: name("buying"),
                entrypoint: "Buy".to_owned(),
                sequence: sequence.to_vec(),
                priority: false,
                cache: None,
                open_inference: false,
            }],
        }
    }

    #[test]
    fn answers_go_to_inboxes_only() {
        for (subject, expected) in [
            ("_INBOX.abc", true),
            ("_INBOX.abc.0197-a", true),
            ("_INBOX.", false),
            ("_INBOX.a..b", false),
            ("_INBOX.a.>", false),
            ("_INBOX.a.*", false),
            ("_INBOX.a b", false),
            ("_INBOX.a\r\nPUB x 0", false),
            ("$JS.API.STREAM.DELETE.shop", false),
            ("$SYS.REQ.SERVER.PING", false),
            ("shop-v1-Buy-entrypoint", false),
            ("", false),
        ] {
            assert_eq!(is_inbox(subject), expected, "{subject:?}");
        }
    }

    #[test]
    fn a_workflow_of_each_protocol() {
        let version = version(&[0, 1, 0]);
        let namespace = Namespace::of_runtime("shop");
        let at = |position| StageRef {
            namespace: &namespace,
            version: &version,
            workflow: &version.workflows[0],
            position,
        };
        let inputs = |protocol| [0, 1, 2].map(|position| at(position).input(protocol));
        let outputs = |protocol| [0, 1, 2].map(|position| at(position).output(protocol));
        let core = ["shop-v1-Buy-entrypoint", "shop-v1-Buy-model", "shop-v1-Buy-etl-2"];
        assert_eq!(inputs(WireProtocol::Core), core);
        assert_eq!(outputs(WireProtocol::Core), [Some(core[1].to_owned()), Some(core[2].to_owned()), None]);
        let stream = ["shop-shop-v1-Buy.etl", "shop-shop-v1-Buy.model", "shop-shop-v1-Buy.etl-2"];
        assert_eq!(inputs(WireProtocol::JetStream), stream);
        let ends = [stream[1], stream[2], "shop-shop-v1-Buy.entrypoint"];
        assert_eq!(outputs(WireProtocol::JetStream), ends.map(|end| Some(end.to_owned())));
        assert_eq!(at(0).mongo_writer(), "shop-shop-v1-mongo-writer");
        assert_eq!(namespace.dead_stream(&version.name), "DEAD-shop-shop-v1");
        assert_eq!(namespace.engine_subject(&version.name, "present"), "krt.shop.shop-v1.present");
        assert_eq!(at(1).queue_group(), "queue_shop-v1-Buy-model");
        assert_eq!(at(1).consumer(), "shop-v1-model");
        assert!(at(2).is_last() && !at(1).is_last());
    }

    #[test]
    fn a_workflow_of_a_server() {
        let version = version(&[0, 1]);
        let namespace = Namespace::of_server("shop");
        let at = |position| StageRef {
            namespace: &namespace,
            version: &version,
            workflow: &version.workflows[0],
            position,
        };
        let inputs = |protocol| [0, 1].map(|position| at(position).input(protocol));
        assert_eq!(inputs(WireProtocol::Core), ["shop.shop-v1-Buy-entrypoint", "shop.shop-v1-Buy-model"]);
        assert_eq!(inputs(WireProtocol::JetStream), ["shop_shop-v1-Buy.etl", "shop_shop-v1-Buy.model"]);
        assert_eq!(at(1).output(WireProtocol::JetStream).unwrap(), "shop_shop-v1-Buy.entrypoint");
        assert_eq!(at(0).mongo_writer(), "shop_shop-v1-mongo-writer");
        assert_eq!(namespace.dead_stream(&version.name), "DEAD-shop_shop-v1");
        assert_eq!(namespace.engine_subject(&version.name, "present"), "krt.served.shop.shop-v1.present");
    }

    #[test]
    fn versions_of_a_server_do_not_meet() {
        let name = |text: &str| Name::parse(text).unwrap();
        let subjects = |runtime: &str, version_name: &str| {
            let namespace = Namespace::of_server(runtime);
            let version = Version { name: name(version_name), ..version(&[0, 1]) };
            let place = |position| StageRef {
                namespace: &namespace,
                version: &version,
                workflow: &version.workflows[0],
                position,
            };
            let mut all: Vec<_> = [WireProtocol::Core, WireProtocol::JetStream]
                .into_iter()
                .flat_map(|protocol| [0, 1].map(|position| place(position).input(protocol)))
                .collect();
            all.extend([place(0).stream(), place(0).mongo_writer(), place(0).entrypoint()]);
            all.extend([namespace.dead_stream(&version.name), namespace.engine_subject(&version.name, "x")]);
            all
        };
        let pairs = [("a", "b-c"), ("a-b", "c"), ("a", "b"), ("a-b", "b-c"), ("a", "c"), ("krt", "a")];
        let mut all: Vec<_> =
            pairs.iter().flat_map(|(runtime, version)| subjects(runtime, version)).collect();
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn the_streams_of_a_version() {
        let namespace = Namespace::of_server("shop");
        let v1 = Name::parse("v1").unwrap();
        for (stream, of_runtime, of_version) in [
            ("shop_v1-Buy", true, true),
            ("shop_v1-buy_all", true, true),
            ("DEAD-shop_v1", true, true),
            ("shop_v1-b-Buy", true, false),
            ("DEAD-shop_v1-b", true, false),
            ("shop_v2-Buy", true, false),
            ("shop-eu_v1-Buy", false, false),
            ("shop-v1-Buy", false, false),
            ("shop", false, false),
        ] {
            let found = (namespace.has_stream(stream, None), namespace.has_stream(stream, Some(&v1)));
            assert_eq!(found, (of_runtime, of_version), "{stream}");
        }
        assert!(!Namespace::of_runtime("shop").has_stream("shop-v1-Buy", None));
    }
}
