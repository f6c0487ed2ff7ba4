//! A version's log records, as they were stored and as they come.

use super::{Runtime, query, text};
use crate::output;
use clap::Args;
use futures::TryStreamExt as _;
use serde_json::Value;
use std::pin::pin;

/// What `krt version logs` takes.
#[derive(Debug, Args)]
pub(super) struct LogsArgs {
    /// The version
    name: String,

    /// Only what contains this text, in whatever case
    #[arg(long)]
    text: Option<String>,

    /// Only what is at least as grave: debug, info, warn, error
    #[arg(long)]
    level: Option<String>,

    /// Only of this node
    #[arg(long)]
    node: Option<String>,

    /// Only of this request
    #[arg(long, value_name = "ID")]
    request: Option<String>,

    /// How many of the newest
    #[arg(short = 'n', long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    lines: u32,

    /// Go on with those that come
    #[arg(short, long)]
    follow: bool,
}

impl LogsArgs {
    fn query(&self) -> String {
        let given =
            [("text", &self.text), ("level", &self.level), ("node", &self.node), ("request", &self.request)];
        let mut pairs = vec![("version", self.name.as_str())];
        pairs.extend(given.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))));
        query(&pairs)
    }
}

impl Runtime<'_> {
    pub(super) async fn logs(&self, args: &LogsArgs) -> anyhow::Result<()> {
        let (wanted, lines) = (args.query(), args.lines);
        let page = self.api.get(&format!("{}/logs?{wanted}&limit={lines}", self.path)).await?;
        for log in page["logs"].as_array().into_iter().flatten().rev() {
            self.print(log)?;
        }
        if !args.follow {
            return Ok(());
        }
        let mut events = pin!(self.api.follow(&format!("{}/logs/tail?{wanted}", self.path)).await?);
        let mut buffer = Vec::new();
        while let Some(bytes) = events.try_next().await? {
            buffer.extend_from_slice(&bytes);
            while let Some(end) = buffer.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = buffer.drain(..=end).collect();
                self.print_event(&line)?;
            }
        }
        Ok(())
    }

    /// Prints the records of a line of an event that has data.
    fn print_event(&self, line: &[u8]) -> anyhow::Result<()> {
        let Some(data) = line.strip_prefix(b"data:") else { return Ok(()) };
        let logs: Value = serde_json::from_slice(data)?;
        logs.as_array().into_iter().flatten().try_for_each(|log| self.print(log))
    }

    fn print(&self, log: &Value) -> anyhow::Result<()> {
        if self.json {
            return output::print(&log.to_string());
        }
        let node = log["node"].as_str().unwrap_or("krt");
        let (time, level, message) = (text(log, "time"), text(log, "level"), text(log, "message"));
        output::print(&format!("{time} {level:5} {node:<10} {message}"))
    }
}
