//! Tests of the rules on imports: over this workspace, and over small ones with a violation each.

mod hints;
mod planted;

use krt_imports::{Workspace, rules::RULES, violations};
use std::path::Path;

#[test]
fn imports_follow_the_architecture() {
    // Cargo runs tests in their crate's folder.
    let workspace = Workspace::load(Path::new("../..")).expect("the workspace can be read");
    let found: Vec<String> = violations(&workspace, &RULES).iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "ARCHITECTURE.md does not allow that\n{}", found.join("\n"));
}
