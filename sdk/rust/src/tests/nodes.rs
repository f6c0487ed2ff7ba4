//! The handlers and inits that conversations refer to.

use crate::{
    Any, BatchContext, Context, Error, MetricError, Prediction, Result,
    form::{Node, Work},
};
use bson::{Binary, Bson, DateTime, Document, doc, spec::BinarySubtype};
use serde_json::{Number, Value, json};
use std::{
    str::FromStr as _,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};
use tokio::{sync::Notify, task::JoinHandle};

pub(super) const HANDLERS: [&str; 38] = [
    "echo",
    "same",
    "error",
    "crash",
    "none",
    "large",
    "early",
    "log",
    "late",
    "measure",
    "measure_badly",
    "save",
    "save_kinds",
    "save_nowhere",
    "copy",
    "find_everything",
    "predict",
    "predict_later",
    "predict_wrongly",
    "path",
    "trace",
    "request_id",
    "deadline",
    "metadata",
    "kept",
    "wait",
    "stream",
    "plain_stream",
    "plain_same",
    "plain_none",
    "plain_early",
    "plain_unfit",
    "batch",
    "batch_wait",
    "batch_request_id",
    "batch_deadline",
    "batch_metadata",
    "plain_batch",
];

pub(super) const INITS: [&str; 4] = ["keep", "save", "fail", "reply"];

/// 2024-02-29 12:30:15.25 UTC, in milliseconds since the Unix epoch.
const DAY: u64 = 1_709_209_815_250;

type Init = fn(Context) -> Work<()>;

/// The node with these two functions.
pub(super) fn node(init: Option<&str>, handler: &str) -> Result<Node, String> {
    assert!(HANDLERS.contains(&handler), "there is no handler `{handler}`");
    let init: Init = match init {
        None => |ctx| Box::pin(crate::no_init(ctx)),
        Some("keep") => |ctx| {
            Box::pin(async move {
                ctx.logger().info("in init");
                ctx.set("word", "kept".to_owned());
                Ok(())
            })
        },
        Some("save") => |ctx| Box::pin(async move { ctx.db().save("starts", doc! { "n": 1 }).await }),
        Some("fail") => |_| Box::pin(async { Err("no model".into()) }),
        Some("reply") => |ctx| Box::pin(async move { ctx.early_reply("early".to_owned()) }),
        Some(other) => return Err(format!("there is no init `{other}`")),
    };
    Ok(match handler {
        "same" => Node::new(init, async |_: Context, data: Any| Ok::<_, Error>(data)),
        "none" => Node::new(init, async |_: Context, _: String| Ok::<Option<String>, Error>(None)),
        "late" => {
            let left = Arc::new(Left::default());
            Node::new(init, move |ctx: Context, word: String| late(ctx, word, Arc::clone(&left)))
        }
        "stream" => Node::new(init, stream),
        "plain_stream" => Node::new(init, plain_stream),
        "plain_same" => Node::new(init, async |_: Context, data: Value| Ok::<_, Error>(data)),
        "plain_none" => Node::new(init, async |_: Context, _: Value| Ok::<Option<Value>, Error>(None)),
        "plain_early" => Node::new(init, plain_early),
        "plain_unfit" => Node::new(init, plain_unfit),
        "batch" => Node::of_batches(init, batch),
        "batch_wait" => Node::of_batches(init, batch_wait),
        "batch_request_id" => Node::of_batches(init, batch_request_id),
        "batch_deadline" => Node::of_batches(init, batch_deadline),
        "batch_metadata" => Node::of_batches(init, batch_metadata),
        "plain_batch" => Node::of_batches(init, plain_batch),
        name => {
            let name = name.to_owned();
            Node::new(init, move |ctx: Context, text: String| act(name.clone(), ctx, text))
        }
    })
}

async fn act(name: String, ctx: Context, text: String) -> Result<String> {
    match name.as_str() {
        "echo" => {}
        "error" => return Err(text.into()),
        "crash" if text == "crash" => return Ok(Vec::<String>::new().remove_at(3)),
        "large" => return Ok("x".repeat(text.parse()?)),
        "early" => return early(&ctx, &text),
        "log" => {
            ctx.logger().debug(format_args!("debug {text}"));
            ctx.logger().info(format_args!("info {text}"));
            ctx.logger().warn(format_args!("warn {text}"));
            ctx.logger().error(format_args!("error {text}"));
        }
        "measure" => ctx.measurement().save(
            "estimates",
            [
                ("count", 3.into()),
                ("price", 0.5.into()),
                ("sold", true.into()),
                ("text", "a \"b\" é".into()),
                ("whole", 2.0.into()),
            ],
            [("kind", "flat")],
        ),
        "measure_badly" => {
            let bad = [("good", 1.into()), ("map", json!({})), ("nan", f64::NAN.into())];
            ctx.measurement().save("estimates", bad, []);
            ctx.measurement().save("", [("good", 1.into())], []);
            ctx.measurement().save("empty", [], []);
        }
        "save" => ctx.db().save("things", doc! { "text": &text }).await?,
        "save_kinds" => ctx.db().save("kinds", kinds()).await?,
        "save_nowhere" => ctx.db().save("", doc! { "n": 1 }).await?,
        "copy" => {
            let found: Vec<Document> = ctx.db().find("things", doc! { "kind": &text }).await?;
            for document in &found {
                ctx.db().save("copies", document).await?;
            }
            return Ok(found.len().to_string());
        }
        "find_everything" => drop(ctx.db().find::<Document>("things", doc! {}).await?),
        "predict" => {
            let date = SystemTime::UNIX_EPOCH + Duration::from_millis(DAY);
            ctx.prediction().save(Prediction::new("cat", "dog").at(date)).await?;
        }
        "predict_later" => {
            let date = SystemTime::UNIX_EPOCH + Duration::from_millis(DAY);
            ctx.prediction().save(Prediction::pending("cat").at(date)).await?;
            ctx.prediction().update(&text, "dog").await?;
        }
        "predict_wrongly" => {
            let lacking = [Prediction::new("", "dog"), Prediction::new("cat", "")];
            for prediction in lacking {
                tell(&ctx, ctx.prediction().save(prediction).await);
            }
            tell(&ctx, MetricError::from_str("other"));
            tell(&ctx, ctx.prediction().save(Prediction::pending("")).await);
            for (request, truth) in [("", "dog"), ("r-1", "")] {
                tell(&ctx, ctx.prediction().update(request, truth).await);
            }
        }
        "path" => return Ok(ctx.path(text).display().to_string()),
        "trace" => {
            let headers = ctx.trace_headers().into_iter();
            let headers: Vec<_> = headers.map(|(name, value)| format!("{name}={value}")).collect();
            return Ok(headers.join(" "));
        }
        "request_id" => return Ok(ctx.request_id()?.to_string()),
        "deadline" => {
            if text == "reply" {
                ctx.early_reply(left_until(ctx.deadline()))?;
            }
            return Ok(left_until(ctx.deadline()));
        }
        "metadata" => {
            let lines: Vec<_> = text.split_whitespace().map(|name| sent(&ctx, name)).collect();
            return Ok(lines.join("\n"));
        }
        "kept" => return Ok(ctx.get::<String>("word")?.to_string()),
        "wait" => {
            ctx.logger().info("waiting");
            std::future::pending::<()>().await;
        }
        _ => {}
    }
    Ok(text)
}

async fn batch(ctx: BatchContext, texts: Vec<String>) -> Result<Vec<Result<Option<String>>>> {
    ctx.logger().info("together");
    let has = |word: &str| texts.iter().any(|text| text == word);
    if has("fail") {
        return Err("poison".into());
    }
    let answered = texts.len() - usize::from(has("few"));
    let items = ctx.items().iter().zip(&texts).take(answered);
    Ok(items.map(|(own, text)| item(own, text, texts.len())).collect())
}

/// The answer to one item of a batch.
fn item(ctx: &Context, text: &str, count: usize) -> Result<Option<String>> {
    match text {
        "error" => return Err("no".into()),
        "none" => return Ok(None),
        _ => ctx.logger().info(text),
    }
    match text {
        "reply" => ctx.early_reply("early".to_owned())?,
        "exit" => ctx.early_exit()?,
        _ => {}
    }
    Ok(Some(format!("{text} of {count}")))
}

async fn batch_wait(ctx: BatchContext, _: Vec<String>) -> Result<Vec<Result<String>>> {
    ctx.logger().info("waiting");
    std::future::pending().await
}

async fn batch_request_id(ctx: BatchContext, _: Vec<String>) -> Result<Vec<Result<String>>> {
    Ok(ctx.items().iter().map(|own| Ok(own.request_id()?.to_string())).collect())
}

async fn batch_deadline(ctx: BatchContext, _: Vec<String>) -> Result<Vec<Result<String>>> {
    Ok(ctx.items().iter().map(|own| Ok(left_until(own.deadline()))).collect())
}

/// A word for a deadline.
fn left_until(left: Option<Duration>) -> String {
    let word = match left {
        None => "none",
        Some(Duration::ZERO) => "past",
        Some(_) => "left",
    };
    word.to_owned()
}

async fn batch_metadata(ctx: BatchContext, names: Vec<String>) -> Result<Vec<Result<String>>> {
    Ok(ctx.items().iter().zip(&names).map(|(own, name)| Ok(sent(own, name))).collect())
}

/// What the client sent under a name, as a line.
fn sent(ctx: &Context, name: &str) -> String {
    let metadata = ctx.metadata();
    let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let bytes: Vec<_> = metadata.binary(name).into_iter().map(hex).collect();
    match metadata.get(name) {
        Some(value) => format!("{value} ({})", metadata.all(name).len()),
        None if bytes.is_empty() => "none".to_owned(),
        None => bytes.join(","),
    }
}

async fn plain_batch(_: BatchContext, data: Vec<Value>) -> Result<Vec<Result<Value>>> {
    let count = data.len() as u64;
    let add = |item: Value| Ok(json!({ "n": item["n"].as_u64().ok_or("`n` is no number")? + count }));
    Ok(data.into_iter().map(add).collect())
}

fn early(ctx: &Context, words: &str) -> Result<String> {
    for word in words.split_whitespace() {
        match word {
            "reply" => ctx.early_reply("early".to_owned())?,
            "exit" => ctx.early_exit()?,
            other => return Err(format!("`{other}` is no word").into()),
        }
    }
    Ok("done".to_owned())
}

async fn stream(ctx: Context, words: String) -> Result<Option<String>> {
    for word in words.split_whitespace() {
        match word {
            "fail" => return Err("no more".into()),
            "last" => return Ok(Some(word.to_owned())),
            "reply" => ctx.early_reply("early".to_owned())?,
            word => ctx.send(word.to_owned()).await?,
        }
    }
    Ok(None)
}

async fn plain_stream(ctx: Context, data: Value) -> Result<Option<Value>> {
    for n in 1..=data["count"].as_u64().ok_or("`count` is no number")? {
        ctx.send(json!({ "n": n })).await?;
    }
    Ok(None)
}

async fn plain_early(ctx: Context, data: Value) -> Result<Value> {
    for word in data["do"].as_array().ok_or("`do` is no list")? {
        match word.as_str() {
            Some("reply") => ctx.early_reply(json!({ "text": "early" }))?,
            Some("exit") => ctx.early_exit()?,
            _ => return Err(format!("`{word}` is no word").into()),
        }
    }
    Ok(json!({ "text": "done" }))
}

async fn plain_unfit(_: Context, data: Value) -> Result<Value> {
    let price = match data["what"].as_str() {
        Some("nothing") => Value::Null,
        _ => Number::from_f64(f64::NAN).ok_or("field `items[1].price` is not a number")?.into(),
    };
    Ok(json!({ "items": [{ "price": 1.5 }, { "price": price }] }))
}

fn tell<T>(ctx: &Context, done: Result<T>) {
    if let Err(error) = done {
        ctx.logger().error(error);
    }
}

fn kinds() -> Document {
    let date = DateTime::from_millis(i64::try_from(DAY).unwrap());
    let binary = Binary { subtype: BinarySubtype::Generic, bytes: vec![0, 255] };
    doc! {
        "binary": binary, "date": date, "deep": { "list": [1, 1.0, "1", [], {}] }, "false": false,
        "infinity": f64::INFINITY, "large": 9_007_199_254_740_993_i64, "negative": -1, "nothing": Bson::Null,
        "real": 0.5, "text": "é", "whole": 2.0,
    }
}

/// The state that `late` leaves behind.
#[derive(Default)]
struct Left {
    release: Arc<Notify>,
    task: Mutex<Option<JoinHandle<()>>>,
}

async fn late(ctx: Context, word: String, left: Arc<Left>) -> Result<String> {
    if word == "leave" {
        let release = Arc::clone(&left.release);
        let task = tokio::spawn(async move {
            release.notified().await;
            ctx.logger().info("late");
        });
        *left.task.lock().unwrap() = Some(task);
    } else {
        left.release.notify_one();
        let task = left.task.lock().unwrap().take();
        task.ok_or("nothing was left")?.await?;
    }
    Ok(word)
}

/// Removes an element with an off-by-one panic, like a mistake in a program.
trait RemoveAt<T> {
    fn remove_at(self, index: usize) -> T;
}

impl<T: Clone> RemoveAt<T> for Vec<T> {
    fn remove_at(self, index: usize) -> T {
        self[index].clone()
    }
}
