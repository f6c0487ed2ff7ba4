//! The grammar of a `requirements.txt`, where it affects the environment's key.
//!
//! The installer reads the file itself: this module finds only the other inputs on disk, and the names.

use regex::Regex;
use std::sync::LazyLock;

/// The meaning of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// `-r` or `-c`: another such file, relative to this one.
    Include(&'a str),
    /// `-e`: a project on disk that is used in place.
    Editable(&'a str),
    /// A project or archive on disk to install, or a folder of archives to choose from.
    Local(&'a str),
    /// A package, by normalized name.
    Package(String),
    /// An option, or a URL.
    Other,
}

static NAME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?").expect("the pattern is valid")
});

const ARCHIVES: [&str; 5] = [".whl", ".tar.gz", ".zip", ".tar.bz2", ".tgz"];

/// The logical lines: joined at continuations, without comments and outer white space.
pub(super) fn logical_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open = String::new();
    for line in text.lines() {
        open.push_str(without_comment(line));
        match open.strip_suffix('\\').map(str::len) {
            Some(length) => open.truncate(length),
            None => lines.push(std::mem::take(&mut open)),
        }
    }
    lines.push(open);
    lines.iter().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
}

/// Removes a comment: a `#` at the start of a line or after white space.
fn without_comment(line: &str) -> &str {
    let starts =
        |(index, _): &(usize, &str)| line[..*index].chars().next_back().is_none_or(char::is_whitespace);
    line.match_indices('#').find(starts).map_or(line, |(index, _)| line[..index].trim_end())
}

/// Classifies a logical line.
pub(super) fn classify(line: &str) -> Line<'_> {
    if let Some(path) = option(line, &["-r", "--requirement", "-c", "--constraint"]) {
        return if path.contains("://") { Line::Other } else { Line::Include(path) };
    }
    if let Some(path) = option(line, &["-e", "--editable"]) {
        return local_path(path, true).map_or(Line::Other, Line::Editable);
    }
    if let Some(path) = option(line, &["-f", "--find-links"]) {
        return local_path(path, true).map_or(Line::Other, Line::Local);
    }
    if line.starts_with('-') {
        return Line::Other;
    }
    if let Some((_, address)) = line.split_once(" @ ")
        && let Some(path) = local_path(address, false)
    {
        return Line::Local(path);
    }
    match local_path(line, false) {
        Some(path) => Line::Local(path),
        None if line.contains("://") && !line.contains('@') => Line::Other,
        None => NAME.find(line).map_or(Line::Other, |name| Line::Package(normalized(name.as_str()))),
    }
}

/// A package's normalized name (PEP 503).
pub(super) fn normalized(name: &str) -> String {
    let words = name.split(['-', '_', '.']).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

/// The value of an option, if the line has one of these.
fn option<'a>(line: &'a str, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| {
        let rest = line.strip_prefix(name)?;
        let short = !name.starts_with("--");
        let value = match rest.chars().next()? {
            '=' => &rest[1..],
            space if space.is_whitespace() => rest,
            _ if short => rest,
            _ => return None,
        };
        Some(value.trim().trim_matches(['"', '\'']))
    })
}

/// The path of a requirement on disk, without marker, extras and options.
fn local_path(text: &str, sure: bool) -> Option<&str> {
    let end = [";", " --", "#egg=", "#subdirectory="].iter().filter_map(|end| text.find(end)).min();
    let text = text[..end.unwrap_or(text.len())].trim();
    let path = match text.rfind('[') {
        Some(start) if text.ends_with(']') => &text[..start],
        _ => text,
    };
    let file = path.strip_prefix("file://").or_else(|| path.strip_prefix("file:"));
    if file.is_none() && path.contains("://") {
        return None;
    }
    let looks_local =
        path.starts_with('.') || path.contains('/') || ARCHIVES.iter().any(|end| path.ends_with(end));
    (sure || file.is_some() || looks_local).then_some(file.unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_are_joined_and_comments_dropped() {
        let text = "# all\nsix==1.0 # old\n\n a \\\n  --hash=sha256:1 \\\n  --hash=sha256:2\nb @ https://h/x#egg=b\nlast\\";
        let expected = ["six==1.0", "a   --hash=sha256:1   --hash=sha256:2", "b @ https://h/x#egg=b", "last"];
        assert_eq!(logical_lines(text), expected);
    }

    #[test]
    fn lines_are_classified() {
        let package = |name: &str| Line::Package(name.to_owned());
        for (line, expected) in [
            ("six", package("six")),
            ("Typing_Extensions>=4; python_version<'3.9'", package("typing-extensions")),
            ("uvicorn[standard]==0.3", package("uvicorn")),
            ("protobuf", package("protobuf")),
            ("protobuf==3.20.*", package("protobuf")),
            ("a @ https://host/a.whl", package("a")),
            ("a@git+https://host/a", package("a")),
            ("https://host/a.whl", Line::Other),
            ("-r more.txt", Line::Include("more.txt")),
            ("-rmore.txt", Line::Include("more.txt")),
            ("--requirement=more.txt", Line::Include("more.txt")),
            ("-c 'pins.txt'", Line::Include("pins.txt")),
            ("-r https://host/more.txt", Line::Other),
            ("--constraint pins.txt", Line::Include("pins.txt")),
            ("-e .", Line::Editable(".")),
            ("--editable=lib[extra]", Line::Editable("lib")),
            ("-e git+https://host/a#egg=a", Line::Other),
            ("./lib", Line::Local("./lib")),
            ("lib/one", Line::Local("lib/one")),
            (".[extra]", Line::Local(".")),
            ("../lib[a,b] ; python_version > '3'", Line::Local("../lib")),
            ("/opt/a-1.0-py3-none-any.whl", Line::Local("/opt/a-1.0-py3-none-any.whl")),
            ("wheels/a-1.0-py3-none-any.whl --hash=sha256:1", Line::Local("wheels/a-1.0-py3-none-any.whl")),
            ("a @ file:///opt/a", Line::Local("/opt/a")),
            ("file:lib#egg=a", Line::Local("lib")),
            ("--find-links wheels", Line::Local("wheels")),
            ("-f https://host/wheels", Line::Other),
            ("--index-url https://host/simple", Line::Other),
            ("--no-binary :all:", Line::Other),
        ] {
            assert_eq!(classify(line), expected, "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed(text in "\\PC*", joined in "[-a-z #\\\\\n=@./\\[\\];]*") {
            for text in [text, joined] {
                for line in logical_lines(&text) {
                    prop_assert!(!line.is_empty() && !line.contains('\n'));
                    classify(&line);
                }
            }
        }
    }
}
