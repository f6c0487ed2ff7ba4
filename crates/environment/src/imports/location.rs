//! The places and texts of syntax nodes.

use tree_sitter::Node;

/// A place in a file; both counts start at 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// The line.
    pub line: usize,
    /// The character in the line.
    pub column: usize,
}

/// The text of a node.
pub(super) fn text_of<'t>(node: Node<'_>, text: &'t str) -> &'t str {
    text.get(node.byte_range()).unwrap_or_default()
}

/// The start of a node.
pub(super) fn location_of(node: Node<'_>, text: &str) -> Location {
    let start = node.start_position();
    let line_start = node.start_byte() - start.column;
    let before = text.get(line_start..node.start_byte()).unwrap_or_default();
    Location { line: start.row + 1, column: before.chars().count() + 1 }
}
