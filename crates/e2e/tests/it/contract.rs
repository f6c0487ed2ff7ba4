//! Checks `openapi.json`: schemathesis tries allowed and forbidden requests against a real server.
//!
//! Its settings are in `contract/schemathesis.toml`. Streams of events are excluded, because most of them never end.

use crate::support::team::Team;
use http::StatusCode;
use serde_json::json;
use std::path::{Path, PathBuf};
use tokio::process::Command;

/// The path where `make` installs the tools of `scripts/tools.txt`.
fn schemathesis() -> PathBuf {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tool = crates.join("../../target/tools/bin/schemathesis");
    assert!(tool.is_file(), "`{}` is not there; hint: `make target/tools/ready`", tool.display());
    tool
}

#[tokio::test]
async fn the_server_keeps_its_contract() {
    let data = tempfile::tempdir().unwrap();
    let team = Team::with_shop(data.path()).await;
    team.api.post("/runtimes", json!({"id": "other", "name": "x"})).await.expect(StatusCode::CREATED);
    team.started("v1").await;
    let base = format!("http://{}/api/v1", team.api.address());
    let settings = Path::new(env!("CARGO_MANIFEST_DIR")).join("contract/schemathesis.toml");
    let tried = Command::new(schemathesis())
        .arg("--config-file")
        .arg(settings)
        .args(["run", &format!("{base}/openapi.json"), "--url", &base, "--no-color"])
        .env("KRT_TOKEN", team.api.token())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(data.path())
        .kill_on_drop(true)
        .output();
    let tried = tried.await.expect("the tool can be executed");
    let said = String::from_utf8_lossy(&tried.stdout);
    println!("{said}");
    assert!(tried.status.success(), "{}", String::from_utf8_lossy(&tried.stderr));
    let document = team.api.get("/openapi.json").await.expect(StatusCode::OK);
    let operations =
        document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap());
    let (streams, others): (Vec<_>, Vec<_>) = operations
        // The tool itself starts with the document.
        .filter(|(_, operation)| operation["operationId"].as_str().is_some_and(|name| name != "openapi"))
        .partition(|(_, operation)| operation.to_string().contains("text/event-stream"));
    assert!(!streams.is_empty());
    let all = format!("Tested: {}", others.len());
    assert!(said.contains(&all), "`{all}`: all paths but those of streams are tried");
    team.api.get("/runtimes/shop").await.expect(StatusCode::OK);
    team.stop().await;
}
