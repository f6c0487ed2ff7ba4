//! Detects whether a `handler` uses its message as a dict, as in the first runners of KRT v1: `payload: json`
//! here.

use super::location::{Location, location_of, text_of};
use tree_sitter::Node;

/// Attributes that only a dict has. `google.protobuf.Any` has none of them.
const DICT_ATTRIBUTES: [&str; 7] = ["get", "items", "keys", "values", "pop", "update", "setdefault"];

/// A use of the message as a dict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DictUse {
    /// Its place in the node's file.
    pub location: Location,
    /// Its code.
    pub code: String,
    /// Whether the handler checks the message's type first.
    pub looks_first: bool,
}

/// The first use of the message as a dict in the file's `handler`.
pub(super) fn dict_use(module: Node<'_>, text: &str) -> Option<DictUse> {
    let handler = handler(module, text)?;
    let parameters = handler.child_by_field_name("parameters")?;
    let mut cursor = parameters.walk();
    let second = parameters.named_children(&mut cursor).filter(|node| node.kind() != "comment").nth(1)?;
    let name = match second.kind() {
        "identifier" => text_of(second, text),
        _ => text_of(second.child_by_field_name("name").or_else(|| second.named_child(0))?, text),
    };
    Search { text, name, first: None, bound: usize::MAX, looks_first: false }.search(handler)
}

/// The file's last function with that name, which takes effect.
fn handler<'t>(module: Node<'t>, text: &str) -> Option<Node<'t>> {
    let mut cursor = module.walk();
    let definitions = module.named_children(&mut cursor).filter_map(|node| match node.kind() {
        "decorated_definition" => node.child_by_field_name("definition"),
        "function_definition" => Some(node),
        _ => None,
    });
    let named = |node: &Node<'t>| {
        let name = node.child_by_field_name("name").map_or("", |name| text_of(name, text));
        node.kind() == "function_definition" && name == "handler"
    };
    definitions.filter(named).last()
}

struct Search<'t> {
    text: &'t str,
    name: &'t str,
    first: Option<(usize, DictUse)>,
    /// Where the name is rebound.
    bound: usize,
    looks_first: bool,
}

impl Search<'_> {
    fn search(mut self, handler: Node<'_>) -> Option<DictUse> {
        let mut open: Vec<_> = handler.child_by_field_name("body").into_iter().collect();
        while let Some(node) = open.pop() {
            self.visit(node);
            let mut cursor = node.walk();
            open.extend(node.named_children(&mut cursor));
        }
        let (_, found) = self.first.filter(|(at, _)| *at < self.bound)?;
        Some(DictUse { looks_first: self.looks_first, ..found })
    }

    fn visit(&mut self, node: Node<'_>) {
        match node.kind() {
            "subscript" if self.is_message(node.child_by_field_name("value")) => self.found(node),
            "call" => self.call(node),
            "assignment" | "for_statement" | "for_in_clause" => {
                self.binds(node.child_by_field_name("left"), node);
            }
            "named_expression" => self.binds(node.child_by_field_name("name"), node),
            "as_pattern_target" => self.binds(Some(node), node),
            "function_definition" | "lambda" => {
                self.binds(node.child_by_field_name("parameters"), node);
            }
            _ => {}
        }
    }

    fn call(&mut self, node: Node<'_>) {
        let Some(function) = node.child_by_field_name("function") else { return };
        let attribute = function.child_by_field_name("attribute").map_or("", |name| text_of(name, self.text));
        if function.kind() == "attribute"
            && self.is_message(function.child_by_field_name("object"))
            && DICT_ATTRIBUTES.contains(&attribute)
        {
            return self.found(node);
        }
        let arguments = node.child_by_field_name("arguments");
        let first = arguments.and_then(|arguments| arguments.named_child(0));
        let looks = ["isinstance", "hasattr", "type"].contains(&text_of(function, self.text));
        self.looks_first |= looks && self.is_message(first);
    }

    fn is_message(&self, node: Option<Node<'_>>) -> bool {
        node.is_some_and(|node| node.kind() == "identifier" && text_of(node, self.text) == self.name)
    }

    fn found(&mut self, node: Node<'_>) {
        let at = node.start_byte();
        if self.first.as_ref().is_none_or(|(first, _)| at < *first) {
            let code = text_of(node, self.text).lines().next().unwrap_or_default().to_owned();
            let found = DictUse { location: location_of(node, self.text), code, looks_first: false };
            self.first = Some((at, found));
        }
    }

    /// Records that part of a statement may rebind the name, once the statement has run.
    fn binds(&mut self, part: Option<Node<'_>>, statement: Node<'_>) {
        let Some(part) = part else { return };
        let mut open = vec![part];
        while let Some(node) = open.pop() {
            // A subscript or attribute assignment does not rebind the name.
            if matches!(node.kind(), "subscript" | "attribute") {
                continue;
            }
            if self.is_message(Some(node)) {
                let from = match statement.kind() {
                    "assignment" => statement.end_byte(),
                    _ => statement.start_byte(),
                };
                self.bound = self.bound.min(from);
            }
            let mut cursor = node.walk();
            open.extend(node.named_children(&mut cursor));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::imports::parse::parse;

    #[test]
    fn handlers_that_take_a_dict() {
        let rows = [
            ("async def handler(ctx, data):\n  return data['x']", Some((2, "data['x']", false))),
            ("def handler(ctx, data: dict):\n  x = data.get('x', 1)", Some((2, "data.get('x', 1)", false))),
            (
                "@wrap\nasync def handler(c, message):\n  message[\"a\"][0]",
                Some((3, "message[\"a\"]", false)),
            ),
            (
                "async def handler(ctx, data):\n  if data:\n    for k in data.items(): pass",
                Some((3, "data.items()", false)),
            ),
            ("async def handler(ctx, data=None):\n  data['a'] = 1", Some((2, "data['a']", false))),
            ("async def handler(ctx, data):\n  data = data['a']", Some((2, "data['a']", false))),
            (
                "async def handler(ctx, data):\n  if isinstance(data, dict):\n    data['a']",
                Some((3, "data['a']", true)),
            ),
            ("async def handler(ctx, data):\n  data = MessageToDict(data)\n  data['a']", None),
            ("async def handler(ctx, data):\n  req = R()\n  data.Unpack(req)\n  req['a']", None),
            ("async def handler(ctx, data):\n  for data in rows: data['a']", None),
            ("async def handler(ctx, data):\n  f = lambda data: data['a']", None),
            ("async def handler(ctx, data):\n  other.data['a']", None),
            ("async def handler(data):\n  data['a']", None),
            ("class C:\n  def handler(self, data):\n    data['a']", None),
            ("def other(ctx, data):\n  data['a']", None),
            ("def handler(ctx, data):\n  data['a']\ndef handler(ctx, data):\n  pass", None),
        ];
        for (text, expected) in rows {
            let found = parse(text).dict_use;
            let found = found.as_ref().map(|found| (found.location.line, &*found.code, found.looks_first));
            assert_eq!(found, expected, "{text}");
        }
    }
}
