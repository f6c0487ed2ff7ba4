//! Values, paths and the environment of the process.

use super::answer;
use conformance::{Answer, Order};
use krt_sdk::{Context, Result, serde_json::json};
use std::{
    env,
    io::{self, Read as _},
};

pub fn kept(ctx: &Context) -> Result<Answer> {
    ctx.set("key", "text");
    let kept = json!([
        *ctx.get::<i32>("from init")?,
        *ctx.get::<&str>("key")?,
        *ctx.get::<f64>("ratio")?,
        *ctx.get::<Option<String>>("reply in init")?,
    ]);
    Ok(answer(kept.to_string()))
}

pub fn calls(ctx: &Context) -> Result<Answer> {
    ctx.set("calls", *ctx.get::<i32>("calls")? + 1);
    Ok(answer(ctx.get::<i32>("calls")?.to_string()))
}

pub fn missing(ctx: &Context) -> Result<Answer> {
    let errors = [ctx.get::<i32>("nowhere").unwrap_err(), ctx.get::<&str>("ratio").err().unwrap()];
    Ok(answer(errors.map(|error| error.to_string()).join(" | ")))
}

pub fn path(ctx: &Context) -> Result<Answer> {
    Ok(answer(json!([ctx.path("models/a.bin"), env::current_dir()?]).to_string()))
}

pub fn stdin() -> Result<Answer> {
    Ok(answer(io::stdin().read(&mut [0])?.to_string()))
}

pub fn request(ctx: &Context) -> Result<Answer> {
    ctx.logger().info("asked for the request");
    Ok(answer(ctx.request_id()?.to_string()))
}

pub fn deadline(ctx: &Context, order: &Order) -> Result<Answer> {
    let left = || ctx.deadline().map_or("None".to_owned(), |left| left.as_secs_f64().to_string());
    if order.text == "reply" {
        ctx.early_reply(answer(String::new()))?;
        ctx.logger().info(format_args!("after the reply: {}", left()));
    }
    Ok(answer(format!("[{}]", left())))
}

pub fn metadata(ctx: &Context) -> Answer {
    let sent = ctx.metadata();
    let hex = |key: &Vec<u8>| key.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let keys: Vec<_> = sent.binary("x-key-bin").iter().map(hex).collect();
    answer(json!([sent.get("x-tenant"), keys, sent.get("x-other")]).to_string())
}
