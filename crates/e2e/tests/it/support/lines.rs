//! The standard error of `krt`: JSON records, and plain lines.

use super::TIMEOUT;
use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::ChildStderr,
    sync::watch,
};

/// A log record.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    pub(crate) time: String,
    pub(crate) level: String,
    pub(crate) version: Option<String>,
    pub(crate) workflow: Option<String>,
    pub(crate) node: Option<String>,
    pub(crate) request: Option<String>,
    pub(crate) message: String,
}

impl Record {
    /// Whether it is a node's record whose message contains a text.
    pub(crate) fn is(&self, node: &str, message: &str) -> bool {
        self.node.as_deref() == Some(node) && self.message.contains(message)
    }
}

/// The lines so far, and later ones.
#[derive(Debug, Clone)]
pub(crate) struct Lines(watch::Receiver<Vec<String>>);

impl Lines {
    /// Reads to the end of the output.
    pub(super) fn read(output: ChildStderr) -> Self {
        let (lines, read) = watch::channel(Vec::new());
        tokio::spawn(async move {
            let mut output = BufReader::new(output).lines();
            while let Ok(Some(line)) = output.next_line().await {
                lines.send_modify(|lines: &mut Vec<String>| lines.push(line));
            }
        });
        Self(read)
    }

    /// The complete output.
    pub(crate) fn text(&self) -> String {
        self.0.borrow().join("\n")
    }

    /// The records so far.
    pub(crate) fn records(&self) -> Vec<Record> {
        self.0.borrow().iter().filter_map(|line| parse(line)).collect()
    }

    /// The lines so far that are not records.
    pub(crate) fn plain(&self) -> String {
        let lines = self.0.borrow();
        let plain: Vec<_> = lines.iter().map(String::as_str).filter(|line| parse(line).is_none()).collect();
        plain.join("\n")
    }

    /// The last record's message: the reason if `krt` failed.
    pub(crate) fn last_message(&self) -> String {
        self.records().pop().map(|record| record.message).unwrap_or_default()
    }

    /// Waits for a record; `None` if the output ends without it.
    pub(crate) async fn find(&self, fits: impl Fn(&Record) -> bool) -> Option<Record> {
        let mut lines = self.0.clone();
        let mut seen = 0;
        loop {
            let fitting = {
                let lines = lines.borrow_and_update();
                let new = lines[seen..].iter();
                let fitting = new.filter_map(|line| parse(line)).find(&fits);
                seen = lines.len();
                fitting
            };
            if fitting.is_some() {
                return fitting;
            }
            lines.changed().await.ok()?;
        }
    }

    /// Waits for an expected record.
    #[track_caller]
    pub(crate) fn wait<'a>(
        &'a self,
        what: &'a str,
        fits: impl Fn(&Record) -> bool + 'a,
    ) -> impl Future<Output = Record> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            let found = tokio::time::timeout(TIMEOUT, self.find(fits)).await.ok().flatten();
            found.unwrap_or_else(|| panic!("{caller}: no record of {what}:\n{}", self.text()))
        }
    }

    /// Waits for the end of the output.
    pub(super) async fn end(&mut self) {
        while self.0.changed().await.is_ok() {}
    }
}

fn parse(line: &str) -> Option<Record> {
    serde_json::from_str(line).ok()
}
