//! `krt call`: calls an RPC with JSON, of a running server or of a package started for it.
//!
//! - [`package`]: a package that is started for one call.
//! - [`requests`]: where requests come from.

mod package;
mod requests;

use crate::{
    client::{Address, Client, Header, Methods, Trust, example, tell, title},
    exit, output,
    service::{ServiceArgs, block_on},
    terminal,
    values::seconds,
};
use anyhow::{anyhow, ensure};
use clap::Args;
use krt_runtime::{errors::chain, json};
use prost_reflect::{DynamicMessage, MethodDescriptor, SerializeOptions};
use requests::Source;
use serde_json::value::RawValue;
use std::{path::PathBuf, process::ExitCode, time::Duration};

/// What `krt call` takes.
#[derive(Debug, Args)]
#[command(
    mut_arg("log_level", |arg| arg.default_value("warn")),
    after_help = "\
Examples:
  krt call                                     show what can be called
  krt call Greet '{\"name\": \"Ada\"}'
  krt call Greet @requests.jsonl --keep-going  one answer a line
  krt call --package . Greet '{\"name\": \"Ada\"}'

The answer is printed to standard output, errors to standard error; the exit code is 0 only if
every call was answered. The server is asked for its methods by gRPC reflection.

The options under Configuration, Nodes, Limits, Data and Logs are those of `krt run`, for --package."
)]
pub(crate) struct CallArgs {
    /// The RPC: Greet, Entrypoint/Greet or greeter.Entrypoint/Greet; without it, all are listed
    method: Option<String>,

    /// The request as JSON, or @FILE, or - for standard input; several are called one after another
    #[arg(value_name = "JSON", default_value = "{}", allow_hyphen_values = true)]
    request: Source,

    /// The server: HOST:PORT, http://HOST:PORT, or https://HOST:PORT for TLS
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9000")]
    address: Address,

    #[command(flatten)]
    trust: Trust,

    /// Start this package for the call, and stop it afterwards
    #[arg(long, value_name = "PATH", conflicts_with = "address")]
    package: Option<PathBuf>,

    /// Show methods with their types and an example of a request, and call nothing
    #[arg(long)]
    list: bool,

    /// How long each call may take; the server is told, too
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    timeout: Option<Duration>,

    /// Send metadata; of a NAME that ends in -bin, the VALUE is base64
    #[arg(short = 'H', long = "header", value_name = "NAME:VALUE")]
    headers: Vec<Header>,

    /// Go on with the next request when one fails
    #[arg(long)]
    keep_going: bool,

    /// Print fields that have their default value, too
    #[arg(long)]
    emit_defaults: bool,

    /// Where the package keeps measurements, documents and logs [default: nowhere]
    #[arg(long, value_name = "DIR", requires = "package", help_heading = "Data")]
    data: Option<PathBuf>,

    #[command(flatten)]
    service: ServiceArgs,
}

/// How the work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    Answered,
    Failed,
    Interrupted,
}

/// Calls, or lists.
pub(crate) fn execute(args: &CallArgs) -> anyhow::Result<ExitCode> {
    let done = block_on(async {
        match &args.package {
            None => work(args, args.address.clone()).await,
            Some(path) => {
                let work = async |address: std::net::SocketAddr| work(args, address.into()).await;
                package::with(&args.service, path, args.data.as_deref(), work).await
            }
        }
    })?;
    Ok(match done {
        Done::Answered => exit::SUCCESS,
        Done::Failed => exit::FAILURE,
        Done::Interrupted => exit::INTERRUPTED.into(),
    })
}

async fn work(args: &CallArgs, address: Address) -> anyhow::Result<Done> {
    let client = Client::connect(address, &args.trust, args.headers.clone()).await?;
    let methods = client.methods().await?;
    match &args.method {
        Some(name) if !args.list => Calls { args, client: &client, method: methods.find(name)? }.run().await,
        name => {
            list(&methods, name.as_deref())?;
            Ok(Done::Answered)
        }
    }
}

fn list(methods: &Methods, name: Option<&str>) -> anyhow::Result<()> {
    if let Some(name) = name {
        return output::print(&entry(methods.find(name)?));
    }
    let entries: Vec<_> = methods.own().map(entry).collect();
    ensure!(!entries.is_empty(), "the server has no methods of its own");
    output::print(&entries.join("\n"))
}

/// A method, and below it an example of a request.
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

/// Calls of one method, one after another.
struct Calls<'a> {
    args: &'a CallArgs,
    client: &'a Client,
    method: &'a MethodDescriptor,
}

impl Calls<'_> {
    async fn run(&self) -> anyhow::Result<Done> {
        let mut requests = self.args.request.open()?;
        let mut done = Done::Answered;
        let mut number = 0;
        while let Some(request) = requests.recv().await {
            number += 1;
            let request = request.map_err(|error| anyhow!("request {number} is not JSON: {error}"))?;
            match self.call(&request).await {
                Ok(answer) => output::print(&self.shown(&answer)?)?,
                Err(error) => {
                    terminal::print_error(&self.numbered(number, error));
                    done = Done::Failed;
                    if !self.args.keep_going {
                        break;
                    }
                }
            }
        }
        ensure!(number > 0, "there is no request; hint: the empty request is {{}}");
        Ok(done)
    }

    async fn call(&self, request: &RawValue) -> anyhow::Result<DynamicMessage> {
        let input = self.method.input();
        let message = json::read(&input, request.get().as_bytes()).map_err(|error| {
            anyhow!("the request is {}\nhint: all its fields are {}", chain(&error), example(&input))
        })?;
        let answer = self.client.call(self.method, message, self.args.timeout).await;
        answer.map_err(|status| anyhow!(tell(&status)))
    }

    fn shown(&self, answer: &DynamicMessage) -> anyhow::Result<String> {
        let options = SerializeOptions::new().skip_default_fields(!self.args.emit_defaults);
        let mut json = Vec::new();
        let written = if output::is_terminal() {
            answer.serialize_with_options(&mut serde_json::Serializer::pretty(&mut json), &options)
        } else {
            answer.serialize_with_options(&mut serde_json::Serializer::new(&mut json), &options)
        };
        written.map_err(|error| {
            let output = self.method.output();
            anyhow!("the answer, a {}, cannot be shown as JSON: {error}", output.full_name())
        })?;
        Ok(String::from_utf8(json)?)
    }

    /// Says which request failed, where there may be several.
    fn numbered(&self, number: usize, error: anyhow::Error) -> anyhow::Error {
        match self.args.request {
            Source::Text(_) if number == 1 => error,
            _ => error.context(format!("request {number}")),
        }
    }
}
