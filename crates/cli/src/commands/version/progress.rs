//! Waits for states of a version.

use super::Runtime;
use crate::{
    error::{Result, bail},
    team::{segment, show},
    terminal::Spinner,
    values::duration,
};
use clap::Args;
use krt_api::{State, version::Version};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The interval between polls.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// The arguments for waiting.
#[derive(Debug, Clone, Args)]
pub(super) struct WaitArgs {
    /// Return without waiting for the end
    #[arg(long)]
    no_wait: bool,

    /// Time to wait before the command fails; the operation itself continues [default: unlimited]
    #[arg(long, value_name = "DURATION", value_parser = duration, conflicts_with = "no_wait")]
    timeout: Option<Duration>,
}

impl WaitArgs {
    pub(super) fn within(timeout: Option<Duration>) -> Self {
        Self { no_wait: false, timeout }
    }
}

/// The meaning of a state for a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Reached,
    Passing,
    Failed,
    Diverged,
}

fn progress_of(state: State, passing: State, wanted: State) -> Progress {
    match state {
        State::Error => Progress::Failed,
        state if state == passing => Progress::Passing,
        // Another user may have published it meanwhile; it runs.
        State::Published if wanted == State::Started => Progress::Reached,
        state if state == wanted => Progress::Reached,
        _ => Progress::Diverged,
    }
}

impl Runtime<'_> {
    /// Waits until a version has left one state for another; fails if it reaches any other state.
    pub(super) async fn until(
        &self,
        version: Version,
        passing: State,
        wanted: State,
        args: &WaitArgs,
    ) -> Result<Version> {
        if args.no_wait {
            return Ok(version);
        }
        let mut version = version;
        let name = version.name.clone();
        let path = format!("{}/versions/{}", self.path, segment(&name));
        let late = args.timeout.map(|timeout| (Instant::now() + timeout, timeout));
        let spinner = Spinner::start(&format!("{name} is {passing}"));
        loop {
            let state = version.state;
            match progress_of(state, passing, wanted) {
                Progress::Reached => break,
                Progress::Passing => {}
                Progress::Failed => return self.failed(&version),
                Progress::Diverged => {
                    bail!("`{name}` is {state} now, not {wanted}: somebody else changed it")
                }
            }
            if let Some((_, timeout)) = late.filter(|(late, _)| Instant::now() >= *late) {
                bail!(
                    "`{name}` is still {state} after {} s", timeout.as_secs_f64();
                    hint: "it goes on; `krt version show {name}` tells how it ends"
                );
            }
            sleep(POLL_INTERVAL).await;
            version = self.api.get(&path).await?;
        }
        drop(spinner);
        Ok(version)
    }

    fn failed(&self, version: &Version) -> Result<Version> {
        if self.json {
            show::json(version)?;
        }
        bail!("`{}` is in ERROR: {}", version.name, version.reasons.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_by_state() {
        for (state, passing, wanted, expected) in [
            (State::Starting, State::Starting, State::Started, Progress::Passing),
            (State::Started, State::Starting, State::Started, Progress::Reached),
            (State::Published, State::Starting, State::Started, Progress::Reached),
            (State::Started, State::Starting, State::Published, Progress::Diverged),
            (State::Error, State::Starting, State::Started, Progress::Failed),
            (State::Stopping, State::Starting, State::Started, Progress::Diverged),
            (State::Stopped, State::Stopping, State::Stopped, Progress::Reached),
        ] {
            assert_eq!(progress_of(state, passing, wanted), expected, "{state} {wanted}");
        }
    }
}
