//! Runs work that would block a thread that serves many requests.
//!
//! Up to [`LARGE`] bytes are parsed, written or decompressed in place, which is faster than handing them
//! over. For larger ones, another thread takes over the tasks of this one, and concurrency is limited to
//! leave the rest of the machine to other work.

use std::{sync::LazyLock, thread};
use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::{Semaphore, SemaphorePermit},
};

/// Size from which work is large, in bytes.
pub const LARGE: usize = 64 << 10;

static PERMITS: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(max_concurrent()));

/// Half of the machine's cores.
fn max_concurrent() -> usize {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    (cores / 2).max(1)
}

/// Runs work on so many bytes.
pub async fn run<T>(size: usize, work: impl FnOnce() -> T) -> T {
    if size < LARGE || !is_multi_threaded() {
        return work();
    }
    let _permit = permit().await;
    tokio::task::block_in_place(work)
}

/// Runs work on so many bytes, where nothing can be awaited.
pub fn run_blocking<T>(size: usize, work: impl FnOnce() -> T) -> T {
    if size < LARGE || !is_multi_threaded() {
        return work();
    }
    tokio::task::block_in_place(|| {
        let _permit = Handle::current().block_on(permit());
        work()
    })
}

async fn permit() -> SemaphorePermit<'static> {
    PERMITS.acquire().await.expect("it is never closed")
}

/// Returns whether another thread can take over the tasks of this one.
fn is_multi_threaded() -> bool {
    Handle::try_current().is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::{
            atomic::{AtomicUsize, Ordering},
            mpsc,
        },
        time::Duration,
    };

    const TIMEOUT: Duration = Duration::from_secs(20);

    /// The only thread does work that ends only once another task of that thread has run.
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn other_tasks_continue() {
        for blocking in [false, true] {
            let (sender, receiver) = mpsc::channel();
            let work = move || receiver.recv_timeout(TIMEOUT).is_ok();
            let working = tokio::spawn(async move {
                match blocking {
                    true => run_blocking(LARGE, work),
                    false => run(LARGE, work).await,
                }
            });
            let other = tokio::spawn(async move { sender.send(()) });
            assert!(working.await.unwrap(), "the other task did not run");
            other.await.unwrap().unwrap();
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn few_tasks_run_at_a_time() {
        static RUNNING: AtomicUsize = AtomicUsize::new(0);
        let max = max_concurrent();
        let work = move || {
            assert!(RUNNING.fetch_add(1, Ordering::SeqCst) < max, "more than {max} at a time");
            thread::yield_now();
            RUNNING.fetch_sub(1, Ordering::SeqCst);
        };
        let all: Vec<_> = (0..200)
            .map(|number| {
                tokio::spawn(async move {
                    if number % 2 == 0 { run(LARGE, work).await } else { run_blocking(LARGE, work) }
                })
            })
            .collect();
        for one in all {
            one.await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_single_thread_does_the_work() {
        assert_eq!((run(LARGE, || 1).await, run_blocking(LARGE, || 2)), (1, 2));
    }
}
