//! A version's log records, as they were stored and as they come.

use super::Runtime;
use crate::{
    log::{WantedArgs, lines},
    moment::SpanArgs,
    output,
    team::query,
    terminal,
};
use anyhow::{Context as _, anyhow};
use clap::Args;
use krt_registry::Moment;
use krt_store::StoredLog;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::time::Duration;
use tokio::io::AsyncBufReadExt as _;

/// How long after live events broke off they are asked for again.
const AGAIN: Duration = Duration::from_secs(1);
/// The most records that are asked for at a time.
const PAGE: usize = 1000;

/// What `krt version logs` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  krt version logs shop-v2 timeout --level warn --since 15m
  krt version logs shop-v2 --node pricing --follow
  krt version logs shop-v2 --request 0199a1b2-… --json

The oldest is printed first. With --json each is a line of its own.")]
pub(super) struct LogsArgs {
    /// The version
    #[arg(value_name = "VERSION")]
    name: String,

    #[command(flatten)]
    wanted: WantedArgs,

    /// Only records of the request with this id
    #[arg(long, value_name = "ID")]
    request: Option<String>,

    /// At most so many, the newest
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100)]
    limit: usize,

    /// Go on with new records as they come, until Ctrl-C
    #[arg(short, long, conflicts_with = "until")]
    follow: bool,

    #[command(flatten)]
    span: SpanArgs,
}

/// A record, as the server tells it.
#[derive(Deserialize)]
struct Log {
    id: i64,
    time: Moment,
    level: String,
    version: String,
    workflow: Option<String>,
    node: Option<String>,
    request: Option<String>,
    message: String,
}

/// Records that were told together, the newest first.
#[derive(Deserialize)]
struct Page {
    logs: Vec<Box<RawValue>>,
    next: Option<String>,
}

impl LogsArgs {
    /// The filters, as the server takes them.
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
    pub(super) async fn logs(&self, args: &LogsArgs) -> anyhow::Result<()> {
        // What is no version has no logs, which is not what was asked.
        self.api.get(&self.of(&args.name)).await?;
        let filters = args.filters();
        let mut after = self.newest().await?;
        let mut found = self.found(args, &filters).await?;
        found.reverse();
        for log in &found {
            after = after.max(self.print(log)?);
        }
        if args.follow {
            return self.follow(&filters, after).await;
        }
        if found.is_empty() {
            terminal::print_note("no record fits");
        }
        Ok(())
    }

    /// The number of the newest record of all.
    async fn newest(&self) -> anyhow::Result<i64> {
        let page = self.page(&[("limit", "1".to_owned())]).await?;
        page.logs.first().map_or(Ok(0), |log| Ok(parse(log)?.id))
    }

    /// Those that are stored, the newest first.
    async fn found(
        &self,
        args: &LogsArgs,
        filters: &[(&'static str, String)],
    ) -> anyhow::Result<Vec<Box<RawValue>>> {
        let span = args.span.resolve()?;
        let times = [("from", span.from), ("to", span.to)];
        let times = times.map(|(name, time)| Some((name, Moment::from_nanos(time?).to_string())));
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

    async fn page(&self, pairs: &[(&'static str, String)]) -> anyhow::Result<Page> {
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let page = self.api.get(&format!("{}/logs?{}", self.path, query(&pairs))).await?;
        serde_json::from_str(&page.to_string()).context("the server tells records that are none")
    }

    /// Prints what comes after a record, until something fails or the program is interrupted.
    async fn follow(&self, filters: &[(&'static str, String)], mut after: i64) -> anyhow::Result<()> {
        let pairs: Vec<_> = filters.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let path = format!("{}/logs/tail?{}", self.path, query(&pairs));
        loop {
            let mut lines = self.api.follow(&path, after).await?.lines();
            while let Ok(Some(line)) = lines.next_line().await {
                match line.split_once(':') {
                    Some(("id", id)) => after = id.trim().parse().unwrap_or(after),
                    Some(("data", data)) => {
                        let logs: Vec<Box<RawValue>> = serde_json::from_str(data)?;
                        logs.iter().try_for_each(|log| self.print(log).map(drop))?;
                    }
                    _ => {}
                }
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Prints a record; its number.
    fn print(&self, log: &RawValue) -> anyhow::Result<i64> {
        let parsed = parse(log)?;
        let id = parsed.id;
        match self.json {
            true => output::print(log.get())?,
            false => output::print(lines(&parsed).trim_end_matches('\n'))?,
        }
        Ok(id)
    }
}

fn parse(log: &RawValue) -> anyhow::Result<StoredLog> {
    let log: Log = serde_json::from_str(log.get()).context("the server tells a record that is none")?;
    let Log { id, time, level, version, workflow, node, request, message } = log;
    let level = level.parse().map_err(|_| anyhow!("the server tells of a level `{level}`"))?;
    Ok(StoredLog { id, time: time.nanos(), level, version, workflow, node, request, message })
}
