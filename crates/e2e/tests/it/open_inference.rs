//! The Open Inference Protocol v2: other servers' clients call a package, and what is wrong has a reason.

use crate::support::{
    Krt, Service,
    http::{Http, Reply},
    krt::{command, packages, write_package},
    runners::WireProtocol,
    team::{Team, packed},
};
use http::{Method, StatusCode};
use krt_servers::{NatsOptions, NatsServer, python};
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::{Value, json};
use std::{path::Path, time::Duration};
use tonic::{Code, Request, Status};

const JSON: (&str, &str) = ("content-type", "application/json");
const BINARY: (&str, &str) = ("content-type", "application/octet-stream");
const ECHO: &str = "/v2/models/echo/infer";

/// Runs a client for Python against a service, over REST and gRPC.
async fn client(program: &str, packages: &[&str], service: &Service) {
    let Some(python) = python(packages) else { return };
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(program);
    let address = service.address.to_string();
    let mut command = tokio::process::Command::new(python);
    let ended = command.arg(program).args([&address, &address]).kill_on_drop(true).output().await.unwrap();
    let (out, errors) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success() && out.ends_with("well\n"), "{out}{errors}\n{}", service.lines.text());
}

#[tokio::test]
async fn clients_of_triton() {
    let service = Krt::run("tensors").start().await;
    client("triton.py", &["tritonclient[http,grpc]==2.73.0"], &service).await;
    service.stop().await;
}

#[tokio::test]
async fn clients_of_kserve() {
    let service = Krt::run("tensors").start().await;
    client("kserve_client.py", &["kserve==0.21.0"], &service).await;
    service.stop().await;
}

#[tokio::test]
async fn clients_of_mlserver() {
    let service = Krt::run("tensors").start().await;
    client("mlserver_client.py", &["mlserver==1.7.1"], &service).await;
    service.stop().await;
}

async fn get(http: &Http, path: &str) -> Reply {
    http.send(Method::GET, path, &[], "").await
}

#[tokio::test]
async fn descriptions_and_states() {
    let service = Krt::run("tensors").start().await;
    for http in [service.http(), service.h2c()] {
        assert_eq!(
            get(&http, "/v2").await.expect(StatusCode::OK)["extensions"],
            json!(["binary_tensor_data"])
        );
        assert_eq!(get(&http, "/v2/health/live").await.expect(StatusCode::OK), json!({ "live": true }));
        assert_eq!(get(&http, "/v2/health/ready").await.expect(StatusCode::OK), json!({ "ready": true }));
        let ready = get(&http, "/v2/models/echo/versions/tensors-v1/ready").await;
        assert_eq!(ready.expect(StatusCode::OK), json!({ "name": "echo", "ready": true }));
        let model = get(&http, "/v2/models/scale").await.expect(StatusCode::OK);
        let tensor = |name: &str, shape: i64| json!({ "name": name, "datatype": "FP32", "shape": [shape] });
        let tensors = json!([tensor("pixels", -1), tensor("factor", 1)]);
        assert_eq!(
            model,
            json!({
                "name": "scale",
                "versions": ["tensors-v1"],
                "platform": "krt",
                "inputs": tensors,
                "outputs": tensors,
            })
        );
    }
    let index = get(&service.http(), "/").await;
    let text = String::from_utf8_lossy(&index.body).into_owned();
    assert!(text.contains("POST /v2/models/echo/infer\n  POST /v2/models/scale/infer\n"), "{text}");
    service.stop().await;
}

#[track_caller]
fn assert_error(reply: &Reply, status: u16, words: &str) {
    assert_eq!(
        (reply.status.as_u16(), reply.header("content-type")),
        (status, "application/json"),
        "{reply:?}"
    );
    let error = reply.json();
    let members: Vec<&String> = error.as_object().unwrap().keys().collect();
    assert!(members == ["error"] && error["error"].as_str().unwrap().contains(words), "{error}: {words}");
}

#[tokio::test]
async fn errors_over_rest() {
    let service = Krt::run("tensors").flag("--max-message", "65536").start().await;
    let http = service.http();
    for (method, path, headers, body, status, words) in [
        (Method::GET, "/v2/", &[][..], "", 404, "`/v2/` is not a path of this service"),
        (
            Method::GET,
            "/v2/models/nothing",
            &[],
            "",
            404,
            "there is no model `nothing`; hint: the models are `echo`, `scale`",
        ),
        (Method::GET, "/v2/models/hidden/ready", &[], "", 404, "there is no model `hidden`"),
        (
            Method::GET,
            "/v2/models/echo/versions/1",
            &[],
            "",
            404,
            "no version `1`; hint: its version is `tensors-v1`",
        ),
        (Method::POST, "/v2/models/echo", &[], "", 405, "this path is called with GET"),
        (Method::GET, ECHO, &[], "", 405, "this path is called with POST"),
        (
            Method::POST,
            ECHO,
            &[("content-type", "text/plain")],
            "{}",
            415,
            "the content type is not supported",
        ),
        (Method::POST, ECHO, &[("content-encoding", "br")], "{}", 415, "compressed with `br`"),
        (Method::POST, ECHO, &[("content-encoding", "gzip")], "{}", 400, "not gzip"),
        (Method::POST, ECHO, &[("inference-header-content-length", "x")], "{}", 400, "must be a size"),
        (Method::POST, ECHO, &[("inference-header-content-length", "3")], "{}", 400, "at most 2"),
        (Method::POST, ECHO, &[("connect-timeout-ms", "soon")], "{}", 400, "must be 1 to 10 digits"),
        (Method::POST, ECHO, &[JSON], "{", 400, "the request's JSON is not an inference request: EOF"),
        (Method::POST, ECHO, &[BINARY], r#"{"inputs": 1}"#, 400, "expected a list, found 1"),
        (
            Method::POST,
            ECHO,
            &[],
            r#"{"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["fail"]}]}"#,
            500,
            "it fails on purpose",
        ),
        (
            Method::POST,
            "/v2/models/scale/infer",
            &[],
            r#"{"inputs": [{"name": "factor", "shape": [1], "datatype": "FP32", "data": [-1]}]}"#,
            500,
            "`pixels` of the answer cannot be a tensor: its shape [7] does not have its 0 elements",
        ),
    ] {
        let reply = http.send(method, path, headers, body).await;
        assert_error(&reply, status, words);
    }
    assert_eq!(get(&http, ECHO).await.header("allow"), "POST");
    let large = http.post(ECHO, &[JSON], format!(r#"{{"id": "{}"}}"#, "x".repeat(70_000))).await;
    assert_error(&large, 429, "70010 bytes, the limit is 65536");
    // Fields of one byte in JSON, and of five in the message.
    let booleans = format!(
        r#"{{"inputs": [{{"name": "rows.weights", "shape": [9999999999, 0], "datatype": "FP32", "data": []}}]}}{}"#,
        " ".repeat(9)
    );
    let amplified = http.post(ECHO, &[JSON], booleans).await;
    assert_error(&amplified, 429, "more than the limit of 65536 bytes as protobuf");
    let waits = r#"{"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["wait"]}]}"#;
    let late = http.post(ECHO, &[JSON, ("connect-timeout-ms", "100")], waits).await;
    assert_error(&late, 504, "no answer within");
    let page = http.post(ECHO, &[("origin", "https://elsewhere.example")], "{}").await;
    assert_error(&page, 403, "pages of the origin");
    service.stop().await;
}

/// One request over REST, and its metadata, is one request record and one line of the handler.
#[tokio::test]
async fn an_inference_is_a_request_like_any_other() {
    let service = Krt::run("tensors").start().await;
    let body = json!({
        "id": "mine",
        "inputs": [
            { "name": "rows.name", "shape": [2], "datatype": "BYTES", "data": ["a", "b"] },
            { "name": "rows.weights", "shape": [2, 2], "datatype": "FP32", "data": [[1, 2], [3, 4]] },
            { "name": "flag", "shape": [1], "datatype": "BOOL", "data": [true] },
        ],
        "outputs": [{ "name": "rows.weights" }, { "name": "color" }],
    });
    let reply = service.http().post(ECHO, &[JSON, ("x-tenant", "acme")], body.to_string()).await;
    let answer = reply.expect(StatusCode::OK);
    assert_eq!(
        answer,
        json!({
            "model_name": "echo",
            "model_version": "tensors-v1",
            "id": "mine",
            "outputs": [
                { "name": "rows.weights", "datatype": "FP32", "shape": [2, 2], "data": [1.0, 2.0, 3.0, 4.0] },
                { "name": "color", "datatype": "BYTES", "shape": [1], "data": ["RED"] },
            ],
        })
    );
    let ended = service.stop().await;
    let records = ended.lines.records();
    assert!(records.iter().any(|record| record.is("echo", "flag True for acme")), "{records:#?}");
    let requests = ended.reader().count_requests().unwrap();
    assert_eq!(requests, 1);
}

/// The gRPC service, as reflection describes it.
async fn pool(service: &Service) -> DescriptorPool {
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let (transport, origin) = service.client().transport();
    let mut client = ServerReflectionClient::with_origin(transport, origin);
    let name = "inference.GRPCInferenceService".to_owned();
    let question = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::FileContainingSymbol(name)),
    };
    let answers = client.server_reflection_info(futures::stream::iter([question])).await.unwrap();
    let answer = answers.into_inner().message().await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::FileDescriptorResponse(files) = answer else { panic!("{answer:?}") };
    let mut pool = DescriptorPool::new();
    for file in files.file_descriptor_proto {
        pool.decode_file_descriptor_proto(&*file).unwrap();
    }
    pool
}

async fn call(
    service: &Service,
    pool: &DescriptorPool,
    method: &str,
    request: Value,
) -> Result<Value, Status> {
    call_by(service, pool, method, Request::new(request)).await
}

/// Calls a method of the service, described or not.
async fn call_by(
    service: &Service,
    pool: &DescriptorPool,
    method: &str,
    request: Request<Value>,
) -> Result<Value, Status> {
    let known = pool.get_service_by_name("inference.GRPCInferenceService").unwrap();
    let known = known.methods().find(|known| known.name() == method);
    let empty = || pool.get_message_by_name("inference.ServerLiveRequest").unwrap();
    let (input, output) = known.map_or_else(|| (empty(), empty()), |known| (known.input(), known.output()));
    let request = request.map(|json| DynamicMessage::deserialize(input, json).unwrap());
    let path = format!("/inference.GRPCInferenceService/{method}");
    let answer = service.client().call_path(&path, request, output).await?;
    Ok(serde_json::to_value(answer).unwrap())
}

#[tokio::test]
async fn contents_and_errors_over_grpc() {
    let service = Krt::run("tensors").start().await;
    let pool = pool(&service).await;
    let infer = |request| call(&service, &pool, "ModelInfer", request);
    let numbers = json!({ "name": "numbers", "datatype": "INT64", "shape": ["2"], "contents": { "int64Contents": ["1", "-2"] } });
    let answer = infer(
        json!({ "modelName": "echo", "id": "a", "inputs": [numbers], "outputs": [{ "name": "numbers" }] }),
    );
    assert_eq!(
        answer.await.unwrap(),
        json!({ "modelName": "echo", "modelVersion": "tensors-v1", "id": "a", "outputs": [numbers] })
    );
    for (request, code, words) in [
        (json!({ "modelName": "nothing" }), Code::NotFound, "there is no model `nothing`"),
        (json!({ "modelName": "echo", "modelVersion": "2" }), Code::NotFound, "has no version `2`"),
        (
            json!({ "modelName": "echo", "inputs": [{ "name": "x" }] }),
            Code::InvalidArgument,
            "the model has no input `x`",
        ),
        (
            json!({ "modelName": "echo", "rawInputContents": ["AA=="] }),
            Code::InvalidArgument,
            "1 `raw_input_contents` for 0",
        ),
    ] {
        let status = infer(request).await.unwrap_err();
        assert!(status.code() == code && status.message().contains(words), "{status:?}");
    }
    // Metadata and deadlines are those of any call.
    let request = || json!({ "modelName": "echo", "outputs": [{ "name": "flag" }] });
    let mut with_tenant = Request::new(request());
    with_tenant.metadata_mut().insert("x-tenant", "acme".parse().unwrap());
    call_by(&service, &pool, "ModelInfer", with_tenant).await.unwrap();
    service.lines.wait("the handler", |record| record.is("echo", "flag False for acme")).await;
    let text = json!({ "name": "text", "datatype": "BYTES", "shape": ["1"], "contents": { "bytesContents": ["d2FpdA=="] } });
    let mut late = Request::new(json!({ "modelName": "echo", "inputs": [text] }));
    late.set_timeout(Duration::from_millis(100));
    let status = call_by(&service, &pool, "ModelInfer", late).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    for method in ["ModelStreamInfer", "RepositoryIndex"] {
        let status = call(&service, &pool, method, json!({})).await.unwrap_err();
        let words = format!("`{method}` of the Open Inference Protocol is not served");
        assert!(status.code() == Code::Unimplemented && status.message().starts_with(&words), "{status:?}");
    }
    let (transport, origin) = service.client().transport();
    let mut health = tonic_health::pb::health_client::HealthClient::with_origin(transport, origin);
    let service_name = "inference.GRPCInferenceService".to_owned();
    let question = tonic_health::pb::HealthCheckRequest { service: service_name };
    let status = health.check(question).await.unwrap().into_inner().status();
    assert_eq!(status, tonic_health::pb::health_check_response::ServingStatus::Serving);
    service.stop().await;
}

#[tokio::test]
async fn messages_over_nats() {
    let Some(server) = NatsServer::start("an inference over NATS", NatsOptions::default()) else { return };
    let service = Krt::run("tensors").nats(&server.url(), WireProtocol::Core).start().await;
    let body = r#"{"inputs": [{"name": "pixels", "shape": [2, 1], "datatype": "FP32", "data": [1, 2]},
        {"name": "factor", "shape": [1], "datatype": "FP32", "data": [2]}], "outputs": [{"name": "pixels"}]}"#;
    let answer = service.http().post("/v2/models/scale/infer", &[JSON], body).await.expect(StatusCode::OK);
    let pixels = json!({ "name": "pixels", "datatype": "FP32", "shape": [2, 1], "data": [2.0, 4.0] });
    assert_eq!(answer["outputs"], json!([pixels]));
    service.stop().await;
}

/// A package without the key has no such paths.
#[tokio::test]
async fn other_packages_are_no_models() {
    let service = Krt::run("echo").start().await;
    let reply = get(&service.http(), "/v2/health/live").await;
    assert_eq!((reply.status, &reply.json()["code"]), (StatusCode::NOT_FOUND, &json!("unimplemented")));
    service.stop().await;
}

/// A server finds the version first; errors before that have the form of the protocol, too.
#[tokio::test]
async fn versions_of_a_server() {
    let data = tempfile::tempdir().unwrap();
    let team = Team::with_shop(data.path()).await;
    let http = team.http();
    assert_error(&get(&http, "/v2/health/ready").await, 503, "nothing is published here");
    let package = packed(&packages().join("tensors"));
    team.api.upload(package).await.expect(StatusCode::CREATED);
    team.api.act("tensors-v1", "start").await.expect(StatusCode::ACCEPTED);
    team.until("tensors-v1", "STARTED").await;
    team.api.act("tensors-v1", "publish").await.expect(StatusCode::OK);
    let body = r#"{"inputs": [{"name": "small", "shape": [1], "datatype": "INT32", "data": [5]}], "outputs": [{"name": "small"}]}"#;
    let answer = http.post(ECHO, &[("krt-runtime", "shop")], body).await.expect(StatusCode::OK);
    assert_eq!(answer["outputs"][0]["data"], json!([5]));
    let other = http.post(ECHO, &[("krt-runtime", "elsewhere")], body).await;
    assert_error(&other, 503, "the runtime `elsewhere` is not running here");
    team.stop().await;
}

#[tokio::test]
async fn packages_without_tensors_are_refused() {
    let manifest = "\
version: v1
description: Acts
entrypoint: { proto: public_input.proto }
nodes: [{ name: actor, src: main.py }]
workflows: [{ name: act, entrypoint: Act, sequential: [actor], open_inference: true }]
";
    let proto = "\
syntax = \"proto3\";
package shop;
service Entrypoint { rpc Act(Basket) returns (Basket); }
message Basket { map<string, int32> counts = 1; }
";
    let package = write_package(&[
        ("krt.yml", manifest),
        ("public_input.proto", proto),
        ("main.py", "async def handler(ctx, data): ...\n"),
    ]);
    let checked = command().arg("check").arg(package.path()).output().unwrap();
    let report = String::from_utf8_lossy(&checked.stdout);
    assert!(!checked.status.success(), "{report}");
    assert!(report.contains("field `shop.Basket.counts` cannot be a tensor: it is a map"), "{report}");
}
