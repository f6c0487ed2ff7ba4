//! Workers that are forked from a process which has run `init`: `replicas: {share: fork}` in `krt.yml`.

use crate::support::{
    Krt, Service, actor, eventually,
    http::Http,
    krt::refused,
    processes::{self, lives},
};
use http::Method;
use rustix::process::Signal;
use serde_json::json;
use std::{collections::BTreeSet, fs, time::Instant};
use tempfile::TempDir;

/// Fails to start where there is a file `broken`. Holds a model of `MODEL` MiB.
const NODE: &str = "\
import os
import threading
from pathlib import Path

from public_input_pb2 import Text

SCRATCH = Path(os.environ['E2E_SCRATCH'])
MODEL = bytearray(16)


def init(ctx):
    if (SCRATCH / 'broken').exists():
        raise ValueError('no model')
    with open(SCRATCH / 'inits', 'a') as inits:
        inits.write(f'{os.getpid()}\\n')
    for index in range(0, len(MODEL), 4096):
        MODEL[index] = 1


async def handler(ctx, data):
    text = Text()
    data.Unpack(text)
    if text.text == 'exit':
        os._exit(3)
    ctx.logger.info('logged %s', text.text)
    os.write(1, b'written\\n')
    return Text(text=f'{os.getpid()} {MODEL[0]}')
";

fn package(keys: &str) -> TempDir {
    actor::with("forks-v1", keys, NODE)
}

/// The process that the workers are forked from: the last that has run `init`.
fn templates(service: &Service) -> Vec<i32> {
    let inits = fs::read_to_string(service.scratch.path().join("inits")).unwrap_or_default();
    inits.lines().map(|line| line.parse().unwrap()).collect()
}

/// The workers that are up, without what they are forked from. What becomes the guard of a worker is like one until then, and its
/// parent is what it was forked from.
fn workers(service: &Service) -> BTreeSet<i32> {
    let (templates, found) = (templates(service), service.workers("actor"));
    let is_guarded = |pid: &i32| processes::parent(*pid).is_some_and(|parent| !found.contains(&parent));
    found.iter().copied().filter(|pid| !templates.contains(pid) && is_guarded(pid)).collect()
}

async fn call(service: &Service) -> i32 {
    let answer = service.call("Act", json!({ "text": "x" })).await.unwrap();
    let text = answer["text"].as_str().unwrap();
    let (pid, model) = text.split_once(' ').unwrap();
    assert_eq!(model, "1");
    pid.parse().unwrap()
}

/// Calls until each of the workers has answered, and no other process.
async fn answered_by(service: &Service, workers: &BTreeSet<i32>) {
    eventually("all of them answer", async || {
        let calls = (0..2 * workers.len()).map(|_| call(service));
        let answered: BTreeSet<i32> = futures::future::join_all(calls).await.into_iter().collect();
        (answered == *workers).then_some(())
    })
    .await;
}

/// Waits until there are so many workers, without a process of `old`.
async fn replaced(service: &Service, number: usize, old: &[i32]) -> BTreeSet<i32> {
    eventually("they are replaced", async || {
        let workers = workers(service);
        (workers.len() == number && old.iter().all(|old| !workers.contains(old))).then_some(workers)
    })
    .await
}

#[tokio::test]
async fn workers_share_what_init_has_made() {
    let package = package("replicas: {min: 3, max: 3, share: fork}");
    let service = Krt::run_at(package.path()).start().await;
    let (first, template) = (workers(&service), templates(&service));
    assert_eq!((first.len(), template.len()), (3, 1), "`init` has run once");
    answered_by(&service, &first).await;
    let logged = service.lines.wait("a record", |record| record.message == "logged x").await;
    assert!(logged.request.is_some() && logged.node.as_deref() == Some("actor"), "{logged:?}");
    service.lines.wait("what it writes", |record| record.is("actor", "written")).await;

    // What dies is forked again, and is described as any worker's death.
    let killed = *first.first().unwrap();
    processes::signal(killed, Signal::KILL);
    let death = "its process died: killed by signal 9 (SIGKILL)";
    service.lines.wait("the death", |record| record.is("actor", death)).await;
    let second = replaced(&service, 3, &[killed]).await;
    service.call("Act", json!({ "text": "exit" })).await.unwrap_err();
    let death = "its process died: it exited with status 3";
    service.lines.wait("the death", |record| record.is("actor", death)).await;
    let third = eventually("it is replaced", async || {
        let third = workers(&service);
        (third.len() == 3 && third != second).then_some(third)
    })
    .await;
    answered_by(&service, &third).await;
    assert_eq!(templates(&service), template, "`init` has run once");

    // Workers outlive what they were forked from, which starts again.
    processes::signal(template[0], Signal::KILL);
    let death = "the process that its workers are forked from died: killed by signal 9 (SIGKILL)";
    service.lines.wait("the death", |record| record.is("actor", death)).await;
    let next = eventually("it starts again", async || templates(&service).get(1).copied()).await;
    assert_eq!(workers(&service), third);
    answered_by(&service, &third).await;
    let killed = *third.first().unwrap();
    processes::signal(killed, Signal::KILL);
    let fourth = replaced(&service, 3, &[killed]).await;
    answered_by(&service, &fourth).await;
    assert_eq!(templates(&service), [template[0], next]);
    service.stop().await;
}

#[tokio::test]
async fn nothing_is_left_after_ctrl_c_or_a_kill() {
    let package = package("replicas: {min: 2, max: 2, share: fork}");
    for signal in [Signal::INT, Signal::KILL] {
        let service = Krt::run_at(package.path()).start().await;
        let below = processes::below(service.pid());
        // Three workers with their guards.
        assert_eq!(below.len(), 6, "{below:?}");
        service.signal(signal);
        service.end().await;
        eventually("all end", async || below.iter().all(|pid| !lives(*pid)).then_some(())).await;
    }
}

#[tokio::test]
async fn a_killed_guard_leaves_no_worker() {
    let package = package("replicas: {min: 2, max: 2, share: fork}");
    let service = Krt::run_at(package.path()).start().await;
    let first = workers(&service);
    let killed = *first.first().unwrap();
    processes::signal(processes::parent(killed).unwrap(), Signal::KILL);
    let second = replaced(&service, 2, &[killed]).await;
    answered_by(&service, &second).await;
    // They outlive the guard of what they are forked from, too.
    let [template] = templates(&service)[..] else { panic!("`init` has run once") };
    processes::signal(processes::parent(template).unwrap(), Signal::KILL);
    eventually("another starts", async || (templates(&service).len() == 2).then_some(())).await;
    eventually("the old one ends", async || (!lives(template)).then_some(())).await;
    assert_eq!(workers(&service), second);
    answered_by(&service, &second).await;
    service.stop().await;
}

#[tokio::test]
async fn a_node_that_sleeps_wakes_without_init() {
    let package = package("replicas: {min: 0, max: 2, idle: 1s, share: fork}");
    let service = Krt::run_at(package.path()).start().await;
    let mut answered = BTreeSet::new();
    for _ in 0..3 {
        answered.insert(call(&service).await);
        eventually("it sleeps", async || workers(&service).is_empty().then_some(())).await;
    }
    assert_eq!((answered.len(), templates(&service).len()), (3, 1));
    // The guards of those that have ended do not make it die.
    processes::signal(templates(&service)[0], Signal::KILL);
    eventually("it starts again", async || templates(&service).get(1).copied()).await;
    call(&service).await;
    service.stop().await;
}

#[tokio::test]
async fn changed_files_are_loaded_once() {
    let package = package("replicas: {min: 2, max: 2, share: fork}");
    let service = Krt::run_at(package.path()).watch().start().await;
    let first: Vec<i32> = workers(&service).into_iter().collect();
    let file = package.path().join("src/actor/main.py");
    fs::write(&file, NODE.replace("MODEL[index] = 1", "MODEL[index] = 1 * 1")).unwrap();
    let second = replaced(&service, 2, &first).await;
    answered_by(&service, &second).await;
    assert_eq!(templates(&service).len(), 2);
    eventually("the old one ends", async || (service.workers("actor").len() == 3).then_some(())).await;
    service.stop().await;
}

#[tokio::test]
async fn used_up_workers_are_forked_again() {
    let package = package("replicas: {min: 1, max: 1, share: fork}\n    recycle: {requests: 5}");
    let service = Krt::run_at(package.path()).start().await;
    let mut answered = BTreeSet::new();
    while answered.len() < 4 {
        answered.insert(call(&service).await);
    }
    assert_eq!(templates(&service).len(), 1);
    service.stop().await;
}

#[test]
fn a_node_with_threads_is_refused() {
    let starts = "    threading.Thread(target=threading.Event().wait, name='poller', daemon=True).start()\n";
    let node = NODE.replace("os.environ['E2E_SCRATCH']", "'.'");
    let node = node.replace("def init(ctx):\n", &format!("def init(ctx):\n{starts}"));
    let package = actor::with("forks-v1", "replicas: {min: 2, max: 2, share: fork}", &node);
    let text = refused(&["run"], package.path(), &["--no-dashboard"]);
    let expected = "node `actor` does not start: its workers cannot be forked: a thread of user code runs, which a fork \
                    would lack: `poller`";
    assert!(text.contains(expected), "{text}");
    assert!(
        text.contains("hint: end them in `init`, start them in the handler, or remove `share: fork`"),
        "{text}"
    );
    assert_eq!(text.matches("does not start").count(), 1, "{text}");
}

/// What the processes of a node take, each shared page divided among its processes.
fn proportional(pids: impl IntoIterator<Item = i32>) -> u64 {
    let of = |pid: i32| {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    };
    pids.into_iter().map(of).sum()
}

/// The memory of a node's workers, as the metrics have it.
async fn measured(service: &Service) -> u64 {
    let record = service.lines.wait("the page", |record| record.message.starts_with("metrics are at ")).await;
    let address = record.message.strip_prefix("metrics are at http://").unwrap();
    let client = Http::one(address.strip_suffix("/metrics").unwrap().parse().unwrap());
    let page = client.send(Method::GET, "/metrics", &[], "").await;
    let text = String::from_utf8(page.body.to_vec()).unwrap();
    let lines = text.lines().filter(|line| line.starts_with("krt_worker_memory_bytes{"));
    lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap() as u64).sum()
}

#[tokio::test]
async fn four_workers_take_less_than_one_and_a_half() {
    // Of the issue: 500 MiB.
    let size: usize = std::env::var("E2E_MODEL").map_or(128, |size| size.parse().unwrap());
    let node = NODE.replace("bytearray(16)", &format!("bytearray({size} << 20)"));
    let start = async |keys: &str| {
        let package = actor::with("forks-v1", keys, &node);
        let service = Krt::run_at(package.path()).flag("--metrics", "127.0.0.1:0").start().await;
        call(&service).await;
        (package, service)
    };
    let (_package, service) = start("replicas: 1").await;
    let one = proportional(service.workers("actor"));
    service.stop().await;
    let (_package, service) = start("replicas: {min: 4, max: 4, share: fork}").await;
    let (first, all) = (workers(&service), service.workers("actor"));
    assert_eq!((first.len(), all.len()), (4, 5));
    let four = proportional(all);
    println!("one worker takes {} MiB; four, and what they are forked from, {} MiB", one >> 20, four >> 20);
    assert!(four < one + one / 2, "one takes {one} bytes, and four take {four}");
    let shown = measured(&service).await;
    assert!(shown > one / 2 && shown < one + one / 2, "the metrics say {shown} bytes");

    // What a start takes is printed; a limit would measure the machine.
    let killed = *first.first().unwrap();
    let begun = Instant::now();
    processes::signal(killed, Signal::KILL);
    replaced(&service, 4, &[killed]).await;
    println!("a worker is killed, and forked again, within {} ms", begun.elapsed().as_millis());
    service.stop().await;
}
