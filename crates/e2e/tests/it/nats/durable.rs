//! JetStream's durability: dead letters, and the commands for them.

use super::{package, server};
use crate::support::{
    Krt, assert_status, eventually,
    krt::{refused, stdout_of},
    runners::WireProtocol,
};
use krt_servers::NatsServer;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::path::Path;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};
use tonic::Code;

/// `krt dead` on the package's streams.
struct Dead<'a> {
    package: &'a Path,
    url: String,
}

impl<'a> Dead<'a> {
    fn of(package: &'a Path, server: &NatsServer) -> Self {
        Self { package, url: server.url() }
    }

    fn say(&self, words: &[&str], flags: &[&str]) -> String {
        stdout_of(&[&["dead"], words].concat(), self.package, &[flags, &["--nats", &self.url]].concat())
    }

    fn refuse(&self, words: &[&str]) -> String {
        refused(&[&["dead"], words].concat(), self.package, &["--nats", &self.url])
    }

    fn list(&self) -> Vec<Value> {
        self.say(&["list"], &["--json"]).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits for the next dead letter after one.
    async fn after(&self, id: u64) -> Value {
        eventually("a message is given up", async || {
            self.list().into_iter().find(|letter| letter["id"].as_u64().unwrap() > id)
        })
        .await
    }
}

#[tokio::test]
async fn failures_after_an_early_reply_are_retried() {
    let Some(server) = server("failures_after_an_early_reply_are_retried") else { return };
    let package = package(&[]);
    // Fails until a file exists with the order's text as name.
    package.edit(
        "src/act/main.py",
        "async def fail(ctx, order):",
        "async def fail_for_now(ctx, order):\n    await ctx.early_reply(Order(text=\"taken\"))\n    \
         if not os.path.exists(os.path.join(os.environ[\"E2E_SCRATCH\"], \"better\")):\n        \
         raise ValueError(\"no shelf\")\n    ctx.logger.info(\"on the shelf\")\n    return order\n\n\n\
         async def fail(ctx, order):",
    );
    package.edit("src/act/main.py", "        fail,\n", "        fail,\n        fail_for_now,\n");
    let dead = Dead::of(package.path(), &server);
    let service = Krt::run_at(package.path()).nats(&server.url(), WireProtocol::JetStream).start().await;
    let answer = service.call("Act", json!({ "text": "hi", "act": "two fail_for_now" })).await.unwrap();
    assert_eq!(answer["text"], "taken");

    let letter = dead.after(0).await;
    assert_eq!(
        (&letter["workflow"], &letter["node"], &letter["tries"]),
        (&json!("wire"), &json!("two"), &json!(1))
    );
    assert_eq!(letter["reason"], "error in 'two': no shelf");
    let id = letter["id"].as_u64().unwrap();
    let shown: Value = serde_json::from_str(&dead.say(&["show", &id.to_string()], &[])).unwrap();
    assert_eq!(shown["message"]["type"], "wire.Order");
    assert_eq!(shown["message"]["value"]["text"], "hi one");
    assert!(dead.say(&["list"], &[]).contains("wire/two  tries 1  error in 'two': no shelf"));

    for (words, hint) in [
        (vec!["retry"], "give their numbers, or --all"),
        (vec!["drop", "77"], "no message of the number 77 was given up"),
        (vec!["show", "77"], "`krt dead list` shows their numbers"),
    ] {
        let error = dead.refuse(&words);
        assert!(error.contains(hint), "{words:?}: {error}");
    }

    // It fails and becomes a dead letter once more; then it succeeds.
    assert_eq!(dead.say(&["retry", &id.to_string()], &[]), format!("{id} retried\n"));
    let again = dead.after(id).await;
    assert_eq!(again["reason"], "error in 'two': no shelf");
    service.scratch.put("better");
    dead.say(&["retry"], &["--all"]);
    service.lines.wait("the work", |record| record.is("two", "on the shelf")).await;
    assert_eq!(dead.list(), Vec::<Value>::new());
    service.stop().await;
}

/// The first delivery confirms the work and dies. The second one dies before its own early reply, when the engine knows
/// nothing of the first.
#[tokio::test]
async fn confirmed_work_survives_deaths_before_the_next_early_reply() {
    let Some(server) = server("confirmed_work_survives_deaths_before_the_next_early_reply") else { return };
    let package = package(&[]);
    package.edit(
        "src/act/main.py",
        "async def fail(ctx, order):",
        "async def die_twice(ctx, order):\n    import asyncio\n    folder = os.environ[\"E2E_SCRATCH\"]\n    \
         tries = sum(name.startswith(\"try\") for name in os.listdir(folder))\n    \
         open(os.path.join(folder, f\"try{tries}\"), \"x\").close()\n    if tries == 0:\n        \
         await ctx.early_reply(Order(text=\"taken\"))\n        \
         while not os.path.exists(os.path.join(folder, \"answered\")):\n            \
         await asyncio.sleep(0.01)\n    if tries < 2:\n        os.kill(os.getpid(), 9)\n    \
         if \"badly\" in order.text:\n        raise ValueError(\"no shelf\")\n    \
         ctx.logger.info(\"on the shelf\")\n    return order\n\n\n\
         async def fail(ctx, order):",
    );
    package.edit("src/act/main.py", "        fail,\n", "        fail,\n        die_twice,\n");
    let dead = Dead::of(package.path(), &server);
    for text in ["well", "badly"] {
        let service = Krt::run_at(package.path()).nats(&server.url(), WireProtocol::JetStream).start().await;
        let answer = service.call("Act", json!({ "text": text, "act": "two die_twice" })).await.unwrap();
        assert_eq!(answer["text"], "taken");
        service.scratch.put("answered");
        if text == "well" {
            service.lines.wait("the work", |record| record.is("two", "on the shelf")).await;
            assert_eq!(dead.list(), Vec::<Value>::new());
        } else {
            let letter = dead.after(0).await;
            assert_eq!(
                (&letter["reason"], &letter["tries"]),
                (&json!("error in 'two': no shelf"), &json!(3))
            );
        }
        service.stop().await;
    }
}

#[tokio::test]
async fn messages_redelivered_too_often_become_dead_letters() {
    let Some(server) = server("messages_redelivered_too_often_become_dead_letters") else { return };
    let package = package(&[]);
    // The worker's parent is its guard, whose parent is the engine.
    package.edit(
        "src/act/main.py",
        "async def fail(ctx, order):",
        "async def kill_the_engine(ctx, order):\n    \
         guard = open(f'/proc/{os.getppid()}/stat').read().rpartition(')')[2].split()\n    \
         os.kill(int(guard[1]), 9)\n    os.kill(os.getpid(), 9)\n\n\n\
         async def fail(ctx, order):",
    );
    package.edit("src/act/main.py", "        fail,\n", "        fail,\n        kill_the_engine,\n");
    let (url, dead) = (server.url(), Dead::of(package.path(), &server));
    let part =
        |krt: Krt| krt.nats(&url, WireProtocol::JetStream).flag("--tries", "2").flag("--ack-wait", "1");
    let others = part(Krt::nodes(&["one", "three"], package.path())).take().await;
    let mut two = part(Krt::nodes(&["two"], package.path())).take().await;
    let ingress = part(Krt::entrypoint(package.path())).start().await;
    eventually("the ingress knows of the nodes", async || {
        ingress.call("Act", json!({ "text": "a", "act": "" })).await.ok()
    })
    .await;

    let client = ingress.client();
    let call = tokio::spawn(async move {
        client.call("Act", json!({ "text": "b", "act": "two kill_the_engine" })).await
    });
    for _ in 0..2 {
        assert_eq!(two.end().await.code, None, "killed");
        // It may receive the message, and be killed, before it reports that it accepts messages.
        two = part(Krt::nodes(&["two"], package.path())).spawn();
    }
    let words = "node 'two' died while it handled the request: it was delivered 2 times and never finished";
    assert_status(call.await.unwrap(), Code::Internal, words);
    let letter = dead.after(0).await;
    assert_eq!((&letter["reason"], &letter["tries"]), (&json!(words), &json!(3)));
    assert_eq!(dead.say(&["drop"], &["--all"]), format!("{} removed\n", letter["id"]));

    // The engine that gave the message up continues to work.
    let answer = ingress.call("Act", json!({ "text": "c", "act": "" })).await.unwrap();
    assert_eq!(answer["text"], "c one two three");
    for part in [others, two] {
        part.signal(Signal::TERM);
        assert_eq!(part.end().await.code, Some(0));
    }
    ingress.stop().await;
}

#[tokio::test]
async fn unreadable_messages_become_dead_letters() {
    let Some(server) = server("unreadable_messages_become_dead_letters") else { return };
    let package = package(&[]);
    let dead = Dead::of(package.path(), &server);
    let service = Krt::run_at(package.path()).nats(&server.url(), WireProtocol::JetStream).start().await;
    let mut raw = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
    raw.write_all(b"CONNECT {\"verbose\":false}\r\nPUB wire-v1-wire-v1-Act.two 3\r\n\xff\xff\xff\r\n")
        .await
        .unwrap();
    let letter = dead.after(0).await;
    assert_eq!(letter["node"], "two");
    let reason = letter["reason"].as_str().unwrap();
    assert!(reason.starts_with("a message for node 'two' cannot be read: "), "{reason}");
    let shown: Value = serde_json::from_str(&dead.say(&["show", &letter["id"].to_string()], &[])).unwrap();
    assert!(shown["message"]["unreadable"].is_string(), "{shown}");
    service.stop().await;
}
