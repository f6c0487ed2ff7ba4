//! Replicas that die, are restarted and stop, with scripted processes.

use super::*;
use crate::node::{
    frame::kind,
    scripted::{Actor, EXITED, KILLED, Scripts, Stage, frame, launch, line, ready_for_batches},
};
use krt_model::{
    outcome::{Failure, Kind},
    version::{Batch, Recycle, Replicas, RunOptions},
};

use tokio::sync::Notify;

async fn start(stage: &Stage, scripts: &Scripts) -> Result<Nodes, StartError> {
    let gpus = Arc::new(Gpus::none());
    Nodes::start([(Arc::clone(&stage.node), launch())], &scripts.lifeline(), &gpus, 0).await
}

/// Waits until so many processes have started.
async fn started(scripts: &Scripts, processes: usize) {
    while scripts.starts().len() < processes {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until so many processes have ended. Returns their numbers, in order.
async fn ended(scripts: &Scripts, processes: usize) -> Vec<usize> {
    while scripts.ends().len() < processes {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    scripts.ends().iter().map(|(number, _)| *number).collect()
}

/// Waits until so many workers take deliveries.
async fn up(stage: &Stage, workers: usize) {
    while stage.workers() != workers {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Serves until it is asked to stop.
async fn serve(mut actor: Actor, text: &str) -> i32 {
    actor.peer.get_ready().await;
    actor.peer.serve(text).await;
    EXITED
}

/// Cannot start.
async fn broken(mut actor: Actor, why: &[u8]) -> i32 {
    actor.peer.expect(kind::HELLO).await;
    actor.peer.write(&frame(kind::BROKEN, 0, why)).await;
    1 << 8
}

#[tokio::test(start_paused = true)]
async fn all_replicas_serve_and_all_end_with_a_stop() {
    let stage = Stage::new(&RunOptions { replicas: Replicas::fixed(3), ..RunOptions::default() });
    let scripts = Scripts::new(|actor| serve(actor, "x"));
    let nodes = start(&stage, &scripts).await.unwrap();
    assert_eq!((stage.workers(), scripts.starts().len()), (3, 3));
    assert_eq!(stage.request("in").await.unwrap(), Ok(line("x")));
    nodes.stop().await;
    assert_eq!((stage.workers(), scripts.ends().len()), (0, 3));
}

#[tokio::test(start_paused = true)]
async fn a_failed_replica_ends_the_others() {
    let stage = Stage::new(&RunOptions { replicas: Replicas::fixed(3), ..RunOptions::default() });
    let scripts = Scripts::new(|actor: Actor| async move {
        match actor.number {
            1 => broken(actor, b"ImportError: numpy").await,
            _ => serve(actor, "x").await,
        }
    });
    let error = start(&stage, &scripts).await.unwrap_err();
    assert_eq!(error.reasons(), ["node `actor` does not start: ImportError: numpy"]);
    assert_eq!(stage.workers(), 0);
    ended(&scripts, 3).await;
}

#[tokio::test(start_paused = true)]
async fn useless_workers_are_started_less_and_less_often() {
    let stage = Stage::new(&RunOptions::default());
    let scripts = Scripts::new(|mut actor: Actor| async move {
        actor.peer.get_ready().await;
        KILLED
    });
    let nodes = start(&stage, &scripts).await.unwrap();
    started(&scripts, 10).await;
    let starts = scripts.starts();
    let ends: Vec<_> = scripts.ends().iter().map(|(_, end)| *end).collect();
    let pauses = starts[1..].iter().zip(&ends).map(|(start, end)| (*start - *end).as_millis());
    for (pause, expected) in pauses.zip([0, 100, 200, 400, 800, 1600, 3200, 6400, 10_000]) {
        assert!((expected..expected + 300).contains(&pause), "{pause} ms instead of {expected}");
    }
    // A stop does not wait for the next start.
    let begun = Instant::now();
    nodes.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn workers_that_answered_are_replaced_at_once() {
    let stage = Stage::new(&RunOptions { retries: 1, ..RunOptions::default() });
    let scripts = Scripts::new(|mut actor: Actor| async move {
        actor.peer.get_ready().await;
        let id = actor.peer.delivery().await;
        actor.peer.answer(id, "once").await;
        KILLED
    });
    let nodes = start(&stage, &scripts).await.unwrap();
    let begun = Instant::now();
    for _ in 0..20 {
        assert_eq!(stage.request("in").await.unwrap(), Ok(line("once")));
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    started(&scripts, 21).await;
    nodes.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_split_batch_waits_for_the_next_process_unless_that_cannot_start() {
    for (starts, expected) in [(true, Ok(line("later"))), (false, Err("down"))] {
        let stage =
            Stage::new(&RunOptions { batch: Some(Batch { max: 4, isolate: true }), ..RunOptions::default() });
        let (queued, waits) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let both = (Arc::clone(&queued), Arc::clone(&waits));
        let scripts = Scripts::new(move |mut actor: Actor| {
            let (queued, waits) = both.clone();
            async move {
                if actor.number > 0 && !starts {
                    return broken(actor, b"ImportError: numpy").await;
                }
                actor.peer.expect(kind::HELLO).await;
                actor.peer.write(&ready_for_batches()).await;
                if actor.number > 0 {
                    actor.peer.serve("later").await;
                    return EXITED;
                }
                let first = actor.peer.delivery().await;
                waits.notify_one();
                queued.notified().await;
                actor.peer.answer(first, "first").await;
                for _ in 0..2 {
                    actor.peer.delivery().await;
                }
                KILLED
            }
        });
        let nodes = start(&stage, &scripts).await.unwrap();
        let first = stage.request("first");
        waits.notified().await;
        let batch = [stage.request("1"), stage.request("2")];
        while stage.flow.queue(0).depth() < 2 {
            tokio::task::yield_now().await;
        }
        queued.notify_one();
        assert_eq!(first.await.unwrap(), Ok(line("first")));
        let down = Failure::Down { node: stage.node.name.clone() };
        for request in batch {
            assert_eq!(request.await.unwrap(), expected.clone().map_err(|_: &str| down.clone()));
        }
        nodes.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_process_retries_unanswered_deliveries() {
    for (retries, answer) in [(2, true), (1, false)] {
        let stage = Stage::new(&RunOptions { retries, ..RunOptions::default() });
        let scripts = Scripts::new(|mut actor: Actor| async move {
            if actor.number == 2 {
                return serve(actor, "third time").await;
            }
            actor.peer.get_ready().await;
            actor.peer.delivery().await;
            KILLED
        });
        let nodes = start(&stage, &scripts).await.unwrap();
        let result = stage.request("in").await.unwrap();
        if answer {
            assert_eq!(result, Ok(line("third time")));
        } else {
            let how = "killed by signal 9 (SIGKILL)".to_owned();
            assert_eq!(result, Err(Failure::Died { node: stage.node.name.clone(), how }));
        }
        nodes.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_the_work_in_flight() {
    let stage = Stage::new(&RunOptions::default());
    let scripts = Scripts::new(|mut actor: Actor| async move {
        actor.peer.get_ready().await;
        let id = actor.peer.delivery().await;
        actor.peer.expect(kind::STOP).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        actor.peer.answer(id, "done").await;
        EXITED
    });
    let nodes = start(&stage, &scripts).await.unwrap();
    let client = stage.request("in");
    stage.in_flight(1).await;
    let begun = Instant::now();
    nodes.stop().await;
    assert_eq!(client.await.unwrap(), Ok(line("done")));
    assert!((3..5).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_hanging_workers() {
    let stage = Stage::new(&RunOptions { replicas: Replicas::fixed(2), ..RunOptions::default() });
    let scripts = Scripts::new(|mut actor: Actor| async move {
        actor.peer.get_ready().await;
        std::future::pending().await
    });
    let nodes = start(&stage, &scripts).await.unwrap();
    let begun = Instant::now();
    nodes.stop().await;
    // The grace after STOP and the time after SIGTERM, for both at once.
    assert!((5500..6500).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
    assert_eq!(scripts.ends().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_restart_keeps_the_old_worker_until_the_new_one_is_ready() {
    let stage = Stage::new(&RunOptions::default());
    let scripts = Scripts::new(|actor: Actor| async move {
        if actor.number == 0 {
            return serve(actor, "old").await;
        }
        tokio::time::sleep(Duration::from_secs(30)).await;
        serve(actor, "new").await
    });
    let nodes = start(&stage, &scripts).await.unwrap();
    nodes.restart(0);
    started(&scripts, 2).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(stage.request("in").await.unwrap(), Ok(line("old")));
    assert!(scripts.ends().is_empty());
    assert_eq!(ended(&scripts, 1).await, [0]);
    assert_eq!(stage.request("in").await.unwrap(), Ok(line("new")));
    nodes.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_that_fails_changes_nothing() {
    let stage = Stage::new(&RunOptions::default());
    let scripts = Scripts::new(|actor: Actor| async move {
        match actor.number {
            0 => serve(actor, "old").await,
            _ => broken(actor, b"SyntaxError").await,
        }
    });
    let nodes = start(&stage, &scripts).await.unwrap();
    nodes.restart(0);
    assert_eq!(ended(&scripts, 1).await, [1]);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!((stage.workers(), scripts.starts().len()), (1, 2));
    assert_eq!(stage.request("in").await.unwrap(), Ok(line("old")));
    nodes.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_change_during_a_restart_drops_the_worker_that_is_starting() {
    let stage = Stage::new(&RunOptions::default());
    let scripts = Scripts::new(|actor: Actor| async move {
        match actor.number {
            0 => serve(actor, "old").await,
            1 => std::future::pending().await,
            _ => serve(actor, "new").await,
        }
    });
    let nodes = start(&stage, &scripts).await.unwrap();
    nodes.restart(0);
    started(&scripts, 2).await;
    nodes.restart(0);
    let mut numbers = ended(&scripts, 2).await;
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 1]);
    up(&stage, 1).await;
    assert_eq!(stage.request("in").await.unwrap(), Ok(line("new")));
    nodes.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_change_ends_the_wait_after_a_crash_loop() {
    let stage = Stage::new(&RunOptions::default());
    let scripts = Scripts::new(|actor: Actor| async move {
        match actor.number {
            0..=8 => {
                let mut actor = actor;
                actor.peer.get_ready().await;
                KILLED
            }
            _ => serve(actor, "mended").await,
        }
    });
    let nodes = start(&stage, &scripts).await.unwrap();
    ended(&scripts, 9).await;
    let begun = Instant::now();
    nodes.restart(0);
    up(&stage, 1).await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(stage.request("in").await.unwrap(), Ok(line("mended")));
    nodes.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_used_up_worker_finishes_what_it_has_after_the_next_has_started() {
    let recycle = Recycle { requests: Some(2), memory: None };
    let stage = Stage::new(&RunOptions { concurrency: 2, recycle, ..RunOptions::default() });
    let scripts = Scripts::new(|mut actor: Actor| async move {
        if actor.number > 0 {
            return serve(actor, "new").await;
        }
        actor.peer.get_ready().await;
        let held = actor.peer.delivery().await;
        for _ in 0..2 {
            let id = actor.peer.delivery().await;
            actor.peer.answer(id, "old").await;
        }
        // Longer than a worker has that is asked to end.
        tokio::time::sleep(Duration::from_secs(60)).await;
        actor.peer.answer(held, "held").await;
        actor.peer.serve("too late").await;
        EXITED
    });
    let nodes = start(&stage, &scripts).await.unwrap();
    let held = stage.request("held");
    stage.in_flight(1).await;
    for _ in 0..2 {
        assert_eq!(stage.request("in").await.unwrap(), Ok(line("old")));
    }
    started(&scripts, 2).await;
    up(&stage, 1).await;
    assert_eq!(stage.request("in").await.unwrap(), Ok(line("new")));
    assert_eq!(held.await.unwrap(), Ok(line("held")));
    assert_eq!(ended(&scripts, 1).await, [0]);
    nodes.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_used_up_worker_stays_while_the_next_does_not_start() {
    let recycle = Recycle { requests: Some(1), memory: None };
    let stage = Stage::new(&RunOptions { recycle, ..RunOptions::default() });
    let scripts = Scripts::new(|actor: Actor| async move {
        match actor.number {
            1 => broken(actor, b"ImportError: numpy").await,
            0 => serve(actor, "old").await,
            _ => serve(actor, "new").await,
        }
    });
    let nodes = start(&stage, &scripts).await.unwrap();
    assert_eq!(stage.request("in").await.unwrap(), Ok(line("old")));
    ended(&scripts, 1).await;
    let begun = Instant::now();
    assert_eq!(stage.request("in").await.unwrap(), Ok(line("old")));
    started(&scripts, 3).await;
    let pause = begun.elapsed();
    assert!((50..70).contains(&pause.as_secs()), "the next try came after {pause:?}");
    nodes.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_a_used_up_worker() {
    let recycle = Recycle { requests: Some(1), memory: None };
    let stage = Stage::new(&RunOptions { concurrency: 2, recycle, ..RunOptions::default() });
    let scripts = Scripts::new(|mut actor: Actor| async move {
        if actor.number > 0 {
            return serve(actor, "new").await;
        }
        actor.peer.get_ready().await;
        actor.peer.delivery().await;
        let id = actor.peer.delivery().await;
        actor.peer.answer(id, "old").await;
        std::future::pending().await
    });
    let nodes = start(&stage, &scripts).await.unwrap();
    let held = stage.request("held");
    stage.in_flight(1).await;
    assert_eq!(stage.request("in").await.unwrap(), Ok(line("old")));
    started(&scripts, 2).await;
    let begun = Instant::now();
    nodes.stop().await;
    assert!(begun.elapsed() <= STOP_TIMEOUT, "{:?}", begun.elapsed());
    assert!(held.await.unwrap().is_err());
}

/// A node that sleeps after the default time.
fn sleeper() -> Stage {
    Stage::new(&RunOptions { replicas: Replicas { min: 0, ..Replicas::fixed(1) }, ..RunOptions::default() })
}

#[tokio::test(start_paused = true)]
async fn a_node_without_messages_sleeps_until_one_comes() {
    let stage = sleeper();
    let scripts = Scripts::new(|actor| serve(actor, "x"));
    let nodes = start(&stage, &scripts).await.unwrap();
    assert_eq!(stage.request("in").await.unwrap(), Ok(line("x")));
    let begun = Instant::now();
    assert_eq!(ended(&scripts, 1).await, [0]);
    assert!((300..310).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    let queue = stage.flow.queue(0);
    assert!(queue.is_asleep() && queue.takes());
    assert_eq!((queue.workers(), queue.wanted()), (0, 0));
    // It wakes with its new files, and is not started once more.
    nodes.restart(0);
    let both = [stage.request("in"), stage.request("in")];
    for request in both {
        assert_eq!(request.await.unwrap(), Ok(line("x")));
    }
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(!queue.is_asleep());
    assert_eq!((queue.wanted(), scripts.starts().len()), (1, 2));
    nodes.stop().await;
}

#[tokio::test(start_paused = true)]
async fn messages_for_a_node_that_cannot_wake_fail_until_it_starts() {
    let stage = sleeper();
    let scripts = Scripts::new(|actor: Actor| async move {
        match actor.number {
            1 | 2 => broken(actor, b"Traceback\nImportError: numpy\n").await,
            _ => serve(actor, "x").await,
        }
    });
    let nodes = start(&stage, &scripts).await.unwrap();
    ended(&scripts, 1).await;
    let failed = stage.request("in").await.unwrap().unwrap_err();
    assert_eq!(failed.kind(), Kind::Down);
    assert_eq!(failed.to_string(), "node 'actor' does not start: ImportError: numpy");
    // It is started again without another message.
    up(&stage, 1).await;
    assert_eq!(scripts.starts().len(), 4);
    assert_eq!(stage.request("in").await.unwrap(), Ok(line("x")));
    nodes.stop().await;
}
