//! `krt run` and `krt call` with a package that has a real Python node.

use crate::support::{CommandOutput, Folder, Service, krt, lines, message, run_with, signal};
use rustix::process::Signal;
use std::{fs, process::Stdio, time::Duration};

pub(crate) const GREETER: &str = "\
import asyncio, pathlib
from public_input_pb2 import Greeting, GreetRequest


async def handler(ctx, data):
    request = GreetRequest()
    data.Unpack(request)
    if not request.name:
        raise ValueError('a name is needed')
    if request.name == 'early':
        await ctx.early_reply(Greeting(text='soon'))
        await asyncio.sleep(0.2)
        pathlib.Path(ctx.path('finished')).write_text('yes')
    if request.name == 'slow':
        ctx.logger.warning('the handler has begun')
        await asyncio.sleep(600)
    return Greeting(text=f'Hello, {request.name}!')
";

/// Runs `krt call` with a package; `temporary` is the folder for temporary files.
fn call(package: &Folder, temporary: &Folder, arguments: &[&str]) -> CommandOutput {
    let mut command = krt();
    command.env("TMPDIR", temporary.path()).args(["call", "--package"]).arg(package.path()).args(arguments);
    run_with(command, "")
}

#[test]
fn a_running_service_answers_and_stops_on_request() {
    let package = Folder::greeter(GREETER);
    let mut service = Service::start(package.path(), &[]);
    let address = service.address().to_string();
    let greet = |json: &str| {
        let mut command = krt();
        command.args(["call", "--address", &address, "Greet", json]);
        run_with(command, "")
    };
    let ended = greet(r#"{"name": "Ada"}"#);
    assert_eq!((ended.code, &*ended.stdout, &*ended.stderr), (Some(0), "{\"text\":\"Hello, Ada!\"}\n", ""));
    let ended = greet("{}");
    assert_eq!((ended.code, &*ended.stdout), (Some(1), ""));
    assert_eq!(ended.stderr, "error: INTERNAL: error in 'greeter': a name is needed\n");
    let record = service.wait_for(|record| record["level"] == "ERROR");
    assert_eq!(record["node"], "greeter");
    assert!(message(&record).ends_with("ValueError: a name is needed"), "{record}");
    let (status, _) = service.stop();
    assert!(status.success(), "{status}");
}

#[test]
fn a_package_is_started_for_one_call() {
    let package = Folder::greeter(GREETER);
    let temporary = Folder::new(&[]);
    let ended = call(&package, &temporary, &["Greet", r#"{"name": "Ada"} {"name": "Bob"}"#]);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    assert_eq!(ended.stdout, "{\"text\":\"Hello, Ada!\"}\n{\"text\":\"Hello, Bob!\"}\n");
    assert_eq!(temporary.names(), [""; 0]);
    assert_eq!(package.names(), ["krt.yml", "public_input.proto", "src"]);

    let ended = call(&package, &temporary, &[]);
    assert_eq!(ended.code, Some(0));
    assert_eq!(
        ended.stdout,
        "greeter.Entrypoint/Greet (greeter.GreetRequest) returns (greeter.Greeting)\n    {\"name\":\"\"}\n"
    );
}

#[test]
fn data_is_kept_in_the_named_folder() {
    let package = Folder::greeter(GREETER);
    let data = Folder::new(&[]);
    let path = data.join("kept");
    let ended = call(&package, &data, &["Greet", r#"{"name": "Ada"}"#, "--data", path.to_str().unwrap()]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(fs::read_dir(&path).unwrap().next().is_some());
}

#[test]
fn failed_calls_print_no_answer() {
    let ended = call(&Folder::greeter(GREETER), &Folder::new(&[]), &["Greet", "--log-format", "pretty"]);
    assert_eq!((ended.code, &*ended.stdout), (Some(1), ""));
    assert!(ended.stderr.contains("ValueError: a name is needed"), "{}", ended.stderr);
    assert!(ended.stderr.contains("error: INTERNAL: error in 'greeter': a name is needed\n"));
    let quiet = ["Greet", "Nonsense"];
    let ended = call(&Folder::greeter(GREETER), &Folder::new(&[]), &quiet);
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
}

#[test]
fn background_work_is_finished_first() {
    let package = Folder::greeter(GREETER);
    let ended = call(&package, &Folder::new(&[]), &["Greet", r#"{"name": "early"}"#]);
    assert_eq!((ended.code, &*ended.stdout), (Some(0), "{\"text\":\"soon\"}\n"), "{}", ended.stderr);
    assert!(package.join("finished").exists());
}

#[test]
fn failed_starts_have_a_reason() {
    let package = Folder::greeter("raise ImportError('no such thing')\n");
    let temporary = Folder::new(&[]);
    let ended = call(&package, &temporary, &["Greet"]);
    assert_eq!((ended.code, &*ended.stdout), (Some(1), ""));
    assert!(ended.stderr.contains("ImportError: no such thing"), "{}", ended.stderr);
    assert_eq!(temporary.names(), [""; 0]);

    let package = Folder::new(&[("krt.yml", "version: 1\n")]);
    let ended = call(&package, &temporary, &["Greet"]);
    assert_eq!((ended.code, &*ended.stdout), (Some(1), ""));
    assert!(ended.stderr.contains("krt.yml:1:1"), "{}", ended.stderr);
}

/// Interrupts a call of `slow` once the package has logged `line`.
fn interrupt_after(package: &Folder, line: &str) {
    let temporary = Folder::new(&[]);
    let mut command = krt();
    command.env("TMPDIR", temporary.path()).args(["call", "--package"]).arg(package.path());
    command.args(["Greet", r#"{"name": "slow"}"#]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let lines = lines(child.stderr.take().unwrap());
    let first = lines.recv_timeout(Duration::from_secs(120)).unwrap();
    assert!(first.contains(line), "{first}");
    signal(&child, Signal::INT);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &*output.stdout), (Some(130), &b""[..]));
    assert_eq!(temporary.names(), [""; 0]);
}

#[test]
fn ctrl_c_stops_a_call_cleanly() {
    interrupt_after(&Folder::greeter(GREETER), "the handler has begun");
}

#[test]
fn ctrl_c_stops_a_starting_package() {
    let main = "\
import asyncio
async def init(ctx):
    ctx.logger.warning('init has begun')
    await asyncio.sleep(600)
async def handler(ctx, data):
    pass
";
    interrupt_after(&Folder::greeter(main), "init has begun");
}
