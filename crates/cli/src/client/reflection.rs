//! gRPC server reflection.
//!
//! Versions 1 and 1alpha have the same messages under different names, so one client serves both. A query is
//! a stream of one request, which on the wire is a unary call.

use super::{Client, status};
use prost::Message as _;
use prost_reflect::{DescriptorPool, ServiceDescriptor};
use prost_types::FileDescriptorProto;
use std::collections::{BTreeMap, BTreeSet};
use tonic::{Code, Request, Status, codegen::http::uri::PathAndQuery};
use tonic_prost::ProstCodec;
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, ServerReflectionResponse, server_reflection_request::MessageRequest as Question,
    server_reflection_response::MessageResponse as Answer,
};

/// Method paths, newest version first.
const PATHS: [&str; 2] = [
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];
/// The package of reflection's own services.
const REFLECTION: &str = "grpc.reflection.";

/// The reason a reflection query failed.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub(crate) enum Error {
    #[error("it does not describe them")]
    #[diagnostic(help("the server needs gRPC reflection, v1 or v1alpha"))]
    NotOffered,
    #[error("{}", status::describe(.0))]
    Refused(Status),
    #[error("no answer within {seconds} s")]
    #[diagnostic(help("is it a gRPC server?"))]
    Silent { seconds: u64 },
    #[error("it did not answer what it was asked")]
    OffTopic,
    #[error("it does not give `{file}`, which another file imports")]
    MissingImport { file: String },
    #[error("its description does not decode: {0}")]
    Decode(#[from] prost::DecodeError),
    #[error("its description is not whole: {0}")]
    Pool(#[from] prost_reflect::DescriptorError),
}

crate::error::from! { hinted: Error }

/// Describes every service except reflection itself.
pub(super) async fn describe(client: &Client) -> Result<Vec<ServiceDescriptor>, Error> {
    let mut reflection = Reflection { client, path: PathAndQuery::from_static(PATHS[0]) };
    let names = reflection.services().await?;
    let mut files = Files::default();
    for name in &names {
        match reflection.files(Question::FileContainingSymbol(name.clone())).await {
            Ok(found) => files.add(found),
            // A server may list a service that it cannot describe.
            Err(Error::Refused(status)) if status.code() == Code::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    while let Some(missing) = files.missing() {
        let found = match reflection.files(Question::FileByFilename(missing.clone())).await {
            Ok(found) => found,
            Err(Error::Refused(_)) => vec![well_known(&missing)?],
            Err(error) => return Err(error),
        };
        files.add(found);
        files.require(missing)?;
    }
    let mut pool = DescriptorPool::new();
    pool.add_file_descriptor_protos(files.0.into_values())?;
    Ok(names.iter().filter_map(|name| pool.get_service_by_name(name)).collect())
}

/// Google's own files, which some servers omit.
fn well_known(name: &str) -> Result<FileDescriptorProto, Error> {
    let file = DescriptorPool::global().get_file_by_name(name);
    let file = file.ok_or_else(|| Error::MissingImport { file: name.to_owned() })?;
    Ok(file.file_descriptor_proto().clone())
}

/// Files found so far, by name.
#[derive(Default)]
struct Files(BTreeMap<String, FileDescriptorProto>);

impl Files {
    fn add(&mut self, files: Vec<FileDescriptorProto>) {
        for file in files {
            self.0.insert(file.name().to_owned(), file);
        }
    }

    /// The name of an imported file that is missing.
    fn missing(&self) -> Option<String> {
        let imports = self.0.values().flat_map(|file| &file.dependency);
        imports.into_iter().find(|name| !self.0.contains_key(*name)).cloned()
    }

    fn require(&self, name: String) -> Result<(), Error> {
        if self.0.contains_key(&name) { Ok(()) } else { Err(Error::MissingImport { file: name }) }
    }
}

/// A client of the reflection version that the server supports.
struct Reflection<'a> {
    client: &'a Client,
    path: PathAndQuery,
}

impl Reflection<'_> {
    /// Lists the services; detects the reflection version on the way.
    async fn services(&mut self) -> Result<BTreeSet<String>, Error> {
        for path in PATHS {
            self.path = PathAndQuery::from_static(path);
            match self.query(Question::ListServices(String::new())).await {
                Ok(Answer::ListServicesResponse(list)) => {
                    let names = list.service.into_iter().map(|service| service.name);
                    return Ok(names.filter(|name| !name.starts_with(REFLECTION)).collect());
                }
                Ok(_) => return Err(Error::OffTopic),
                Err(Error::Refused(status)) if status.code() == Code::Unimplemented => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::NotOffered)
    }

    async fn files(&self, question: Question) -> Result<Vec<FileDescriptorProto>, Error> {
        let Answer::FileDescriptorResponse(found) = self.query(question).await? else {
            return Err(Error::OffTopic);
        };
        let decode = |file: Vec<u8>| FileDescriptorProto::decode(file.as_slice());
        Ok(found.file_descriptor_proto.into_iter().map(decode).collect::<Result<_, _>>()?)
    }

    async fn query(&self, question: Question) -> Result<Answer, Error> {
        let request = ServerReflectionRequest { host: String::new(), message_request: Some(question) };
        let codec = ProstCodec::<ServerReflectionRequest, ServerReflectionResponse>::default();
        let asked = self.client.unary(self.path.clone(), codec, Request::new(request)).await;
        match asked.map_err(Error::Refused)?.message_response {
            Some(Answer::ErrorResponse(error)) => {
                let code = Code::from_i32(error.error_code);
                Err(Error::Refused(Status::new(code, error.error_message)))
            }
            Some(answer) => Ok(answer),
            None => Err(Error::OffTopic),
        }
    }
}
