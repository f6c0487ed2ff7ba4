//! `krt size`: says how many replicas, and machines, a package needs for a load.
//!
//! - [`simulation`]: the queueing model.
//! - [`report`]: text and JSON.

mod report;
mod simulation;

use super::{
    bench::{
        self,
        load::{End, Length, Pace, Target, lock},
        tally::Tally,
        usage::{Metrics, Usage},
    },
    call::{
        methods,
        package::{self, Running},
        requests::Source,
        start::Start,
    },
};
use crate::{
    client::{Client, Trust, title},
    error::{Context as _, Result, bail, ensure, error},
    exit, output,
    service::{ServiceArgs, block_on},
    terminal,
    values::duration,
};
use clap::Args;
use krt_model::{
    request::{Ending, Hop, HopEnding, RequestRecord},
    version::{Node, Version},
};
use krt_store::{RequestFilter, RequestOrder};
use report::{NodeNeeds, Report};
use simulation::{Model, Request};
use std::{
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// The most requests that the model takes from the measurement.
const MAX_SAMPLES: usize = 20_000;
/// The fewest that it needs.
const MIN_SAMPLES: usize = 20;
/// The time to send requests before the measurement begins.
const WARMUP: Duration = Duration::from_secs(1);
/// The deadline of a request.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The percentile of `--p95`.
const PERCENTILE: f64 = 95.0;
/// The part of its processors that a machine should use at most, so that they do not wait for each other much.
const MAX_PROCESSOR_LOAD: f64 = 0.7;

/// The arguments of `krt size`.
#[derive(Debug, Args)]
#[command(
    mut_arg("log_level", |arg| arg.default_value("warn")),
    after_help = "\
Examples:
  krt size --rate 200 --p95 100ms
  krt size --rate 200 --p95 100ms shop --method Price --request @samples.jsonl

Starts the package and sends requests one after another, which shows how long each handler takes, and what
it takes of a processor and of memory. A simulation of requests that come at random times then finds the
fewest replicas of each node with which 95 of 100 requests are answered within --p95.

The requests should be like those of real users: the handlers' times come from them. Set the replicas in
krt.yml, then check with `krt bench --rate`.

The options under Configuration, Nodes, Limits, Data and Logs are those of `krt run`."
)]
pub(crate) struct SizeArgs {
    /// The package: a folder with a krt.yml, or a .krt file
    #[arg(default_value = ".")]
    path: PathBuf,

    /// Requests a second, of all users
    #[arg(short, long, value_name = "N", value_parser = bench::rate)]
    rate: f64,

    /// Time within which 95 of 100 requests should be answered
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    p95: Duration,

    /// RPC: Greet, Entrypoint/Greet or greeter.Entrypoint/Greet [default: the only one]
    #[arg(long, value_name = "RPC")]
    method: Option<String>,

    /// Request as JSON, @FILE, or - for standard input; several requests are sent in turn
    #[arg(long, value_name = "JSON", default_value = "{}", allow_hyphen_values = true)]
    request: Source,

    /// Time to measure
    #[arg(short, long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    duration: Duration,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,

    /// Folder for the package's measurements, documents and logs [default: none]
    #[arg(long, value_name = "DIR", help_heading = "Data")]
    data: Option<PathBuf>,

    #[command(flatten)]
    service: ServiceArgs,
}

/// What was measured.
struct Measurement {
    method: String,
    records: Vec<RequestRecord>,
    /// The mean latency for the client, in milliseconds.
    latency_ms: f64,
    usage: Usage,
    /// The measured time.
    time: Duration,
}

/// Measures, and prints what the package needs.
pub(crate) fn execute(args: &SizeArgs) -> Result<ExitCode> {
    let report = block_on(async {
        let work = async |running: Running| {
            let Some(measurement) = args.measure(&running).await? else { return Ok(None) };
            args.report(&measurement, &running.package.version).map(Some)
        };
        let start = Start::of(format!("`{}`", args.path.display()), None);
        package::with(&args.service, &args.path, args.data.as_deref(), &start, work).await
    })?;
    let Some(report) = report.flatten() else { return Ok(exit::INTERRUPTED.into()) };
    if args.json {
        let json = serde_json::to_string_pretty(&report).context("the result cannot be written")?;
        output::print_json(&json)?;
    } else {
        output::print(&report.text())?;
    }
    Ok(if report.is_possible { exit::SUCCESS } else { exit::FAILURE })
}

impl SizeArgs {
    /// Sends requests one after another; `None` if a signal came.
    async fn measure(&self, running: &Running) -> Result<Option<Measurement>> {
        let client = Client::connect(running.address.into(), &Trust::default(), Vec::new()).await?;
        let methods = methods(&client, &mut Start::of("the package".to_owned(), None)).await?;
        let method = match &self.method {
            Some(name) => methods.find(name)?.clone(),
            None => match &methods.own().collect::<Vec<_>>()[..] {
                [only] => (*only).clone(),
                several => {
                    let names: Vec<_> = several.iter().map(|method| method.name()).collect();
                    bail!("the package has several RPCs"; hint: "--method names one of {}", names.join(", "))
                }
            },
        };
        let requests = bench::read(&self.request, &method).await?;
        let name = title(&method);
        let target = Arc::new(Target { connections: vec![client], method, requests, timeout: TIMEOUT });
        let spinner = terminal::Spinner::start(&format!("measures {name}"));
        let send = async |length: Duration| {
            let tally = Arc::new(Mutex::new(Tally::default()));
            let pace = Pace::Clients(1);
            let end = target.send(pace, Length::Time(length), &tally, &running.interrupted).await;
            let figures = lock(&tally).figures();
            if let Some(failure) = figures.failures.first() {
                let (code, message) = (&failure.code, &failure.message);
                bail!(
                    "{} of {} requests failed: {code}: {message}", figures.failed, figures.failed + figures.answered;
                    hint: "--request sends others"
                );
            }
            Ok((figures, end))
        };
        if send(WARMUP).await?.1 != End::Done {
            return Ok(None);
        }
        let since = time::OffsetDateTime::now_utc();
        let address = running.metrics.into();
        let (begun, before) = (Instant::now(), Metrics::read(&address).await?);
        let (figures, end) = send(self.duration).await?;
        let (time, after) = (begun.elapsed(), Metrics::read(&address).await?);
        drop(spinner);
        if end != End::Done {
            return Ok(None);
        }
        running.store.flush().await?;
        let records =
            running.store.reader().requests(&RequestFilter::default(), RequestOrder::Latest, MAX_SAMPLES)?;
        let since = i64::try_from(since.unix_timestamp_nanos()).unwrap_or(0);
        let records: Vec<_> = records.into_iter().filter(|record| is_sample(record, since)).collect();
        ensure!(
            records.len() >= MIN_SAMPLES,
            "only {} requests were answered within {:?}, too few to tell", records.len(), self.duration;
            hint: "--duration measures longer"
        );
        let latency_ms = figures.latency.map_or(0.0, |latency| latency.mean_ms);
        Ok(Some(Measurement { method: name, records, latency_ms, usage: after.since(&before, time), time }))
    }

    fn report(&self, measurement: &Measurement, version: &Version) -> Result<Report> {
        let nodes = nodes(&measurement.records, version)?;
        let processor: Vec<_> = nodes.iter().map(|node| processor_per_call(measurement, node)).collect();
        let elapsed = measurement.records.iter().map(|record| seconds(record.elapsed)).sum::<f64>();
        // The way between the client and the engine.
        let network = (measurement.latency_ms / 1e3 - elapsed / measurement.records.len() as f64).max(0.0);
        let mut model = Model {
            requests: measurement
                .records
                .iter()
                .map(|record| request(record, &nodes, &processor, network))
                .collect(),
            slots: vec![1; nodes.len()],
            rate: self.rate,
        };
        let calls = |node: usize| {
            let calls = model.requests.iter().flat_map(|request| &request.calls);
            calls.filter(|(of, _)| *of == node).count() as f64 / model.requests.len() as f64
        };
        let calls: Vec<_> = (0..nodes.len()).map(calls).collect();
        let handler: Vec<_> = (0..nodes.len()).map(|node| model.mean(node) / calls[node]).collect();
        for (index, node) in nodes.iter().enumerate() {
            model.slots[index] = slots(node, handler[index], processor[index]);
        }
        let found = model.replicas(PERCENTILE, self.p95.as_secs_f64());
        let is_possible = found.is_ok();
        let (replicas, outcome) = match found {
            Ok((replicas, outcome)) => (replicas.into_iter().map(Some).collect(), outcome),
            Err(best) => (vec![None; nodes.len()], best),
        };
        let needs = nodes.iter().enumerate().map(|(index, node)| NodeNeeds {
            node: node.name.to_string(),
            call_ms: handler[index] * 1e3,
            processor_ms: processor[index] * 1e3,
            concurrency: node.run.concurrency,
            replicas: replicas[index],
            replicas_now: node.run.replicas.max,
            memory: measurement.memory(node),
        });
        let engine = measurement.usage.processes.iter().find(|process| process.node.is_none());
        let answered = measurement.time.as_secs_f64() / measurement.records.len() as f64;
        let engine_processor = engine.map_or(0.0, |engine| engine.processors * answered);
        let nodes_processor: f64 = processor.iter().zip(&calls).map(|(time, calls)| time * calls).sum();
        Ok(Report {
            method: measurement.method.clone(),
            rate: self.rate,
            limit_ms: self.p95.as_secs_f64() * 1e3,
            is_possible,
            samples: measurement.records.len(),
            nodes: needs.collect(),
            p50_ms: outcome.percentile(50.0) * 1e3,
            p95_ms: outcome.percentile(PERCENTILE) * 1e3,
            p99_ms: outcome.percentile(99.0) * 1e3,
            processors: self.rate * (engine_processor + nodes_processor) / MAX_PROCESSOR_LOAD,
            engine_memory: engine.map_or(0.0, |engine| engine.memory),
            here: std::thread::available_parallelism().map_or(1, usize::from),
        })
    }
}

impl Measurement {
    /// The memory of one of a node's workers, in bytes: of the largest.
    fn memory(&self, node: &Node) -> f64 {
        let workers =
            self.usage.processes.iter().filter(|process| process.node.as_deref() == Some(node.name.as_str()));
        workers.map(|worker| worker.memory).fold(0.0, f64::max)
    }
}

/// Whether a request counts: it came after the warm-up, was answered, and each handler was called once.
fn is_sample(record: &RequestRecord, since: i64) -> bool {
    let is_whole =
        record.hops_left_out == 0 && record.hops.iter().all(|hop| hop.ending == HopEnding::Returned);
    record.ending == Ending::Answered && record.start >= since && is_whole
}

/// The nodes that the requests pass through, each once.
fn nodes<'a>(records: &[RequestRecord], version: &'a Version) -> Result<Vec<&'a Node>> {
    let mut nodes: Vec<&Node> = Vec::new();
    for hop in records.iter().flat_map(|record| &record.hops) {
        if nodes.iter().any(|known| known.name == hop.node) {
            continue;
        }
        let node = version.nodes.iter().find(|node| node.name == hop.node);
        let node =
            node.ok_or_else(|| error!("a request passed through `{}`, which the package lacks", hop.node))?;
        ensure!(
            node.run.batch.is_none(),
            "the model does not know nodes with `batch`, such as `{}`", node.name;
            hint: "measure with `krt bench --rate`"
        );
        nodes.push(node);
    }
    Ok(nodes)
}

/// A request as the model has it. A worker that computes for a message longer than its handler takes, to decode and encode, has no time
/// for others meanwhile.
fn request(record: &RequestRecord, nodes: &[&Node], processor: &[f64], network: f64) -> Request {
    let call = |hop: &Hop| {
        let index = nodes.iter().position(|node| node.name == hop.node).expect("each node is listed");
        (index, seconds(u64::try_from(hop.end - hop.start).unwrap_or(0)).max(processor[index]))
    };
    let calls: Vec<_> = record.hops.iter().map(call).collect();
    let handled: f64 = calls.iter().map(|(_, time)| time).sum();
    // Work may go on after an early reply.
    Request { rest: (seconds(record.elapsed) - handled).max(0.0) + network, calls }
}

fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}

/// The processor time of a node's workers for each call, in seconds.
fn processor_per_call(measurement: &Measurement, node: &Node) -> f64 {
    let is_own = |name: Option<&str>| name == Some(node.name.as_str());
    let workers = measurement.usage.processes.iter().filter(|process| is_own(process.node.as_deref()));
    let processors: f64 = workers.map(|process| process.processors).sum();
    let calls = measurement
        .usage
        .nodes
        .iter()
        .find(|usage| is_own(Some(&usage.node)))
        .map_or(0.0, |usage| usage.calls);
    if calls > 0.0 { processors * measurement.time.as_secs_f64() / calls } else { 0.0 }
}

/// The messages that a replica handles at a time without slowing down others: as many as its concurrency. Where sources run as they
/// are, one thread at a time computes, and more than its time allows would wait for it.
fn slots(node: &Node, handler: f64, processor: f64) -> usize {
    let concurrency = usize::from(node.run.concurrency);
    let is_interpreted = node.language.is_some_and(|language| language.compiled().is_none());
    if !is_interpreted || processor <= 0.0 {
        return concurrency;
    }
    ((handler / processor).floor() as usize).clamp(1, concurrency)
}
