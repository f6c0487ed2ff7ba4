//! Does what the request names, with plain data.

use krt_sdk::{
    Context, Result,
    serde_json::{Value, json},
};

async fn handler(ctx: Context, order: Value) -> Result<Value> {
    Ok(match order["act"].as_str().unwrap_or_default() {
        "greet" => json!({ "text": format!("Hello {}!", order["text"].as_str().unwrap_or_default()) }),
        "back" => json!({ "text": order["text"], "blob": order["blob"], "process": order["number"] }),
        "on" => {
            json!({ "act": "show", "list": [1, { "deep": null }], "real": 0.5, "large": (1_u64 << 53) + 1, "text": "☃" })
        }
        "next" => json!({ "process": order["number"].as_i64().unwrap_or_default() + 1 }),
        "show" => json!({ "text": order.to_string() }),
        "misfit" => json!({ "text": 5 }),
        "reply" => {
            ctx.early_reply(json!({ "text": "early" }))?;
            json!({ "text": "late" })
        }
        act => return Err(format!("there is no act `{act}`").into()),
    })
}

fn main() {
    krt_sdk::start(krt_sdk::no_init, handler);
}
