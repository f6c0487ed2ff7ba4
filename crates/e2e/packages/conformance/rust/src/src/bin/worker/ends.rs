//! Ways in which a request can end that are more than a word.

use super::{answer, put, scratch, until};
use conformance::{Answer, Order};
use krt_sdk::{Context, Result};
use std::{
    os::unix::process::ExitStatusExt as _,
    process::{self, Command},
    thread,
    time::Duration,
};

pub fn die() -> Result<Answer> {
    Command::new("kill").args(["-KILL", &process::id().to_string()]).status()?;
    loop {
        thread::park();
    }
}

pub fn die_once(order: &Order) -> Result<Answer> {
    if !scratch(&order.text).exists() {
        put(&order.text, "")?;
        return die();
    }
    Ok(answer(order.text.clone()))
}

/// Sends messages. Returns whether the stream ends with them.
pub async fn stream(ctx: &Context, order: &Order) -> Result<bool> {
    for number in 0..order.number {
        ctx.send(answer(number.to_string())).await?;
    }
    match &*order.text {
        "fail" => Err("no more".into()),
        text => Ok(text.is_empty()),
    }
}

/// Waits for a file, and says that it does by another.
pub async fn wait(order: &Order) -> Result<Answer> {
    put(&format!("{}.begun", order.text), "")?;
    until(&order.text).await;
    Ok(answer(order.text.clone()))
}

/// Waits for the same, and lets nothing else of the process run.
pub fn block(order: &Order) -> Result<Answer> {
    put(&format!("{}.begun", order.text), "")?;
    while !scratch(&order.text).exists() {
        thread::sleep(Duration::from_millis(5));
    }
    Ok(answer(order.text.clone()))
}

/// Waits for the same, and notes when nobody waits any more.
pub async fn watch(order: &Order) -> Result<Answer> {
    let mut note = Note(Some(format!("{}.cancelled", order.text)));
    put(&format!("{}.begun", order.text), "")?;
    tokio::time::sleep(Duration::from_secs(60)).await;
    note.0 = None;
    Ok(answer(order.text.clone()))
}

/// Starts a program that sends itself a signal, and tells which one has ended it.
pub fn child(order: &Order) -> Result<Answer> {
    let words = format!("kill -{} $$; exit 7", order.text);
    let ended = Command::new("sh").args(["-c", &words]).status()?;
    Ok(answer(ended.signal().unwrap_or_default().to_string()))
}

/// Is written when it is dropped.
struct Note(Option<String>);

impl Drop for Note {
    fn drop(&mut self) {
        if let Some(name) = &self.0 {
            drop(put(name, ""));
        }
    }
}
