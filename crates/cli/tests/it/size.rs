//! `krt size`: what it predicts, and what then happens.

use crate::support::{CommandOutput, Folder, krt, run_with};
use serde_json::Value;

/// Takes 20 ms, and almost nothing of the processor.
const SLEEPER: &str = "\
import asyncio
from public_input_pb2 import Greeting, GreetRequest


async def handler(ctx, data):
    request = GreetRequest()
    data.Unpack(request)
    if request.name == 'fail':
        raise ValueError('no such name')
    await asyncio.sleep(0.02)
    return Greeting(text=request.name)
";

fn package(options: &str) -> Folder {
    let package = Folder::greeter(SLEEPER);
    let manifest = std::fs::read_to_string(package.join("krt.yml")).unwrap();
    let with_options = manifest.replace("src: src/main.py\n", &format!("src: src/main.py\n{options}"));
    assert!(options.is_empty() || with_options != manifest, "{manifest}");
    package.write("krt.yml", &with_options);
    package
}

fn krt_on(command: &str, package: &Folder, arguments: &[&str]) -> CommandOutput {
    let mut running = krt();
    running.arg(command);
    match command {
        "bench" => running.args(["Greet", "--package"]).arg(package.path()),
        _ => running.arg(package.path()),
    };
    running.args(arguments);
    run_with(running, "")
}

fn json(ended: &CommandOutput) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{}", ended.stderr))
}

/// Predicts the 95th percentile of two replicas from a measurement of one, and measures it. Both vary by chance, and other work on
/// the machine slows down either: one of three tries must agree.
#[test]
fn a_prediction_for_two_replicas_holds() {
    let (one, two) = (package(""), package("    replicas: 2\n"));
    let mut found = Vec::new();
    for _ in 0..3 {
        let sized = krt_on("size", &one, &["--rate", "60", "--p95", "60ms", "-d", "3s", "--json"]);
        let sized = json(&sized);
        assert_eq!(sized["nodes"][0]["replicas"], 2, "{sized}");
        let predicted = sized["p95_ms"].as_f64().unwrap();
        let measured = json(&krt_on("bench", &two, &["--rate", "60", "-d", "12s", "--json"]));
        let percentiles = measured["servers"][0]["latency"]["percentiles"].as_array().unwrap();
        let p95 = percentiles.iter().find(|one| one["percentile"] == 95.0).unwrap()["ms"].as_f64().unwrap();
        found.push((predicted, p95));
        if (predicted / p95 - 1.0).abs() <= 0.2 {
            return;
        }
    }
    panic!("predicted and measured, in ms: {found:?}");
}

#[test]
fn a_report_names_replicas_and_machines() {
    let ended = krt_on("size", &package(""), &["--rate", "300", "--p95", "100ms", "-d", "2s"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for part in
        ["300 requests a second, 95 of 100 within 100.0 ms", "greeter", "Expect p50 ", "like this one"]
    {
        assert!(ended.stdout.contains(part), "{part}: {}", ended.stdout);
    }
}

/// A coroutine that waits leaves its worker to others.
#[test]
fn concurrency_takes_the_place_of_replicas() {
    let sized = krt_on(
        "size",
        &package("    concurrency: 16\n"),
        &["--rate", "300", "--p95", "100ms", "-d", "2s", "--json"],
    );
    assert_eq!(json(&sized)["nodes"][0]["replicas"], 1, "{}", sized.stdout);
}

#[test]
fn a_limit_below_the_handlers_time_is_impossible() {
    let ended = krt_on("size", &package(""), &["--rate", "5", "--p95", "10ms", "-d", "2s"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stdout.contains("No number of replicas is enough"), "{}", ended.stdout);
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let package = package("");
    for (arguments, expected) in [
        (
            &["--rate", "5", "--p95", "1s", "--request", "{\"name\": \"fail\"}", "-d", "1s"][..],
            "requests failed: Internal",
        ),
        (&["--rate", "5", "--p95", "1s", "-d", "50ms"], "too few to tell"),
        (&["--rate", "5", "--p95", "1s", "--method", "Nothing"], "Nothing"),
        (&["--p95", "1s"], "--rate <N>"),
    ] {
        let refused = krt_on("size", &package, arguments);
        assert!(
            refused.code != Some(0) && refused.stderr.contains(expected),
            "{arguments:?}: {}",
            refused.stderr
        );
    }
}
