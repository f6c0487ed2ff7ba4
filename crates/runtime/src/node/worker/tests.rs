//! Workers from start to end, with scripted processes.

use super::*;
use crate::node::{
    frame::kind,
    scripted::{Actor, EXITED, KILLED, Scripts, Stage, frame, launch, line, ready},
};
use krt_model::{outcome::Failure, version::RunOptions};
use tokio::sync::mpsc;

async fn start(stage: &Stage, scripts: &Scripts) -> Result<Worker, StartFailure> {
    Worker::start(&stage.node, &launch(), ReplicaId::Any, &scripts.lifeline()).await
}

fn stage() -> Stage {
    Stage::new(&RunOptions { concurrency: 2, ..RunOptions::default() })
}

fn died(how: &str) -> Failure {
    Failure::Died { node: krt_model::name::Name::parse("actor").unwrap(), how: how.to_owned() }
}

/// How long a process lived.
fn lifetime(scripts: &Scripts) -> Duration {
    let [(0, end)] = scripts.ends()[..] else { panic!("one process ends: {:?}", scripts.ends()) };
    end - scripts.starts()[0]
}

/// Whether something took this time, and at most a few ticks of the link more.
fn is_about(taken: Duration, expected: Duration) -> bool {
    (expected..expected + Duration::from_millis(300)).contains(&taken)
}

#[tokio::test(start_paused = true)]
async fn a_failed_start_has_the_message_of_the_worker() {
    let scripts = Scripts::new(|mut actor: Actor| async move {
        actor.peer.expect(kind::HELLO).await;
        actor.peer.write(&frame(kind::BROKEN, 0, b"ImportError: numpy")).await;
        1 << 8
    });
    let failure = start(&stage(), &scripts).await.unwrap_err();
    assert!(
        matches!(&failure, StartFailure::Broken { message } if message == "ImportError: numpy"),
        "{failure}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_process_end_before_ready_is_described() {
    for (status, how) in [(3 << 8, "it exited with status 3"), (KILLED, "killed by signal 9 (SIGKILL)")] {
        let scripts = Scripts::new(move |_: Actor| async move { status });
        let failure = start(&stage(), &scripts).await.unwrap_err();
        assert!(matches!(&failure, StartFailure::Ended { how: end } if end == how), "{failure}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_of_another_protocol_is_killed() {
    let scripts = Scripts::new(|mut actor: Actor| async move {
        actor.peer.write(&ready(2)).await;
        std::future::pending().await
    });
    let failure = start(&stage(), &scripts).await.unwrap_err();
    let how = "it broke the node protocol: the worker speaks another version of the node protocol";
    assert!(matches!(&failure, StartFailure::Ended { how: end } if end == how), "{failure}");
    assert!(is_about(lifetime(&scripts), Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_start_ends_its_process() {
    let scripts = Scripts::new(|actor: Actor| async move {
        let _silent = actor;
        std::future::pending().await
    });
    let stage = stage();
    let silent = tokio::time::timeout(Duration::from_secs(60), start(&stage, &scripts)).await;
    assert!(silent.is_err());
    while scripts.ends().is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(is_about(lifetime(&scripts), Duration::from_secs(60)));
}

#[tokio::test(start_paused = true)]
async fn unanswered_deliveries_fail_after_a_violation() {
    let scripts = Scripts::new(|mut actor: Actor| async move {
        actor.peer.get_ready().await;
        actor.peer.delivery().await;
        actor.peer.answer(7, "x").await;
        std::future::pending().await
    });
    let stage = stage();
    let mut worker = start(&stage, &scripts).await.unwrap();
    let client = stage.request("in");
    let exit = worker.ended().await;
    let how = "it broke the node protocol: RESULT names delivery 7, which is not in flight";
    assert_eq!((&*exit.how, exit.useful), (how, false));
    assert_eq!(client.await.unwrap(), Err(died(how)));
    assert_eq!(stage.workers(), 0);
}

#[tokio::test(start_paused = true)]
async fn last_frames_count_even_if_another_process_holds_the_socket() {
    let (keep, mut kept) = mpsc::unbounded_channel();
    let scripts = Scripts::new(move |mut actor: Actor| {
        let keep = keep.clone();
        async move {
            actor.peer.get_ready().await;
            let id = actor.peer.delivery().await;
            actor.peer.delivery().await;
            actor.peer.answer(id, "last").await;
            // A child of the process holds the socket.
            keep.send(actor.peer).unwrap();
            KILLED
        }
    });
    let stage = stage();
    let mut worker = start(&stage, &scripts).await.unwrap();
    let (answered, lost) = (stage.request("1"), stage.request("2"));
    let exit = worker.ended().await;
    assert_eq!((&*exit.how, exit.useful), ("killed by signal 9 (SIGKILL)", true));
    assert_eq!(answered.await.unwrap(), Ok(line("last")));
    assert_eq!(lost.await.unwrap(), Err(died("killed by signal 9 (SIGKILL)")));
    assert!(kept.recv().await.is_some());
}

#[tokio::test(start_paused = true)]
async fn idle_processes_with_a_closed_socket_get_time_to_end() {
    for (waiting, timeout) in [(false, EXIT_TIMEOUT), (true, URGENT_EXIT_TIMEOUT)] {
        let scripts = Scripts::new(move |mut actor: Actor| async move {
            actor.peer.get_ready().await;
            if waiting {
                actor.peer.delivery().await;
            }
            drop(actor.peer);
            std::future::pending().await
        });
        let stage = stage();
        let mut worker = start(&stage, &scripts).await.unwrap();
        let client = waiting.then(|| stage.request("in"));
        assert_eq!(worker.ended().await.how, "killed by signal 9 (SIGKILL)");
        assert!(is_about(lifetime(&scripts), timeout), "{waiting}: {:?}", lifetime(&scripts));
        if let Some(client) = client {
            assert_eq!(client.await.unwrap(), Err(died("killed by signal 9 (SIGKILL)")));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_leaves_time_for_the_work_in_flight() {
    let scripts = Scripts::new(|mut actor: Actor| async move {
        actor.peer.get_ready().await;
        let id = actor.peer.delivery().await;
        actor.peer.expect(kind::STOP).await;
        tokio::time::sleep(GRACE - Duration::from_secs(1)).await;
        actor.peer.answer(id, "done").await;
        EXITED
    });
    let stage = stage();
    let mut worker = start(&stage, &scripts).await.unwrap();
    let client = stage.request("in");
    stage.in_flight(1).await;
    worker.stop();
    assert_eq!(stage.workers(), 0);
    let exit = worker.ended().await;
    assert_eq!((&*exit.how, exit.useful), ("it exited with status 0", true));
    assert_eq!(client.await.unwrap(), Ok(line("done")));
}

#[tokio::test(start_paused = true)]
async fn workers_ignoring_stop_get_a_signal_and_are_then_killed() {
    for obeys in [true, false] {
        let scripts = Scripts::new(move |mut actor: Actor| async move {
            actor.peer.get_ready().await;
            actor.peer.delivery().await;
            actor.terms.recv().await;
            if obeys {
                return 15;
            }
            std::future::pending().await
        });
        let stage = stage();
        let mut worker = start(&stage, &scripts).await.unwrap();
        let client = stage.request("in");
        stage.in_flight(1).await;
        worker.stop();
        let exit = worker.ended().await;
        let how = "it was asked to end, and did not finish within 5 s";
        assert_eq!(exit.how, how);
        assert_eq!(client.await.unwrap(), Err(died(how)));
        let expected = if obeys { GRACE } else { GRACE + TERM_TIMEOUT };
        assert!(is_about(lifetime(&scripts), expected), "{obeys}: {:?}", lifetime(&scripts));
    }
}

#[tokio::test(start_paused = true)]
async fn a_kill_fails_deliveries_in_flight_at_once() {
    let scripts = Scripts::new(|mut actor: Actor| async move {
        actor.peer.get_ready().await;
        std::future::pending().await
    });
    let stage = stage();
    let worker = start(&stage, &scripts).await.unwrap();
    let client = stage.request("in");
    stage.in_flight(1).await;
    worker.kill().await;
    assert_eq!(client.await.unwrap(), Err(died("the service was stopped")));
    while scripts.ends().is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(is_about(lifetime(&scripts), Duration::ZERO));
}
