//! `krt dead`: dead letters of a version that runs over JetStream.

use crate::{
    error::{Context as _, Error, Result, bail, error},
    exit, output,
    service::{NatsArgs, RemoteArgs, RuntimeArgs, block_on},
    terminal,
};
use bytes::Bytes;
use clap::{Args, Subcommand};
use krt_broker::{
    Envelope,
    dead::{DeadLetter, DeadLetters, MAX_LISTED},
};
use krt_model::escape;
use krt_package::Package;
use krt_reader::CancelHandle;
use krt_runtime::json::{self, Bounds, Format};
use serde_json::{Value, json};
use std::{path::PathBuf, process::ExitCode};
use time::{UtcDateTime, format_description::well_known::Rfc3339};

/// The largest message that is shown, bytes.
const MAX_SHOWN: usize = 1 << 30;

/// The arguments of `krt dead`.
#[derive(Debug, Args)]
#[command(after_help = "\
A message becomes a dead letter after --tries deliveries without success, or when its handler
failed after the client had its answer.

Examples:
  krt dead list . --nats nats://10.0.0.1:4222
  krt dead show 7 .
  krt dead retry 7 8 .
  krt dead drop --all .")]
pub(crate) struct DeadArgs {
    #[command(subcommand)]
    action: Action,
}

/// The action on dead letters.
#[derive(Debug, Subcommand)]
enum Action {
    /// List dead letters, oldest first
    List(ListArgs),
    /// Show a dead letter with its message
    Show(ShowArgs),
    /// Send dead letters again to the node that failed to handle them
    Retry(SomeArgs),
    /// Delete dead letters
    Drop(SomeArgs),
}

#[derive(Debug, Args)]
struct WhereArgs {
    #[command(flatten)]
    nats: NatsArgs,

    #[command(flatten)]
    remote: RemoteArgs,

    #[command(flatten)]
    runtime: RuntimeArgs,
}

#[derive(Debug, Args)]
struct ListArgs {
    /// The package: a folder with a krt.yml, or a .krt file
    #[arg(default_value = ".")]
    path: PathBuf,

    /// Print one JSON object per line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    place: WhereArgs,
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// Number of the dead letter
    id: u64,

    /// The package: a folder with a krt.yml, or a .krt file
    #[arg(default_value = ".")]
    path: PathBuf,

    #[command(flatten)]
    place: WhereArgs,
}

#[derive(Debug, Args)]
struct SomeArgs {
    /// Numbers of the dead letters, then the package: a folder with a krt.yml, or a .krt file
    #[arg(value_name = "ID… [PATH]")]
    words: Vec<String>,

    /// All dead letters
    #[arg(long)]
    all: bool,

    #[command(flatten)]
    place: WhereArgs,
}

/// Runs the action.
pub(crate) fn execute(args: &DeadArgs) -> Result<ExitCode> {
    block_on(async {
        match &args.action {
            Action::List(args) => list(args).await,
            Action::Show(args) => show(args).await,
            Action::Retry(args) => some(args, "retried", async |letters, id| letters.retry(id).await).await,
            Action::Drop(args) => some(args, "removed", async |letters, id| letters.drop_one(id).await).await,
        }
    })
}

async fn list(args: &ListArgs) -> Result<ExitCode> {
    let (letters, _) = open(&args.place, &args.path).await?;
    let listed = letters.list().await?;
    if listed.is_empty() {
        terminal::print_note("no message was given up");
        return Ok(exit::SUCCESS);
    }
    let lines: Vec<_> = match args.json {
        true => listed.iter().map(|letter| as_json(letter).to_string()).collect(),
        false => listed.iter().map(as_line).collect(),
    };
    match args.json {
        true => output::print_json(&lines.join("\n"))?,
        false => output::print(&lines.join("\n"))?,
    }
    if listed.len() >= MAX_LISTED {
        terminal::print_note(&format!("there may be more: these are the first {MAX_LISTED}"));
    }
    Ok(exit::SUCCESS)
}

async fn show(args: &ShowArgs) -> Result<ExitCode> {
    let (letters, package) = open(&args.place, &args.path).await?;
    let found = letters.get(args.id).await?;
    let (letter, body) = found.ok_or_else(|| unknown(args.id))?;
    let mut shown = as_json(&letter);
    shown["message"] = message(body, &package);
    output::print_json(&serde_json::to_string_pretty(&shown)?)?;
    Ok(exit::SUCCESS)
}

/// Applies an action to each dead letter, and reports those that failed.
async fn some(
    args: &SomeArgs,
    done: &str,
    act: impl AsyncFn(&DeadLetters, u64) -> Result<bool, krt_broker::Error>,
) -> Result<ExitCode> {
    let (ids, path) = ids_and_path(args)?;
    let (letters, _) = open(&args.place, &path).await?;
    let ids =
        if args.all { letters.list().await?.into_iter().map(|letter| letter.id).collect() } else { ids };
    let mut missing = 0;
    for &id in &ids {
        if act(&letters, id).await? {
            output::print(&format!("{id} {done}"))?;
        } else {
            terminal::print_error(&unknown(id));
            missing += 1;
        }
    }
    Ok(if missing == 0 { exit::SUCCESS } else { exit::FAILURE })
}

fn unknown(id: u64) -> Error {
    error!("no message of the number {id} was given up"; hint: "`krt dead list` shows their numbers")
}

/// Splits words into numbers and an optional path at the end.
fn ids_and_path(args: &SomeArgs) -> Result<(Vec<u64>, PathBuf)> {
    let (path, words) = match args.words.split_last() {
        Some((last, words)) if last.parse::<u64>().is_err() => (PathBuf::from(last), words),
        _ => (PathBuf::from("."), &*args.words),
    };
    let ids: Result<Vec<u64>, _> = words.iter().map(|word| word.parse()).collect();
    let ids = ids.context("expected numbers as `krt dead list` shows them, and then the package's path")?;
    match (ids.is_empty(), args.all) {
        (true, false) => bail!("which?"; hint: "give their numbers, or --all"),
        (false, true) => bail!("both numbers and --all were given"; hint: "one of them"),
        _ => Ok((ids, path)),
    }
}

async fn open(place: &WhereArgs, path: &std::path::Path) -> Result<(DeadLetters, Package)> {
    let package = krt_reader::load(path, &CancelHandle::default())
        .map_err(|error| terminal::package_error(error, path))?;
    let version = &package.version;
    let connection = place.nats.connect(format!("krt dead {}", version.name)).await?;
    let letters = DeadLetters::open(&connection, &place.runtime.namespace(version), &version.name).await?;
    Ok((letters, package))
}

fn as_line(letter: &DeadLetter) -> String {
    let DeadLetter { id, workflow, node, reason, tries, .. } = letter;
    let line = format!("{id}  {}  {workflow}/{node}  tries {tries}  {reason}", time(letter));
    escape::line(&line).into_owned()
}

fn as_json(letter: &DeadLetter) -> Value {
    json!({
        "id": letter.id,
        "time": time(letter),
        "workflow": letter.workflow,
        "node": letter.node,
        "request": letter.request,
        "reason": letter.reason,
        "tries": letter.tries,
        "bytes": letter.size,
    })
}

fn time(letter: &DeadLetter) -> String {
    let date = UtcDateTime::from_unix_timestamp_nanos(letter.time.0.into()).ok();
    date.and_then(|date| date.format(&Rfc3339).ok()).unwrap_or_default()
}

/// Decodes the message, as far as the package has its type.
fn message(body: Bytes, package: &Package) -> Value {
    let envelope = match Envelope::decode(body, MAX_SHOWN) {
        Ok(envelope) => envelope,
        Err(error) => return json!({ "unreadable": error.to_string() }),
    };
    let Some(payload) = envelope.payload else { return Value::Null };
    let text = if payload.type_name() == json::STRUCT {
        json::write_struct(payload.value(), Format { exact: true, ..Format::WIRE }, Bounds::none()).ok()
    } else {
        let kind = package.schema.pool.get_message_by_name(payload.type_name());
        kind.and_then(|kind| json::write(&kind, payload.value(), Format::WIRE, Bounds::none()).ok())
    };
    let value = text.and_then(|text| serde_json::from_slice::<Value>(&text).ok());
    json!({ "type": payload.type_name(), "value": value, "bytes": payload.value().len() })
}
