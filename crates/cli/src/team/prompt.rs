//! Input from the user: a prompt on a terminal, with echo off for secrets, or else standard input.

use crate::{
    error::{Context as _, Result, ensure},
    terminal,
};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Stdin};

/// Whether standard input is a terminal.
pub(crate) fn is_terminal() -> bool {
    io::stdin().is_terminal()
}

/// The maximum size of input, bytes.
const MAX_INPUT: u64 = 8 << 20;

/// A password: from a prompt, or the next line of standard input.
pub(crate) async fn password(prompt: &str) -> Result<String> {
    let password = line(prompt).await?;
    ensure!(!password.is_empty(), "no password was given"; hint: "type it, or pipe it in");
    Ok(password)
}

/// A new password; on a terminal, prompts twice.
pub(crate) async fn new_password(prompt: &str) -> Result<String> {
    let chosen = password(prompt).await?;
    if is_terminal() {
        ensure!(password("the same again").await? == chosen, "the two passwords differ"; hint: "try again");
    }
    Ok(chosen)
}

/// A value: from a prompt, or all of standard input.
pub(crate) async fn value(prompt: &str) -> Result<String> {
    if is_terminal() {
        return line(prompt).await;
    }
    let reading = tokio::task::spawn_blocking(|| {
        let mut text = String::new();
        let read = io::stdin().lock().take(MAX_INPUT).read_to_string(&mut text);
        read.map(|_| text).context("failed to read standard input")
    });
    reading.await?
}

/// An answer to a prompt, with echo.
pub(crate) async fn answer(prompt: &str) -> Result<String> {
    terminal::print_prompt(prompt);
    tokio::task::spawn_blocking(|| read(&io::stdin())).await?
}

/// Reads a line without its line break. If dropped, as on Ctrl-C, restores the terminal.
async fn line(prompt: &str) -> Result<String> {
    let input = io::stdin();
    if !input.is_terminal() {
        return tokio::task::spawn_blocking(move || read(&input)).await?;
    }
    // Turn echo off before the prompt appears, so that early input is not shown either.
    let silence = NoEcho::keep(input)?;
    terminal::print_prompt(prompt);
    let line = tokio::task::spawn_blocking(|| read(&io::stdin())).await?;
    drop(silence);
    line
}

fn read(input: &Stdin) -> Result<String> {
    let mut line = String::new();
    input.lock().take(MAX_INPUT).read_line(&mut line).context("failed to read standard input")?;
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok(line)
}

/// A terminal with echo off; restored on drop.
struct NoEcho {
    input: Stdin,
    before: Termios,
}

impl NoEcho {
    fn keep(input: Stdin) -> Result<Self> {
        let before = tcgetattr(&input).context("failed to ask the terminal how it is set")?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&input, OptionalActions::Flush, &silent).context("failed to silence the terminal")?;
        Ok(Self { input, before })
    }
}

impl Drop for NoEcho {
    fn drop(&mut self) {
        // Fails if the terminal is gone, which needs no restoring.
        let _ = tcsetattr(&self.input, OptionalActions::Flush, &self.before);
        terminal::end_prompt();
    }
}
