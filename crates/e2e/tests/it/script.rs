//! Handlers whose code is in the test: the package `script` runs the code in its requests.

use crate::support::{Krt, Service};
use serde_json::{Value, json};
use tonic::Status;

/// Starts the package.
pub(crate) async fn start() -> Service {
    Krt::run("script").start().await
}

/// Sends each node of a workflow its code.
pub(crate) async fn send(service: &Service, rpc: &str, code: &[&str]) -> Result<Value, Status> {
    service.call(rpc, json!({ "code": code })).await
}

/// The result of the code, run by the first node alone.
pub(crate) async fn value(service: &Service, code: &str) -> Value {
    let answer = send(service, "One", &[code]).await.unwrap_or_else(|status| panic!("{code}: {status}"));
    serde_json::from_str(answer["text"].as_str().expect("the node returns JSON")).expect("it is JSON")
}

/// The kind and the text of what awaiting an expression raises.
pub(crate) async fn raised(service: &Service, expression: &str) -> (String, String) {
    let raised = value(service, &format!("return await raised_by({expression})")).await;
    serde_json::from_value(raised).expect("it is a kind and a text")
}
