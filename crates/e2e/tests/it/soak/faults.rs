//! Events while requests are in flight: takes samples, kills workers, restarts the engine by SIGKILL and
//! SIGTERM in turn, and kills the server.

use super::{deployment::Deployment, growth::Growth, load::Tally, progress::Progress};
use crate::support::processes;
use fastrand::Rng;
use rustix::process::Signal;
use std::{fmt, ops::Range, sync::atomic::Ordering, time::Duration};

/// The number of requests between two kills of workers.
const BETWEEN_KILLS: Range<usize> = 1_000..8_000;
/// The maximum number of restarts of the engine, and of the server.
const RESTARTS: usize = 10;
/// The minimum number of requests between two restarts of the engine: all requests fail while it starts.
const BETWEEN_RESTARTS: usize = 6_000;
/// The minimum number of requests between two restarts of the server.
const BETWEEN_SERVER_RESTARTS: usize = 1_500;
/// The minimum number of requests between two samples.
const BETWEEN_SAMPLES: usize = 500;
/// The interval between checks of the number of requests.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The number of faults of each kind.
#[derive(Debug, Default)]
pub(super) struct Faults {
    workers: usize,
    engine_killed: usize,
    engine_stopped: usize,
    server: usize,
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { workers, engine_killed, engine_stopped, server } = self;
        write!(
            f,
            "{workers} workers killed; the engine killed {engine_killed} times, stopped {engine_stopped} times"
        )?;
        if *server > 0 { write!(f, "; the server killed {server} times") } else { Ok(()) }
    }
}

/// Injects faults until all requests have begun, or the clients have stopped.
pub(super) async fn bring(
    deployment: &mut Deployment,
    tally: &Tally,
    growth: &mut Growth,
    (requests, seed): (usize, usize),
    is_over: impl Fn() -> bool,
) -> Faults {
    let mut random = Rng::with_seed(seed as u64);
    let mut faults = Faults::default();
    let mut progress = Progress::start();
    let part = requests / (RESTARTS + 1);
    let (part, server_part) = (part.max(BETWEEN_RESTARTS), part.max(BETWEEN_SERVER_RESTARTS));
    let (mut kill, mut restart, mut sample) = (random.usize(BETWEEN_KILLS), part, 0);
    let mut server = if deployment.is_in_memory() { usize::MAX } else { server_part / 2 };
    loop {
        let begun = tally.begun.load(Ordering::Relaxed);
        if begun >= requests || is_over() {
            return faults;
        }
        progress.check(tally);
        if begun >= sample {
            deployment.processes().iter().for_each(|(role, pid)| growth.sample(role, *pid, begun));
            deployment.forget_log();
            sample = begun + BETWEEN_SAMPLES.max(requests / 2_000);
        }
        if begun >= restart {
            faults.restart(deployment).await;
            restart += part;
            progress.happened("the engine was restarted", tally);
        } else if begun >= server {
            deployment.restart_server();
            faults.server += 1;
            server += server_part;
            progress.happened("the server was restarted", tally);
        } else if begun >= kill {
            faults.kill_worker(deployment, &mut random);
            kill = begun + random.usize(BETWEEN_KILLS);
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

impl Faults {
    async fn restart(&mut self, deployment: &mut Deployment) {
        if self.engine_killed > self.engine_stopped {
            deployment.replace_engine().await;
            self.engine_stopped += 1;
        } else {
            deployment.kill_engine().await;
            self.engine_killed += 1;
        }
    }

    fn kill_worker(&mut self, deployment: &Deployment, random: &mut Rng) {
        let workers: Vec<_> =
            deployment.processes().into_iter().filter(|(role, _)| role != "engine").collect();
        if let Some((_, pid)) = random.choice(&workers) {
            processes::signal(*pid, Signal::KILL);
            self.workers += 1;
        }
    }
}
