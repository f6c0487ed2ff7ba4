//! Messages over NATS.

use super::{Served, ask, package};
use crate::support::{
    Copy, Krt, eventually,
    grpc::Client,
    krt::{packages, stdout_of},
    runners::{INFLUX, MONGO, Runner, WireProtocol},
};
use async_nats::jetstream;
use futures::{StreamExt as _, TryStreamExt as _, future::join_all};
use http::{Method, StatusCode};
use krt_servers::{NatsOptions, NatsServer};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};
use tonic::Code;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

const PROTOCOLS: [WireProtocol; 2] = [WireProtocol::Core, WireProtocol::JetStream];
/// The number of concurrent clients.
const CLIENTS: usize = 32;
/// The answers of each client that a switch waits for.
const BETWEEN: usize = 4;

fn server(test: &str) -> Option<NatsServer> {
    // Older servers sometimes do not redeliver a message that was given back.
    let options = NatsOptions { jetstream: true, survives_kills: true, ..NatsOptions::default() };
    NatsServer::start(test, options)
}

/// The names of the server's streams, in order.
async fn streams(server: &NatsServer) -> Vec<String> {
    let context = jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let mut names: Vec<_> = context.stream_names().try_collect().await.unwrap();
    names.sort();
    names
}

/// Two runtimes with versions of the same name share a NATS server. One of them publishes another version while all
/// clients call.
#[tokio::test(flavor = "multi_thread")]
async fn versions_do_not_meet_and_a_publish_drops_no_request() {
    for protocol in PROTOCOLS {
        let Some(server) = server("versions_do_not_meet_and_a_publish_drops_no_request") else { return };
        let data = tempfile::tempdir().unwrap();
        let serve = || Served::start(data.path(), |krt| krt.nats(&server.url(), protocol));
        let served = serve().await;
        let (v1, v2) = (package("v1", ""), package("v2", ""));
        for runtime in ["shop", "shop-eu"] {
            served.runtime(runtime).await;
            served.publish(runtime, "v1", v1.path()).await;
        }
        let subject = match protocol {
            WireProtocol::Core => "shop.v1-Act-last",
            WireProtocol::JetStream => "shop_v1-Act.last",
        };
        let mut seen =
            async_nats::connect(server.url()).await.unwrap().subscribe(subject.to_owned()).await.unwrap();
        let (done, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
        let clients: Vec<_> =
            (0..CLIENTS).map(|number| (served.client(), ["shop", "shop-eu"][number % 2])).collect();
        let load = join_all(clients.iter().map(async |(client, runtime)| {
            let mut last = String::new();
            while !done.load(Ordering::Relaxed) {
                last = ask(client, runtime, "where", "")
                    .await
                    .unwrap_or_else(|status| panic!("{protocol:?}: {status}\n{}", served.team.lines.text()));
                let versions = [format!("{runtime}/v1"), format!("{runtime}/v2")];
                assert!(versions.contains(&last) && (*runtime == "shop" || last == versions[0]), "{last}");
                answered.fetch_add(1, Ordering::Relaxed);
            }
            last
        }));
        let switches = async {
            let more = async || {
                let before = answered.load(Ordering::Relaxed);
                let enough =
                    async || (answered.load(Ordering::Relaxed) > before + BETWEEN * CLIENTS).then_some(());
                eventually("answers", enough).await;
            };
            more().await;
            served.publish("shop", "v2", v2.path()).await;
            more().await;
            served.act("shop", "v1", "publish").await;
            more().await;
            served.act("shop", "v2", "publish").await;
            served.act("shop", "v1", "stop").await;
            served.until("shop", "v1", "STOPPED").await;
            more().await;
            done.store(true, Ordering::Relaxed);
        };
        let (last, ()) = tokio::join!(load, switches);
        let expected = ["shop/v2", "shop-eu/v1"];
        assert!(last.iter().enumerate().all(|(number, text)| text == expected[number % 2]), "{last:?}");
        assert!(seen.next().await.is_some(), "messages between nodes are on {subject}");

        // After a crash of the server, both runtimes answer again.
        served.team.kill().await;
        let served = serve().await;
        for (runtime, version) in [("shop", "v2"), ("shop-eu", "v1")] {
            served.until(runtime, version, "PUBLISHED").await;
            assert_eq!(
                served.ask(runtime, "where", "").await.unwrap(),
                format!("{runtime}/{version}"),
                "{protocol:?}"
            );
        }
        served.team.stop().await;
    }
}

/// What a client knows to be taken is done, by the next server.
#[tokio::test(flavor = "multi_thread")]
async fn confirmed_work_survives_a_crash_of_the_server() {
    let Some(server) = server("confirmed_work_survives_a_crash_of_the_server") else { return };
    let data = tempfile::tempdir().unwrap();
    let serve = || {
        let flags = |krt: Krt| krt.nats(&server.url(), WireProtocol::JetStream).flag("--ack-wait", "1s");
        Served::start(data.path(), flags)
    };
    let served = serve().await;
    served.runtime("shop").await;
    served.publish("shop", "v1", package("v1", "").path()).await;
    let go = data.path().join("go");
    assert_eq!(served.ask("shop", "confirm", go.to_str().unwrap()).await.unwrap(), "confirmed");
    served.team.kill().await;
    fs::write(&go, "").unwrap();

    let served = serve().await;
    served.until("shop", "v1", "PUBLISHED").await;
    let done = async || (served.ask("shop", "find", "").await.unwrap() == "done").then_some(());
    eventually("the work is done", done).await;
    served.team.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_versions_leave_no_streams() {
    let Some(server) = server("deleted_versions_leave_no_streams") else { return };
    let data = tempfile::tempdir().unwrap();
    let served = Served::start(data.path(), |krt| krt.nats(&server.url(), WireProtocol::JetStream)).await;
    let (v1, v2) = (package("v1", ""), package("v1-b", ""));
    for runtime in ["shop", "shop-eu"] {
        served.runtime(runtime).await;
        served.publish(runtime, "v1", v1.path()).await;
    }
    served.upload("shop", v2.path()).await;
    served.act("shop", "v1-b", "start").await;
    served.until("shop", "v1-b", "STARTED").await;
    assert_eq!(served.ask("shop", "confirm_and_fail", "").await.unwrap(), "confirmed");
    let dead = || {
        let flags = ["--nats", &server.url(), "--runtime", "shop", "--served", "--json"];
        stdout_of(&["dead", "list"], v1.path(), &flags)
    };
    let letter: Value = eventually("a dead letter", async || serde_json::from_str(dead().trim()).ok()).await;
    assert_eq!(letter["reason"], "error in 'last': no shelf");
    let all = [
        "DEAD-shop-eu_v1",
        "DEAD-shop_v1",
        "DEAD-shop_v1-b",
        "shop-eu_v1-Act",
        "shop_v1-Act",
        "shop_v1-b-Act",
    ];
    assert_eq!(streams(&server).await, all);
    let store = served.store("shop", "messages").await;
    assert_eq!((&store["kept_by"], &store["up"]), (&json!("nats"), &json!(true)), "{store}");

    let delete =
        async |path: &str| served.team.api.send(Method::DELETE, path, "text/plain", Vec::new()).await;
    delete("/runtimes/shop/versions/v1").await.expect(StatusCode::CONFLICT);
    assert_eq!(streams(&server).await, all, "a version that runs keeps its streams");
    served.stop("shop", "v1").await;
    assert_eq!(delete("/runtimes/shop/versions/v1").await.status, StatusCode::NO_CONTENT);
    let left = ["DEAD-shop-eu_v1", "DEAD-shop_v1-b", "shop-eu_v1-Act", "shop_v1-b-Act"];
    assert_eq!(streams(&server).await, left);
    served.act("shop", "v1-b", "stop").await;
    served.until("shop", "v1-b", "STOPPED").await;
    assert_eq!(delete("/runtimes/shop").await.status, StatusCode::NO_CONTENT);
    assert_eq!(streams(&server).await, ["DEAD-shop-eu_v1", "shop-eu_v1-Act"]);
    assert_eq!(served.ask("shop-eu", "where", "").await.unwrap(), "shop-eu/v1");
    served.team.stop().await;
}

async fn becomes(client: &Client, expected: ServingStatus) {
    let (transport, origin) = client.transport();
    let mut health = HealthClient::with_origin(transport, origin);
    eventually(&format!("health is {expected:?}"), async || {
        let answer = health.check(HealthCheckRequest::default()).await.ok()?;
        (answer.into_inner().status() == expected).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_may_go_away_and_come_back() {
    for protocol in PROTOCOLS {
        let Some(mut server) = server("nats_may_go_away_and_come_back") else { return };
        let data = tempfile::tempdir().unwrap();
        let served = Served::start(data.path(), |krt| krt.nats(&server.url(), protocol)).await;
        let (v1, v2) = (package("v1", ""), package("v2", ""));
        served.runtime("shop").await;
        served.publish("shop", "v1", v1.path()).await;
        served.upload("shop", v2.path()).await;
        assert_eq!(served.ask("shop", "", "hi").await.unwrap(), "hi");

        server.stop();
        eventually("the server knows", async || {
            (served.store("shop", "messages").await["up"] == false).then_some(())
        })
        .await;
        becomes(&served.client(), ServingStatus::NotServing).await;
        let refused =
            eventually("requests are refused", async || served.ask("shop", "", "hi").await.err()).await;
        assert_eq!(refused.code(), Code::Unavailable, "{protocol:?}: {refused}");
        // A version cannot start now, and says why.
        served.act("shop", "v2", "start").await;
        let failed = served.until("shop", "v2", "ERROR").await;
        assert!(failed["reasons"][0].as_str().unwrap().contains("cannot be reached"), "{failed}");
        if protocol == WireProtocol::JetStream {
            // Nothing is deleted while its streams would stay.
            let path = "/runtimes/shop/versions/v2";
            let refused = served.team.api.send(Method::DELETE, path, "text/plain", Vec::new()).await;
            let refused = refused.expect(StatusCode::SERVICE_UNAVAILABLE);
            assert!(
                refused["message"].as_str().unwrap().starts_with("the streams cannot be listed"),
                "{refused}"
            );
        }

        server.start_again();
        becomes(&served.client(), ServingStatus::Serving).await;
        eventually("requests are served", async || served.ask("shop", "", "hi").await.ok()).await;
        assert_eq!(served.store("shop", "messages").await["up"], true);
        served.act("shop", "v2", "start").await;
        served.until("shop", "v2", "STARTED").await;
        served.team.stop().await;
    }
}

/// A node of another runner serves a version of the server, with the output of `krt env`.
#[tokio::test(flavor = "multi_thread")]
async fn other_runners_serve_nodes_of_versions() {
    for protocol in PROTOCOLS {
        let Some(server) = server("other_runners_serve_nodes_of_versions") else { return };
        let package = Copy::of("wire");
        let mut manifest = fs::read_to_string(packages().join("wire/krt.yml")).unwrap();
        manifest.truncate(manifest.find("nodes:").unwrap());
        manifest += "nodes:
  - { name: one, image: i, src: src/act/main.py }
  - { name: two, image: i, src: src/act/main.py, runner: external }
workflows:
  - { name: wire, entrypoint: Act, sequential: [one, two] }
";
        fs::write(package.path().join("krt.yml"), manifest).unwrap();
        let data = tempfile::tempdir().unwrap();
        let served = Served::start(data.path(), |krt| krt.nats(&server.url(), protocol)).await;
        served.runtime("shop").await;
        served.publish("shop", "wire-v1", package.path()).await;
        let environment = environment(&server, protocol, package.path());
        let runner = Runner::node(protocol, package.path(), &environment).await;
        let client = Client::new(package.path(), served.team.address);
        let answer = client.call("Act", json!({ "text": "hi" })).await.unwrap();
        assert_eq!(answer["text"], "hi one two", "{protocol:?}");
        runner.end().await;
        served.team.stop().await;

        // Without NATS, such a version does not start.
        let data = tempfile::tempdir().unwrap();
        let served = Served::start(data.path(), Krt::by_environment).await;
        served.runtime("shop").await;
        served.upload("shop", package.path()).await;
        served.act("shop", "wire-v1", "start").await;
        let failed = served.until("shop", "wire-v1", "ERROR").await;
        let expected = "node `two` is left to another runner (`runner: external`), which speaks over NATS";
        assert!(failed["reasons"][0].as_str().unwrap().starts_with(expected), "{failed}");
        served.team.stop().await;
    }
}

fn environment(server: &NatsServer, protocol: WireProtocol, package: &Path) -> Vec<(String, String)> {
    let url = server.url();
    let flags = [
        "--nats",
        &url,
        "--nats-mode",
        protocol.mode(),
        "--mongo",
        MONGO,
        "--influx",
        INFLUX,
        "--runtime",
        "shop",
        "--served",
    ];
    let printed = stdout_of(&["env", "two"], package, &flags);
    let pairs = printed.lines().map(|line| line.split_once('=').unwrap());
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// More workers for a node of a version, as on another machine.
#[tokio::test(flavor = "multi_thread")]
async fn nodes_elsewhere_join_versions() {
    for protocol in PROTOCOLS {
        let Some(server) = server("nodes_elsewhere_join_versions") else { return };
        let data = tempfile::tempdir().unwrap();
        let served = Served::start(data.path(), |krt| krt.nats(&server.url(), protocol)).await;
        let v1 = package("v1", "");
        served.runtime("shop").await;
        served.publish("shop", "v1", v1.path()).await;
        let join = Krt::nodes(&["last"], v1.path()).nats(&server.url(), protocol);
        let node = join.flag("--runtime", "shop").bare("--served").take().await;
        let client = served.client();
        let calls = async || {
            let asked = (0..CLIENTS).map(|_| ask(&client, "shop", "place", ""));
            join_all(asked).await.into_iter().map(Result::unwrap).collect::<BTreeSet<_>>()
        };
        let both = BTreeSet::from(["elsewhere".to_owned(), "server".to_owned()]);
        eventually("both answer", async || (calls().await == both).then_some(())).await;
        node.stop().await;
        assert_eq!(calls().await, BTreeSet::from(["server".to_owned()]), "{protocol:?}");
        served.team.stop().await;
    }
}
