//! Reads the imports of a Python file from its syntax tree.
//!
//! The parser needs no interpreter and recovers from syntax errors, so it reads sources of any Python
//! version.

use super::{
    handler,
    location::{Location, location_of, text_of},
};
use tree_sitter::{Language, Node, Parser};

/// The depth limit: no hand-written code nests deeper.
const MAX_DEPTH: usize = 400;

/// When an import runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ImportTime {
    /// Always when the file is imported.
    Always,
    /// Inside a function, or under a condition.
    Perhaps,
    /// The file handles a missing module.
    Optional,
}

/// One imported module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Import {
    /// The dotted name as written, without leading dots.
    pub(super) module: String,
    /// The number of leading dots: 0 for an absolute import.
    pub(super) level: usize,
    /// The names that `from` imports.
    pub(super) names: Vec<String>,
    pub(super) when: ImportTime,
    pub(super) location: Location,
}

/// The relevant content of a file.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    pub(super) imports: Vec<Import>,
    /// Whether it changes the search path.
    pub(super) changes_path: bool,
    /// The first use of the message as a dict in its `handler`, if any.
    pub(super) dict_use: Option<handler::DictUse>,
}

/// Parses a file's text.
pub(super) fn parse(text: &str) -> Parsed {
    let mut parser = Parser::new();
    let language = Language::new(tree_sitter_python::LANGUAGE);
    let tree = parser.set_language(&language).ok().and_then(|()| parser.parse(text, None));
    let Some(tree) = tree else { return Parsed::default() };
    let mut reading = ImportParser { text, parsed: Parsed::default() };
    let mut open = vec![(tree.root_node(), ImportTime::Always, 0)];
    while let Some((node, when, depth)) = open.pop() {
        reading.visit(node, when);
        if depth < MAX_DEPTH {
            let mut cursor = node.walk();
            let children = node.children(&mut cursor).filter(Node::is_named);
            open.extend(
                children.filter_map(|child| Some((child, reading.when_of(node, child, when)?, depth + 1))),
            );
        }
    }
    let mut parsed = reading.parsed;
    parsed.imports.sort_by_key(|import| import.location);
    parsed.dict_use = handler::dict_use(tree.root_node(), text);
    parsed
}

struct ImportParser<'t> {
    text: &'t str,
    parsed: Parsed,
}

impl ImportParser<'_> {
    fn text_of(&self, node: Node<'_>) -> &str {
        text_of(node, self.text)
    }

    /// When part of a statement runs; `None` if never in a node.
    fn when_of(&self, parent: Node<'_>, child: Node<'_>, when: ImportTime) -> Option<ImportTime> {
        let is = |field: &str| parent.child_by_field_name(field) == Some(child);
        match parent.kind() {
            "function_definition" | "lambda" if is("body") => Some(when.max(ImportTime::Perhaps)),
            "if_statement" | "elif_clause" if is("consequence") => match self.condition(parent) {
                Condition::Never => None,
                Condition::Unknown => Some(when.max(ImportTime::Perhaps)),
            },
            "if_statement" if matches!(child.kind(), "elif_clause" | "else_clause") => {
                match self.condition(parent) {
                    Condition::Never => Some(when),
                    Condition::Unknown => Some(when.max(ImportTime::Perhaps)),
                }
            }
            "match_statement" | "case_clause" => Some(when.max(ImportTime::Perhaps)),
            "try_statement" if child.kind() != "finally_clause" && self.handles_missing(parent) => {
                Some(ImportTime::Optional)
            }
            "try_statement" if child.kind() == "except_clause" => Some(when.max(ImportTime::Perhaps)),
            "with_statement" if is("body") && self.suppresses(parent) => Some(ImportTime::Optional),
            _ => Some(when),
        }
    }

    fn condition(&self, statement: Node<'_>) -> Condition {
        let condition = statement.child_by_field_name("condition").map_or("", |node| self.text_of(node));
        let bare: String =
            condition.chars().filter(|c| !c.is_whitespace() && !"()'\"".contains(*c)).collect();
        let never = ["TYPE_CHECKING", "typing.TYPE_CHECKING", "t.TYPE_CHECKING", "False", "0"];
        match never.contains(&bare.as_str()) || bare == "__name__==__main__" || bare == "__main__==__name__" {
            true => Condition::Never,
            false => Condition::Unknown,
        }
    }

    /// Whether a `try` handles a missing module.
    fn handles_missing(&self, statement: Node<'_>) -> bool {
        let mut cursor = statement.walk();
        statement.children(&mut cursor).filter(|child| child.kind() == "except_clause").any(|clause| {
            let mut cursor = clause.walk();
            let body = clause.children(&mut cursor).find(|child| child.kind() == "block");
            let end = body.map_or(clause.end_byte(), |body| body.start_byte());
            let header = self.text.get(clause.start_byte()..end).unwrap_or_default();
            let header = header.trim_start_matches("except").trim().trim_end_matches(':').trim();
            let caught = header.split(" as ").next().unwrap_or_default();
            let mut names = caught.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.'));
            caught.is_empty() || names.any(|name| IMPORT_ERRORS.contains(&name))
        })
    }

    fn suppresses(&self, statement: Node<'_>) -> bool {
        let mut cursor = statement.walk();
        let clause = statement.children(&mut cursor).find(|child| child.kind() == "with_clause");
        let clause = clause.map_or("", |clause| self.text_of(clause));
        clause.contains("suppress(") && IMPORT_ERRORS.iter().any(|name| clause.contains(name))
    }

    fn visit(&mut self, node: Node<'_>, when: ImportTime) {
        match node.kind() {
            "import_statement" => self.import(node, when),
            "import_from_statement" => self.import_from(node, when),
            "call" => self.call(node, when),
            "attribute" if is_search(self.text_of(node)) && changes(node) => self.parsed.changes_path = true,
            _ => {}
        }
    }

    fn import(&mut self, node: Node<'_>, when: ImportTime) {
        for name in self.names(node) {
            let location = location_of(node, self.text);
            self.parsed.imports.push(Import { module: name, level: 0, names: Vec::new(), when, location });
        }
    }

    fn import_from(&mut self, node: Node<'_>, when: ImportTime) {
        let Some(from) = node.child_by_field_name("module_name") else { return };
        let text: String = self.text_of(from).chars().filter(|c| !c.is_whitespace()).collect();
        let module = text.trim_start_matches('.').to_owned();
        let (level, names) = (text.len() - module.len(), self.names(node));
        self.parsed.changes_path |= module == "sys" && names.iter().any(|name| name == "path");
        let location = location_of(node, self.text);
        self.parsed.imports.push(Import { module, level, names, when, location });
    }

    /// The imported names of a statement, without their aliases.
    fn names(&self, node: Node<'_>) -> Vec<String> {
        let mut cursor = node.walk();
        let names = node.children_by_field_name("name", &mut cursor);
        let plain = |name: Node<'_>| {
            let name = if name.kind() == "aliased_import" { name.child_by_field_name("name")? } else { name };
            Some(self.text_of(name).chars().filter(|c| !c.is_whitespace()).collect())
        };
        names.filter_map(plain).collect()
    }

    /// `importlib.import_module("x")` and `__import__("x")`; and calls that change the search path.
    fn call(&mut self, node: Node<'_>, when: ImportTime) {
        let function = node.child_by_field_name("function").map_or("", |node| self.text_of(node));
        match function.rsplit('.').next().unwrap_or_default() {
            "import_module" | "__import__" => {
                let arguments = node.child_by_field_name("arguments").map_or("", |node| self.text_of(node));
                if let Some(module) = literal(arguments) {
                    let (location, when) = (location_of(node, self.text), when.max(ImportTime::Perhaps));
                    self.parsed.imports.push(Import { module, level: 0, names: Vec::new(), when, location });
                }
            }
            "addsitedir" | "spec_from_file_location" => self.parsed.changes_path = true,
            _ => {}
        }
    }
}

enum Condition {
    Never,
    Unknown,
}

/// Exceptions that a file catches to handle a missing module.
const IMPORT_ERRORS: [&str; 4] = ["ImportError", "ModuleNotFoundError", "Exception", "BaseException"];

/// Whether an attribute controls the search for modules.
fn is_search(text: &str) -> bool {
    ["sys.path", "sys.meta_path", "sys.path_hooks", "sys.modules"].contains(&text)
}

/// Whether the context of `sys.path` may change it.
fn changes(node: Node<'_>) -> bool {
    let parent = node.parent().map_or("", |parent| parent.kind());
    ["attribute", "assignment", "augmented_assignment", "subscript"].contains(&parent)
}

/// The module named by a single literal argument.
fn literal(arguments: &str) -> Option<String> {
    let inner = arguments.strip_prefix('(')?.strip_suffix(')')?.trim().trim_end_matches(',');
    let quote = inner.chars().next().filter(|c| ['"', '\''].contains(c))?;
    let name = inner.strip_prefix(quote)?.strip_suffix(quote)?;
    let fits = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    (!name.is_empty() && !name.starts_with('.') && name.chars().all(fits)).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{ImportTime::*, *};
    use proptest::prelude::*;

    fn imports(text: &str) -> Vec<(String, ImportTime)> {
        let dotted = |import: Import| (format!("{}{}", ".".repeat(import.level), import.module), import.when);
        parse(text).imports.into_iter().map(dotted).collect()
    }

    #[test]
    fn imports_and_when_they_run() {
        let rows: &[(&str, &[(&str, ImportTime)])] = &[
            ("import a, b.c as d", &[("a", Always), ("b.c", Always)]),
            ("from a.b import (c,\n  d as e)", &[("a.b", Always)]),
            ("from a import *", &[("a", Always)]),
            ("from . import x\nfrom ..p.q import y", &[(".", Always), ("..p.q", Always)]),
            ("from __future__ import annotations", &[]),
            ("def f():\n  import a", &[("a", Perhaps)]),
            ("async def f():\n  import a", &[("a", Perhaps)]),
            ("class C:\n  import a", &[("a", Always)]),
            ("if True:\n  import a\nelse:\n  import b", &[("a", Perhaps), ("b", Perhaps)]),
            ("if TYPE_CHECKING:\n  import a\nelse:\n  import b", &[("b", Always)]),
            ("import typing\nif typing.TYPE_CHECKING:\n  import a", &[("typing", Always)]),
            ("if __name__ == '__main__':\n  import a", &[]),
            ("try:\n  import a\nexcept ImportError:\n  import b", &[("a", Optional), ("b", Optional)]),
            (
                "try:\n  import a\nexcept (KeyError, ModuleNotFoundError) as e:\n  a = None",
                &[("a", Optional)],
            ),
            ("try:\n  import a\nexcept:\n  pass", &[("a", Optional)]),
            ("try:\n  import a\nexcept Exception:\n  pass", &[("a", Optional)]),
            ("try:\n  import a\nexcept ValueError:\n  import b", &[("a", Always), ("b", Perhaps)]),
            ("try:\n  import a\nfinally:\n  import b", &[("a", Always), ("b", Always)]),
            ("with suppress(ImportError):\n  import a", &[("a", Optional)]),
            ("with open('x') as f:\n  import a", &[("a", Always)]),
            ("importlib.import_module('a.b')", &[("a.b", Perhaps)]),
            ("__import__(name)", &[]),
            ("x = 1; import a", &[("a", Always)]),
            ("print 'two'\nimport a", &[("a", Always)]),
            ("# import a\n'''\nimport b\n'''", &[]),
        ];
        for (text, expected) in rows {
            let expected: Vec<_> = expected.iter().map(|(name, when)| ((*name).to_owned(), *when)).collect();
            assert_eq!(imports(text), expected, "{text}");
        }
    }

    #[test]
    fn columns_count_characters() {
        let parsed = parse("x = 'ä'; import a\n");
        assert_eq!(parsed.imports[0].location, Location { line: 1, column: 10 });
    }

    #[test]
    fn changes_of_the_search_path() {
        for (text, expected) in [
            ("import sys\nsys.path.append('x')", true),
            ("sys.path = []", true),
            ("sys.path += ['x']", true),
            ("sys.path[0:0] = ['x']", true),
            ("site.addsitedir('x')", true),
            ("from sys import path", true),
            ("print(sys.path)", false),
            ("os.path.join('x')", false),
        ] {
            assert_eq!(parse(text).changes_path, expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed(text in "\\PC*", code in "(import |from |\\(|def f\\(\\):\n|try:\n| |\n|a|\\.|except:){0,40}") {
            parse(&text);
            parse(&code);
        }
    }

    #[test]
    fn deep_nesting_ends() {
        parse(&format!("{}1{}\nimport a", "(".repeat(100_000), ")".repeat(100_000)));
        parse(&(0..2000).map(|depth| format!("{}if x:\n", " ".repeat(depth))).collect::<String>());
    }
}
