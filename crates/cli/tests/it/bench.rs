//! `krt bench` on servers and packages.

use crate::{
    package::GREETER,
    shop::{Reflection, Shop},
    support::{CommandOutput, Folder, Service, krt, run_with, signal},
};
use rustix::process::Signal;
use serde_json::Value;
use std::{fs, io::Read as _, process::Stdio, thread, time::Duration};

const TEA: &str = r#"{"item": "tea", "count": 2}"#;

fn bench(shop: &Shop, arguments: &[&str]) -> CommandOutput {
    let mut command = krt();
    command.arg("bench").args(["--address", &shop.address.to_string()]).args(arguments);
    run_with(command, "")
}

/// The report, and the exit code.
fn report(shop: &Shop, arguments: &[&str]) -> (Value, Option<i32>) {
    let ended = bench(shop, &[arguments, &["--json"]].concat());
    let report = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{}", ended.stderr));
    (report, ended.code)
}

fn error(shop: &Shop, arguments: &[&str]) -> String {
    let ended = bench(shop, arguments);
    assert_eq!(&*ended.stdout, "", "{arguments:?}");
    assert_ne!(ended.code, Some(0), "{arguments:?}");
    ended.stderr
}

/// A percentile, in milliseconds.
fn percentile(latency: &Value, percentile: f64) -> f64 {
    let all = latency["percentiles"].as_array().unwrap();
    all.iter().find(|one| one["percentile"] == percentile).unwrap()["ms"].as_f64().unwrap()
}

#[test]
fn a_number_of_requests_is_sent_once_each() {
    let shop = Shop::open(Reflection::BOTH);
    let (report, code) = report(&shop, &["Entrypoint/Price", TEA, "-n", "200", "-c", "8", "--warmup", "0"]);
    let server = &report["servers"][0];
    assert_eq!((code, shop.calls()), (Some(0), 200));
    assert_eq!((&report["method"], &report["connections"]), (&"shop.v1.Entrypoint/Price".into(), &8.into()));
    assert_eq!((&server["answered"], &server["failed"]), (&200.into(), &0.into()), "{report}");
    let (rate, seconds) = (server["per_second"].as_f64().unwrap(), server["seconds"].as_f64().unwrap());
    assert!((rate * seconds - 200.0).abs() < 0.1, "{report}");
    let latency = &server["latency"];
    assert!(latency["min_ms"].as_f64() <= Some(percentile(latency, 50.0)), "{report}");
    assert!(Some(percentile(latency, 99.0)) <= latency["max_ms"].as_f64(), "{report}");
}

#[test]
fn requests_are_sent_in_turn_after_a_warm_up() {
    let shop = Shop::open(Reflection::BOTH);
    let both = r#"{"item": "tea"} {"item": "unknown"}"#;
    let (report, code) = report(&shop, &["Entrypoint/Price", both, "-n", "100", "--warmup", "50ms"]);
    let server = &report["servers"][0];
    assert_eq!((&server["answered"], &server["failed"], code), (&50.into(), &50.into(), Some(1)), "{report}");
    let failure = &server["failures"][0];
    assert_eq!((&failure["code"], &failure["count"]), (&"Internal".into(), &50.into()));
    assert_eq!(failure["message"], "error in 'etl': no such item");
    assert!(shop.calls() > 100, "the warm-up sends some");
}

#[test]
fn a_deadline_is_a_failure() {
    let shop = Shop::open(Reflection::BOTH);
    let never = r#"{"item": "never"}"#;
    let ended = bench(&shop, &["Entrypoint/Price", never, "-n", "2", "--warmup", "0", "--timeout", "100ms"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stdout.contains("2 × DeadlineExceeded: no answer within 0.1 s"), "{}", ended.stdout);
}

/// A server that answers 50 requests a second shows its clients 20 ms as long as they wait for each other. At 200 requests a
/// second, the last of a second has 150 before it.
#[test]
fn a_rate_shows_how_long_requests_wait() {
    let shop = Shop::open(Reflection::BOTH);
    let slow = r#"{"item": "slow"}"#;
    let (alone, code) = report(&shop, &["Entrypoint/Price", slow, "-n", "20", "--warmup", "0"]);
    assert_eq!(code, Some(0), "{alone}");
    let (crowd, code) =
        report(&shop, &["Entrypoint/Price", slow, "--rate", "200", "-d", "1s", "--warmup", "0"]);
    assert_eq!((code, &crowd["rate"], &crowd["clients"]), (Some(0), &200.0.into(), &Value::Null), "{crowd}");
    let median = |report: &Value| percentile(&report["servers"][0]["latency"], 50.0);
    assert!(median(&alone) >= 20.0 && median(&crowd) >= 500.0, "{alone}\n{crowd}");
}

/// Five standard deviations on both sides.
#[test]
fn a_rate_is_kept_on_average() {
    let shop = Shop::open(Reflection::BOTH);
    let (report, code) =
        report(&shop, &["Entrypoint/Price", TEA, "--rate", "400", "-d", "1s", "--warmup", "0"]);
    let answered = report["servers"][0]["answered"].as_u64().unwrap();
    assert!(code == Some(0) && (300..=500).contains(&answered), "{report}");
    assert_eq!(answered, u64::try_from(shop.calls()).unwrap());
}

#[test]
fn streams_count_messages() {
    let shop = Shop::open(Reflection::BOTH);
    let order = r#"{"item": "tea", "count": 5}"#;
    let (report, code) = report(&shop, &["Watch", order, "-n", "20", "--warmup", "0"]);
    let server = &report["servers"][0];
    let messages = server["messages_per_second"].as_f64().unwrap() * server["seconds"].as_f64().unwrap();
    assert!(code == Some(0) && (messages - 100.0).abs() < 0.1, "{report}");
    let first = percentile(&server["first_message"], 50.0);
    assert!(first <= percentile(&server["latency"], 50.0) * 1.001, "{report}");
}

#[test]
fn two_servers_are_compared_in_turn() {
    let (one, other) = (Shop::open(Reflection::BOTH), Shop::open(Reflection::BOTH));
    let address = other.address.to_string();
    let all = ["Entrypoint/Price", TEA, "-d", "500ms", "--warmup", "0", "--compare", &address];
    let (report, code) = report(&one, &all);
    assert_eq!((code, &report["comparison"]["rounds"]), (Some(0), &5.into()), "{report}");
    for (server, shop) in report["servers"].as_array().unwrap().iter().zip([&one, &other]) {
        assert_eq!(server["answered"].as_u64(), u64::try_from(shop.calls()).ok(), "{report}");
        assert!((server["seconds"].as_f64().unwrap() - 0.5).abs() < 0.01, "{report}");
    }
    let ratio = &report["comparison"]["per_second"];
    assert!(ratio["low"].as_f64() <= ratio["median"].as_f64() && ratio["median"].as_f64() > Some(0.0));
}

#[test]
fn an_interrupt_prints_what_was_found() {
    let shop = Shop::open(Reflection::BOTH);
    let mut command = krt();
    command.arg("bench").args(["--address", &shop.address.to_string(), "Entrypoint/Price", TEA, "-d", "1h"]);
    command.args(["--warmup", "0"]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    while shop.calls() < 20 && child.try_wait().unwrap().is_none() {
        thread::sleep(Duration::from_millis(10));
    }
    signal(&child, Signal::INT);
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{text}");
    assert!(
        text.contains("interrupted: the figures are of the time before") && text.contains("p50"),
        "{text}"
    );
}

#[test]
fn a_page_has_the_figures() {
    let (shop, folder) = (Shop::open(Reflection::BOTH), Folder::new(&[]));
    let path = folder.path().join("report.html");
    let written = path.to_str().unwrap();
    let ended = bench(&shop, &["Entrypoint/Price", TEA, "-n", "30", "--warmup", "0", "--report", written]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let page = fs::read_to_string(&path).unwrap();
    assert!(page.contains("<h1>shop.v1.Entrypoint/Price</h1>") && page.contains("30 answered"), "{page}");
    let missing = folder.path().join("none/report.html");
    let refused = error(&shop, &["Entrypoint/Price", TEA, "-d", "1h", "--report", missing.to_str().unwrap()]);
    assert!(
        refused.starts_with("error: cannot write `") && refused.contains("none/report.html"),
        "{refused}"
    );
}

#[test]
fn bad_arguments_are_refused() {
    let shop = Shop::open(Reflection::BOTH);
    let calls = shop.calls();
    for (arguments, expected) in [
        (&["Nothing"][..], "no method `Nothing`"),
        (&["Send"], "takes a stream of requests"),
        (&["Entrypoint/Price", "{\"colour\": 1}"], "request 1 is"),
        (&["Entrypoint/Price", "{"], "the request is not JSON"),
        (&["Entrypoint/Price", ""], "there is no request"),
        (&["Entrypoint/Price", "--rate", "0"], "above 0"),
        (&["Entrypoint/Price", "--rate", "5", "--clients", "2"], "cannot be used with"),
        (&["Entrypoint/Price", "-n", "5", "-d", "1s"], "cannot be used with"),
        (&["Entrypoint/Price", "--metrics", &shop.address.to_string()], "cannot read the metrics at"),
    ] {
        let refused = error(&shop, arguments);
        assert!(refused.contains(expected), "{arguments:?}: {refused}");
    }
    assert_eq!(shop.calls(), calls, "nothing was sent");
}

#[test]
fn the_metrics_of_a_package_show_where_time_goes() {
    let package = Folder::greeter(GREETER);
    let mut command = krt();
    command.args(["bench", "--json", "Greet", r#"{"name": "Ada"}"#, "-n", "100", "--warmup", "0"]);
    command.arg("--package").arg(package.path());
    let ended = run_with(command, "");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    let usage = &report["servers"][0]["usage"];
    assert_eq!((&usage["nodes"][0]["node"], &usage["nodes"][0]["calls"]), (&"greeter".into(), &100.0.into()));
    let parts = usage["nodes"][0]["share"].as_f64().unwrap() + usage["rest"].as_f64().unwrap();
    assert!((parts - 1.0).abs() < 1e-9 && usage["request_ms"].as_f64() > Some(0.0), "{usage}");
    let processes: Vec<_> = usage["processes"].as_array().unwrap().iter().map(|of| &of["node"]).collect();
    assert_eq!(processes, [&Value::Null, &"greeter".into()]);
    assert!(usage["processes"][1]["memory"].as_f64() > Some(1e6), "{usage}");
}

#[test]
fn the_metrics_of_a_running_service_are_read() {
    let package = Folder::greeter(GREETER);
    let mut service = Service::start(package.path(), &["--metrics", "127.0.0.1:0"]);
    let found = |record: &Value| {
        let message = record["message"].as_str().unwrap_or_default();
        let address = message.strip_prefix("metrics are at http://")?.strip_suffix("/metrics")?;
        Some(address.to_owned())
    };
    let metrics = found(&service.wait_for(|record| found(record).is_some())).unwrap();
    let address = service.address().to_string();
    let mut command = krt();
    command.args(["bench", "Greet", r#"{"name": "Ada"}"#, "--address", &address, "--metrics", &metrics]);
    let ended = run_with(
        {
            command.args(["-n", "10", "--warmup", "0"]);
            command
        },
        "",
    );
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended.stdout.contains("handler takes") && ended.stdout.contains("of a processor"),
        "{}",
        ended.stdout
    );
    let (status, _) = service.stop();
    assert!(status.success(), "{status}");
}
