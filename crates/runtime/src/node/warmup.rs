//! `warmup`: samples that a worker handles after `init`, before it gets messages.
//!
//! The handler's results, measurements, predictions and documents for a sample are dropped. Its log records are kept:
//! their request is `warmup-LINE`.

use super::{Node, plain::ConversionError};
use crate::offload;
use bytes::Bytes;
use krt_model::version::PayloadForm;
use krt_package::samples::{self, Inputs, SampleInput};
use std::collections::{BTreeMap, VecDeque};

/// The samples of a worker that starts.
#[derive(Debug, Default)]
pub(super) struct Warmup {
    /// The file, relative to the package's root.
    path: String,
    waiting: VecDeque<Sample>,
    running: BTreeMap<u32, RunningSample>,
}

/// A sample, as its DELIVER carries it.
#[derive(Debug)]
pub(super) struct Sample {
    /// Its line in the file.
    pub(super) line: usize,
    /// The workflow that it would come from, by index in the version.
    pub(super) workflow: usize,
    /// Whether its answer is a stream.
    pub(super) streams: bool,
    /// The message, or its JSON.
    pub(super) message: Bytes,
}

#[derive(Debug)]
struct RunningSample {
    line: usize,
    /// Whether the handler may return nothing: its answer is a stream, or was an early reply.
    answered: bool,
}

/// Why a node has no samples.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub(super) enum Error {
    /// The file has none.
    #[error("cannot warm up with `{path}`")]
    Load {
        /// The file.
        path: String,
        /// The cause.
        #[source]
        #[diagnostic_source]
        source: samples::LoadError,
    },
    /// A sample cannot become plain data.
    #[error("cannot warm up with line {line} of `{path}`")]
    Convert {
        /// The file.
        path: String,
        /// The line.
        line: usize,
        /// The cause.
        #[source]
        source: ConversionError,
    },
}

impl Warmup {
    pub(super) fn new(path: String, samples: impl IntoIterator<Item = Sample>) -> Self {
        Self { path, waiting: samples.into_iter().collect(), running: BTreeMap::new() }
    }

    /// Loads the samples of a node, if it has any.
    pub(super) async fn load(node: &Node) -> Result<Self, Error> {
        let Some(path) = &node.run.warmup else { return Ok(Self::default()) };
        offload::run(usize::MAX, || load(node, path)).await
    }

    /// Takes the samples of the next call of the handler; none after the last.
    pub(super) fn next(&mut self, most: usize) -> Vec<Sample> {
        let count = most.min(self.waiting.len());
        self.waiting.drain(..count).collect()
    }

    /// Notes that a sample was sent under an id.
    pub(super) fn sent(&mut self, id: u32, sample: &Sample) {
        self.running.insert(id, RunningSample { line: sample.line, answered: sample.streams });
    }

    /// Notes an early reply.
    pub(super) fn replied(&mut self, id: u32) {
        if let Some(sample) = self.running.get_mut(&id) {
            sample.answered = true;
        }
    }

    /// Notes the result of a sample: an error, or whether it was a message. Returns why the worker cannot start.
    pub(super) fn ended(&mut self, id: u32, result: Result<bool, String>) -> Option<String> {
        let RunningSample { line, answered } = self.running.remove(&id)?;
        let error = match result {
            Ok(true) => return None,
            Ok(false) if answered => return None,
            Ok(false) => "the handler returned no message".to_owned(),
            Err(error) => error,
        };
        Some(format!("the sample in line {line} of `{}` failed: {error}", self.path))
    }

    /// The first sample that the worker has not answered, in words.
    pub(super) fn in_flight(&self) -> Option<String> {
        let first = self.running.values().next()?;
        Some(format!("it handled the sample in line {} of `{}`", first.line, self.path))
    }

    /// Whether the worker has answered all that was sent.
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_empty()
    }
}

fn load(node: &Node, path: &str) -> Result<Warmup, Error> {
    let (package, plain) = (&node.package, node.run.payload == PayloadForm::Json);
    let sequences: Vec<&[usize]> =
        package.version.workflows.iter().map(|workflow| workflow.sequence.as_slice()).collect();
    let inputs = Inputs::of(node.index, plain, &sequences, &package.schema);
    let loaded = samples::load(&package.root.join(path), &inputs);
    let loaded = loaded.map_err(|source| Error::Load { path: path.to_owned(), source })?;
    let prepare = |sample: samples::Sample| {
        let message = match sample.input {
            SampleInput::Plain(text) => text,
            SampleInput::Message(payload) if plain => {
                let reservation = node.flow.admission().memory().reserve();
                node.plain.to_json(&payload, reservation).map_err(|source| Error::Convert {
                    path: path.to_owned(),
                    line: sample.line,
                    source,
                })?
            }
            SampleInput::Message(payload) => payload.encoded().clone(),
        };
        Ok(Sample { line: sample.line, workflow: sample.workflow, streams: sample.streams, message })
    };
    let samples: Vec<_> = loaded.into_iter().map(prepare).collect::<Result<_, _>>()?;
    Ok(Warmup::new(path.to_owned(), samples))
}
