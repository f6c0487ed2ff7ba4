//! Compiles the package's `.proto` files, without protoc and generated code.

mod diagnostic;
mod discover;
mod files;
mod imports;
mod strip;
mod text;

use crate::problem::{Location, Problem, Report, Source};
use crate::root::Root;
use crate::step::Steps;
use files::PackageFiles;
use prost_reflect::{
    DescriptorError, DescriptorPool, FileDescriptor, MessageDescriptor, MethodDescriptor, ServiceDescriptor,
};
use prost_types::{MethodOptions, method_options::IdempotencyLevel};
use protox::Compiler;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The compiled `.proto` files of a package.
#[derive(Debug, Clone)]
pub struct Schema {
    /// Every message of the entrypoint and the nodes.
    pub pool: DescriptorPool,
    /// The pool as an encoded `google.protobuf.FileDescriptorSet`: each file after its imports, without
    /// `source_code_info`, and without default `json_name`s.
    pub descriptors: Vec<u8>,
    /// The RPCs of the entrypoint's services that take one request, in the order of the file.
    pub methods: Vec<Method>,
    pub(crate) rpcs: Vec<Rpc>,
}

/// An RPC that takes one request.
#[derive(Debug, Clone)]
pub struct Method {
    /// Its path: `/package.Service/Name`.
    pub path: String,
    /// The full name of its service.
    pub service: String,
    /// Its name.
    pub name: String,
    /// The type of its requests.
    pub input: MessageDescriptor,
    /// The type of its answers.
    pub output: MessageDescriptor,
    /// The type URL of a request in a `google.protobuf.Any`.
    pub input_type_url: String,
    /// The type URL of an answer in a `google.protobuf.Any`.
    pub output_type_url: String,
    /// Whether its author declares it free of side effects: `option idempotency_level = NO_SIDE_EFFECTS;`.
    pub safe: bool,
    /// Whether its answer is a stream of messages.
    pub streams: bool,
    /// Its workflow, as an index into `Version::workflows`.
    pub workflow: Option<usize>,
}

/// An RPC of any kind, with its place in the file.
#[derive(Debug, Clone)]
pub(crate) struct Rpc {
    pub(crate) name: String,
    pub(crate) service: String,
    pub(crate) file: PathBuf,
    pub(crate) location: Option<Location>,
    /// Whether its requests are a stream, which cannot be served.
    pub(crate) takes_stream: bool,
    /// Whether its answer is a stream.
    pub(crate) streams: bool,
    /// Whether it has a workflow.
    pub(crate) led: bool,
    /// Its index in [`Schema::methods`], if it takes one request.
    method: Option<usize>,
}

/// A [`Schema`] as bytes.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Encoded {
    /// A `google.protobuf.FileDescriptorSet` with comments.
    files: Vec<u8>,
    descriptors: Vec<u8>,
    /// The RPCs that take one request: service, name and workflow.
    methods: Vec<(String, String, Option<usize>)>,
}

impl Encoded {
    /// The most bytes of a package's compiled files, with comments. They take up to some sixty times as much memory,
    /// for as long as the package runs: that is an enum's values.
    const MAX_BYTES: usize = 4 << 20;

    pub(crate) fn decode(&self) -> Result<Schema, DescriptorError> {
        let pool = DescriptorPool::decode(self.files.as_slice())?;
        let method = |(service, name, workflow): &(String, String, Option<usize>)| {
            let service = pool.get_service_by_name(service)?;
            let method = service.methods().find(|method| method.name() == name)?;
            Some(Method { workflow: *workflow, ..Method::of(&method) })
        };
        let methods = self.methods.iter().filter_map(method).collect();
        Ok(Schema { pool, descriptors: self.descriptors.clone(), methods, rpcs: Vec::new() })
    }
}

/// Compiles the entrypoint's `.proto`, `entrypoint`, with its imports, and then the package's other `.proto`
/// files, for the nodes. Warns of those that do not compile.
pub(crate) fn compile(root: &Root, entrypoint: &str, steps: &Steps) -> (Option<Schema>, Report) {
    let mut report = Report::default();
    let files = PackageFiles::new(root.clone(), entrypoint, Rc::clone(steps));
    let mut compiler = Compiler::with_file_resolver(files.clone());
    compiler.include_imports(true);
    if let Err(error) = files.compile(&mut compiler, entrypoint) {
        let problems = match files.take_refused() {
            Some(problem) => vec![problem],
            None => diagnostic::problems(&error, root, entrypoint),
        };
        problems.into_iter().for_each(|problem| report.push(problem));
        keep_sources(root, &mut report);
        return (None, report);
    }
    for file in discover::protos(root, &mut report) {
        if files.has(&file) {
            continue;
        }
        if let Err(error) = files.compile(&mut compiler, &file) {
            let problem = files.take_refused();
            let problem = problem.unwrap_or_else(|| diagnostic::problems(&error, root, &file).swap_remove(0));
            report.push(diagnostic::set_aside(problem, &file));
        }
    }
    let schema = Schema::of(compiler.descriptor_pool(), root, entrypoint, &mut report);
    keep_sources(root, &mut report);
    (schema, report)
}

impl Schema {
    fn of(pool: DescriptorPool, root: &Root, entrypoint: &str, report: &mut Report) -> Option<Self> {
        let file = pool.get_file_by_name(entrypoint)?;
        if file.services().len() == 0 {
            let problem = Problem::error(entrypoint, format!("`{entrypoint}` has no service"));
            report.push(problem.hint("describe what clients may call: `service Entrypoint { rpc … }`"));
            return None;
        }
        let source = files::source(root, entrypoint);
        let mut schema =
            Self { descriptors: strip::descriptor_set(&pool), pool, methods: Vec::new(), rpcs: Vec::new() };
        let places = source.as_ref().map(|source| Locations::of(&file, source));
        for service in file.services() {
            schema.add(&file, &service, places.as_ref());
        }
        Some(schema)
    }

    fn add(&mut self, file: &FileDescriptor, service: &ServiceDescriptor, places: Option<&Locations<'_>>) {
        for method in service.methods() {
            let takes_stream = method.is_client_streaming();
            let place = (!takes_stream).then_some(self.methods.len());
            if !takes_stream {
                self.methods.push(Method::of(&method));
            }
            self.rpcs.push(Rpc {
                name: method.name().to_owned(),
                service: service.full_name().to_owned(),
                file: file.name().into(),
                location: places.and_then(|places| places.location(&method)),
                takes_stream,
                streams: method.is_server_streaming(),
                led: false,
                method: place,
            });
        }
    }

    /// Encodes the schema, if it is not too large and can be decoded again.
    pub(crate) fn encode(self, report: &mut Report) -> Option<Encoded> {
        let files = strip::commented_set(&self.pool);
        if files.len() > Encoded::MAX_BYTES {
            let message = format!(
                "the package's `.proto` files have {} MiB when they are compiled, at most {} MiB are taken",
                files.len().div_ceil(1 << 20),
                Encoded::MAX_BYTES >> 20
            );
            report.push(Problem::error("", message));
            return None;
        }
        let methods = self.methods.into_iter().map(|method| (method.service, method.name, method.workflow));
        Some(Encoded { files, descriptors: self.descriptors, methods: methods.collect() })
    }

    /// Connects a workflow to an RPC.
    pub(crate) fn connect(&mut self, rpc: usize, workflow: usize) {
        let rpc = &mut self.rpcs[rpc];
        rpc.led = true;
        if let Some(method) = rpc.method {
            self.methods[method].workflow.get_or_insert(workflow);
        }
    }

    /// Whether the author of an RPC declares it free of side effects.
    pub(crate) fn is_safe(&self, rpc: &Rpc) -> bool {
        rpc.method.is_some_and(|method| self.methods[method].safe)
    }

    /// The method with this path, `/package.Service/Name`.
    pub fn method(&self, path: &str) -> Option<&Method> {
        self.methods.iter().find(|method| method.path == path)
    }
}

impl Method {
    fn of(method: &MethodDescriptor) -> Self {
        let (input, output) = (method.input(), method.output());
        let service = method.parent_service().full_name().to_owned();
        Self {
            path: format!("/{service}/{}", method.name()),
            service,
            name: method.name().to_owned(),
            input_type_url: type_url(&input),
            output_type_url: type_url(&output),
            input,
            output,
            safe: is_safe(method),
            streams: method.is_server_streaming(),
            workflow: None,
        }
    }
}

fn is_safe(method: &MethodDescriptor) -> bool {
    let level = method.method_descriptor_proto().options.as_ref().map(MethodOptions::idempotency_level);
    level == Some(IdempotencyLevel::NoSideEffects)
}

/// The type URL of a message in a `google.protobuf.Any`.
pub fn type_url(message: &MessageDescriptor) -> String {
    format!("type.googleapis.com/{}", message.full_name())
}

/// The places of elements in a file, by descriptor path.
struct Locations<'a> {
    spans: HashMap<&'a [i32], &'a [i32]>,
    source: &'a Source,
}

impl<'a> Locations<'a> {
    fn of(file: &'a FileDescriptor, source: &'a Source) -> Self {
        let locations = file.file_descriptor_proto().source_code_info.iter().flat_map(|info| &info.location);
        let spans = locations.map(|location| (location.path.as_slice(), location.span.as_slice()));
        Self { spans: spans.collect(), source }
    }

    /// The place of an RPC's name.
    fn location(&self, method: &MethodDescriptor) -> Option<Location> {
        let name = [method.path(), &[1]].concat();
        let span = self.spans.get(name.as_slice())?;
        let (line, column) = (*span.first()?, *span.get(1)?);
        let start = self.source.offset(usize::try_from(line).ok()?, usize::try_from(column).ok()?)?;
        Some(self.source.location(&(start..start + method.name().len())))
    }
}

/// Keeps the texts of the files that have problems.
pub(crate) fn keep_sources(root: &Root, report: &mut Report) {
    let files: BTreeSet<PathBuf> = report.problems().iter().map(|problem| problem.file.clone()).collect();
    for file in files {
        if let Some(source) = Path::to_str(&file).and_then(|file| files::source(root, file)) {
            report.add_source(source);
        }
    }
}

#[cfg(test)]
mod tests;
