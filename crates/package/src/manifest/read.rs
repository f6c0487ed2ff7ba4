//! Reads typed values from the YAML tree, and reports mismatches with their place.

use super::{Located, other_versions};
use crate::image;
use crate::problem::{Problem, Report, Source};
use crate::suggest;
use crate::target::Target;
use crate::yaml::{Entry, Node, Value};
use krt_model::duration;
use krt_model::name::{self, Name};
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

/// The source, and the report of problems.
pub(super) struct Reader<'a> {
    pub(super) source: &'a Source,
    pub(super) target: Target,
    pub(super) report: &'a mut Report,
}

/// A mapping whose keys are taken one by one.
pub(super) struct Fields {
    /// The mapping's subject, for messages: "node `etl`".
    pub(super) owner: String,
    /// Its place.
    pub(super) span: Range<usize>,
    entries: Vec<Entry>,
}

impl Fields {
    /// The value of a key; `None` also for `null`.
    pub(super) fn get(&mut self, key: &str) -> Option<Node> {
        let place = self.entries.iter().position(|entry| entry.key == key)?;
        let node = self.entries.swap_remove(place).value;
        (!matches!(node.value, Value::Null)).then_some(node)
    }
}

impl Reader<'_> {
    pub(super) fn push(&mut self, problem: Problem) {
        self.report.push(problem);
    }

    pub(super) fn error(&mut self, span: &Range<usize>, message: impl Into<String>) {
        self.push(self.source.error(span, message));
    }

    /// The keys of a mapping; warns of those not in `known`.
    pub(super) fn fields(&mut self, node: Node, owner: &str, known: &[&str]) -> Option<Fields> {
        let fields = self.mapping(node, owner)?;
        for entry in fields.entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            let hint =
                other_versions::hint(&entry.key).or_else(|| self.suggest(&entry.key, known.iter().copied()));
            let message = format!("unknown key `{}` in {owner}", entry.key);
            self.push(self.source.warning(&entry.key_span, message).maybe_hint(hint));
        }
        Some(fields)
    }

    /// The keys of a mapping that is krt's own: those not in `known` are errors, since they would have no
    /// effect.
    pub(super) fn own_fields(&mut self, node: Node, owner: &str, known: &[&str]) -> Option<Fields> {
        let fields = self.mapping(node, owner)?;
        for entry in fields.entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            let hint = self.suggest(&entry.key, known.iter().copied());
            let hint = hint.unwrap_or_else(|| format!("its keys are {}", known.join(", ")));
            let message = format!("unknown key `{}` in {owner}", entry.key);
            self.push(self.source.error(&entry.key_span, message).hint(hint));
        }
        Some(fields)
    }

    fn mapping(&mut self, node: Node, owner: &str) -> Option<Fields> {
        let Value::Map(entries) = node.value else {
            self.wrong_type(&node, owner, "a mapping");
            return None;
        };
        Some(Fields { owner: owner.to_owned(), span: node.span, entries })
    }

    /// The keys of an item in a list of named items, such as "node `etl`" or, without a name, "node 2".
    pub(super) fn item_fields(
        &mut self,
        node: Node,
        what: &str,
        index: usize,
        known: &[&str],
    ) -> Option<Fields> {
        let owner = match name_of(&node) {
            Some(name) => format!("{what} `{}`", shorten(name)),
            None => format!("{what} {}", index + 1),
        };
        self.fields(node, &owner, known)
    }

    pub(super) fn required(&mut self, fields: &mut Fields, key: &str) -> Option<Node> {
        let node = fields.get(key);
        if node.is_none() {
            self.error(&fields.span, format!("{} has no `{key}`", fields.owner));
        }
        node
    }

    /// A required text that is not empty.
    pub(super) fn required_text(&mut self, fields: &mut Fields, key: &str) -> Option<Located<String>> {
        let node = self.required(fields, key)?;
        self.text(node, &format!("`{key}`"))
    }

    /// Text that is not empty. A number or a boolean is taken as written.
    pub(super) fn text(&mut self, node: Node, what: &str) -> Option<Located<String>> {
        match node.value {
            Value::Plain(value) | Value::Quoted(value) if !value.trim().is_empty() => {
                Some(Located { value, span: node.span })
            }
            Value::Plain(_) | Value::Quoted(_) => {
                self.error(&node.span, format!("{what} is empty"));
                None
            }
            _ => {
                self.wrong_type(&node, what, "text");
                None
            }
        }
    }

    /// The items of a list that must not be empty.
    pub(super) fn items(&mut self, fields: &mut Fields, key: &str) -> Vec<Node> {
        let Some(node) = self.required(fields, key) else { return Vec::new() };
        let span = node.span.clone();
        let items = self.list(node, key);
        if items.as_ref().is_some_and(Vec::is_empty) {
            self.error(&span, format!("`{key}` is empty: at least one is needed"));
        }
        items.unwrap_or_default()
    }

    /// The items of a list.
    pub(super) fn list(&mut self, node: Node, key: &str) -> Option<Vec<Node>> {
        match node.value {
            Value::List(items) => Some(items),
            _ => {
                self.wrong_type(&node, &format!("`{key}`"), "a list");
                None
            }
        }
    }

    /// A boolean.
    pub(super) fn boolean(&mut self, node: &Node, key: &str) -> Option<bool> {
        let found = boolean(node);
        if found.is_none() {
            self.wrong_type(node, &format!("`{key}`"), "`true` or `false`");
        }
        found
    }

    /// An integer in a range.
    pub(super) fn integer(&mut self, node: &Node, key: &str, range: RangeInclusive<u16>) -> Option<u16> {
        let number = match &node.value {
            Value::Plain(text) => text.parse().ok().filter(|number| range.contains(number)),
            _ => None,
        };
        if number.is_none() {
            let wanted = format!("a whole number from {} to {}", range.start(), range.end());
            self.wrong_type(node, &format!("`{key}`"), &wanted);
        }
        number
    }

    /// A duration in a range, whose ends are whole milliseconds or seconds.
    pub(super) fn duration(
        &mut self,
        node: &Node,
        key: &str,
        range: &RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let duration = match &node.value {
            Value::Plain(text) | Value::Quoted(text) => duration::parse(text).ok(),
            _ => None,
        };
        match duration {
            None => self.wrong_type(
                node,
                &format!("`{key}`"),
                "a duration, such as `30` (seconds), `500ms`, `2m` or `1h30m`",
            ),
            Some(duration) if range.contains(&duration) => return Some(duration),
            Some(_) => {
                let (least, most) = (amount(*range.start()), amount(*range.end()));
                self.error(&node.span, format!("`{key}` must be from {least} to {most}"));
            }
        }
        None
    }

    /// A required name: as written, and parsed if valid.
    pub(super) fn name(&mut self, fields: &mut Fields, key: &str) -> (Option<Located<String>>, Option<Name>) {
        let Some(label) = self.required_text(fields, key) else { return (None, None) };
        let parsed = match Name::parse(&label.value) {
            Ok(name) => Some(name),
            Err(error) => {
                self.bad_name(&label, &error);
                None
            }
        };
        (Some(label), parsed)
    }

    fn bad_name(&mut self, label: &Located<String>, error: &name::Error) {
        let hint = proposal(&label.value).map(|name| format!("for example `{name}`"));
        self.push(self.source.error(&label.span, error.to_string()).maybe_hint(hint));
    }

    /// The known word that was probably meant; `None` once the report is full.
    pub(super) fn suggest<'k>(&self, word: &str, known: impl Iterator<Item = &'k str>) -> Option<String> {
        if self.report.is_full() { None } else { suggest::hint(word, known) }
    }

    /// An image, which only a cluster needs: there it must be a valid name.
    pub(super) fn image(&mut self, fields: &mut Fields) -> Option<String> {
        let node = match self.target {
            Target::Local => fields.get("image"),
            Target::Cluster => self.required(fields, "image"),
        };
        let text = self.text(node?, "`image`")?;
        if self.target == Target::Cluster
            && let Err(error) = image::check(&text.value)
        {
            self.push(self.source.error(&text.span, error.to_string()).hint(error.hint()));
        }
        Some(text.value)
    }

    pub(super) fn wrong_type(&mut self, node: &Node, what: &str, wanted: &str) {
        let found = match &node.value {
            Value::Plain(text) | Value::Quoted(text) => format!("`{}`", shorten(text)),
            other => other.kind().to_owned(),
        };
        self.error(&node.span, format!("{what} must be {wanted}, not {found}"));
    }
}

/// A duration in words: its largest unit that leaves no rest.
fn amount(duration: Duration) -> String {
    let units = [("hour", 3_600_000), ("second", 1_000), ("millisecond", 1)];
    let millis = duration.as_millis();
    let (unit, of) =
        units.into_iter().find(|(_, of)| millis.is_multiple_of(*of)).unwrap_or(("millisecond", 1));
    let count = millis / of;
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// A boolean, in the spellings that YAML readers accept.
pub(super) fn boolean(node: &Node) -> Option<bool> {
    let Value::Plain(text) = &node.value else { return None };
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => Some(true),
        "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// The text of the key `name`.
fn name_of(node: &Node) -> Option<&str> {
    let Value::Map(entries) = &node.value else { return None };
    match &entries.iter().find(|entry| entry.key == "name")?.value.value {
        Value::Plain(text) | Value::Quoted(text) => Some(text),
        _ => None,
    }
}

/// A valid name close to the given text.
fn proposal(text: &str) -> Option<Name> {
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let text: String = text.trim().chars().map(allowed).take(Name::MAX_LENGTH).collect();
    Name::parse(text.trim_matches('-')).ok()
}

/// The recognizable start of a text.
fn shorten(text: &str) -> String {
    const MAX_CHARS: usize = 40;
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() <= MAX_CHARS && line.len() == text.len() {
        return line.to_owned();
    }
    line.chars().take(MAX_CHARS).chain(['…']).collect()
}
