//! What a checked package describes.

use crate::name::{Name, VariableName};
use std::time::Duration;

/// A version of a solution: nodes, chained to workflows.
#[derive(Debug, Clone)]
pub struct Version {
    /// Its name.
    pub name: Name,
    /// What it is for, in the author's words.
    pub description: String,
    /// The `.proto` that describes the entrypoint, relative to the package's root.
    pub proto: String,
    /// What must be given from outside before the version starts.
    pub config: Vec<Variable>,
    /// At least one. Names are unique.
    pub nodes: Vec<Node>,
    /// At least one. Names are unique, and so are their RPCs.
    pub workflows: Vec<Workflow>,
}

/// One piece of configuration that comes from outside the package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// The name of the environment variable that nodes see.
    pub name: VariableName,
    /// Whether its value is a file's content.
    pub kind: VariableKind,
}

/// Where the value of a variable comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VariableKind {
    /// `config.variables`: a text.
    Text,
    /// `config.files`: the content of a file.
    File,
}

/// One node: a process, or several, that runs a user's `init` and `handler`.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its name.
    pub name: Name,
    /// The Python file or the executable, relative to the package's root.
    pub src: String,
    /// What the executable is built from, if it is.
    pub build: Option<Build>,
    /// The container image a cluster would use; not used here.
    pub image: Option<String>,
    /// Whether a cluster should give it a GPU; not used here.
    pub gpu: bool,
    /// How it is run here.
    pub run: RunOptions,
}

/// Sources of an executable, relative to the package's root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// What they are written in.
    pub language: Language,
    /// The folder of the `package main`, or of the executable's `Cargo.toml`.
    pub folder: String,
    /// The folder of all that the executable may be made of: that of the `go.mod` that is for it, or
    /// that of the outermost `Cargo.toml`, which may make a workspace.
    pub module: String,
}

/// A language whose compiler makes executables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    /// Built by `go`.
    Go,
    /// Built by `cargo`.
    Rust,
}

impl Language {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Go => "Go",
            Self::Rust => "Rust",
        }
    }

    /// The program that builds what is written in it.
    pub fn builder(self) -> &'static str {
        match self {
            Self::Go => "go",
            Self::Rust => "cargo",
        }
    }

    /// The file that makes a module of a folder.
    pub fn manifest(self) -> &'static str {
        match self {
            Self::Go => "go.mod",
            Self::Rust => "Cargo.toml",
        }
    }
}

/// Optional keys of a node that are ours: other tools pass over them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunOptions {
    /// Processes of this node, 1 to [`RunOptions::MAX_REPLICAS`].
    pub replicas: u16,
    /// Messages a process handles at a time, 1 to [`RunOptions::MAX_CONCURRENCY`].
    pub concurrency: u16,
    /// How long a handler may take. `None`: as long as its request waits.
    pub timeout: Option<Duration>,
    /// How many times a message whose process died while it handled is given to another process.
    pub retries: u16,
    /// What its handler gets and returns.
    pub payload: PayloadForm,
    /// Who runs it.
    pub runner: Runner,
}

/// Who runs a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Runner {
    /// This program.
    #[default]
    Krt,
    /// Another runner of KRT v1, which speaks NATS itself.
    External,
}

impl Runner {
    /// Its name in `krt.yml`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Krt => "krt",
            Self::External => "external",
        }
    }
}

/// What a node's handler gets and returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PayloadForm {
    /// A `google.protobuf.Any`, and a protobuf message.
    #[default]
    Protobuf,
    /// Plain data: what proto3 JSON makes of the message, and what it makes of a message.
    Json,
}

impl PayloadForm {
    /// Its name, in `krt.yml` and to hosts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Protobuf => "protobuf",
            Self::Json => "json",
        }
    }
}

impl RunOptions {
    /// The most processes of a node.
    pub const MAX_REPLICAS: u16 = 256;
    /// The most messages a process handles at a time.
    pub const MAX_CONCURRENCY: u16 = 4096;
    /// The most retries.
    pub const MAX_RETRIES: u16 = 100;
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            replicas: 1,
            concurrency: 1,
            timeout: None,
            retries: 0,
            payload: PayloadForm::default(),
            runner: Runner::default(),
        }
    }
}

/// A chain of nodes behind one RPC.
#[derive(Debug, Clone)]
pub struct Workflow {
    /// Its name.
    pub name: Name,
    /// The RPC's name, without its service.
    pub entrypoint: String,
    /// Which nodes a message goes through: indices into [`Version::nodes`], at least one.
    pub sequence: Vec<usize>,
}
