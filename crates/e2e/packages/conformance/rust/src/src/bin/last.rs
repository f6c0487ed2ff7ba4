//! Adds itself to the trail.

use conformance::Answer;
use krt_sdk::{Context, Result};
use std::{env, fs, path::Path};

async fn handler(ctx: Context, mut answer: Answer) -> Result<Option<Answer>> {
    fs::write(Path::new(&env::var("E2E_SCRATCH")?).join("last ran"), "")?;
    match &*answer.then {
        "none" => return Ok(None),
        "fail" => return Err("in the background".into()),
        "reply" => ctx.early_reply(Answer { text: "late".to_owned(), ..Answer::default() })?,
        _ => {}
    }
    answer.trail.push("last".to_owned());
    Ok(Some(answer))
}

fn main() {
    krt_sdk::start(krt_sdk::no_init, handler);
}
