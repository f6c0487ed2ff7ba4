//! Checks that comments in the sources refer to existing sections of `docs/reference/krt-v1.md`.

use super::docs;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const PAGE: &str = "docs/reference/krt-v1.md#";

#[test]
fn sections_named_in_comments_exist() {
    let page = fs::read_to_string(docs().join("reference/krt-v1.md")).unwrap();
    let sections: BTreeSet<String> = page.lines().filter(|line| line.starts_with('#')).map(anchor).collect();
    let mut named = 0;
    for source in sources(&docs().join("../crates")) {
        let text = fs::read_to_string(&source).unwrap_or_default();
        for rest in text.split(PAGE).skip(1) {
            let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
            // The match in this test itself has an empty name.
            named += usize::from(!name.is_empty());
            assert!(name.is_empty() || sections.contains(&name), "{}: {name}", source.display());
        }
    }
    assert!(named > 25, "{named} sections are named");
}

/// The anchor of a heading.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars()
        .filter(|c| c.is_alphanumeric() || *c == ' ')
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let found = entries.filter(|path| path.file_name().is_none_or(|name| name != "target"));
    found
        .flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}
