//! Edits a `krt.yml` and preserves the author's formatting.

use crate::problem::{Problem, Source};
use crate::yaml::{self, Node, Value};

/// A node to add.
#[derive(Debug, Clone)]
pub struct NewNode<'a> {
    /// Its name, which must be new.
    pub name: &'a str,
    /// Its other keys with their values, in order. Values are plain words or paths.
    pub keys: &'a [(&'a str, &'a str)],
}

/// Why a `krt.yml` cannot be edited.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum Error {
    /// It is not YAML, or not a manifest.
    #[error("krt.yml cannot be read: {}", .0.message)]
    Unread(Box<Problem>),
    /// The node already exists.
    #[error("krt.yml has a node `{name}` already")]
    #[diagnostic(help("choose another name"))]
    Taken {
        /// Its name.
        name: String,
    },
    /// The workflow does not exist.
    #[error("krt.yml has no workflow `{name}`")]
    #[diagnostic(help("there {}", KnownNames(known)))]
    NoWorkflow {
        /// The requested name.
        name: String,
        /// The names of the workflows.
        known: Vec<String>,
    },
    /// There are several workflows, and none was named.
    #[error("which workflow?")]
    #[diagnostic(help("--workflow names one; there {}", KnownNames(known)))]
    Which {
        /// The names of the workflows.
        known: Vec<String>,
    },
    /// A list has an unsupported layout.
    #[error("cannot add to `{list}` of krt.yml as it is written")]
    #[diagnostic(help("write one item a line, each after `- `"))]
    Style {
        /// The key of the list.
        list: &'static str,
    },
}

struct KnownNames<'a>(&'a [String]);

impl std::fmt::Display for KnownNames<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            [] => f.write_str("is none"),
            [one] => write!(f, "is `{one}`"),
            more => write!(f, "are `{}`", more.join("`, `")),
        }
    }
}

/// Adds a node at the end of the named workflow, or of the only one, and returns the new text.
pub fn add_node(source: &Source, node: &NewNode<'_>, workflow: Option<&str>) -> Result<String, Error> {
    let root = read(source)?;
    let before = Outline::of(&root);
    if before.nodes.iter().any(|name| name == node.name) {
        return Err(Error::Taken { name: node.name.to_owned() });
    }
    let place = before.find(workflow)?;
    let style = |list| Error::Style { list };
    let nodes = list(&root, "nodes").ok_or(style("nodes"))?;
    let workflows = list(&root, "workflows").ok_or(style("workflows"))?;
    let sequence = workflows.get(place).and_then(|workflow| list(workflow, "sequential"));
    let sequence = sequence.ok_or(style("sequential"))?;

    let text = source.text();
    let entries = entry(text, nodes, node).ok_or(style("nodes"))?;
    let step = step(text, sequence, node.name).ok_or(style("sequential"))?;
    let mut edits = [entries, step];
    edits.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    let mut edited = text.to_owned();
    for (at, insertion) in edits {
        edited.insert_str(at, &insertion.replace('\n', newline(text)));
    }

    let mut expected = before;
    expected.nodes.push(node.name.to_owned());
    expected.workflows[place].1.push(node.name.to_owned());
    let after = read(&Source::new(source.file(), edited.as_str()))?;
    if Outline::of(&after) == expected { Ok(edited) } else { Err(style("nodes")) }
}

fn read(source: &Source) -> Result<Node, Error> {
    let (root, mut problems) = yaml::parse(source);
    match root {
        Some(root) => Ok(root),
        None => Err(Error::Unread(Box::new(problems.swap_remove(0)))),
    }
}

/// The names in a manifest.
#[derive(Debug, PartialEq, Eq)]
struct Outline {
    nodes: Vec<String>,
    /// The name and sequence of each workflow.
    workflows: Vec<(String, Vec<String>)>,
}

impl Outline {
    fn of(root: &Node) -> Self {
        let items = |key| list(root, key).unwrap_or_default();
        let name = |item: &Node| value(item, "name").and_then(text_of).unwrap_or_default().to_owned();
        let steps = |workflow: &Node| {
            let steps = list(workflow, "sequential").unwrap_or_default();
            steps.iter().map(|step| text_of(step).unwrap_or_default().to_owned()).collect()
        };
        Self {
            nodes: items("nodes").iter().map(name).collect(),
            workflows: items("workflows").iter().map(|workflow| (name(workflow), steps(workflow))).collect(),
        }
    }

    /// The index of the requested workflow.
    fn find(&self, wanted: Option<&str>) -> Result<usize, Error> {
        let known = || self.workflows.iter().map(|(name, _)| name.clone()).collect();
        match wanted {
            Some(wanted) => self
                .workflows
                .iter()
                .position(|(name, _)| name == wanted)
                .ok_or_else(|| Error::NoWorkflow { name: wanted.to_owned(), known: known() }),
            None if self.workflows.len() == 1 => Ok(0),
            None => Err(Error::Which { known: known() }),
        }
    }
}

fn value<'a>(node: &'a Node, key: &str) -> Option<&'a Node> {
    let Value::Map(entries) = &node.value else { return None };
    entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
}

fn list<'a>(node: &'a Node, key: &str) -> Option<&'a [Node]> {
    match &value(node, key)?.value {
        Value::List(items) => Some(items),
        _ => None,
    }
}

fn text_of(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Plain(text) | Value::Quoted(text) => Some(text),
        _ => None,
    }
}

/// An insertion: its position and text.
type Insertion = (usize, String);

/// A node's entry, after the last one.
fn entry(text: &str, items: &[Node], node: &NewNode<'_>) -> Option<Insertion> {
    let (at, dash) = below(text, items)?;
    let indent = dash.replace('-', " ");
    let mut lines = format!("{dash}name: {}\n", node.name);
    for (key, value) in node.keys {
        lines.push_str(&format!("{indent}{key}: {value}\n"));
    }
    Some((at, on_a_line_of_its_own(text, at, lines)))
}

/// A step of a sequence, after the last one.
fn step(text: &str, items: &[Node], name: &str) -> Option<Insertion> {
    match below(text, items) {
        Some((at, dash)) => Some((at, on_a_line_of_its_own(text, at, format!("{dash}{name}\n")))),
        None => {
            let end = items.last()?.span.end;
            let rest = text.get(end..)?.trim_start();
            rest.starts_with(']').then(|| (end, format!(", {name}")))
        }
    }
}

/// The start of the line after a list's last item, and the text before that item: `  - `.
fn below<'a>(text: &'a str, items: &[Node]) -> Option<(usize, &'a str)> {
    let last = items.last()?;
    let line = text.get(..last.span.start)?.rfind('\n').map_or(0, |end| end + 1);
    let dash = text.get(line..last.span.start)?;
    if dash.trim() != "-" || !dash.ends_with(' ') {
        return None;
    }
    let end = end_of(last);
    let at = match text.get(..end)?.ends_with('\n') {
        true => end,
        false => text.get(end..)?.find('\n').map_or(text.len(), |more| end + more + 1),
    };
    Some((at, dash))
}

/// The end of a value's last word.
fn end_of(node: &Node) -> usize {
    let inner = match &node.value {
        Value::List(items) => items.iter().map(end_of).max(),
        Value::Map(entries) => entries.iter().map(|entry| end_of(&entry.value).max(entry.key_span.end)).max(),
        _ => None,
    };
    inner.unwrap_or(0).max(node.span.end)
}

/// The line ending of a text, as in its first line.
fn newline(text: &str) -> &'static str {
    let first = text.split_inclusive('\n').next().unwrap_or_default();
    if first.ends_with("\r\n") { "\r\n" } else { "\n" }
}

fn on_a_line_of_its_own(text: &str, at: usize, lines: String) -> String {
    let open = at > 0 && !text[..at].ends_with('\n');
    if open { format!("\n{lines}") } else { lines }
}

#[cfg(test)]
mod tests {
    use super::*;
    use krt_model::hint;
    use proptest::prelude::*;

    const NODE: NewNode<'_> =
        NewNode { name: "second", keys: &[("src", "bin/second"), ("build", "src/second")] };

    fn add(text: &str, workflow: Option<&str>) -> Result<String, String> {
        add_node(&Source::new("krt.yml", text), &NODE, workflow).map_err(|error| hint::line(&error))
    }

    #[test]
    fn nodes_are_added_in_the_existing_style() {
        let rows = [
            (
                "nodes: # all\n  - name: first # it\n    src: a.py # here\n\n# then\nworkflows:\n  - name: w\n    sequential:\n      - first # go",
                "nodes: # all\n  - name: first # it\n    src: a.py # here\n  - name: second\n    src: bin/second\n    build: src/second\n\n# then\nworkflows:\n  - name: w\n    sequential:\n      - first # go\n      - second\n",
            ),
            (
                "workflows:\n- sequential: ['first' ]\n  name: w\nnodes:\n-   src: a.py\n    name: first\n",
                "workflows:\n- sequential: ['first', second ]\n  name: w\nnodes:\n-   src: a.py\n    name: first\n-   name: second\n    src: bin/second\n    build: src/second\n",
            ),
            (
                "nodes:\n  - name: first\n    image: >-\n      a\n      b\nworkflows:\n  - {name: w, sequential: [first]}\n",
                "nodes:\n  - name: first\n    image: >-\n      a\n      b\n  - name: second\n    src: bin/second\n    build: src/second\nworkflows:\n  - {name: w, sequential: [first, second]}\n",
            ),
        ];
        for (text, expected) in rows {
            assert_eq!(add(text, None).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn impossible_additions_are_reported() {
        let two = "nodes:\n  - name: first\nworkflows:\n  - name: v\n    sequential: [first]\n  - name: w\n    sequential: [first]\n";
        let rows = [
            (two, None, "which workflow?; hint: --workflow names one; there are `v`, `w`"),
            (two, Some("x"), "krt.yml has no workflow `x`; hint: there are `v`, `w`"),
            (
                "nodes:\n  - name: second\nworkflows: []\n",
                None,
                "krt.yml has a node `second` already; hint: choose another name",
            ),
            (
                "nodes: [{name: first}]\nworkflows:\n  - name: w\n    sequential: [first]\n",
                None,
                "cannot add to `nodes` of krt.yml as it is written; hint: write one item a line, each after `- `",
            ),
        ];
        for (text, workflow, message) in rows {
            assert_eq!(add(text, workflow), Err(message.to_owned()));
        }
        assert!(add("nodes: [", None).unwrap_err().starts_with("krt.yml cannot be read: "));
        assert!(add(two, Some("w")).unwrap().ends_with("sequential: [first, second]\n"));
    }

    /// Manifests in several layouts, with comments and empty lines.
    fn manifest() -> impl Strategy<Value = String> {
        let comment = prop::sample::select(vec!["", " # a comment", "   "]);
        let gap = prop::sample::select(vec!["", "\n", "# between\n", "    # deep\n"]);
        let indent = prop::sample::select(vec!["", "  ", "    "]);
        (1..4_usize, comment, gap, indent, any::<bool>()).prop_map(|(count, comment, gap, indent, flow)| {
            let mut text = format!("version: v{comment}\nnodes:{comment}\n");
            for node in 0..count {
                text += &format!("{indent}- name: n{node}{comment}\n{gap}{indent}  src: a.py{comment}\n");
            }
            text += &format!("{gap}workflows:\n{indent}- name: w\n");
            let steps: Vec<_> = (0..count).map(|node| format!("n{node}")).collect();
            match flow {
                true => text += &format!("{indent}  sequential: [{}]{comment}\n", steps.join(", ")),
                false => {
                    text += &format!("{indent}  sequential:\n");
                    text.extend(steps.iter().map(|step| format!("{indent}  - {step}{comment}\n{gap}")));
                }
            }
            text
        })
    }

    proptest! {
        #[test]
        fn existing_lines_stay(text in manifest(), newline in prop::sample::select(vec!["\n", "\r\n"])) {
            let text = text.replace('\n', newline);
            let edited = add(&text, None).unwrap();
            prop_assert_eq!(edited.split(newline).filter(|line| line.contains(['\r', '\n'])).count(), 0);
            let mut rest = edited.lines();
            for line in text.lines() {
                let kept = |new: &str| new == line || new.replace(", second]", "]") == line;
                prop_assert!(rest.any(kept), "{line:?} is gone:\n{edited}");
            }
        }
    }
}
