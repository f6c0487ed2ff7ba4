//! A node that unpacks a message, adds a step and packs it again.

use krt_sdk::{Context, Result};
use prost::{Message, Name};

#[derive(Clone, PartialEq, Message)]
struct Work {
    #[prost(string, tag = "1")]
    text: String,
    #[prost(int64, tag = "2")]
    steps: i64,
    #[prost(double, repeated, tag = "3")]
    values: Vec<f64>,
}

impl Name for Work {
    const NAME: &'static str = "Work";
    const PACKAGE: &'static str = "chain";
}

async fn handler(_: Context, work: Work) -> Result<Work> {
    Ok(Work { steps: work.steps + 1, ..work })
}

fn main() {
    krt_sdk::start(krt_sdk::no_init, handler);
}
