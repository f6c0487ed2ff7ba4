//! `krt` as process 1, as in a container without an init.

use crate::support::{Krt, Service, actor, eventually, processes};
use krt_servers::skipped;
use rustix::process::Signal;
use serde_json::json;
use std::process::Command;
use tempfile::TempDir;

/// The number of orphans.
const ORPHANS: usize = 5;

/// A handler whose children leave children behind that end later, and a handler that waits.
const ACTS: &str = "

async def orphan():
    import subprocess

    wait = '(while [ ! -e \"$E2E_SCRATCH/go\" ]; do sleep 0.02; done) >/dev/null 2>&1 &'
    subprocess.run([\"sh\", \"-c\", wait], check=True)
    return \"left\"


async def wait():
    import asyncio

    (SCRATCH / \"begun\").touch()
    while not (SCRATCH / \"go\").exists():
        await asyncio.sleep(0.01)
    return \"finished\"


ACTS.update(orphan=orphan, wait=wait)
";

/// Arguments that start a program as process 1 of a new namespace.
const UNSHARE: [&str; 3] = ["--pid", "--fork", "--kill-child"];

/// Starts `krt run` as process 1, if permitted; also returns its process id outside of the namespace.
async fn process_1(test: &str) -> Option<(TempDir, Service, i32)> {
    let tried = Command::new("unshare").args(UNSHARE).arg("true").output();
    if !tried.is_ok_and(|tried| tried.status.success()) {
        skipped(test, "`unshare --pid`");
        return None;
    }
    let package = actor::package(ACTS);
    let service = Krt::run_at(package.path()).started_by("unshare", &UNSHARE).start().await;
    let [init] = processes::children(service.pid())[..] else { panic!("unshare has one child") };
    Some((package, service, init))
}

#[tokio::test]
async fn orphans_leave_no_zombies_and_workers_keep_their_statuses() {
    let Some((_package, service, init)) =
        process_1("orphans_leave_no_zombies_and_workers_keep_their_statuses").await
    else {
        return;
    };
    let [worker] = service.workers("actor")[..] else { panic!("one process runs the node") };
    let guard = processes::parent(worker).unwrap();
    for _ in 0..ORPHANS {
        service.call("Act", json!({ "text": "orphan" })).await.unwrap();
    }
    let adopted = async || (processes::children(guard).len() == 1 + ORPHANS).then_some(());
    eventually("the worker's guard has the orphans", adopted).await;
    service.scratch.put("go");
    let reaped = async || (processes::children(guard).len() == 1).then_some(());
    eventually("none of them is left", reaped).await;

    processes::signal(worker, Signal::KILL);
    let died = "its process died: killed by signal 9 (SIGKILL)";
    service.lines.wait("how the worker died", |record| record.is("actor", died)).await;
    service.lines.wait("the restart", |record| record.is("actor", "up again")).await;
    processes::signal(init, Signal::TERM);
    assert_eq!(service.end().await.code, Some(0));
}

#[tokio::test]
async fn signals_end_process_1_like_any_other() {
    for (signal, again) in [(Signal::TERM, false), (Signal::INT, false), (Signal::TERM, true)] {
        let Some((_package, service, init)) = process_1("signals_end_process_1_like_any_other").await else {
            return;
        };
        let client = service.client();
        let call = tokio::spawn(async move { client.call("Act", json!({ "text": "wait" })).await });
        service.scratch.wait("begun").await;
        processes::signal(init, signal);
        let drain =
            |record: &crate::support::lines::Record| record.message == "stopping: requests in flight: 1";
        service.lines.wait("the drain", drain).await;
        if again {
            processes::signal(init, signal);
            assert_eq!(service.end().await.code, Some(130));
            call.await.unwrap().unwrap_err();
        } else {
            service.scratch.put("go");
            assert_eq!(call.await.unwrap().unwrap()["text"], "finished");
            assert_eq!(service.end().await.code, Some(0));
        }
    }
}

#[tokio::test]
async fn a_killed_process_1_leaves_nothing() {
    let Some((_package, service, init)) = process_1("a_killed_process_1_leaves_nothing").await else {
        return;
    };
    processes::signal(init, Signal::KILL);
    assert_ne!(service.end().await.code, Some(0));
}

/// Both have the same process id in their own namespace, and share a control group.
#[tokio::test]
async fn engines_in_separate_namespaces_share_no_workers() {
    let test = "engines_in_separate_namespaces_share_no_workers";
    let Some((_package, one, _)) = process_1(test).await else { return };
    let Some((_other_package, other, _)) = process_1(test).await else { return };
    let ([worker], others) = (&one.workers("actor")[..], other.workers("actor")) else {
        panic!("one process runs the node")
    };
    processes::signal(*worker, Signal::KILL);
    one.lines.wait("the restart", |record| record.is("actor", "up again")).await;
    other.call("Act", json!({ "text": "hello" })).await.unwrap();
    assert_eq!(other.workers("actor"), others);
    for service in [one, other] {
        let [init] = processes::children(service.pid())[..] else { panic!("unshare has one child") };
        processes::signal(init, Signal::TERM);
        assert_eq!(service.end().await.code, Some(0));
    }
}
