//! The Open Inference Protocol v2: workflows as models, and the fields of their messages as tensors.
//!
//! - [`Layout`]: the tensors of a message. [`Datatype`]: the types of their elements.
//! - [`descriptors`]: the gRPC service, for reflection.

mod datatype;
mod layout;

pub use datatype::Datatype;
pub use layout::{Axes, Layout, Member, Place, Tensor, Unfit};

use crate::manifest::Manifest;
use crate::problem::{Problem, Report, Source};
use crate::schema::{Method, Schema};
use krt_model::hint;
use protox::file::{File, FileResolver};
use std::ops::Range;
use std::sync::LazyLock;

/// The gRPC service.
pub const SERVICE: &str = "inference.GRPCInferenceService";

/// The package of the service.
const PACKAGE: &str = "inference";
/// The name of its file among the package's own.
const FILE: &str = "krt/open_inference.proto";

/// The gRPC service as an encoded `google.protobuf.FileDescriptorSet`.
pub fn descriptors() -> &'static [u8] {
    static DESCRIPTORS: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let invariant = "the file is compiled by tests, too";
        let mut compiler = protox::Compiler::with_file_resolver(Embedded);
        compiler.open_file(FILE).expect(invariant);
        compiler.encode_file_descriptor_set()
    });
    &DESCRIPTORS
}

/// Finds the file of the service.
struct Embedded;

impl FileResolver for Embedded {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match name {
            FILE => File::from_source(FILE, include_str!("open_inference/inference.proto")),
            _ => Err(protox::Error::file_not_found(name)),
        }
    }
}

/// Checks the workflows with `open_inference`: their RPCs, and the fields of their messages.
pub(crate) fn check(manifest: &Manifest, schema: &Schema, source: &Source, report: &mut Report) {
    let mut taken = taken(schema);
    for (index, workflow) in manifest.workflows.iter().enumerate() {
        let Some(span) = &workflow.open_inference else { continue };
        if let Some(taken) = taken.take() {
            report.push(source.error(span, taken).hint("rename it, or remove `open_inference`"));
        }
        let methods = schema.methods.iter().filter(|method| method.workflow == Some(index));
        for method in methods {
            problems(method, source, span).into_iter().for_each(|problem| report.push(problem));
        }
    }
}

/// Why an RPC cannot be a model.
fn problems(method: &Method, source: &Source, span: &Range<usize>) -> Vec<Problem> {
    if method.streams {
        let message = format!("RPC `{}` cannot be a model: its answer is a stream", method.name);
        let hint = "remove `stream` from the RPC, or `open_inference`";
        return vec![source.error(span, message).hint(hint)];
    }
    let mut all: Vec<Unfit> = Vec::new();
    for unfit in [&method.input, &method.output].map(|message| Layout::of(message).err()) {
        all.extend(unfit.into_iter().flatten());
    }
    all.sort();
    all.dedup();
    let problem = |unfit: &Unfit| source.error(span, unfit.to_string()).maybe_hint(hint::hints(unfit).pop());
    all.iter().map(problem).collect()
}

/// A name of the package that belongs to the protocol.
fn taken(schema: &Schema) -> Option<String> {
    let taken = |what: String| format!("{what} belongs to the Open Inference Protocol");
    if let Some(file) = schema.pool.files().find(|file| file.package_name() == PACKAGE) {
        return Some(taken(format!("the package `{PACKAGE}` of `{}`", file.name())));
    }
    if schema.pool.get_file_by_name(FILE).is_some() {
        return Some(taken(format!("the file name `{FILE}`")));
    }
    let method = schema.methods.iter().find(|method| method.path.starts_with("/v2/"))?;
    Some(taken(format!("the path `{}`", method.path)))
}

#[cfg(test)]
mod tests;
