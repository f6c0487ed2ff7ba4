//! What a measurement found, as text for people and as JSON.

use super::{
    latency::{Percentile, Summary},
    tally::{Figures, Round},
    usage::{NodeUsage, ProcessUsage, Usage},
};
use serde::Serialize;
use std::fmt::Write as _;

/// What a measurement found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Report {
    /// The full name of the RPC.
    pub(super) method: String,
    /// Clients that send requests, or `None` with a rate.
    pub(super) clients: Option<usize>,
    /// Requests that are due in a second, or `None` with clients.
    pub(super) rate: Option<f64>,
    /// Connections to each server.
    pub(super) connections: usize,
    /// Seconds before the measurement, in which the same was sent.
    pub(super) warmup: f64,
    /// Why the measurement ended early.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ended: Option<&'static str>,
    /// The servers: one, or two that are compared.
    pub(super) servers: Vec<Server>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) comparison: Option<Comparison>,
}

/// The figures of a server.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Server {
    pub(super) address: String,
    #[serde(flatten)]
    pub(super) figures: Figures,
    /// `None` without metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) usage: Option<Usage>,
}

/// The first server's figures as multiples of the second's, from rounds in turn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Comparison {
    pub(super) rounds: usize,
    pub(super) per_second: Ratio,
    pub(super) p50: Ratio,
    pub(super) p99: Ratio,
}

/// The median of the rounds, and their range.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Ratio {
    pub(super) median: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Comparison {
    /// Compares the servers of each round; `None` unless there are rounds of two.
    pub(super) fn of(rounds: &[Vec<Round>]) -> Option<Self> {
        let pairs: Vec<(&Round, &Round)> = rounds
            .iter()
            .filter_map(|round| match &round[..] {
                [one, other] => Some((one, other)),
                _ => None,
            })
            .collect();
        let ratio = |of: fn(&Round) -> f64| Ratio::of(pairs.iter().map(|(one, other)| (of(one), of(other))));
        (!pairs.is_empty()).then(|| Self {
            rounds: pairs.len(),
            per_second: ratio(|round| round.per_second),
            p50: ratio(|round| round.p50_ms),
            p99: ratio(|round| round.p99_ms),
        })
    }
}

impl Ratio {
    /// The ratios of rounds; a round without answers counts as a ratio of 0.
    fn of(rounds: impl Iterator<Item = (f64, f64)>) -> Self {
        let mut ratios: Vec<f64> =
            rounds.map(|(one, other)| if other > 0.0 { one / other } else { 0.0 }).collect();
        ratios.sort_by(f64::total_cmp);
        let at = |index: usize| ratios.get(index).copied().unwrap_or(0.0);
        Self { median: at(ratios.len() / 2), low: at(0), high: at(ratios.len().saturating_sub(1)) }
    }
}

impl Report {
    /// Whether each request was answered.
    pub(super) fn is_clean(&self) -> bool {
        self.ended.is_none()
            && self.servers.iter().all(|server| server.figures.failed == 0 && server.figures.answered > 0)
    }

    /// What was sent, in words.
    pub(super) fn load(&self) -> String {
        match (self.clients, self.rate) {
            (Some(1), _) => "1 client".to_owned(),
            (Some(clients), _) => format!("{clients} clients"),
            (None, Some(rate)) => format!("{} requests due a second", number(rate)),
            (None, None) => String::new(),
        }
    }

    /// The report for people, without the last line break.
    pub(super) fn text(&self) -> String {
        let mut text = format!("{}, {}, {} s of warm-up", self.method, self.load(), self.warmup);
        if let Some(ended) = self.ended {
            let _ = write!(text, "\n{ended}");
        }
        for server in &self.servers {
            text += "\n\n";
            text += &server.text();
        }
        if let Some(comparison) = &self.comparison {
            text += "\n\n";
            text += &comparison.text(&self.servers);
        }
        text
    }
}

impl Server {
    fn text(&self) -> String {
        let figures = &self.figures;
        let error = figures.error().map(|error| format!(" (± {})", percent(error))).unwrap_or_default();
        let mut text = format!(
            "{}\n  {} answered in {:.1} s: {} a second{error}, {} failed",
            self.address,
            grouped(figures.answered),
            figures.seconds,
            number(figures.per_second),
            grouped(figures.failed),
        );
        for failure in &figures.failures {
            let _ = write!(text, "\n    {} × {}: {}", grouped(failure.count), failure.code, failure.message);
        }
        if let Some(messages) = figures.messages_per_second {
            let _ = write!(text, "\n  {} messages of streams a second", number(messages));
        }
        let latency = figures.latency.iter().map(|latency| latency_rows("latency", latency));
        let first = figures.first_message.iter().map(|first| latency_rows("first message", first));
        let usage = self.usage.iter().flat_map(|usage| [node_rows(usage), process_rows(usage)]);
        for table in latency.chain(first).chain(usage) {
            for line in aligned(&table) {
                let _ = write!(text, "\n  {line}");
            }
        }
        text
    }
}

impl Comparison {
    fn text(&self, servers: &[Server]) -> String {
        let address = |index: usize| servers.get(index).map_or("", |server| &server.address);
        let row = |name: &str, ratio: &Ratio| {
            let Ratio { median, low, high } = ratio;
            [name.to_owned(), format!("{median:.2} ×"), format!("{low:.2} to {high:.2}"), String::new()]
        };
        let rows = [
            row("answers a second", &self.per_second),
            row("latency, p50", &self.p50),
            row("latency, p99", &self.p99),
        ];
        let mut text =
            format!("{} as multiples of {}, {} rounds in turn", address(0), address(1), self.rounds);
        for line in aligned(&rows) {
            let _ = write!(text, "\n  {line}");
        }
        text
    }
}

type Row = [String; 4];

fn latency_rows(name: &str, latency: &Summary) -> Vec<Row> {
    let head = [name.to_owned(), String::new(), "95 % confidence".to_owned(), String::new()];
    let plain = |name: &str, value: f64| [format!("  {name}"), ms(value), String::new(), String::new()];
    let percentile = |one: &Percentile| {
        let range = one.range();
        [format!("  p{}", one.percentile), ms(one.ms), range, String::new()]
    };
    [head, plain("mean", latency.mean_ms), plain("min", latency.min_ms)]
        .into_iter()
        .chain(latency.percentiles.iter().map(percentile))
        .chain([plain("max", latency.max_ms)])
        .collect()
}

fn node_rows(usage: &Usage) -> Vec<Row> {
    let request = format!("of {}", ms(usage.request_ms));
    let head = ["node".to_owned(), request, "waits".to_owned(), "handler takes".to_owned()];
    let node = |node: &NodeUsage| {
        [format!("  {}", node.node), percent(node.share), ms(node.wait_ms), ms(node.handler_ms)]
    };
    let rest = usage.rest.map(|rest| ["  krt".to_owned(), percent(rest), String::new(), String::new()]);
    std::iter::once(head).chain(usage.nodes.iter().map(node)).chain(rest).collect()
}

fn process_rows(usage: &Usage) -> Vec<Row> {
    let head = ["process", "of a processor", "memory", ""].map(str::to_owned);
    let process = |process: &ProcessUsage| {
        let name = process.node.as_deref().unwrap_or("krt");
        [format!("  {name}"), percent(process.processors), mebibytes(process.memory), String::new()]
    };
    std::iter::once(head).chain(usage.processes.iter().map(process)).collect()
}

/// Lines of a table, with two spaces between columns; the first column is to the left.
pub(in crate::commands) fn aligned<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let mut line = format!("{:<1$}", row[0], widths[0]);
        for (cell, width) in row.iter().zip(&widths).skip(1) {
            let _ = write!(line, "  {cell:>width$}");
        }
        line.trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

impl Percentile {
    /// The range, in words.
    pub(super) fn range(&self) -> String {
        match self.high_ms {
            Some(high) => format!("{} to {}", ms(self.low_ms), ms(high)),
            None => format!("above {}", ms(self.low_ms)),
        }
    }
}

pub(in crate::commands) fn ms(value: f64) -> String {
    match value {
        ..10.0 => format!("{value:.3} ms"),
        10.0..100.0 => format!("{value:.2} ms"),
        _ => format!("{value:.1} ms"),
    }
}

pub(in crate::commands) fn percent(part: f64) -> String {
    format!("{:.1} %", part * 100.0)
}

pub(in crate::commands) fn mebibytes(bytes: f64) -> String {
    format!("{:.0} MiB", bytes / f64::from(1 << 20))
}

/// A number with as many digits as it needs.
pub(in crate::commands) fn number(value: f64) -> String {
    match value {
        ..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => grouped(value.round() as u64),
    }
}

/// A number with commas between groups of three digits.
pub(in crate::commands) fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::commands::bench::tally::{Failure, Interval};

    /// A report with everything.
    pub(in crate::commands::bench) fn report() -> Report {
        let percentile = |percentile, ms, high_ms| Percentile { percentile, ms, low_ms: ms * 0.98, high_ms };
        let latency = Summary {
            mean_ms: 2.6,
            min_ms: 0.9,
            max_ms: 120.0,
            percentiles: vec![percentile(50.0, 2.5, Some(2.55)), percentile(99.9, 31.0, None)],
        };
        let failure =
            Failure { code: "Unavailable".to_owned(), count: 2, message: "node <etl> is down".to_owned() };
        let interval = |end, per_second| Interval { end, per_second, failed: 0, p50_ms: 2.5, p99_ms: 9.0 };
        let figures = Figures {
            seconds: 10.0,
            answered: 123_456,
            failed: 2,
            per_second: 12_345.6,
            per_second_error: Some(87.2),
            latency: Some(latency.clone()),
            first_message: None,
            messages_per_second: None,
            failures: vec![failure],
            intervals: vec![interval(5.0, 12_000.0), interval(10.0, 12_691.0)],
        };
        let usage = Usage {
            request_ms: 2.6,
            nodes: vec![NodeUsage {
                node: "etl".to_owned(),
                calls: 123_458.0,
                wait_ms: 0.5,
                handler_ms: 1.25,
                share: 0.673,
            }],
            rest: Some(0.327),
            processes: vec![
                ProcessUsage { node: None, processors: 0.8, memory: 35e6 },
                ProcessUsage { node: Some("etl".to_owned()), processors: 1.0, memory: 48e6 },
            ],
        };
        let streams = Figures {
            answered: 40,
            failed: 0,
            per_second: 4.0,
            per_second_error: None,
            first_message: Some(latency),
            messages_per_second: Some(80.0),
            failures: Vec::new(),
            ..figures.clone()
        };
        Report {
            method: "greeter.Entrypoint/Greet".to_owned(),
            clients: Some(32),
            rate: None,
            connections: 32,
            warmup: 1.0,
            ended: None,
            servers: vec![
                Server { address: "127.0.0.1:9000".to_owned(), figures, usage: Some(usage) },
                Server { address: "127.0.0.1:9002".to_owned(), figures: streams, usage: None },
            ],
            comparison: Some(Comparison {
                rounds: 5,
                per_second: Ratio { median: 1.234, low: 1.1, high: 1.3 },
                p50: Ratio { median: 0.8, low: 0.75, high: 0.9 },
                p99: Ratio { median: 0.9, low: 0.4, high: 2.0 },
            }),
        }
    }

    #[test]
    fn text_for_people() {
        insta::assert_snapshot!(report().text());
    }

    #[test]
    fn numbers() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0.5, 12.345, 999.6, 12345.6].map(number), ["0.50", "12.3", "1,000", "12,346"]);
    }

    #[test]
    fn ratios_of_rounds() {
        let ratio = Ratio::of([(2.0, 1.0), (3.0, 1.0), (1.0, 1.0)].into_iter());
        assert_eq!(ratio, Ratio { median: 2.0, low: 1.0, high: 3.0 });
        assert_eq!(Ratio::of([(2.0, 0.0)].into_iter()).median, 0.0);
    }

    #[test]
    fn failures_are_not_clean() {
        let clean = Report {
            servers: vec![Server {
                figures: Figures { failed: 0, ..report().servers[0].figures.clone() },
                ..report().servers[0].clone()
            }],
            ..report()
        };
        assert!(clean.is_clean() && !report().is_clean());
        assert!(!Report { ended: Some("interrupted"), ..clean }.is_clean());
    }
}
