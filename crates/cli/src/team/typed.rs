//! What somebody types: asked for at a terminal, unseen where nobody else is to see it, or read from
//! standard input where that is none.

use crate::terminal;
use anyhow::{Context as _, ensure};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Stdin};

/// Whether somebody can be asked.
pub(crate) fn is_terminal() -> bool {
    io::stdin().is_terminal()
}

/// The largest text that is read, bytes.
const MAX: u64 = 8 << 20;

/// A password: asked for, or the next line of what is piped in.
pub(crate) async fn password(prompt: &str) -> anyhow::Result<String> {
    let password = line(prompt).await?;
    ensure!(!password.is_empty(), "no password was given; hint: type it, or pipe it in");
    Ok(password)
}

/// A new password: at a terminal asked for twice.
pub(crate) async fn new_password(prompt: &str) -> anyhow::Result<String> {
    let chosen = password(prompt).await?;
    if is_terminal() {
        ensure!(password("the same again").await? == chosen, "the two passwords differ; hint: try again");
    }
    Ok(chosen)
}

/// A value: asked for, or all that is piped in.
pub(crate) async fn value(prompt: &str) -> anyhow::Result<String> {
    if is_terminal() {
        return line(prompt).await;
    }
    let reading = tokio::task::spawn_blocking(|| {
        let mut text = String::new();
        let read = io::stdin().lock().take(MAX).read_to_string(&mut text);
        read.map(|_| text).context("failed to read standard input")
    });
    reading.await?
}

/// An answer, which is shown as it is typed.
pub(crate) async fn answer(prompt: &str) -> anyhow::Result<String> {
    terminal::print_prompt(prompt);
    tokio::task::spawn_blocking(|| read(&io::stdin())).await?
}

/// A line without its end. Dropped meanwhile, as Ctrl-C does, it leaves the terminal as it was.
async fn line(prompt: &str) -> anyhow::Result<String> {
    let input = io::stdin();
    if !input.is_terminal() {
        return tokio::task::spawn_blocking(move || read(&input)).await?;
    }
    // Silent first: what is typed as soon as the prompt is there is not shown either.
    let silence = Silence::keep(input)?;
    terminal::print_prompt(prompt);
    let line = tokio::task::spawn_blocking(|| read(&io::stdin())).await?;
    drop(silence);
    line
}

fn read(input: &Stdin) -> anyhow::Result<String> {
    let mut line = String::new();
    input.lock().take(MAX).read_line(&mut line).context("failed to read standard input")?;
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok(line)
}

/// A terminal that does not show what is typed, until it is dropped.
struct Silence {
    input: Stdin,
    before: Termios,
}

impl Silence {
    fn keep(input: Stdin) -> anyhow::Result<Self> {
        let before = tcgetattr(&input).context("failed to ask the terminal how it is set")?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&input, OptionalActions::Flush, &silent).context("failed to silence the terminal")?;
        Ok(Self { input, before })
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // A terminal that is gone needs no setting.
        let _ = tcsetattr(&self.input, OptionalActions::Flush, &self.before);
        terminal::end_prompt();
    }
}
