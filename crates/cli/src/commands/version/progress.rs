//! States of a version that are waited for.

use super::Runtime;
use crate::{
    output::visible,
    team::{segment, show, show::text},
    terminal,
    values::seconds,
};
use anyhow::bail;
use clap::Args;
use indicatif::ProgressBar;
use serde_json::Value;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often a state is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// How long is waited.
#[derive(Debug, Clone, Args)]
pub(super) struct WaitArgs {
    /// Return as soon as it has begun
    #[arg(long)]
    no_wait: bool,

    /// How long to wait until it fails; what has begun goes on [default: as long as it takes]
    #[arg(long, value_name = "SECONDS", value_parser = seconds, conflicts_with = "no_wait")]
    timeout: Option<Duration>,
}

impl WaitArgs {
    pub(super) fn within(timeout: Option<Duration>) -> Self {
        Self { no_wait: false, timeout }
    }
}

/// What a state means to who waits for another.
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
        // Somebody may publish it meanwhile: it runs.
        "PUBLISHED" if wanted == "STARTED" => Look::Reached,
        state if state == wanted => Look::Reached,
        _ => Look::Elsewhere,
    }
}

impl Runtime<'_> {
    /// Waits until a version has gone from one state to another; fails where it comes elsewhere.
    pub(super) async fn until(
        &self,
        told: Value,
        passing: &str,
        wanted: &str,
        args: &WaitArgs,
    ) -> anyhow::Result<Value> {
        if args.no_wait {
            return Ok(told);
        }
        let mut told = told;
        let name = text(&told, "name").to_owned();
        let path = format!("{}/versions/{}", self.path, segment(&name));
        let late = args.timeout.map(|timeout| (Instant::now() + timeout, timeout));
        let spinner = spinner(&format!("{name} is {passing}"));
        loop {
            let state = text(&told, "state");
            match look(state, passing, wanted) {
                Look::Reached => break,
                Look::Passing => {}
                Look::Failed => return self.failed(&told),
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
            told = self.api.get(&path).await?;
        }
        spinner.finish_and_clear();
        Ok(told)
    }

    fn failed(&self, version: &Value) -> anyhow::Result<Value> {
        if self.json {
            show::json(version)?;
        }
        let reasons: Vec<_> = version["reasons"].as_array().into_iter().flatten().collect();
        let reasons: Vec<_> = reasons.into_iter().filter_map(Value::as_str).map(readable).collect();
        bail!("`{}` is in ERROR: {}", text(version, "name"), reasons.join("\n"))
    }
}

/// A text of several lines, none of which a terminal obeys.
pub(super) fn readable(text: &str) -> String {
    text.lines().map(visible).collect::<Vec<_>>().join("\n")
}

/// Shown on a terminal only.
fn spinner(what: &str) -> ProgressBar {
    if !terminal::is_terminal() {
        return ProgressBar::hidden();
    }
    let spinner = ProgressBar::new_spinner().with_message(what.to_owned());
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
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
