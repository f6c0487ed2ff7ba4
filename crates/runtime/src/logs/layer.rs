//! Turns the engine's `tracing` events into records of the one stream.
//!
//! An event's fields `workflow`, `node` and `request` give its subject; its task determines the logs
//! ([`Logs::around`]). The field `hint` says what to do, and ends the message.

use super::{Logs, Record};
use krt_model::{hint, log::Level, name::Name};
use std::fmt::{self, Write as _};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::layer::{Context, Layer};

tokio::task_local! {
    /// The logs of the current task, set by [`Logs::around`].
    pub(super) static CURRENT: Logs;
}

/// Writes this project's events to the logs, and the warnings and errors of others.
#[derive(Debug)]
pub struct EngineLayer(Logs);

impl EngineLayer {
    /// Creates a layer that writes to `logs`.
    pub fn new(logs: Logs) -> Self {
        Self(logs)
    }
}

impl<S: Subscriber> Layer<S> for EngineLayer {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        let level = level_of(metadata);
        level >= self.0.level() && (metadata.target().starts_with("krt") || level >= Level::Warn)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let record = Record {
            time: crate::flow::now(),
            level: level_of(event.metadata()),
            workflow: fields.workflow.as_deref().and_then(|text| Name::parse(text).ok()),
            node: fields.node.as_deref().and_then(|text| Name::parse(text).ok()),
            request: fields.request.map(Into::into),
            message: hint::on_one_line(fields.message, fields.hint.as_slice()),
        };
        let logs = CURRENT.try_with(Logs::clone).unwrap_or_else(|_| self.0.clone());
        logs.write(record);
    }
}

fn level_of(metadata: &Metadata<'_>) -> Level {
    match *metadata.level() {
        tracing::Level::ERROR => Level::Error,
        tracing::Level::WARN => Level::Warn,
        tracing::Level::INFO => Level::Info,
        tracing::Level::DEBUG | tracing::Level::TRACE => Level::Debug,
    }
}

#[derive(Default)]
struct Fields {
    workflow: Option<String>,
    node: Option<String>,
    request: Option<String>,
    hint: Option<String>,
    message: String,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "workflow" => self.workflow = Some(format!("{value:?}")),
            "node" => self.node = Some(format!("{value:?}")),
            "request" => self.request = Some(format!("{value:?}")),
            "hint" => self.hint = Some(format!("{value:?}")),
            "message" => self.message.insert_str(0, &format!("{value:?}")),
            name => {
                let _ = write!(self.message, " {name}={value:?}");
            }
        }
    }
}
