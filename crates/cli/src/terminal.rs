//! What is shown to the person at the terminal: results go to standard output, all else here.

#![expect(clippy::print_stderr, reason = "the command line speaks to people on standard error")]

use indicatif::{ProgressBar, ProgressStyle};
use krt_environment::{Event, Step};
use krt_package::{Report, manifest::FILE_NAMES, render::Style};
use std::{io::IsTerminal as _, path::Path, time::Duration};

/// Whether standard error is a terminal.
pub(crate) fn is_terminal() -> bool {
    std::io::stderr().is_terminal()
}

/// Whether to colour what goes to standard error.
pub(crate) fn colour() -> bool {
    is_terminal() && may_colour()
}

/// Whether the user lets programs use colours (<https://no-color.org>).
pub(crate) fn may_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Prints an error with its causes, each once.
pub(crate) fn print_error(error: &anyhow::Error) {
    let (red, reset) = if colour() { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
    eprintln!("{red}error{reset}: {}", chain(error));
}

/// Prints what may need a look.
pub(crate) fn print_warning(message: &str) {
    let (yellow, reset) = if colour() { ("\x1b[1;33m", "\x1b[0m") } else { ("", "") };
    eprintln!("{yellow}warning{reset}: {message}");
}

/// Prints what is good to know.
pub(crate) fn print_note(message: &str) {
    eprintln!("note: {message}");
}

/// Asks for something that is typed on the same line.
pub(crate) fn print_prompt(what: &str) {
    eprint!("{what}: ");
}

/// Ends the line of a prompt, as what was typed there was not shown.
pub(crate) fn end_prompt() {
    eprintln!();
}

/// An error with its causes, each once, even where a cause is already part of what it caused.
pub(crate) fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Prints what a check found.
pub(crate) fn print_report(report: &Report, path: &Path) {
    if !report.is_empty() {
        eprintln!("{}\n", report.render(&style(path, colour())));
    }
}

/// An error of a package, its report printed.
pub(crate) fn package_error(error: krt_package::Error, path: &Path) -> anyhow::Error {
    if let krt_package::Error::Invalid { report, .. } = &error {
        print_report(report, path);
    }
    error.into()
}

/// How a report on the package at `path` is shown.
pub(crate) fn style(path: &Path, colour: bool) -> Style {
    let base = match path.file_name() {
        _ if path.is_dir() => path,
        Some(name) if FILE_NAMES.iter().any(|known| name == *known) => path.parent().unwrap_or(path),
        _ => Path::new(""),
    };
    let base = base.strip_prefix(".").unwrap_or(base).to_owned();
    Style { colour, base, ..Style::default() }
}

/// Shows how environments and executables are made: a spinner on a terminal, a few log records otherwise.
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
                self.spinner.set_message(line);
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
