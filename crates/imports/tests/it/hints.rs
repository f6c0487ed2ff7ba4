//! No code reads a hint out of a text: a hint is a field of its error (docs/inside/decisions/0055-hints-are-fields.md).

use std::{fs, path::Path};

/// Sources of the product. Tests may look for a hint in what is shown.
const FOLDERS: [&str; 5] = ["crates", "sdk/python/src", "sdk/go", "sdk/rust/src", "dashboard/src"];
const ENDINGS: [&str; 5] = ["rs", "py", "go", "ts", "tsx"];

/// Methods and functions that take a text apart, in all languages.
const READERS: [&str; 22] = [
    "Cut",
    "CutPrefix",
    "Index",
    "Split",
    "SplitN",
    "TrimPrefix",
    "find",
    "indexOf",
    "match_indices",
    "partition",
    "removeprefix",
    "rfind",
    "rsplit",
    "rsplit_once",
    "rsplitn",
    "split",
    "split_at",
    "split_once",
    "splitn",
    "strip_prefix",
    "trim_start_matches",
    "rpartition",
];

#[test]
fn hints_are_not_read_out_of_texts() {
    let mut found = Vec::new();
    FOLDERS.iter().for_each(|folder| search(&Path::new("../..").join(folder), &mut found));
    assert!(found.is_empty(), "take the hint from the error instead:\n{}", found.join("\n"));
}

#[test]
fn readers_are_recognised() {
    let hint = "hint: ";
    for (text, expected) in [
        (format!("text.split_once(\"\\n{hint}\")"), true),
        (format!("text.split_once(\n    \"; {hint}\",\n)"), true),
        (format!("text.partition('; {hint}')"), true),
        (format!("strings.Cut(text, \"{hint}\")"), true),
        (format!("text.find(|c| c == ';').map(|_| \"{hint}\")"), false),
        (format!("bail!(\"no; {hint}do\")"), false),
        (format!("text.contains(\"{hint}\")"), false),
    ] {
        assert_eq!(reads(&text), expected, "{text}");
    }
}

fn search(path: &Path, found: &mut Vec<String>) {
    let name = path.file_name().unwrap_or_default();
    if path.is_dir() && name != "target" && name != "tests" && name != "node_modules" {
        let entries = fs::read_dir(path).expect("the folder can be read");
        entries.for_each(|entry| search(&entry.expect("the folder can be read").path(), found));
    } else if path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known)) {
        let text = fs::read_to_string(path).expect("the file can be read");
        found.extend(reads(&text).then(|| path.display().to_string()));
    }
}

/// Whether a text calls a reader with `hint:` in a string.
fn reads(text: &str) -> bool {
    text.match_indices("hint:").any(|(place, _)| {
        let before = &text[..place];
        let string = before.rfind(['"', '\'', '`']).map(|quote| &before[..quote]);
        string.is_some_and(|before| {
            READERS.iter().any(|reader| before.trim_end().ends_with(&format!("{reader}(")))
        }) || READERS.iter().any(|reader| is_second_argument(before, reader))
    })
}

/// Whether a text ends with `reader(text, "`, as in Go.
fn is_second_argument(before: &str, reader: &str) -> bool {
    let call = before.rfind(&format!(".{reader}("));
    call.is_some_and(|call| {
        let arguments = &before[call..];
        !arguments.contains(['\n', ')', '|', ';']) && arguments.matches('"').count() == 1
    })
}
