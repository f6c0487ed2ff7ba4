//! The package's `.proto` files, compiled: no protoc, no generated code.

mod diagnostic;
mod discover;
mod files;
mod strip;

use crate::problem::{Location, Problem, Report, Source};
use crate::root::Root;
use files::PackageFiles;
use prost_reflect::{DescriptorPool, FileDescriptor, MessageDescriptor, MethodDescriptor, ServiceDescriptor};
use prost_types::{MethodOptions, method_options::IdempotencyLevel};
use protox::Compiler;
use std::path::{Path, PathBuf};

/// The compiled `.proto` files of a package.
#[derive(Debug, Clone)]
pub struct Schema {
    /// Every message that the entrypoint or a node knows.
    pub pool: DescriptorPool,
    /// The same as an encoded `google.protobuf.FileDescriptorSet`, each file after those it
    /// imports, without `source_code_info` and without `json_name` where it is the default.
    pub descriptors: Vec<u8>,
    /// The unary RPCs of the entrypoint's services, in the order of the file.
    pub methods: Vec<Method>,
    pub(crate) rpcs: Vec<Rpc>,
}

/// A unary RPC.
#[derive(Debug, Clone)]
pub struct Method {
    /// How it is called: `/package.Service/Name`.
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
    /// Whether its author says that it changes nothing: `option idempotency_level = NO_SIDE_EFFECTS;`.
    pub safe: bool,
    /// The workflow behind it: an index into `Version::workflows`.
    pub workflow: Option<usize>,
}

/// An RPC of any kind, with its place in the file.
#[derive(Debug, Clone)]
pub(crate) struct Rpc {
    pub(crate) name: String,
    pub(crate) service: String,
    pub(crate) file: PathBuf,
    pub(crate) location: Option<Location>,
    pub(crate) streaming: bool,
    /// Whether a workflow leads from it.
    pub(crate) led: bool,
    /// Its place in [`Schema::methods`], if it is unary.
    method: Option<usize>,
}

/// Compiles the entrypoint's `.proto`, `entrypoint`, with what it imports, and then what other
/// `.proto` files the package has, for the nodes. Those that do not compile are warned of.
pub(crate) fn compile(root: &Root, entrypoint: &str) -> (Option<Schema>, Report) {
    let mut report = Report::default();
    let files = PackageFiles::new(root.clone(), entrypoint);
    let mut compiler = Compiler::with_file_resolver(files.clone());
    compiler.include_imports(true);
    if let Err(error) = compiler.open_file(entrypoint) {
        diagnostic::problems(&error, root, entrypoint).into_iter().for_each(|problem| report.push(problem));
        keep_sources(root, &mut report);
        return (None, report);
    }
    for file in discover::protos(root.path(), &mut report) {
        if files.has(&file) {
            continue;
        }
        if let Err(error) = compiler.open_file(&file) {
            report.push(diagnostic::set_aside(&error, root, &file));
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
        for service in file.services() {
            schema.add(&file, &service, source.as_ref());
        }
        Some(schema)
    }

    fn add(&mut self, file: &FileDescriptor, service: &ServiceDescriptor, source: Option<&Source>) {
        for method in service.methods() {
            let streaming = method.is_client_streaming() || method.is_server_streaming();
            let place = (!streaming).then_some(self.methods.len());
            if !streaming {
                self.methods.push(Method::of(&method));
            }
            self.rpcs.push(Rpc {
                name: method.name().to_owned(),
                service: service.full_name().to_owned(),
                file: file.name().into(),
                location: source.and_then(|source| location(file, &method, source)),
                streaming,
                led: false,
                method: place,
            });
        }
    }

    /// Lets a workflow lead from an RPC.
    pub(crate) fn lead(&mut self, rpc: usize, workflow: usize) {
        let rpc = &mut self.rpcs[rpc];
        rpc.led = true;
        if let Some(method) = rpc.method {
            self.methods[method].workflow.get_or_insert(workflow);
        }
    }

    /// The method called by a path, `/package.Service/Name`.
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

/// Where the name of an RPC stands.
fn location(file: &FileDescriptor, method: &MethodDescriptor, source: &Source) -> Option<Location> {
    let mut name = method.path().to_vec();
    name.push(1);
    let info = file.file_descriptor_proto().source_code_info.as_ref()?;
    let place = info.location.iter().find(|location| location.path == name)?;
    let (line, column) = (*place.span.first()?, *place.span.get(1)?);
    let start = source.offset(usize::try_from(line).ok()?, usize::try_from(column).ok()?)?;
    Some(source.location(&(start..start + method.name().len())))
}

/// Keeps the texts of the files that problems are about.
pub(crate) fn keep_sources(root: &Root, report: &mut Report) {
    let files: Vec<PathBuf> = report.problems().iter().map(|problem| problem.file.clone()).collect();
    for file in files {
        if let Some(source) = Path::to_str(&file).and_then(|file| files::source(root, file)) {
            report.keep(source);
        }
    }
}

#[cfg(test)]
mod tests;
