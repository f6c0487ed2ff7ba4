//! Stand-ins for KRT v1's existing runners (`runners/`): processes that speak NATS themselves, and read their
//! configuration from the environment. They end with the test, and choke on messages that existing runners
//! could not read.

use super::TIMEOUT;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use prost_reflect::{DescriptorPool, DynamicMessage, prost::Message as _};
use prost_types::FileDescriptorProto;
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::oneshot,
    task::JoinHandle,
};

type Lines = tokio::io::Lines<BufReader<ChildStdout>>;

/// Servers in the configuration of runners; stand-ins do not connect to them.
pub(crate) const MONGO: &str = "mongodb://127.0.0.1:27017";
pub(crate) const INFLUX: &str = "http://127.0.0.1:8086";

/// The wire protocol of a runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WireProtocol {
    Core,
    JetStream,
}

impl WireProtocol {
    /// Its name on the command line.
    pub(crate) fn mode(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::JetStream => "jetstream",
        }
    }
}

/// The common properties of a workflow's runners.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Workflow<'a> {
    pub(crate) protocol: WireProtocol,
    pub(crate) server: &'a str,
    /// The package's folder.
    pub(crate) package: &'a Path,
    pub(crate) runtime: &'a str,
    pub(crate) version: &'a str,
    pub(crate) name: &'a str,
    pub(crate) rpc: &'a str,
    /// The nodes, with the files of their handlers in the package.
    pub(crate) nodes: &'a [(&'a str, &'a str)],
}

impl Workflow<'_> {
    /// The environment of the node at a position, as KRT v1 set it in clusters.
    pub(crate) fn environment(&self, position: usize) -> Vec<(String, String)> {
        let (node, handler) = self.nodes[position];
        let last = position + 1 == self.nodes.len();
        let output = if last { String::new() } else { self.input(position + 1) };
        let text = |text: &str| text.to_owned();
        let mut variables = vec![
            ("KRT_WORKFLOW_NAME", text(self.name)),
            ("KRT_VERSION_ID", text(self.version)),
            ("KRT_VERSION", text(self.version)),
            ("KRT_NODE_NAME", text(node)),
            ("KRT_NATS_SERVER", text(self.server)),
            ("KRT_NATS_INPUT", self.input(position)),
            ("KRT_NATS_OUTPUT", output),
            ("KRT_NATS_MONGO_WRITER", self.mongo_writer()),
            ("KRT_BASE_PATH", self.package.display().to_string()),
            ("KRT_HANDLER_PATH", text(handler)),
            ("KRT_MONGO_URI", text(MONGO)),
            ("KRT_INFLUX_URI", text(INFLUX)),
        ];
        if self.protocol == WireProtocol::JetStream {
            variables.extend([
                ("KRT_RUNTIME_ID", text(self.runtime)),
                ("KRT_NATS_STREAM", self.stream()),
                ("KRT_IS_LAST_NODE", last.to_string()),
                ("KRT_NATS_ENTRYPOINT_SUBJECT", format!("{}.entrypoint", self.stream())),
            ]);
        }
        variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// The input subject of the node at a position.
    pub(crate) fn input(&self, position: usize) -> String {
        match (self.protocol, position) {
            (WireProtocol::Core, 0) => format!("{}-{}-entrypoint", self.version, self.rpc),
            (WireProtocol::Core, _) => format!("{}-{}-{}", self.version, self.rpc, self.nodes[position].0),
            (WireProtocol::JetStream, _) => format!("{}.{}", self.stream(), self.nodes[position].0),
        }
    }

    /// The subject for documents.
    pub(crate) fn mongo_writer(&self) -> String {
        format!("{}-mongo-writer", self.version)
    }

    /// The JetStream stream.
    pub(crate) fn stream(&self) -> String {
        format!("{}-{}-{}", self.runtime, self.version, self.rpc)
    }

    /// Starts the node at a position, and waits until it subscribes.
    pub(crate) async fn node(&self, position: usize) -> Runner {
        Runner::node(self.protocol, self.package, &self.environment(position)).await
    }

    /// Starts an entrypoint, and waits until it accepts requests. With JetStream, it creates the stream if
    /// missing; nodes wait half a minute for the stream.
    pub(crate) async fn entrypoint(&self) -> Entrypoint {
        Entrypoint::start(self).await
    }
}

/// A stand-in's process. Killed on drop.
pub(crate) struct Runner {
    child: Child,
    /// The stand-in exits when this closes.
    stdin: Option<ChildStdin>,
    errors: JoinHandle<String>,
    _messages: TempDir,
}

impl Runner {
    /// Starts a node with an environment, such as the output of `krt env`, and waits until it subscribes.
    pub(crate) async fn node(
        protocol: WireProtocol,
        package: &Path,
        environment: &[(String, String)],
    ) -> Self {
        Self::start(node_of(protocol), package, environment).await.0
    }

    /// The error of a node that does not start with an environment.
    pub(crate) async fn refused(
        protocol: WireProtocol,
        package: &Path,
        environment: &[(String, String)],
    ) -> String {
        match Self::launch(node_of(protocol), package, environment).await {
            (runner, _, None) => runner.choked().await,
            (_, _, Some(line)) => panic!("the node starts: {line}"),
        }
    }

    /// Also returns its further output.
    async fn start(program: &str, package: &Path, environment: &[(String, String)]) -> (Self, Lines) {
        match Self::launch(program, package, environment).await {
            (runner, lines, Some(line)) => {
                assert_eq!(line, "ready", "{program}");
                (runner, lines)
            }
            (runner, _, None) => panic!("{program} does not start: {}", runner.choked().await),
        }
    }

    /// Also returns its first line, if there is one.
    async fn launch(
        program: &str,
        package: &Path,
        environment: &[(String, String)],
    ) -> (Self, Lines, Option<String>) {
        let messages = tempfile::tempdir().expect("there is room for a temporary folder");
        let files = protox::compile(["public_input.proto"], [package]).expect("the .proto compiles");
        files.file.iter().for_each(|file| write_module(messages.path(), file));
        let mut child = Command::new(python())
            .arg(runners().join(program))
            .env_clear()
            .env("PYTHONPATH", messages.path())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("Python can be started");
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let mut stderr = child.stderr.take().expect("it is piped");
        let errors = tokio::spawn(async move {
            let mut text = Vec::new();
            let _ = stderr.read_to_end(&mut text).await;
            String::from_utf8_lossy(&text).into_owned()
        });
        let runner = Self { stdin: child.stdin.take(), child, errors, _messages: messages };
        let first = tokio::time::timeout(TIMEOUT, lines.next_line()).await;
        let first = first.expect("a runner starts or ends").expect("it writes text");
        (runner, lines, first)
    }

    /// Kills it.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("it was started by us");
    }

    /// Stops it, and returns its log. It must not have choked.
    pub(crate) async fn end(mut self) -> String {
        drop(self.stdin.take());
        let (ended, errors) = self.wait().await;
        assert!(ended.success(), "the runner ended with {ended}: {errors}");
        errors
    }

    /// Waits until it chokes, and returns its last lines.
    pub(crate) async fn choked(mut self) -> String {
        let (ended, errors) = self.wait().await;
        assert!(!ended.success(), "the runner ended well: {errors}");
        errors
    }

    async fn wait(&mut self) -> (ExitStatus, String) {
        let ending = async {
            let errors = (&mut self.errors).await.expect("it only reads");
            (self.child.wait().await.expect("it was started by us"), errors)
        };
        tokio::time::timeout(TIMEOUT, ending).await.expect("the runner ends")
    }
}

/// The reason a request has no answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// A node failed, with this message.
    Error(String),
    /// The time is up.
    Timeout,
    /// The first node's subject has no subscriber. Core NATS only.
    NoResponders,
    /// Another error of the NATS client.
    Nats(String),
}

/// A stand-in for an entrypoint.
pub(crate) struct Entrypoint {
    runner: Runner,
    stdin: tokio::sync::Mutex<ChildStdin>,
    waiting: Waiting,
    pool: DescriptorPool,
    rpc: String,
}

/// Pending calls, by request id; `None` once the stand-in has ended.
type Waiting = Arc<Mutex<Option<HashMap<String, oneshot::Sender<Value>>>>>;

impl Entrypoint {
    async fn start(workflow: &Workflow<'_>) -> Self {
        let folder = tempfile::tempdir().expect("there is room for a temporary folder");
        let subjects = folder.path().join("subjects.json");
        let text = json!({ workflow.rpc: workflow.input(0) }).to_string();
        std::fs::write(&subjects, text).expect("the folder is ours");
        let subjects = subjects.display().to_string();
        let environment = [
            ("KRT_NATS_SERVER", workflow.server),
            ("KRT_RUNTIME_ID", workflow.runtime),
            ("KRT_VERSION_ID", workflow.version),
            ("KRT_VERSION", workflow.version),
            ("KRT_NODE_NAME", "entrypoint"),
            ("KRT_NODE_ID", "entrypoint"),
            ("KRT_NATS_SUBJECTS_FILE", &subjects),
            ("KRT_INFLUX_URI", INFLUX),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self::start_with(workflow, &environment).await
    }

    /// Starts it with an environment, such as the output of `krt env --entrypoint`.
    pub(crate) async fn start_with(workflow: &Workflow<'_>, environment: &[(String, String)]) -> Self {
        let program = match workflow.protocol {
            WireProtocol::Core => "core_entrypoint.py",
            WireProtocol::JetStream => "jetstream_entrypoint.py",
        };
        let (mut runner, lines) = Runner::start(program, workflow.package, environment).await;
        let files = protox::compile(["public_input.proto"], [workflow.package]).expect("the .proto compiles");
        let waiting = Waiting::new(Mutex::new(Some(HashMap::new())));
        tokio::spawn(hand_out(lines, waiting.clone()));
        Self {
            stdin: runner.stdin.take().expect("it is piped").into(),
            runner,
            waiting,
            pool: DescriptorPool::from_file_descriptor_set(files).expect("the files are whole"),
            rpc: workflow.rpc.to_owned(),
        }
    }

    /// Sends a request, and waits for the answer. Calls may be concurrent.
    pub(crate) async fn call(&self, request: Value) -> Result<Value, Failure> {
        self.call_within(TIMEOUT, request).await
    }

    /// Sends a request with a timeout.
    pub(crate) async fn call_within(&self, timeout: Duration, request: Value) -> Result<Value, Failure> {
        let method = self.pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
        let method = method.into_iter().find(|method| method.name() == self.rpc).expect("the .proto has it");
        let message = DynamicMessage::deserialize(method.input(), request).expect("it is a request");
        let id = uuid::Uuid::now_v7().to_string();
        let command = json!({
            "id": id,
            "rpc": self.rpc,
            "type": method.input().full_name(),
            "value": STANDARD.encode(message.encode_to_vec()),
            "timeout": timeout.as_secs_f64(),
        });
        let (answer, answered) = oneshot::channel();
        let ended = "the entrypoint has not ended";
        self.waiting.lock().expect("nobody panics with it").as_mut().expect(ended).insert(id, answer);
        self.stdin.lock().await.write_all(format!("{command}\n").as_bytes()).await.expect(ended);
        let answer = answered.await.expect(ended);
        if let Some(error) = answer["error"].as_str() {
            return Err(Failure::Error(error.to_owned()));
        }
        match answer["failure"].as_str() {
            None => {}
            Some("timeout") => return Err(Failure::Timeout),
            Some("no responders") => return Err(Failure::NoResponders),
            Some(other) => return Err(Failure::Nats(other.to_owned())),
        }
        assert_eq!(answer["type"], method.output().full_name(), "the RPC returns another type");
        let value = STANDARD.decode(answer["value"].as_str().expect("an answer has a value"));
        let message = DynamicMessage::decode(method.output(), &value.expect("it is base64")[..]);
        Ok(serde_json::to_value(message.expect("it is a message of the RPC's")).expect("messages are JSON"))
    }

    /// Stops it after its last answer, and returns its log. It must not have choked.
    pub(crate) async fn end(self) -> String {
        drop(self.stdin);
        self.runner.end().await
    }

    /// Kills it.
    pub(crate) async fn kill(self) {
        self.runner.kill().await;
    }
}

/// Passes each answer to its caller.
async fn hand_out(mut lines: Lines, waiting: Waiting) {
    while let Ok(Some(line)) = lines.next_line().await {
        let answer: Value = serde_json::from_str(&line).expect("an entrypoint says JSON");
        let id = answer["id"].as_str().expect("an answer has an id");
        let mut waiting = waiting.lock().expect("nobody panics with it");
        let sender = waiting.as_mut().and_then(|waiting| waiting.remove(id)).expect("it is asked for");
        // Fails if the caller has given up.
        let _ = sender.send(answer);
    }
    *waiting.lock().expect("nobody panics with it") = None;
}

fn node_of(protocol: WireProtocol) -> &'static str {
    match protocol {
        WireProtocol::Core => "core_node.py",
        WireProtocol::JetStream => "jetstream_node.py",
    }
}

/// Writes the Python module of a `.proto`, like protoc.
fn write_module(folder: &Path, file: &FileDescriptorProto) {
    let module = format!("{}_pb2", file.name().trim_end_matches(".proto").replace('/', "."));
    let path = folder.join(module.replace('.', "/")).with_extension("py");
    let file = FileDescriptorProto { source_code_info: None, ..file.clone() };
    let text = format!(
        "from google.protobuf import descriptor_pool\n\
         from google.protobuf.internal import builder\n\
         DESCRIPTOR = descriptor_pool.Default().AddSerializedFile(bytes({:?}))\n\
         builder.BuildMessageAndEnumDescriptors(DESCRIPTOR, globals())\n\
         builder.BuildTopDescriptorsAndMessages(DESCRIPTOR, '{module}', globals())\n",
        file.encode_to_vec(),
    );
    std::fs::create_dir_all(path.parent().expect("it is in the folder")).expect("the folder is ours");
    std::fs::write(path, text).expect("the folder is ours");
}

fn runners() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("runners")
}

/// The Python with `nats-py` and `protobuf`.
fn python() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/bin/python");
    assert!(
        path.exists(),
        "runners need `target/tools`, which is not there; hint: `make target/tools/ready`"
    );
    path
}
