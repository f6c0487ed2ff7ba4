//! Adds the node's name to the text, and takes a moment for it, in which it can be killed.

use krt_sdk::{Context, Result};
use prost::{Message, Name};
use std::{env, time::Duration};

#[derive(Clone, PartialEq, Message)]
struct Ping {
    #[prost(string, tag = "1")]
    text: String,
}

impl Name for Ping {
    const NAME: &'static str = "Ping";
    const PACKAGE: &'static str = "ping";
}

async fn handler(_: Context, ping: Ping) -> Result<Ping> {
    tokio::time::sleep(Duration::from_millis(1)).await;
    Ok(Ping { text: format!("{} {}", ping.text, env::var("KRT_NODE_NAME")?) })
}

fn main() {
    krt_sdk::start(krt_sdk::no_init, handler);
}
