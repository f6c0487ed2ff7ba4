//! Waits for states of a version.

use super::Runtime;
use crate::{
    team::{segment, show, show::text},
    terminal::Spinner,
    values::seconds,
};
use anyhow::bail;
use clap::Args;
use serde_json::Value;
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
    #[arg(long, value_name = "SECONDS", value_parser = seconds, conflicts_with = "no_wait")]
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

fn look(state: &str, passing: &str, wanted: &str) -> Look {
    match state {
        "ERROR" => Look::Failed,
        state if state == passing => Look::Passing,
        // Another user may have published it meanwhile; it runs.
        "PUBLISHED" if wanted == "STARTED" => Look::Reached,
        state if state == wanted => Look::Reached,
        _ => Look::Elsewhere,
    }
}

impl Runtime<'_> {
    /// Waits until a version has left one state for another; fails if it reaches any other state.
    pub(super) async fn until(
        &self,
        version: Value,
        passing: &str,
        wanted: &str,
        args: &WaitArgs,
    ) -> anyhow::Result<Value> {
        if args.no_wait {
            return Ok(version);
        }
        let mut version = version;
        let name = text(&version, "name").to_owned();
        let path = format!("{}/versions/{}", self.path, segment(&name));
        let late = args.timeout.map(|timeout| (Instant::now() + timeout, timeout));
        let spinner = Spinner::start(&format!("{name} is {passing}"));
        loop {
            let state = text(&version, "state");
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

    fn failed(&self, version: &Value) -> anyhow::Result<Value> {
        if self.json {
            show::json(version)?;
        }
        let reasons: Vec<_> = version["reasons"].as_array().into_iter().flatten().collect();
        let reasons: Vec<_> = reasons.into_iter().filter_map(Value::as_str).collect();
        bail!("`{}` is in ERROR: {}", text(version, "name"), reasons.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_state_means() {
        for (state, passing, wanted, expected) in [
            ("STARTING", "STARTING", "STARTED", Look::Passing),
            ("STARTED", "STARTING", "STARTED", Look::Reached),
            ("PUBLISHED", "STARTING", "STARTED", Look::Reached),
            ("STARTED", "STARTING", "PUBLISHED", Look::Elsewhere),
            ("ERROR", "STARTING", "STARTED", Look::Failed),
            ("STOPPING", "STARTING", "STARTED", Look::Elsewhere),
            ("STOPPED", "STOPPING", "STOPPED", Look::Reached),
        ] {
            assert_eq!(look(state, passing, wanted), expected, "{state} {wanted}");
        }
    }
}
