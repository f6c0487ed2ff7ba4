//! Reflection and health, from which clients discover a service and its state.

use crate::support::{Krt, Service, eventually, grpc::Client};
use futures::stream;
use prost_reflect::{
    DescriptorPool,
    prost::Message as _,
    prost_types::{FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto},
};
use serde_json::json;
use tonic::Code;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

/// The results of reflection: the names of the services, and the files of one of them.
struct Discovered {
    services: Vec<String>,
    files: Vec<Vec<u8>>,
}

/// Queries one version of reflection; the versions differ only in their package.
macro_rules! reflect {
    ($version:ident, $client:expr, $symbol:expr) => {{
        use tonic_reflection::pb::$version::{
            ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
            server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
        };
        let (transport, origin) = $client.transport();
        let questions = [
            MessageRequest::ListServices(String::new()),
            MessageRequest::FileContainingSymbol($symbol.to_owned()),
        ];
        let questions = questions
            .map(|question| ServerReflectionRequest { host: String::new(), message_request: Some(question) });
        let mut reflection = ServerReflectionClient::with_origin(transport, origin);
        let mut answers =
            reflection.server_reflection_info(stream::iter(questions)).await.unwrap().into_inner();
        let mut known = Discovered { services: Vec::new(), files: Vec::new() };
        while let Some(answer) = answers.message().await.unwrap() {
            match answer.message_response.unwrap() {
                MessageResponse::ListServicesResponse(list) => {
                    known.services = list.service.into_iter().map(|service| service.name).collect();
                }
                MessageResponse::FileDescriptorResponse(files) => known.files = files.file_descriptor_proto,
                other => panic!("{other:?}"),
            }
        }
        known
    }};
}

#[tokio::test]
async fn reflection_lists_and_describes() {
    let service = Krt::run("echo").start().await;
    let client = service.client();
    let symbol = "shop.v1.Entrypoint";
    for known in [reflect!(v1, client, symbol), reflect!(v1alpha, client, symbol)] {
        for name in [symbol, "grpc.health.v1.Health"] {
            assert!(known.services.iter().any(|service| service == name), "{:?}", known.services);
        }
        let file = known.files.iter().map(|file| FileDescriptorProto::decode(&**file).unwrap());
        let files = FileDescriptorSet { file: file.collect() };
        assert_eq!(files.file[0].name(), "public_input.proto");
        let methods: Vec<_> =
            files.file[0].service[0].method.iter().map(MethodDescriptorProto::name).collect();
        assert_eq!(methods, ["Echo", "Look", "Idle"]);
    }
    service.stop().await;
}

#[tokio::test]
async fn described_methods_can_be_called() {
    let service = Krt::run("echo").start().await;
    let client = service.client();
    let mut pool = DescriptorPool::global();
    for symbol in ["google.protobuf.Timestamp", "shop.parts.Money", "shop.v1.Entrypoint"] {
        for file in reflect!(v1, client, symbol).files {
            pool.decode_file_descriptor_proto(&*file).unwrap();
        }
    }
    let described = pool.get_service_by_name("shop.v1.Entrypoint").unwrap();
    let method = described.methods().next().unwrap();
    let request =
        prost_reflect::DynamicMessage::deserialize(method.input(), json!({ "note": "found" })).unwrap();
    let path = format!("/{}/{}", described.full_name(), method.name());
    let answer = client.call_path(&path, tonic::Request::new(request), method.output()).await.unwrap();
    assert_eq!(serde_json::to_value(answer).unwrap(), json!({ "note": "found" }));
    service.stop().await;
}

async fn health(client: &Client, service: &str) -> Result<ServingStatus, Code> {
    let (transport, origin) = client.transport();
    let request = HealthCheckRequest { service: service.to_owned() };
    let answer = HealthClient::with_origin(transport, origin).check(request).await;
    answer.map(|answer| answer.into_inner().status()).map_err(|status| status.code())
}

/// Waits until the services, with the server as a whole first, have the expected states.
async fn become_healthy(service: &Service, expected: [ServingStatus; 3]) {
    let client = service.client();
    eventually(&format!("health is {expected:?}"), async || {
        let mut found = Vec::new();
        for name in ["", "ping.Entrypoint", "ping.Other"] {
            found.push(health(&client, name).await.unwrap());
        }
        (found == expected).then_some(())
    })
    .await;
}

#[tokio::test]
async fn health_follows_the_nodes() {
    use ServingStatus::{NotServing, Serving};
    let krt = Krt::run("phoenix");
    krt.scratch().put("go");
    let service = krt.start().await;
    become_healthy(&service, [Serving, Serving, Serving]).await;
    assert_eq!(health(&service.client(), "ping.Nobody").await, Err(Code::NotFound));

    service.scratch.put("crash");
    service.call("Run", json!({ "text": "die" })).await.unwrap_err();
    let looping = service.lines.wait("a crash loop", |record| record.is("phoenix", "crash loop: died "));
    looping.await;
    become_healthy(&service, [NotServing, NotServing, Serving]).await;

    std::fs::remove_file(service.scratch.path().join("crash")).unwrap();
    become_healthy(&service, [Serving, Serving, Serving]).await;
    service.call("Run", json!({ "text": "back" })).await.unwrap();
    service.stop().await;
}
