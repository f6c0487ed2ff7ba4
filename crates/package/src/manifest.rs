//! `krt.yml`: reads its text, and checks all that needs no other files.
//!
//! [`parse`] reports all problems at once and keeps the valid parts, so that checks that need the package's
//! other files (see [`load`](fn@crate::load)) can report theirs as well.

mod batch;
mod cache;
mod document;
mod environment;
mod gpu;
mod json_schema;
mod limits;
mod links;
mod metadata;
mod node;
mod other_versions;
mod read;
mod recycle;
mod replicas;
mod run;
mod workflow;

pub use json_schema::JSON_SCHEMA;

use crate::problem::{Report, Source};
use crate::target::Target;
use crate::yaml;
use krt_model::language::Language;
use krt_model::metadata::MetadataName;
use krt_model::name::Name;
use krt_model::version::{Build, Cache, Gpu, Node, RunOptions, Variable, Version, Workflow};
use read::Reader;
use std::ops::Range;

/// The allowed names of a manifest, the preferred one first.
pub const FILE_NAMES: [&str; 2] = ["krt.yml", "krt.yaml"];

/// The largest manifest, in bytes.
pub const MAX_BYTES: usize = yaml::MAX_BYTES;

/// A value with its place.
#[derive(Debug, Clone)]
pub(crate) struct Located<T> {
    pub(crate) value: T,
    pub(crate) span: Range<usize>,
}

/// The valid parts of a `krt.yml`. A `None` was missing or invalid, and has been reported.
#[derive(Debug, Default)]
pub struct Manifest {
    pub(crate) name: Option<Name>,
    pub(crate) description: Option<String>,
    pub(crate) proto: Option<Located<String>>,
    pub(crate) config: Vec<Variable>,
    pub(crate) environment: Vec<String>,
    pub(crate) metadata: Vec<MetadataName>,
    pub(crate) nodes: Vec<NodeEntry>,
    pub(crate) workflows: Vec<WorkflowEntry>,
}

/// A node in a manifest.
#[derive(Debug)]
pub(crate) struct NodeEntry {
    /// The name as written, valid or not.
    pub(crate) label: Option<Located<String>>,
    pub(crate) name: Option<Name>,
    pub(crate) src: Option<Located<String>>,
    /// The folder of its sources in Go or Rust, as written.
    pub(crate) build: Option<Located<String>>,
    /// Its language, once found.
    pub(crate) language: Option<Language>,
    /// Those sources, once found.
    pub(crate) sources: Option<Build>,
    pub(crate) image: Option<String>,
    pub(crate) gpu: Option<Gpu>,
    pub(crate) run: RunOptions,
    /// The file of its samples, as written.
    pub(crate) warmup: Option<Located<String>>,
}

/// A workflow in a manifest.
#[derive(Debug)]
pub(crate) struct WorkflowEntry {
    /// The name as written, valid or not.
    pub(crate) label: Option<Located<String>>,
    pub(crate) name: Option<Name>,
    pub(crate) entrypoint: Option<Located<String>>,
    /// The nodes' names, as written.
    pub(crate) sequential: Vec<Located<String>>,
    /// The known nodes, as indices into [`Manifest::nodes`].
    pub(crate) sequence: Vec<usize>,
    pub(crate) priority: bool,
    pub(crate) cache: Option<Located<Cache>>,
    /// The place of `open_inference: true`.
    pub(crate) open_inference: Option<Range<usize>>,
}

/// Parses the text of a manifest, and reports all problems.
pub fn parse(source: &Source, target: Target) -> (Manifest, Report) {
    let (root, problems) = yaml::parse(source);
    let mut report = Report::default();
    report.add_source(source.clone());
    problems.into_iter().for_each(|problem| report.push(problem));
    let mut manifest = Manifest::default();
    if let Some(root) = root {
        let mut reader = Reader { source, target, report: &mut report };
        manifest = document::read(&mut reader, root);
        links::check(&mut reader, &mut manifest);
    }
    (manifest, report)
}

impl Manifest {
    /// The version that the manifest describes, if all of it is valid.
    pub fn into_version(self) -> Option<Version> {
        Some(Version {
            name: self.name?,
            description: self.description?,
            proto: self.proto?.value,
            config: self.config,
            environment: self.environment,
            metadata: self.metadata,
            nodes: self.nodes.into_iter().map(NodeEntry::into_node).collect::<Option<_>>()?,
            workflows: self.workflows.into_iter().map(WorkflowEntry::into_workflow).collect::<Option<_>>()?,
        })
    }
}

impl NodeEntry {
    fn into_node(self) -> Option<Node> {
        let (name, src) = (self.name?, self.src?.value);
        let (language, build, image) = (self.language, self.sources, self.image);
        let run = RunOptions { warmup: self.warmup.map(|path| path.value), ..self.run };
        Some(Node { name, src, language, build, image, gpu: self.gpu, run })
    }
}

impl WorkflowEntry {
    fn into_workflow(self) -> Option<Workflow> {
        let (name, entrypoint) = (self.name?, self.entrypoint?.value);
        let cache = self.cache.map(|cache| cache.value);
        let open_inference = self.open_inference.is_some();
        let Self { sequence, priority, .. } = self;
        Some(Workflow { name, entrypoint, sequence, priority, cache, open_inference })
    }
}

#[cfg(test)]
mod tests;
