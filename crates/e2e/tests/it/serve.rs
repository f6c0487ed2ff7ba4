//! A team's server: changes of versions are invisible to their callers.

use crate::support::{
    Krt, eventually,
    grpc::Client,
    krt::{refused, write_package},
    team::{PASSWORD, Team, dashboard, packed, version},
};
use futures::future::join_all;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tonic::{Code, Request, Status};

/// The number of concurrent clients.
const CLIENTS: usize = 32;
/// The number of switches of the published version under load.
const SWITCHES: usize = 6;

async fn named(client: &Client) -> Result<String, Status> {
    let answer = client.call("Name", json!({})).await?;
    Ok(answer["text"].as_str().expect("it is a text").to_owned())
}

/// Calls a version by name, published or not.
async fn named_by(client: &Client, version: &str, token: &str) -> Result<Value, Status> {
    let mut request = Request::new(json!({}));
    let metadata = request.metadata_mut();
    metadata.insert("krt-version", version.parse().expect("a name is ASCII"));
    metadata.insert("authorization", format!("Bearer {token}").parse().expect("a token is ASCII"));
    client.call_by("Name", request).await
}

#[tokio::test]
async fn a_publish_switch_under_load_drops_no_request() {
    let data = tempfile::tempdir().unwrap();
    let team = Team::with_shop(data.path()).await;
    team.started("v1").await;
    team.started("v2").await;
    team.api.act("v1", "publish").await.expect(StatusCode::OK);
    let (done, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let clients: Vec<_> = (0..CLIENTS).map(|_| team.client()).collect();
    let load = join_all(clients.iter().map(async |client| {
        let mut last = String::new();
        while !done.load(Ordering::Relaxed) {
            last = named(client).await.unwrap();
            assert!(last == "v1" || last == "v2", "{last}");
            answered.fetch_add(1, Ordering::Relaxed);
        }
        last
    }));
    let switches = async {
        for number in 0..SWITCHES {
            let before = answered.load(Ordering::Relaxed);
            let version = if number % 2 == 0 { "v2" } else { "v1" };
            team.api.act(version, "publish").await.expect(StatusCode::OK);
            let more = async || (answered.load(Ordering::Relaxed) > before + CLIENTS).then_some(());
            eventually("answers after a switch", more).await;
        }
        // The replaced version may be stopped while requests arrive.
        team.api.act("v2", "publish").await.expect(StatusCode::OK);
        team.api.act("v1", "stop").await.expect(StatusCode::ACCEPTED);
        team.until("v1", "STOPPED").await;
        let rolled = team.api.post("/runtimes/shop/rollback", json!({})).await;
        assert_eq!(rolled.expect(StatusCode::ACCEPTED)["state"], "STARTING");
        team.until("v1", "PUBLISHED").await;
        let before = answered.load(Ordering::Relaxed);
        let more = async || (answered.load(Ordering::Relaxed) > before + 2 * CLIENTS).then_some(());
        eventually("answers after the rollback", more).await;
        done.store(true, Ordering::Relaxed);
    };
    let (last, ()) = tokio::join!(load, switches);
    assert!(last.iter().all(|version| version == "v1"), "{last:?}");
    team.stop().await;
}

#[tokio::test]
async fn a_killed_server_brings_its_versions_back() {
    let data = tempfile::tempdir().unwrap();
    let team = Team::with_shop(data.path()).await;
    for version in ["v1", "v2", "v3"] {
        team.started(version).await;
    }
    team.api.act("v1", "publish").await.expect(StatusCode::OK);
    team.api.act("v3", "stop").await.expect(StatusCode::ACCEPTED);
    team.until("v3", "STOPPED").await;
    team.kill().await;

    let team = Team::start(data.path()).await;
    team.until("v1", "PUBLISHED").await;
    team.until("v2", "STARTED").await;
    team.until("v3", "STOPPED").await;
    assert_eq!(named(&team.client()).await.unwrap(), "v1");
    let answer = named_by(&team.client(), "v2", team.api.token()).await.unwrap();
    assert_eq!(answer, json!({"text": "v2"}));
    // After an orderly stop, they restart as well.
    team.stop().await;
    let team = Team::start(data.path()).await;
    team.until("v1", "PUBLISHED").await;
    team.stop().await;
}

#[tokio::test]
async fn unpublished_versions_need_a_token() {
    let data = tempfile::tempdir().unwrap();
    let team = Team::with_shop(data.path()).await;
    team.started("v1").await;
    let client = team.client();
    let refused = named(&client).await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::Unavailable, "nothing is published here"));
    let refused = named_by(&client, "v1", "krt_forged").await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let refused = named_by(&client, "v9", team.api.token()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    named_by(&client, "v1", team.api.token()).await.unwrap();

    let called = json!({"method": "/names.Entrypoint/Name", "message": {}});
    let called = team.api.post("/runtimes/shop/versions/v1/call", called).await.expect(StatusCode::OK);
    assert_eq!((&called["ok"], &called["answer"]), (&json!(true), &json!({"text": "v1"})));
    let request = called["request"].as_str().unwrap();
    let detail = team.api.get(&format!("/runtimes/shop/requests/{request}")).await.expect(StatusCode::OK);
    assert_eq!(detail["request"]["hops"][0]["node"], "namer");
    assert_eq!(detail["logs"][0]["message"], "asked");
    assert_eq!(detail["logs"][0]["version"], "v1");
    team.stop().await;
}

#[tokio::test]
async fn a_runtime_is_reached_by_its_name_or_its_host() {
    let data = tempfile::tempdir().unwrap();
    let team = Team::start(data.path()).await;
    for (runtime, version) in [("shop", "s1"), ("bank", "b1")] {
        let hosts = [format!("{runtime}.example.com")];
        let new = json!({"id": runtime, "name": runtime, "hosts": hosts});
        team.api.post("/runtimes", new).await.expect(StatusCode::CREATED);
        let of = format!("/runtimes/{runtime}/versions");
        let package = packed(self::version(version, "").path());
        let uploaded = team.api.send(Method::POST, &of, "application/octet-stream", package).await;
        uploaded.expect(StatusCode::CREATED);
        team.api
            .post(&format!("{of}/{version}/start"), json!({"comment": ""}))
            .await
            .expect(StatusCode::ACCEPTED);
        eventually("it runs", async || {
            let found = team.api.get(&format!("{of}/{version}")).await.json();
            (found["state"] == "STARTED").then_some(())
        })
        .await;
        team.api
            .post(&format!("{of}/{version}/publish"), json!({"comment": ""}))
            .await
            .expect(StatusCode::OK);
    }
    let http = team.http();
    let named = async |header: (&str, &str)| {
        let headers = [("content-type", "application/json"), header];
        http.post("/names.Entrypoint/Name", &headers, "{}").await
    };
    for (header, version) in [
        (("krt-runtime", "shop"), "s1"),
        (("krt-runtime", "bank"), "b1"),
        (("host", "shop.example.com"), "s1"),
        (("host", "Bank.example.com:9000"), "b1"),
    ] {
        assert_eq!(named(header).await.expect(StatusCode::OK)["text"], version, "{header:?}");
    }
    let refused = named(("accept", "*/*")).await;
    assert!(
        refused.json()["message"].as_str().unwrap().starts_with("more than one runtime is here"),
        "{refused:?}"
    );
    team.stop().await;
}

/// An address reserved for documentation (RFC 5737), which no machine has.
const OTHER_ADDRESS: &str = "192.0.2.1:9000";

#[test]
fn passwords_are_not_sent_over_a_network_unencrypted() {
    let data = tempfile::tempdir().unwrap();
    for flag in ["--listen", "--dashboard"] {
        let stderr = refused(&["serve", "--data"], data.path(), &[flag, OTHER_ADDRESS]);
        let expected = format!("{flag} {OTHER_ADDRESS} is reached from other machines, and TLS is not set");
        assert!(stderr.contains(&expected), "{stderr}");
        // With `--insecure`, the only remaining error is the address itself.
        let stderr = refused(&["serve", "--data"], data.path(), &[flag, OTHER_ADDRESS, "--insecure"]);
        assert!(stderr.contains(&format!("cannot listen on {OTHER_ADDRESS}")), "{stderr}");
    }
}

/// A node with JSON payloads that stores its requests.
const KEEPER: [(&str, &str); 3] = [
    (
        "krt.yml",
        "version: keeper-v1
description: Keeps what it is asked.
entrypoint:
  proto: public_input.proto
nodes:
  - name: keeper
    src: main.py
    payload: json
workflows:
  - name: keeping
    entrypoint: Keep
    sequential:
      - keeper
",
    ),
    (
        "public_input.proto",
        "syntax = \"proto3\";
package keeper;
service Entrypoint {
  // Keeps it.
  rpc Keep(Text) returns (Text);
}
message Text {
  string text = 1;
}
",
    ),
    (
        "main.py",
        "async def handler(ctx, data):
    if data['text'] == 'raise':
        raise ValueError('not that')
    await ctx.db.save('texts', {'_id': 7, 'text': data['text'][:5]})
    await ctx.db.save('texts', {'_id': 8, 'text': data['text']})
    await ctx.prediction.save('cat', 'dog')
    ctx.logger.info('kept')
    return data
",
    ),
];

#[tokio::test]
async fn requests_are_shown_with_all_their_data() {
    let data = tempfile::tempdir().unwrap();
    let team = Team::with_shop(data.path()).await;
    team.api.upload(packed(write_package(&KEEPER).path())).await.expect(StatusCode::CREATED);
    team.api.act("keeper-v1", "start").await.expect(StatusCode::ACCEPTED);
    team.until("keeper-v1", "STARTED").await;
    let version = "/runtimes/shop/versions/keeper-v1";
    let methods = team.api.get(&format!("{version}/methods")).await.expect(StatusCode::OK);
    assert_eq!(methods["methods"][0]["comment"], "Keeps it.");
    let detail = async |text: &str| {
        let call = json!({"method": "/keeper.Entrypoint/Keep", "message": {"text": text}});
        let called = team.api.post(&format!("{version}/call"), call).await.expect(StatusCode::OK);
        let id = called["request"].as_str().unwrap().to_owned();
        team.api.get(&format!("/runtimes/shop/requests/{id}")).await.expect(StatusCode::OK)
    };

    let large = "x".repeat(100_000);
    let found = detail(&large).await;
    let hop = &found["request"]["hops"][0];
    for part in ["waiting_ms", "encode_ms", "handler_ms", "decode_ms"] {
        assert!(hop[part].as_f64().unwrap() > 0.0, "{part}: {hop}");
    }
    let before: f64 = ["waiting_ms", "encode_ms"].iter().map(|part| hop[part].as_f64().unwrap()).sum();
    assert!(before <= hop["start_ms"].as_f64().unwrap(), "{hop}");
    let small = json!({"_id": 7, "text": "xxxxx"});
    let document = |id, document, bytes| json!({"node": "keeper", "collection": "texts", "id": id, "document": document, "bytes": bytes});
    let expected = [document(7, small, 30), document(8, Value::Null, 100_025)];
    assert_eq!(found["documents"], json!(expected));
    let predictions = found["predictions"].as_array().unwrap();
    assert_eq!(predictions.len(), 1);
    assert_eq!(
        (&predictions[0]["predicted"], &predictions[0]["version"]),
        (&json!("cat"), &json!("keeper-v1"))
    );
    assert_eq!((&found["saved"], &found["logs"][0]["message"]), (&json!(3), &json!("kept")));
    assert_eq!(found["points"].as_array().unwrap().len(), 2);

    let found = detail("raise").await;
    assert_eq!(found["request"]["ending"], "failed");
    let traceback = found["logs"][0]["message"].as_str().unwrap();
    assert!(
        traceback.contains("line 3, in handler") && traceback.contains("ValueError: not that"),
        "{traceback}"
    );
    assert_eq!((&found["documents"], &found["saved"]), (&json!([]), &json!(0)));

    // All of it remains available after its version has stopped, and after the server was killed.
    team.api.act("keeper-v1", "stop").await.expect(StatusCode::ACCEPTED);
    team.until("keeper-v1", "STOPPED").await;
    team.kill().await;
    let team = Team::start(data.path()).await;
    let path = format!("/runtimes/shop/requests/{}", found["request"]["id"].as_str().unwrap());
    assert_eq!(team.api.get(&path).await.expect(StatusCode::OK), found);
    let page = team.api.get("/runtimes/shop/requests?ending=failed").await.expect(StatusCode::OK);
    assert_eq!((&page["requests"], &page["kept"]), (&json!([found["request"]]), &json!(2)));
    team.stop().await;
}

#[tokio::test]
async fn failed_starts_end_in_an_error_with_a_reason() {
    let data = tempfile::tempdir().unwrap();
    let team = Team::with_shop(data.path()).await;
    team.upload("v1", "raise RuntimeError('no such model')").await;
    team.api.act("v1", "start").await.expect(StatusCode::ACCEPTED);
    let failed = team.until("v1", "ERROR").await;
    let reason = failed["reasons"][0].as_str().unwrap();
    assert!(reason.contains("node `namer` does not start"), "{reason}");
    assert!(reason.contains("RuntimeError: no such model"), "{reason}");
    // The state survives a restart, and the version can be started again.
    team.stop().await;
    let team = Team::start(data.path()).await;
    let failed = team.until("v1", "ERROR").await;
    assert_eq!(failed["actions"], json!(["start", "delete"]));
    team.stop().await;
}

#[tokio::test]
async fn invalid_packages_are_refused_with_all_errors() {
    let data = tempfile::tempdir().unwrap();
    let team = Team::with_shop(data.path()).await;
    let manifest =
        "version: v1\ndescription: x\nentrypoint:\n  proto: public_input.proto\nnodes:\n  - name: A\n";
    let bad = write_package(&[("krt.yml", manifest), ("public_input.proto", "syntax = \"proto3\";")]);
    let refused = team.api.upload(packed(bad.path())).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(refused["code"], "invalid_package");
    let problems = refused["problems"].as_array().unwrap();
    assert!(problems.len() > 2, "{problems:?}");
    let placed = problems.iter().find(|problem| problem["file"] == "krt.yml" && problem["line"].is_number());
    assert!(placed.is_some(), "{problems:?}");

    let refused = team.api.upload(b"no package".to_vec()).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(refused["code"], "invalid_package");
    assert_eq!(team.api.get("/runtimes/shop/versions").await.json(), json!([]));
    team.stop().await;
}

#[tokio::test]
async fn unauthorized_actions_are_refused() {
    let data = tempfile::tempdir().unwrap();
    let team = Team::with_shop(data.path()).await;
    team.upload("v1", "").await;
    let viewer = team.user("vera", "viewer").await;
    let manager = team.user("max", "manager").await;
    let forged = viewer.with_token("krt_forged");
    let path = "/runtimes/shop/versions/v1";
    viewer.get(path).await.expect(StatusCode::OK);
    forged.get(path).await.expect(StatusCode::UNAUTHORIZED);
    let refused = viewer.act("v1", "start").await.expect(StatusCode::FORBIDDEN);
    assert_eq!(refused["message"], "this needs the role manager, `vera` is viewer");
    manager.get("/users").await.expect(StatusCode::FORBIDDEN);
    manager.post("/runtimes", json!({"id": "b", "name": "b"})).await.expect(StatusCode::FORBIDDEN);
    let too_much = json!({"name": "x", "role": "admin"});
    manager.post("/tokens", too_much).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    manager
        .put(&format!("{path}/config"), json!({"values": {"NO": "1"}}))
        .await
        .expect(StatusCode::UNPROCESSABLE_ENTITY);

    // A body beyond the limit is not read.
    let large = vec![b' '; 9 << 20];
    let refused = manager.send(Method::POST, &format!("{path}/start"), "application/json", large).await;
    refused.expect(StatusCode::PAYLOAD_TOO_LARGE);
    let text = manager.send(Method::POST, &format!("{path}/start"), "text/plain", b"{}".to_vec()).await;
    text.expect(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    manager.get("/runtimes/nothing/logs").await.expect(StatusCode::NOT_FOUND);

    // Repeated wrong passwords delay further attempts, including those with the right one.
    let tries = json!({"login": "vera", "password": "wrong"});
    loop {
        let refused = manager.post("/session", tries.clone()).await;
        if refused.status == StatusCode::TOO_MANY_REQUESTS {
            assert!(!refused.header("retry-after").is_empty());
            break;
        }
        refused.expect(StatusCode::UNAUTHORIZED);
    }
    let right = json!({"login": "vera", "password": PASSWORD});
    manager.post("/session", right).await.expect(StatusCode::TOO_MANY_REQUESTS);
    team.stop().await;
}

#[tokio::test]
async fn behind_a_tls_proxy() {
    let (data, described) = (tempfile::tempdir().unwrap(), version("described", ""));
    let krt = Krt::serve(described.path()).data(data.path()).env("KRT_ADMIN_PASSWORD", PASSWORD);
    let krt = krt.flag("--dashboard-url", "https://krt.example.com");
    let service = krt.flag("--trusted-proxy", "127.0.0.1").start().await;
    let http = dashboard(&service).await;
    let sign_in = async |host: &str, seen: &str, password: &str| {
        let headers = [("content-type", "application/json"), ("host", host), ("x-forwarded-for", seen)];
        let body = json!({ "login": "admin", "password": password }).to_string();
        http.post("/api/v1/session", &headers, body).await
    };
    let (proxy, client) = ("krt.example.com", "1.1.1.1, 10.0.0.7");
    let elsewhere = sign_in("other.example.com", client, PASSWORD).await;
    let refused = elsewhere.expect(StatusCode::FORBIDDEN);
    assert_eq!(
        refused["hint"],
        "behind a proxy, give `krt serve` --dashboard-url; --allow-host adds other names"
    );

    let opened = sign_in(proxy, client, PASSWORD).await;
    opened.expect(StatusCode::OK);
    let cookie = opened.header("set-cookie");
    assert!(cookie.ends_with("; Secure"), "{cookie}");
    sign_in(proxy, client, "a wrong password").await.expect(StatusCode::UNAUTHORIZED);
    let headers = [("cookie", cookie.split(';').next().unwrap()), ("host", proxy)];
    let audit = http.send(Method::GET, "/api/v1/audit?action=sign_in_failed", &headers, "").await;
    let failed = &audit.expect(StatusCode::OK)["entries"][0];
    assert_eq!(failed["comment"], "from 10.0.0.7", "{failed}");
    service.stop().await;
}
