//! Waits for states of a version.

use super::Runtime;
use crate::{
    team::{segment, show},
    terminal::Spinner,
    values::duration,
};
use anyhow::bail;
use clap::Args;
use krt_api::version::{State, Version};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The interval between polls.
const LOOK: Duration = Duration::from_millis(200);

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
enum Look {
    Reached,
    Passing,
    Failed,
    Elsewhere,
}

fn look(state: State, passing: State, wanted: State) -> Look {
    match state {
        State::Error => Look::Failed,
        state if state == passing => Look::Passing,
        // Another user may have published it meanwhile; it runs.
        State::Published if wanted == State::Started => Look::Reached,
        state if state == wanted => Look::Reached,
        _ => Look::Elsewhere,
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
    ) -> anyhow::Result<Version> {
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
            match look(state, passing, wanted) {
                Look::Reached => break,
                Look::Passing => {}
                Look::Failed => return self.failed(&version),
                Look::Elsewhere => bail!("`{name}` is {state} now, not {wanted}: somebody else changed it"),
            }
            if let Some((_, timeout)) = late.filter(|(late, _)| Instant::now() >= *late) {
                bail!(
                    "`{name}` is still {state} after {} s\nhint: it goes on; `krt version show {name}` tells \
                     how it ends",
                    timeout.as_secs_f64()
                );
            }
            sleep(LOOK).await;
            version = self.api.get(&path).await?;
        }
        drop(spinner);
        Ok(version)
    }

    fn failed(&self, version: &Version) -> anyhow::Result<Version> {
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
            (State::Starting, State::Starting, State::Started, Look::Passing),
            (State::Started, State::Starting, State::Started, Look::Reached),
            (State::Published, State::Starting, State::Started, Look::Reached),
            (State::Started, State::Starting, State::Published, Look::Elsewhere),
            (State::Error, State::Starting, State::Started, Look::Failed),
            (State::Stopping, State::Starting, State::Started, Look::Elsewhere),
            (State::Stopped, State::Stopping, State::Stopped, Look::Reached),
        ] {
            assert_eq!(look(state, passing, wanted), expected, "{state} {wanted}");
        }
    }
}
