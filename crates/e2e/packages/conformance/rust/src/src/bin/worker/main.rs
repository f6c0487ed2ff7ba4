//! Does what the request names; each act tries one thing of the context, or one way to end.

mod effects;
mod ends;
mod values;

use conformance::{Answer, Order};
use krt_sdk::{Any, Context, Result, bson::doc, prost::Message as _, prost::Name as _};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process,
    time::Duration,
};

async fn init(ctx: Context) -> Result<()> {
    ctx.set("from init", 41);
    ctx.set("calls", 0_i32);
    ctx.set("ratio", 0.5);
    let error = ctx.early_reply(Answer::default()).err().map(|error| error.to_string());
    ctx.set("reply in init", error);
    ctx.db().save("starts", doc! { "node": "worker" }).await?;
    match env::var_os("FAIL_INIT") {
        Some(_) => Err(format!("no model at {}", ctx.path("models/none.bin").display()).into()),
        None => Ok(()),
    }
}

async fn handler(ctx: Context, order: Order) -> Result<Option<Any>> {
    let answer = match &*order.act {
        "none" => return Ok(None),
        "stream" if ends::stream(&ctx, &order).await? => return Ok(None),
        "stream" => answer(order.text),
        "other_type" => return Ok(Some(packed(Order::full_name(), order.encode_to_vec()))),
        "values" => values::kept(&ctx)?,
        "calls" => values::calls(&ctx)?,
        "missing" => values::missing(&ctx)?,
        "path" => values::path(&ctx)?,
        "request" => values::request(&ctx)?,
        "deadline" => values::deadline(&ctx, &order)?,
        "metadata" => values::metadata(&ctx),
        "environment" => answer(env::var(&order.text).unwrap_or_default()),
        "stdin" => values::stdin()?,
        "echo" => Answer { blob: order.blob.clone(), ..on(&order, order.text.clone()) },
        "save_document" => effects::save_document(&ctx).await?,
        "find_documents" => effects::find_documents(&ctx).await?,
        "wrong" => effects::wrong(&ctx, &order).await?,
        "measure" => effects::measure(&ctx),
        "predict" => effects::predict(&ctx).await?,
        "update" => effects::update(&ctx, &order).await?,
        "speak" => effects::speak(&ctx, &order),
        "reply" => effects::reply(&ctx, &order).await?,
        "old_reply" => effects::old_reply(&ctx, &order)?,
        "reply_twice" => effects::reply_twice(&ctx, &order)?,
        "reply_and_fail" => effects::reply_and_fail(&ctx)?,
        "exit" => effects::exit(&ctx)?,
        "reply_and_exit" => effects::reply_and_exit(&ctx)?,
        "fail" => return Err(order.text.into()),
        "panic" => panic!("{}", order.text),
        "index" => answer([""][order.act.len()].to_owned()),
        "large" => answer("x".repeat(usize::try_from(order.number)?)),
        "exit_process" => process::exit(i32::try_from(order.number)?),
        "abort" => process::abort(),
        "die" => ends::die()?,
        "die_once" => ends::die_once(&order)?,
        "wait" => ends::wait(&order).await?,
        "block" => ends::block(&order)?,
        "watch" => ends::watch(&order).await?,
        "child" => ends::child(&order)?,
        act => return Err(format!("there is no act `{act}`").into()),
    };
    Ok(Some(packed(Answer::full_name(), answer.encode_to_vec())))
}

fn packed(name: String, value: Vec<u8>) -> Any {
    Any { type_url: format!("type.googleapis.com/{name}"), value }
}

fn answer(text: String) -> Answer {
    Answer { text, trail: vec!["worker".to_owned()], process: process::id().into(), ..Answer::default() }
}

/// An answer that tells the last node what to do.
fn on(order: &Order, text: String) -> Answer {
    Answer { then: order.then.clone(), ..answer(text) }
}

/// An early answer.
fn early(text: &str) -> Answer {
    Answer { text: text.to_owned(), ..Answer::default() }
}

fn scratch(name: &str) -> PathBuf {
    Path::new(&env::var_os("E2E_SCRATCH").unwrap_or_default()).join(name)
}

fn put(name: &str, text: &str) -> Result<()> {
    Ok(fs::write(scratch(name), text)?)
}

async fn until(name: &str) {
    while !scratch(name).exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn main() {
    krt_sdk::start(init, handler);
}
