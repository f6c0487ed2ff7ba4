//! Messages on standard error; standard output has only results.
//!
//! Messages contain names and texts of others. Each passes through [`escape`], so that it cannot control the
//! terminal.

#![expect(clippy::print_stderr, reason = "the one place that writes to standard error")]
#![expect(clippy::disallowed_methods, reason = "the one place that writes to standard error")]

use crate::error::Error;
use indicatif::{ProgressBar, ProgressStyle};
use krt_environment::{Event, Step};
use krt_model::{escape, hint};
use krt_package::{Report, manifest::FILE_NAMES, render::Style};
use std::{
    ffi::OsString,
    io::{IsTerminal as _, Write},
    panic::PanicHookInfo,
    path::Path,
    time::Duration,
};

/// Whether standard error is a terminal.
pub(crate) fn is_terminal() -> bool {
    std::io::stderr().is_terminal()
}

/// Standard error for the log writer, which escapes records itself.
pub(crate) fn for_records() -> impl Write + Send {
    std::io::stderr()
}

/// Prints a line that the user's tests wrote to standard error.
pub(crate) fn print_line(line: &str) {
    eprintln!("{}", escape::lines(line));
}

/// Escapes the messages of panics.
pub(crate) fn escape_panics() {
    std::panic::set_hook(Box::new(|panic: &PanicHookInfo<'_>| {
        eprintln!("\n{}", panic_text(panic));
        let trace = std::backtrace::Backtrace::capture();
        if trace.status() == std::backtrace::BacktraceStatus::Captured {
            eprintln!("{}", escape::lines(&trace.to_string()));
        }
    }));
}

/// Formats the message of a panic.
fn panic_text(panic: &PanicHookInfo<'_>) -> String {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("<unnamed>");
    escape::lines(&format!("thread '{name}' {panic}")).into_owned()
}

/// Prints a command-line error, or the requested help, and exits. Arguments may be file names from a shell's
/// glob, so hidden characters in them are escaped.
pub(crate) fn end_by(error: &clap::Error) -> ! {
    let hides = |word: OsString| word.to_string_lossy().contains(escape::is_hidden);
    if std::env::args_os().any(hides) {
        eprint!("{}", escape::lines(&error.render().to_string()));
        std::process::exit(error.exit_code());
    }
    error.exit()
}

/// Whether to use colours on standard error.
pub(crate) fn colour() -> bool {
    is_terminal() && may_colour()
}

/// Whether the user allows colours (<https://no-color.org>).
pub(crate) fn may_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Prints an error with its causes, each once, and each hint on a line of its own.
pub(crate) fn print_error(error: &Error) {
    let (red, reset) = if colour() { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
    eprintln!("{red}error{reset}: {}", escape::lines(&hint::on_lines(error.messages(), error.hints())));
}

/// Prints a warning.
pub(crate) fn print_warning(message: &str) {
    let (yellow, reset) = if colour() { ("\x1b[1;33m", "\x1b[0m") } else { ("", "") };
    eprintln!("{yellow}warning{reset}: {}", escape::lines(message));
}

/// Prints a warning, and what to do about it on a line of its own.
pub(crate) fn print_warning_with_hint(message: &str, hint: &str) {
    print_warning(&hint::on_lines(message, &[hint]));
}

/// Prints a note.
pub(crate) fn print_note(message: &str) {
    eprintln!("note: {}", escape::lines(message));
}

/// Prints a note, and what to do on a line of its own.
pub(crate) fn print_note_with_hint(message: &str, hint: &str) {
    print_note(&hint::on_lines(message, &[hint]));
}

/// Prints a prompt for input on the same line.
pub(crate) fn print_prompt(what: &str) {
    eprint!("{}: ", escape::line(what));
}

/// Ends the line of a prompt whose input had no echo.
pub(crate) fn end_prompt() {
    eprintln!();
}

/// Prints the report of a check.
pub(crate) fn print_report(report: &Report, path: &Path) {
    if !report.is_empty() {
        eprintln!("{}\n", escape::coloured(&report.render(&style(path, colour()))));
    }
}

/// Prints the report of a package's error; returns the error without it.
pub(crate) fn package_error(error: krt_package::Error, path: &Path) -> Error {
    if let krt_package::Error::Invalid { report, .. } = &error {
        print_report(report, path);
    }
    error.into()
}

/// The style for a report on the package at `path`.
pub(crate) fn style(path: &Path, colour: bool) -> Style {
    let base = match path.file_name() {
        _ if path.is_dir() => path,
        Some(name) if FILE_NAMES.iter().any(|known| name == *known) => path.parent().unwrap_or(path),
        _ => Path::new(""),
    };
    let base = base.strip_prefix(".").unwrap_or(base).to_owned();
    Style { colour, base, ..Style::default() }
}

/// A spinner with a message, on terminals only, until it is dropped.
pub(crate) struct Spinner(ProgressBar);

impl Spinner {
    pub(crate) fn start(what: &str) -> Self {
        if !is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let spinner = ProgressBar::new_spinner().with_message(escape::line(what).into_owned());
        spinner.enable_steady_tick(Duration::from_millis(100));
        Self(spinner)
    }

    /// Changes the message.
    pub(crate) fn show(&self, what: &str) {
        self.0.set_message(escape::line(what).into_owned());
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Shows the progress of environments and executables: a spinner on a terminal, a few log records otherwise.
pub(crate) struct Installation {
    spinner: ProgressBar,
}

impl Installation {
    pub(crate) fn new() -> Self {
        Self { spinner: ProgressBar::hidden() }
    }

    /// Shows one event.
    pub(crate) fn show(&self, event: Event) {
        let nodes = event.nodes.join(", ");
        match event.step {
            Step::Reusing => {}
            Step::Waiting => tracing::info!("waiting for another krt, which makes what {nodes} runs in"),
            Step::Note(text) => tracing::info!("{text}"),
            Step::Warning(text) => tracing::warn!("{text}"),
            Step::Creating { tool, file } => {
                let file = file.map_or_else(|| "protobuf only".to_owned(), |file| file.display().to_string());
                tracing::info!("making the Python environment of {nodes} with {tool} ({file})");
                self.start();
            }
            Step::Building { folder } => {
                tracing::info!("building node {nodes} from {}", folder.display());
                self.start();
            }
            Step::Installing { line } => {
                tracing::debug!("{line}");
                self.spinner.set_message(escape::line(&line).into_owned());
            }
            Step::Installed { elapsed } => {
                self.spinner.finish_and_clear();
                tracing::info!("what {nodes} runs in is ready after {:.1} s", elapsed.as_secs_f64());
            }
        }
    }

    fn start(&self) {
        if is_terminal() {
            self.spinner.set_draw_target(indicatif::ProgressDrawTarget::stderr());
            self.spinner.set_style(
                ProgressStyle::with_template("{spinner} {wide_msg}").expect("the template is valid"),
            );
            self.spinner.enable_steady_tick(Duration::from_millis(100));
        }
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        self.spinner.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[test]
    fn panics_are_printed_without_control_sequences() {
        const NAME: &str = "named \u{202e}";
        let printed = Arc::new(Mutex::new(String::new()));
        let (others, tells) = (std::panic::take_hook(), Arc::clone(&printed));
        std::panic::set_hook(Box::new(move |panic: &PanicHookInfo<'_>| {
            match std::thread::current().name() {
                Some(NAME) => *tells.lock().unwrap() = panic_text(panic),
                _ => others(panic),
            }
        }));
        let thread = std::thread::Builder::new().name(NAME.to_owned());
        thread.spawn(|| panic!("\x1b[2J\u{9b}31m\r\nsecond")).unwrap().join().unwrap_err();
        let printed = printed.lock().unwrap();
        let is_calm = printed.chars().all(|c| c == '\n' || !escape::is_hidden(c));
        assert!(is_calm && printed.contains("\\u{1b}[2J\\u{9b}31m\\r\nsecond"), "{printed:?}");
        assert!(printed.contains("thread 'named \\u{202e}'"), "{printed:?}");
    }
}
