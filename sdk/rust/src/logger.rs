//! Records of a node's log.

use crate::{
    context::Scope,
    frame::{self, COUNTED, LOG_HEAD, MAX_LOG, WorkerFrame},
};
use std::{fmt::Display, io::Write as _};

/// The severity of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

impl Level {
    /// The level named in HELLO, or the default if it is none of the four.
    pub(crate) fn of(name: &str) -> Self {
        match name {
            "DEBUG" => Self::Debug,
            "WARN" => Self::Warn,
            "ERROR" => Self::Error,
            _ => Self::Info,
        }
    }
}

/// Writes to the node's log, with the current request.
#[derive(Clone, Copy)]
pub struct Logger<'a>(pub(crate) &'a Scope);

impl Logger<'_> {
    /// Logs at the level DEBUG.
    pub fn debug(self, text: impl Display) {
        self.log(Level::Debug, text);
    }

    /// Logs at the level INFO.
    pub fn info(self, text: impl Display) {
        self.log(Level::Info, text);
    }

    /// Logs at the level WARN.
    pub fn warn(self, text: impl Display) {
        self.log(Level::Warn, text);
    }

    /// Logs at the level ERROR.
    pub fn error(self, text: impl Display) {
        self.log(Level::Error, text);
    }

    fn log(self, level: Level, text: impl Display) {
        if level >= self.0.process.level {
            self.0.log(level, &text.to_string());
        }
    }
}

impl Scope {
    /// Writes a record at once, so that it survives a crash.
    pub(crate) fn log(&self, level: Level, text: &str) {
        let process = &self.process;
        if process.link.is_gone() {
            // There is no other place to report an error.
            #[expect(
                clippy::disallowed_methods,
                reason = "a worker's standard error is the engine's to show"
            )]
            let _ = writeln!(std::io::stderr(), "{text}");
            return;
        }
        let text = frame::fit(text, process.hello.max_frame.min(MAX_LOG) - COUNTED - LOG_HEAD);
        let head = [&[level as u8][..], &frame::now().to_le_bytes()].concat();
        process.link.send(&frame::frame(WorkerFrame::Log, self.number(), &[&head, text.as_bytes()]));
    }
}
