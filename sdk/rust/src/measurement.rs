//! Points of measurements.

use crate::{
    context::Scope,
    frame::{self, COUNTED, MAX_OTHER, WorkerFrame},
    logger::Logger,
};
use serde_json::{Map, Value, json};

/// Saves points of measurements; the engine adds the tags version, workflow and node.
///
/// Saving never fails a handler: invalid parts are logged, and the rest is saved.
#[derive(Clone, Copy)]
pub struct Measurements<'a>(pub(crate) &'a Scope);

/// The value of a field: text, number or boolean.
pub type Field = Value;

impl Measurements<'_> {
    /// Saves a point with the current time. Fields are texts, numbers and booleans: `[("price",
    /// 0.5.into())]`.
    pub fn save<'n>(
        self,
        measurement: &str,
        fields: impl IntoIterator<Item = (&'n str, Field)>,
        tags: impl IntoIterator<Item = (&'n str, &'n str)>,
    ) {
        if let Err(reason) = self.send(measurement, fields, tags) {
            self.warn(measurement, &format!("it is not saved: {reason}"));
        }
    }

    fn send<'n>(
        self,
        name: &str,
        fields: impl IntoIterator<Item = (&'n str, Field)>,
        tags: impl IntoIterator<Item = (&'n str, &'n str)>,
    ) -> Result<(), String> {
        named(name)?;
        let mut kept = Map::new();
        for (key, value) in fields {
            match named(key).and_then(|()| simple(&value)) {
                Ok(()) => drop(kept.insert(key.to_owned(), value)),
                Err(reason) => self.warn(name, &format!("its field `{key:.80}` is left out: {reason}")),
            }
        }
        if kept.is_empty() {
            return Err("it has no field left".to_owned());
        }
        let mut labels = Map::new();
        for (key, value) in tags {
            match named(key) {
                Ok(()) => drop(labels.insert(key.to_owned(), value.into())),
                Err(reason) => self.warn(name, &format!("its tag `{key:.80}` is left out: {reason}")),
            }
        }
        let body = json!({"measurement": name, "fields": kept, "tags": labels, "time": frame::now()});
        let body = body.to_string();
        let limit = MAX_OTHER.min(self.0.process.hello.max_frame) - COUNTED;
        if body.len() > limit {
            return Err(format!("it has {} bytes, more than the limit of {limit} bytes", body.len()));
        }
        self.0.process.link.send(&frame::frame(
            WorkerFrame::Measurement,
            self.0.number(),
            &[body.as_bytes()],
        ));
        Ok(())
    }

    fn warn(self, name: &str, what: &str) {
        Logger(self.0).warn(format_args!("[ctx.measurement.save] measurement `{name:.80}`: {what}"));
    }
}

fn named(name: &str) -> Result<(), String> {
    match name.is_empty() {
        true => Err("its name must be a nonempty text".to_owned()),
        false => Ok(()),
    }
}

/// Validates a field. A number that is not finite has become null in its conversion to [`Value`].
fn simple(value: &Value) -> Result<(), String> {
    match value {
        Value::Bool(_) | Value::String(_) => Ok(()),
        Value::Number(number) if number.is_u64() && !number.is_i64() => {
            Err("it is an integer of more than 64 bits".to_owned())
        }
        Value::Number(_) => Ok(()),
        Value::Null => Err("it is no number (NaN or infinite), or null".to_owned()),
        Value::Array(_) => Err("it is an array, not a text, a number or a boolean".to_owned()),
        Value::Object(_) => Err("it is an object, not a text, a number or a boolean".to_owned()),
    }
}
