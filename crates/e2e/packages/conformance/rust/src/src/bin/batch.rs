//! Does what each request of a batch names.

use conformance::{Answer, Order};
use krt_sdk::{BatchContext, Context, Result};
use std::{env, fs, path::Path, process, time::Duration};

async fn handler(ctx: BatchContext, orders: Vec<Order>) -> Result<Vec<Result<Answer>>> {
    for order in &orders {
        match &*order.act {
            "hold" => hold().await?,
            "fail" => return Err("poison".into()),
            "die" => process::exit(3),
            _ => {}
        }
    }
    let items = ctx.items().iter().zip(&orders);
    Ok(items.map(|(own, order)| answer(own, &order.act, orders.len())).collect())
}

fn answer(own: &Context, act: &str, size: usize) -> Result<Answer> {
    let process = i64::try_from(size)?;
    match act {
        "fail alone" => return Err("only this one".into()),
        "early" => own.early_reply(Answer { text: "early".to_owned(), process, ..Answer::default() })?,
        _ => {}
    }
    own.logger().info(format_args!("did {act}"));
    let text = if act == "request" { own.request_id()?.to_string() } else { act.to_owned() };
    Ok(Answer { text, process, ..Answer::default() })
}

async fn hold() -> Result<()> {
    let scratch = env::var("E2E_SCRATCH")?;
    fs::write(Path::new(&scratch).join("hold.begun"), "")?;
    while !Path::new(&scratch).join("hold").exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

fn main() {
    krt_sdk::start_batches(krt_sdk::no_init, handler);
}
