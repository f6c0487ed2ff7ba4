//! `krt call`: calls an RPC with JSON, on a running server or on a package started for the call.
//!
//! - [`package`]: starts a package for a command that calls it.
//! - [`requests`]: reads requests.
//! - [`start`]: waits for a service that is starting.
//!
//! `krt bench` calls services by the same parts.

pub(in crate::commands) mod package;
pub(in crate::commands) mod requests;
pub(in crate::commands) mod start;

use crate::{
    client::{Address, Client, Header, Methods, Trust, describe, example, is_starting, title, will_describe},
    error::{Error, Result, ensure, error},
    exit, output,
    service::{ServiceArgs, block_on},
    terminal,
    values::{duration, hinted},
};
use clap::Args;
use krt_model::hint;
use krt_runtime::json::{self, Format};
use package::Running;
use prost_reflect::MethodDescriptor;
use requests::Source;
use serde_json::value::RawValue;
use start::Start;
use std::{path::PathBuf, process::ExitCode, time::Duration};
use tonic::Status;

/// The arguments of `krt call`.
#[derive(Debug, Args)]
#[command(
    mut_arg("log_level", |arg| arg.default_value("warn")),
    after_help = "\
Examples:
  krt call                                     list the methods
  krt call Greet '{\"name\": \"Ada\"}'
  krt call Greet @requests.jsonl --keep-going  one answer a line
  krt call --package . Greet '{\"name\": \"Ada\"}'

Prints answers to standard output, each message of a stream when it comes, and errors to standard
error. The exit code is 0 only if every call was answered. The command learns the server's methods
by gRPC reflection.

Waits at most --timeout for a server, or --package, that is starting. Other failures end the
command at once.

The options under Configuration, Nodes, Limits, Data and Logs are those of `krt run`, for
--package."
)]
pub(crate) struct CallArgs {
    /// RPC: Greet, Entrypoint/Greet or greeter.Entrypoint/Greet; without it, lists all RPCs
    method: Option<String>,

    /// Request as JSON, @FILE, or - for standard input; several requests are sent one after another
    #[arg(value_name = "JSON", default_value = "{}", allow_hyphen_values = true)]
    request: Source,

    /// Server: HOST:PORT, http://HOST:PORT, or https://HOST:PORT for TLS
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9000")]
    address: Address,

    #[command(flatten)]
    trust: Trust,

    /// Start this package for the call and stop it afterwards
    #[arg(long, value_name = "PATH", conflicts_with = "address")]
    package: Option<PathBuf>,

    /// Show methods with their types and an example request; call nothing
    #[arg(long)]
    list: bool,

    /// Deadline of each call, which is also sent to the server, and time to wait for a service that is
    /// starting
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,

    /// Send metadata; the VALUE is base64 if the NAME ends in -bin
    #[arg(short = 'H', long = "header", value_name = "NAME:VALUE", value_parser = hinted::<Header>)]
    headers: Vec<Header>,

    /// Continue with the next request if one fails
    #[arg(long)]
    keep_going: bool,

    /// Also print fields that have their default value
    #[arg(long)]
    emit_defaults: bool,

    /// Folder for the package's measurements, documents and logs [default: none]
    #[arg(long, value_name = "DIR", requires = "package", help_heading = "Data")]
    data: Option<PathBuf>,

    #[command(flatten)]
    service: ServiceArgs,
}

/// How the command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Answered,
    Failed,
    Interrupted,
}

/// Calls a method, or lists methods.
pub(crate) fn execute(args: &CallArgs) -> Result<ExitCode> {
    let done = block_on(async {
        match &args.package {
            None => work(args, args.address.clone()).await,
            Some(path) => {
                let work = async |running: Running| {
                    tokio::select! {
                        done = work(args, running.address.into()) => done,
                        () = running.interrupted.cancelled() => Ok(Outcome::Interrupted),
                    }
                };
                let start = Start::of(format!("`{}`", path.display()), args.timeout);
                let done = package::with(&args.service, path, args.data.as_deref(), &start, work).await;
                done.map(|done| done.unwrap_or(Outcome::Interrupted))
            }
        }
    })?;
    Ok(match done {
        Outcome::Answered => exit::SUCCESS,
        Outcome::Failed => exit::FAILURE,
        Outcome::Interrupted => exit::INTERRUPTED.into(),
    })
}

async fn work(args: &CallArgs, address: Address) -> Result<Outcome> {
    let client = Client::connect(address, &args.trust, args.headers.clone()).await?;
    let mut start = Start::of(client.address().to_string(), args.timeout);
    let methods = methods(&client, &mut start).await?;
    match &args.method {
        Some(name) if !args.list => {
            Calls { args, client: &client, method: methods.find(name)?, start }.run().await
        }
        name => {
            list(&methods, name.as_deref())?;
            Ok(Outcome::Answered)
        }
    }
}

/// Fetches the methods; retries until the server has started.
pub(in crate::commands) async fn methods(client: &Client, start: &mut Start) -> Result<Methods> {
    loop {
        match client.methods().await {
            Err(error) if will_describe(&error) => {
                if !start.pause().await {
                    return Err(error.hint(start.hint()));
                }
            }
            methods => {
                start.ended();
                return methods;
            }
        }
    }
}

fn list(methods: &Methods, name: Option<&str>) -> Result<()> {
    if let Some(name) = name {
        return output::print(&entry(methods.find(name)?));
    }
    let entries: Vec<_> = methods.own().map(entry).collect();
    ensure!(!entries.is_empty(), "the server has no methods of its own");
    output::print(&entries.join("\n"))
}

/// Formats a method, followed by an example request.
fn entry(method: &MethodDescriptor) -> String {
    let (input, output) = (method.input(), method.output());
    let stream = |streams| if streams { "stream " } else { "" };
    format!(
        "{} ({}{}) returns ({}{})\n    {}",
        title(method),
        stream(method.is_client_streaming()),
        input.full_name(),
        stream(method.is_server_streaming()),
        output.full_name(),
        example(&input)
    )
}

/// Sequential calls of one method.
struct Calls<'a> {
    args: &'a CallArgs,
    client: &'a Client,
    method: &'a MethodDescriptor,
    start: Start,
}

impl Calls<'_> {
    async fn run(&mut self) -> Result<Outcome> {
        let mut requests = self.args.request.open()?;
        let mut done = Outcome::Answered;
        let mut number = 0;
        while let Some(request) = requests.recv().await {
            number += 1;
            let request = request.map_err(|error| {
                let refused = error!("request {number} is not JSON: {error}");
                let is_encoding = error.to_string().contains("unicode code point");
                if is_encoding { refused.hint("save it as UTF-8") } else { refused }
            })?;
            match self.call(&request).await {
                Ok(()) => {}
                Err(error) if error.is::<output::ClosedPipe>() => return Err(error),
                Err(error) => {
                    terminal::print_error(&self.numbered(number, error));
                    done = Outcome::Failed;
                    if !self.args.keep_going {
                        break;
                    }
                }
            }
        }
        ensure!(number > 0, "there is no request"; hint: "the empty request is {{}}");
        Ok(done)
    }

    /// Calls the method, and prints the answer, or the messages of a stream as they come.
    async fn call(&mut self, request: &RawValue) -> Result<()> {
        let input = self.method.input();
        let message =
            json::parse(&input, request.get().as_bytes(), json::Bounds::none()).map_err(|error| {
                error!("the request is {}", hint::messages(&error); hint: "all its fields are {}", example(&input))
            })?;
        let (client, method, timeout) = (self.client, self.method, self.args.timeout);
        if !method.is_server_streaming() {
            let answer =
                self.when_started(async || client.call(method, message.clone(), timeout).await).await?;
            return output::print_json(&self.format_answer(&answer)?);
        }
        let mut messages =
            self.when_started(async || client.stream(method, message.clone(), timeout).await).await?;
        while let Some(message) = messages.next().await.map_err(|status| Error::new(describe(&status)))? {
            output::print_json(&self.format_answer(&message)?)?;
        }
        Ok(())
    }

    /// Makes a call; retries until the service has started.
    async fn when_started<T>(&mut self, call: impl AsyncFn() -> Result<T, Status>) -> Result<T> {
        loop {
            match call().await {
                Err(status) if is_starting(&status) => {
                    if !self.start.pause().await {
                        return Err(error!("{}", describe(&status); hint: "{}", self.start.hint()));
                    }
                }
                answer => {
                    self.start.ended();
                    return answer.map_err(|status| Error::new(describe(&status)));
                }
            }
        }
    }

    fn format_answer(&self, answer: &[u8]) -> Result<String> {
        let format =
            Format { defaults: self.args.emit_defaults, indent: output::is_terminal(), ..Format::WIRE };
        let json = json::write(&self.method.output(), answer, format, json::Bounds::none());
        let json = json.map_err(|error| error!("the answer is {}", hint::messages(&error)))?;
        Ok(String::from_utf8(json.into())?)
    }

    /// Adds the request's number to an error, if there may be several requests.
    fn numbered(&self, number: usize, error: Error) -> Error {
        match self.args.request {
            Source::Text(_) if number == 1 => error,
            _ => error.context(format!("request {number}")),
        }
    }
}
