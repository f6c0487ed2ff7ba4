//! `krt bench`: measures how many requests a service answers, and how fast.
//!
//! - [`load`]: sends requests.
//! - [`tally`]: counts what they come to.
//! - [`latency`]: percentiles of latencies.
//! - [`usage`]: where a request's time goes, and what processes take, from the service's metrics.
//! - [`report`]: text and JSON.
//! - [`html`], [`chart`], [`markup`]: a page.
//!
//! `krt size` measures by the same parts.

mod chart;
mod html;
pub(in crate::commands) mod latency;
pub(in crate::commands) mod load;
mod markup;
pub(in crate::commands) mod report;
pub(in crate::commands) mod tally;
pub(in crate::commands) mod usage;

use super::call::{
    methods,
    package::{self, Running},
    requests::Source,
    start::Start,
};
use crate::{
    client::{Address, Client, Header, Trust, example, title},
    error::{Context as _, Result, ensure, error},
    exit, output,
    service::{ServiceArgs, block_on, signals},
    terminal,
    values::{duration, hinted},
};
use bytes::Bytes;
use clap::Args;
use krt_model::hint;
use krt_runtime::json;
use load::{End, Length, Pace, Target, lock};
use prost_reflect::MethodDescriptor;
use report::{Comparison, Report, Server};
use std::{
    fs::{self, File},
    num::NonZeroUsize,
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tally::{Round, Tally};
use tokio_util::sync::CancellationToken;
use usage::{Metrics, Usage};

/// The most requests that are read from a file, and their bytes.
const MAX_REQUESTS: usize = 1_000_000;
const MAX_BYTES: usize = 1 << 30;
/// The most connections unless `--connections` says otherwise.
const CONNECTIONS: usize = 64;
/// The rounds of a comparison.
const ROUNDS: u32 = 5;
/// The deadline of a request unless `--timeout` says otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How often progress is shown.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);

/// The arguments of `krt bench`.
#[derive(Debug, Args)]
#[command(
    mut_arg("log_level", |arg| arg.default_value("warn")),
    after_help = "\
Examples:
  krt bench Greet '{\"name\": \"Ada\"}'                     one client, which shows the latency
  krt bench Greet @requests.jsonl --clients 32
  krt bench Greet --rate 200 --duration 1m             200 requests a second, as many users send them
  krt bench Greet --package . --report report.html
  krt bench Greet --clients 32 --compare 127.0.0.1:9002

With --clients, a slow server gets fewer requests, and their latency hides how long others would have
waited. With --rate, requests are due at random times, whether or not earlier ones were answered, and
their latency counts from then. Use --clients to find how much a service can answer, and --rate to find
how long clients wait at the load that you expect.

The metrics of the service show where a request's time goes, and what each worker takes: --package reads
them by itself, --metrics names them for a service that runs already. They count all requests that the
service gets.

The report is exact to 0.1 %. Ranges hold the true percentile with a confidence of 95 % if requests are
independent of each other.

Ctrl-C ends the measurement early and prints what it has found. The exit code is 0 only if every request
was answered.

The options under Configuration, Nodes, Limits, Data and Logs are those of `krt run`, for --package."
)]
pub(crate) struct BenchArgs {
    /// RPC: Greet, Entrypoint/Greet or greeter.Entrypoint/Greet
    method: String,

    /// Request as JSON, @FILE, or - for standard input; several requests are sent in turn
    #[arg(value_name = "JSON", default_value = "{}", allow_hyphen_values = true)]
    request: Source,

    /// Server: HOST:PORT, http://HOST:PORT, or https://HOST:PORT for TLS
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9000")]
    address: Address,

    #[command(flatten)]
    trust: Trust,

    /// Start this package for the measurement and stop it afterwards
    #[arg(long, value_name = "PATH", conflicts_with_all = ["address", "metrics"])]
    package: Option<PathBuf>,

    /// A second server, which gets the same requests in turn with the first
    #[arg(long, value_name = "ADDRESS")]
    compare: Option<Address>,

    /// Metrics of the service, as `krt run --metrics` serves them
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<Address>,

    /// Clients that each send their next request when they have an answer
    #[arg(
        short,
        long,
        value_name = "N",
        default_value = "1",
        conflicts_with = "rate",
        help_heading = "Load"
    )]
    clients: NonZeroUsize,

    /// Requests that are due in a second, whether or not earlier ones were answered
    #[arg(short, long, value_name = "N", value_parser = rate, help_heading = "Load")]
    rate: Option<f64>,

    /// Connections to each server [default: one for each client, at most 64; 16 with --rate]
    #[arg(long, value_name = "N", help_heading = "Load")]
    connections: Option<NonZeroUsize>,

    /// Time to measure; of each server with --compare
    #[arg(short, long, value_name = "DURATION", default_value = "10s", value_parser = duration, help_heading = "Load")]
    duration: Duration,

    /// Requests to send, instead of a time
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), conflicts_with_all = ["duration", "compare"], help_heading = "Load")]
    requests: Option<u64>,

    /// Time to send requests before the measurement begins; 0 for none
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = warmup, help_heading = "Load")]
    warmup: Duration,

    /// Deadline of each request, which is also sent to the server [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,

    /// Send metadata; the VALUE is base64 if the NAME ends in -bin
    #[arg(short = 'H', long = "header", value_name = "NAME:VALUE", value_parser = hinted::<Header>)]
    headers: Vec<Header>,

    /// Print the report as JSON
    #[arg(long)]
    json: bool,

    /// Also write the report as a page, with charts
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,

    /// Folder for the package's measurements, documents and logs [default: none]
    #[arg(long, value_name = "DIR", requires = "package", help_heading = "Data")]
    data: Option<PathBuf>,

    #[command(flatten)]
    service: ServiceArgs,
}

/// Parses a rate, above 0 and at most a million.
pub(in crate::commands) fn rate(text: &str) -> Result<f64, &'static str> {
    let rate: f64 = text.parse().map_err(|_| "expected a number, such as 200 or 0.5")?;
    if rate > 0.0 && rate <= 1e6 { Ok(rate) } else { Err("expected a number above 0 and up to 1000000") }
}

/// Parses the time before a measurement.
fn warmup(text: &str) -> Result<Duration, String> {
    if text == "0" { Ok(Duration::ZERO) } else { duration(text) }
}

/// A server, and the connections to it.
struct Measured {
    target: Arc<Target>,
    address: String,
    metrics: Option<Address>,
    tally: Arc<Mutex<Tally>>,
}

/// What came of sending.
struct Sent {
    end: End,
    /// By server.
    usages: Vec<Option<Usage>>,
    /// The rounds, each by server.
    rounds: Vec<Vec<Round>>,
}

/// Measures, and prints what was found.
pub(crate) fn execute(args: &BenchArgs) -> Result<ExitCode> {
    // A page that cannot be written is known before the measurement. An older page stays until the new one is complete.
    if let Some(path) = &args.report {
        let writable = File::options().create(true).append(true).open(path);
        writable.with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    let measured = block_on(async {
        let Some(path) = &args.package else {
            let stop = signals::stop()?;
            return args.measure(args.address.clone(), args.metrics.clone(), &stop).await.map(Some);
        };
        let work = async |running: Running| {
            let (address, metrics) = (running.address.into(), running.metrics.into());
            args.measure(address, Some(metrics), &running.interrupted).await
        };
        let start = Start::of(format!("`{}`", path.display()), None);
        package::with(&args.service, path, args.data.as_deref(), &start, work).await
    })?;
    let Some((report, end)) = measured else { return Ok(exit::INTERRUPTED.into()) };
    if args.json {
        let json = serde_json::to_string_pretty(&report).context("the report cannot be written")?;
        output::print_json(&json)?;
    } else {
        output::print(&report.text())?;
    }
    if let Some(path) = &args.report {
        let written = fs::write(path, html::page(&report));
        written.with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    Ok(match end {
        End::Interrupted => exit::INTERRUPTED.into(),
        End::Done | End::Overloaded if report.is_clean() => exit::SUCCESS,
        End::Done | End::Overloaded => exit::FAILURE,
    })
}

impl BenchArgs {
    async fn measure(
        &self,
        address: Address,
        metrics: Option<Address>,
        stop: &CancellationToken,
    ) -> Result<(Report, End)> {
        let mut servers = vec![self.connect(address, metrics, None).await?];
        if let Some(other) = &self.compare {
            let requests = Arc::clone(&servers[0].target.requests);
            servers.push(self.connect(other.clone(), None, Some(requests)).await?);
        }
        let spinner = terminal::Spinner::start(&format!("measures {}", self.method));
        let begun = Instant::now();
        let shown = async {
            loop {
                tokio::time::sleep(PROGRESS_INTERVAL).await;
                let ended: u64 = servers.iter().map(|server| lock(&server.tally).ended()).sum();
                spinner.show(&format!(
                    "{} requests in {} s",
                    report::grouped(ended),
                    begun.elapsed().as_secs()
                ));
            }
        };
        let sent = tokio::select! {
            sent = self.send(&servers, stop) => sent?,
            () = shown => unreachable!("progress is shown until the end"),
        };
        drop(spinner);
        let report = self.report(&servers, &sent);
        Ok((report, sent.end))
    }

    /// Finds the method on a server, and opens the connections.
    async fn connect(
        &self,
        address: Address,
        metrics: Option<Address>,
        requests: Option<Arc<[Bytes]>>,
    ) -> Result<Measured> {
        let connect = async || Client::connect(address.clone(), &self.trust, self.headers.clone()).await;
        let mut connections = vec![connect().await?];
        let mut start = Start::of(address.to_string(), self.timeout);
        let methods = methods(&connections[0], &mut start).await?;
        let method = methods.find(&self.method)?.clone();
        while connections.len() < self.connections() {
            connections.push(connect().await?);
        }
        let requests = match requests {
            Some(requests) => requests,
            None => read(&self.request, &method).await?,
        };
        let timeout = self.timeout.unwrap_or(TIMEOUT);
        Ok(Measured {
            target: Arc::new(Target { connections, method, requests, timeout }),
            address: address.to_string(),
            metrics,
            tally: Arc::new(Mutex::new(Tally::default())),
        })
    }

    fn connections(&self) -> usize {
        let usual = if self.rate.is_some() { 16 } else { self.clients.get().min(CONNECTIONS) };
        self.connections.map_or(usual, NonZeroUsize::get)
    }

    fn pace(&self) -> Pace {
        self.rate.map_or(Pace::Clients(self.clients.get()), Pace::Rate)
    }

    /// Sends all requests.
    async fn send(&self, servers: &[Measured], stop: &CancellationToken) -> Result<Sent> {
        // Says before the first request if there are none.
        read_metrics(servers).await?;
        for server in servers.iter().filter(|_| !self.warmup.is_zero()) {
            let tally = Arc::new(Mutex::new(Tally::default()));
            server.target.send(self.pace(), Length::Time(self.warmup), &tally, stop).await;
        }
        let (begun, before) = (Instant::now(), read_metrics(servers).await?);
        let (count, length) = match (self.requests, servers.len()) {
            (Some(count), _) => (1, Length::Requests(count)),
            (None, 1) => (1, Length::Time(self.duration)),
            (None, _) => (ROUNDS, Length::Time(self.duration / ROUNDS)),
        };
        let (mut end, mut rounds) = (End::Done, Vec::new());
        'rounds: for _ in 0..count {
            let mut round = Vec::new();
            for server in servers {
                let mark = lock(&server.tally).mark();
                end = server.target.send(self.pace(), length, &server.tally, stop).await;
                if end != End::Done {
                    break 'rounds;
                }
                round.push(lock(&server.tally).since(&mark));
            }
            rounds.push(round);
        }
        let (time, after) = (begun.elapsed(), read_metrics(servers).await?);
        let usage = |(before, after): (&Option<Metrics>, &Option<Metrics>)| {
            Some(after.as_ref()?.since(before.as_ref()?, time))
        };
        let usages = before.iter().zip(&after).map(usage).collect();
        Ok(Sent { end, usages, rounds })
    }

    fn report(&self, servers: &[Measured], sent: &Sent) -> Report {
        let of_server = |(server, usage): (&Measured, &Option<Usage>)| Server {
            address: server.address.clone(),
            figures: lock(&server.tally).figures(),
            usage: usage.clone(),
        };
        Report {
            method: title(&servers[0].target.method),
            clients: self.rate.is_none().then_some(self.clients.get()),
            rate: self.rate,
            connections: self.connections(),
            warmup: self.warmup.as_secs_f64(),
            ended: match sent.end {
                End::Done => None,
                End::Interrupted => Some("interrupted: the figures are of the time before"),
                End::Overloaded => {
                    Some("ended early: 10,000 requests waited, since fewer are answered than are due")
                }
            },
            servers: servers.iter().zip(&sent.usages).map(of_server).collect(),
            comparison: Comparison::of(&sent.rounds),
        }
    }
}

/// Reads the metrics of each server that has some.
async fn read_metrics(servers: &[Measured]) -> Result<Vec<Option<Metrics>>> {
    let mut metrics = Vec::new();
    for server in servers {
        metrics.push(match &server.metrics {
            Some(address) => Some(Metrics::read(address).await?),
            None => None,
        });
    }
    Ok(metrics)
}

/// Reads and encodes the requests.
pub(in crate::commands) async fn read(source: &Source, method: &MethodDescriptor) -> Result<Arc<[Bytes]>> {
    let (mut requests, mut encoded, mut bytes) = (source.open()?, Vec::new(), 0);
    while let Some(request) = requests.recv().await {
        let number = encoded.len() + 1;
        let request = request.map_err(|error| error!("request {number} is not JSON: {error}"))?;
        let input = method.input();
        let message =
            json::parse(&input, request.get().as_bytes(), json::Bounds::none()).map_err(|error| {
                let error = hint::messages(&error);
                error!("request {number} is {error}"; hint: "all its fields are {}", example(&input))
            })?;
        bytes += message.len();
        ensure!(
            number <= MAX_REQUESTS && bytes <= MAX_BYTES,
            "these are more than {MAX_REQUESTS} requests, or more than 1 GiB";
            hint: "they are sent in turn, so that fewer do"
        );
        encoded.push(message);
    }
    ensure!(!encoded.is_empty(), "there is no request"; hint: "the empty request is {{}}");
    Ok(encoded.into())
}
