//! Checks that every YAML block of the pages is a valid `krt.yml`, or marked as a part of one.

use super::{blocks, docs, pages};
use crate::support::{Folder, run};
use serde_json::Value;

/// The first line of a partial block.
const PART: &str = "# Part of krt.yml.\n";

/// Part of the errors about missing files, which every block may have.
const MISSING_FILE: &str = "does not exist";
/// Parts of further errors that a partial block may have.
const INCOMPLETE: [&str; 2] = [" has no `", "there is no node"];

#[test]
fn yaml_blocks_are_manifests_or_marked_as_parts() {
    let mut seen = 0;
    for page in pages(&docs()) {
        for block in blocks(&page).iter().filter(|block| block.language == "yaml") {
            let is_part = block.text.starts_with(PART);
            for message in problems(&block.text) {
                let expected = message.contains(MISSING_FILE)
                    || is_part && INCOMPLETE.iter().any(|words| message.contains(words));
                assert!(expected, "{}: {message}\n{}", page.display(), block.text);
            }
            seen += 1;
        }
    }
    assert!(seen > 5, "{seen} blocks were found");
}

/// The output of `krt check` for a manifest without other files.
fn problems(manifest: &str) -> Vec<String> {
    let folder = Folder::new(&[("krt.yml", manifest)]);
    let ended = run(["check", "--json", folder.path().to_str().unwrap()]);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{}", ended.stderr));
    let problems = report["problems"].as_array().unwrap().iter();
    problems.map(|problem| problem["message"].as_str().unwrap().to_owned()).collect()
}
