//! `krt.yml`: the text, read and checked for all that can be known without other files.
//!
//! [`parse`] reports every problem at once and keeps what it could read, so that the checks that
//! need the package's other files (see [`load`](fn@crate::load)) can report theirs as well.

mod document;
mod links;
mod node;
mod read;
mod run;
mod workflow;

use crate::check::Target;
use crate::problem::{Report, Source};
use crate::yaml;
use krt_model::name::Name;
use krt_model::version::{Build, Node, RunOptions, Variable, Version, Workflow};
use read::Reader;
use std::ops::Range;

/// The names a manifest may have, the preferred one first.
pub const FILE_NAMES: [&str; 2] = ["krt.yml", "krt.yaml"];

/// The largest manifest that is read, in bytes.
pub const MAX_BYTES: usize = yaml::MAX_BYTES;

/// Something that was read, with its place.
#[derive(Debug, Clone)]
pub(crate) struct Located<T> {
    pub(crate) value: T,
    pub(crate) span: Range<usize>,
}

/// What could be read of a `krt.yml`. What is `None` was missing or bad, and has been reported.
#[derive(Debug, Default)]
pub struct Manifest {
    pub(crate) name: Option<Name>,
    pub(crate) description: Option<String>,
    pub(crate) proto: Option<Located<String>>,
    pub(crate) config: Vec<Variable>,
    pub(crate) nodes: Vec<NodeEntry>,
    pub(crate) workflows: Vec<WorkflowEntry>,
}

/// A node as it was read.
#[derive(Debug)]
pub(crate) struct NodeEntry {
    /// The name as it is written, good or bad.
    pub(crate) label: Option<Located<String>>,
    pub(crate) name: Option<Name>,
    pub(crate) src: Option<Located<String>>,
    /// The folder of its sources in Go or Rust, as it is written.
    pub(crate) build: Option<Located<String>>,
    /// Those sources, once they are found.
    pub(crate) sources: Option<Build>,
    pub(crate) image: Option<String>,
    pub(crate) gpu: bool,
    pub(crate) run: RunOptions,
}

/// A workflow as it was read.
#[derive(Debug)]
pub(crate) struct WorkflowEntry {
    /// The name as it is written, good or bad.
    pub(crate) label: Option<Located<String>>,
    pub(crate) name: Option<Name>,
    pub(crate) entrypoint: Option<Located<String>>,
    /// The nodes' names, as they are written.
    pub(crate) sequential: Vec<Located<String>>,
    /// The nodes: indices into [`Manifest::nodes`], those that are known.
    pub(crate) sequence: Vec<usize>,
}

/// Reads the text of a manifest, and everything that is wrong with it.
pub fn parse(source: &Source, target: Target) -> (Manifest, Report) {
    let (root, problems) = yaml::parse(source);
    let mut report = Report::default();
    report.keep(source.clone());
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
    /// The version that the manifest describes, if nothing in it was bad.
    pub fn into_version(self) -> Option<Version> {
        Some(Version {
            name: self.name?,
            description: self.description?,
            proto: self.proto?.value,
            config: self.config,
            nodes: self.nodes.into_iter().map(NodeEntry::into_node).collect::<Option<_>>()?,
            workflows: self.workflows.into_iter().map(WorkflowEntry::into_workflow).collect::<Option<_>>()?,
        })
    }
}

impl NodeEntry {
    fn into_node(self) -> Option<Node> {
        let (name, src) = (self.name?, self.src?.value);
        let (build, image) = (self.sources, self.image);
        Some(Node { name, src, build, image, gpu: self.gpu, run: self.run })
    }
}

impl WorkflowEntry {
    fn into_workflow(self) -> Option<Workflow> {
        let (name, entrypoint) = (self.name?, self.entrypoint?.value);
        Some(Workflow { name, entrypoint, sequence: self.sequence })
    }
}

#[cfg(test)]
mod tests;
