//! The report as a page: one file without scripts, which needs nothing else.

use super::{
    chart::{Chart, Series},
    latency::Summary,
    markup::escape,
    report::{Report, Server, grouped, mebibytes, ms, number, percent},
    usage::Usage,
};
use std::fmt::Write as _;

const STYLE: &str = include_str!("report.css");

/// A page that shows a report.
pub(super) fn page(report: &Report) -> String {
    let mut body = format!(
        "<h1>{}</h1>\n<p>{}, {} s of warm-up, krt {}</p>\n",
        escape(&report.method),
        escape(&report.load()),
        report.warmup,
        env!("CARGO_PKG_VERSION")
    );
    if let Some(ended) = report.ended {
        let _ = writeln!(body, "<p class=\"failed\">{}</p>", escape(ended));
    }
    body += &charts(&report.servers);
    for server in &report.servers {
        body += &section(server);
    }
    if let Some(comparison) = &report.comparison {
        let rows = [
            ("answers a second", comparison.per_second),
            ("latency, p50", comparison.p50),
            ("latency, p99", comparison.p99),
        ];
        let rows = rows.map(|(name, ratio)| {
            let range = format!("{:.2} to {:.2}", ratio.low, ratio.high);
            vec![name.to_owned(), format!("{:.2} ×", ratio.median), range]
        });
        let title = format!("The first as multiples of the second, {} rounds in turn", comparison.rounds);
        body += &table(&title, &["", "median", "range"], &rows);
    }
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{} · krt bench</title>\n\
         <style>\n{STYLE}</style>\n<main>\n{body}</main>\n</html>\n",
        escape(&report.method)
    )
}

fn charts(servers: &[Server]) -> String {
    let series = |points: &dyn Fn(&Server) -> Vec<(f64, f64)>| -> Vec<Series> {
        servers.iter().map(|server| Series { name: server.address.clone(), points: points(server) }).collect()
    };
    let over_time = |value: fn(&super::tally::Interval) -> f64| {
        series(&move |server| server.figures.intervals.iter().map(|at| (at.end, value(at))).collect())
    };
    let nines = |percentile: f64| -(1.0 - percentile / 100.0).log10();
    let percentiles = series(&|server| {
        let latency = server.figures.latency.iter();
        let points = latency.flat_map(|latency| &latency.percentiles);
        points.map(|one| (nines(one.percentile), one.ms)).collect()
    });
    let ticks =
        [50.0, 90.0, 99.0, 99.9, 99.99].map(|percentile| (nines(percentile), format!("p{percentile}")));
    [
        Chart {
            title: "Latency by percentile, ms",
            x: "percentile",
            series: percentiles,
            ticks: ticks.into(),
        },
        Chart {
            title: "Answers a second",
            x: "seconds",
            series: over_time(|at| at.per_second),
            ticks: Vec::new(),
        },
        Chart {
            title: "Latency p50, ms",
            x: "seconds",
            series: over_time(|at| at.p50_ms),
            ticks: Vec::new(),
        },
        Chart {
            title: "Latency p99, ms",
            x: "seconds",
            series: over_time(|at| at.p99_ms),
            ticks: Vec::new(),
        },
    ]
    .iter()
    .map(Chart::svg)
    .collect()
}

fn section(server: &Server) -> String {
    let figures = &server.figures;
    let error = figures.error().map(|error| format!(" (± {})", percent(error))).unwrap_or_default();
    let mut html = format!(
        "<h2>{}</h2>\n<p>{} answered in {:.1} s: <strong>{} a second</strong>{error}, {} failed</p>\n",
        escape(&server.address),
        grouped(figures.answered),
        figures.seconds,
        number(figures.per_second),
        grouped(figures.failed)
    );
    if let Some(messages) = figures.messages_per_second {
        let _ = writeln!(html, "<p>{} messages of streams a second</p>", number(messages));
    }
    let failures: Vec<_> = figures
        .failures
        .iter()
        .map(|failure| vec![grouped(failure.count), failure.code.clone(), failure.message.clone()])
        .collect();
    html += &table("Failures", &["requests", "status", "first message"], &failures);
    html += &latencies("Latency", figures.latency.as_ref());
    html += &latencies("First message of a stream", figures.first_message.as_ref());
    html += &server.usage.as_ref().map(usage).unwrap_or_default();
    html
}

fn latencies(title: &str, latency: Option<&Summary>) -> String {
    let Some(latency) = latency else { return String::new() };
    let plain = |name: &str, value: f64| vec![name.to_owned(), ms(value), String::new()];
    let mut rows = vec![plain("mean", latency.mean_ms), plain("min", latency.min_ms)];
    rows.extend(
        latency.percentiles.iter().map(|one| vec![format!("p{}", one.percentile), ms(one.ms), one.range()]),
    );
    rows.push(plain("max", latency.max_ms));
    table(title, &["", "measured", "95 % confidence"], &rows)
}

fn usage(usage: &Usage) -> String {
    let mut rows: Vec<_> = usage
        .nodes
        .iter()
        .map(|node| vec![node.node.clone(), percent(node.share), ms(node.wait_ms), ms(node.handler_ms)])
        .collect();
    rows.extend(usage.rest.map(|rest| vec!["krt".to_owned(), percent(rest), String::new(), String::new()]));
    let shares = usage
        .nodes
        .iter()
        .map(|node| (node.node.as_str(), node.share))
        .chain(usage.rest.map(|rest| ("krt", rest)));
    let title = format!("Where the {} of a request go, without the network", ms(usage.request_ms));
    let mut html = table(&title, &["node", "share", "waits", "handler takes"], &rows);
    html += &bar(shares);
    let processes: Vec<_> = usage
        .processes
        .iter()
        .map(|process| {
            let name = process.node.clone().unwrap_or_else(|| "krt".to_owned());
            vec![name, percent(process.processors), mebibytes(process.memory)]
        })
        .collect();
    html += &table("Processes", &["", "of a processor", "memory"], &processes);
    html
}

/// A bar with a part for each share.
fn bar<'a>(shares: impl Iterator<Item = (&'a str, f64)>) -> String {
    let part = |(index, (name, share)): (usize, (&str, f64))| {
        let name = escape(name);
        format!(
            "<span class=\"series-{}\" style=\"flex-grow:{share:.4}\" title=\"{name}\">{name}</span>",
            index % 4
        )
    };
    let parts: String = shares.enumerate().map(part).collect();
    format!("<div class=\"bar\">{parts}</div>\n")
}

/// A table, or nothing without rows.
fn table(title: &str, head: &[&str], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let row = |cells: &Vec<String>| {
        let cells: String = cells.iter().map(|cell| format!("<td>{}</td>", escape(cell))).collect();
        format!("<tr>{cells}</tr>\n")
    };
    let head: String = head.iter().map(|cell| format!("<th scope=\"col\">{}</th>", escape(cell))).collect();
    let rows: String = rows.iter().map(row).collect();
    format!("<table>\n<caption>{}</caption>\n<tr>{head}</tr>\n{rows}</table>\n", escape(title))
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::report;
    use super::*;

    #[test]
    fn a_page_shows_everything_and_runs_nothing() {
        let page = page(&report());
        for shown in ["123,456", "node &lt;etl&gt; is down", "67.3 %", "33 MiB", "1.23 ×", "p99.9", "<svg"] {
            assert!(page.contains(shown), "{shown} is missing:\n{page}");
        }
        assert_eq!(page.matches("<svg").count(), 4);
        assert!(!page.contains("<etl>") && !page.contains("<script") && !page.contains("NaN"), "{page}");
    }
}
