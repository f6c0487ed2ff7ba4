//! Shows and follows a version's log records.

use super::Runtime;
use crate::{
    error::{Context as _, Error, Result, error},
    log::{LogFilterArgs, lines},
    output,
    team::query,
    terminal,
    time_spec::SpanArgs,
};
use clap::Args;
use krt_api::{
    Time,
    event::End,
    log::{Log, LogPage},
    version::Version,
};
use krt_store::StoredLog;
use std::time::Duration;
use tokio::io::AsyncBufReadExt as _;

/// The pause before live events are requested again after a failure.
const RETRY_DELAY: Duration = Duration::from_secs(1);
/// The maximum number of records per request.
const PAGE: usize = 1000;

/// The arguments of `krt version logs`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  krt version logs shop-v2 timeout --level warn --since 15m
  krt version logs shop-v2 --node pricing --follow
  krt version logs shop-v2 --request 0199a1b2-… --json

Prints the oldest record first. With --json, each record is one line.")]
pub(super) struct LogsArgs {
    /// The version
    #[arg(value_name = "VERSION")]
    name: String,

    #[command(flatten)]
    wanted: LogFilterArgs,

    /// Only records of the request with this id
    #[arg(long, value_name = "ID")]
    request: Option<String>,

    /// Most records to print; the newest ones are printed
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100)]
    limit: usize,

    /// Follow new records until Ctrl-C
    #[arg(short, long, conflicts_with = "until")]
    follow: bool,

    #[command(flatten)]
    span: SpanArgs,
}

impl LogsArgs {
    /// The filters as query parameters.
    fn filters(&self) -> Vec<(&'static str, String)> {
        let given = [
            ("text", self.wanted.text.clone()),
            ("level", self.wanted.level.map(|level| level.as_str().to_owned())),
            ("node", self.wanted.node.clone()),
            ("workflow", self.wanted.workflow.clone()),
            ("request", self.request.clone()),
        ];
        let given = given.into_iter().filter_map(|(name, value)| Some((name, value?)));
        std::iter::once(("version", self.name.clone())).chain(given).collect()
    }
}

impl Runtime<'_> {
    pub(super) async fn logs(&self, args: &LogsArgs) -> Result<()> {
        // Fail for a version that does not exist: its logs would just be empty.
        self.api.get::<Version>(&self.of(&args.name)).await?;
        let filters = args.filters();
        let mut after = self.newest().await?;
        let mut found = self.found(args, &filters).await?;
        found.reverse();
        let none = found.is_empty();
        for log in found {
            after = after.max(log.id);
            self.print(log)?;
        }
        if args.follow {
            return self.follow(&filters, after).await;
        }
        if none {
            terminal::print_note("no record fits");
        }
        Ok(())
    }

    /// The id of the newest record of all.
    async fn newest(&self) -> Result<i64> {
        let page = self.page(&[("limit", "1".to_owned())]).await?;
        Ok(page.logs.first().map_or(0, |log| log.id))
    }

    /// The stored records, newest first.
    async fn found(&self, args: &LogsArgs, filters: &[(&'static str, String)]) -> Result<Vec<Log>> {
        let span = args.span.resolve()?;
        let times = [("from", span.from), ("to", span.to)];
        let times = times.map(|(name, time)| Some((name, Time::from_nanos(time?).to_string())));
        let wanted: Vec<_> = filters.iter().cloned().chain(times.into_iter().flatten()).collect();
        let (mut found, mut cursor) = (Vec::new(), None);
        while found.len() < args.limit {
            let mut pairs = wanted.clone();
            pairs.push(("limit", (args.limit - found.len()).min(PAGE).to_string()));
            pairs.extend(cursor.map(|cursor| ("cursor", cursor)));
            let page = self.page(&pairs).await?;
            found.extend(page.logs);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        Ok(found)
    }

    async fn page(&self, pairs: &[(&'static str, String)]) -> Result<LogPage> {
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.api.get(&format!("{}/logs?{}", self.path, query(&pairs))).await
    }

    /// Prints new records after one, until an error or an interruption.
    async fn follow(&self, filters: &[(&'static str, String)], mut after: i64) -> Result<()> {
        let pairs: Vec<_> = filters.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let path = format!("{}/logs/tail?{}", self.path, query(&pairs));
        loop {
            let mut lines = self.api.follow(&path, after).await?.lines();
            let mut event = String::new();
            while let Ok(Some(line)) = lines.next_line().await {
                match line.split_once(':') {
                    Some(("id", id)) => after = id.trim().parse().unwrap_or(after),
                    Some(("event", name)) => name.trim().clone_into(&mut event),
                    Some(("data", data)) if event == "end" => return Err(ended(data)),
                    Some(("data", data)) => {
                        let logs: Vec<Log> =
                            serde_json::from_str(data).context("the server sent invalid records")?;
                        logs.into_iter().try_for_each(|log| self.print(log))?;
                    }
                    _ => {}
                }
            }
            tokio::time::sleep(RETRY_DELAY).await;
        }
    }

    /// Prints a record.
    fn print(&self, log: Log) -> Result<()> {
        match self.json {
            true => output::print_json(&serde_json::to_string(&log)?),
            false => output::print(lines(&stored(log)).trim_end_matches('\n')),
        }
    }
}

/// The reason the server ended the stream for this token.
fn ended(data: &str) -> Error {
    let end = serde_json::from_str::<End>(data).ok();
    let why = end.map_or_else(|| "it does not say why".to_owned(), |end| end.reason);
    error!("the server ended the stream: {why}"; hint: "sign in again with `krt login`, or use another token")
}

fn stored(log: Log) -> StoredLog {
    let Log { id, time, level, version, workflow, node, request, message } = log;
    StoredLog { id, time: time.nanos(), level, version, workflow, node, request, message }
}
