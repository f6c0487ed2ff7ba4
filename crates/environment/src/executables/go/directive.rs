//! The lines of a `go.mod` or a `go.work` (<https://go.dev/ref/mod#go-mod-file-lexical>).

use std::path::{Path, PathBuf};

/// A directive of the file, possibly from a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Directive {
    /// Its line, from 1.
    pub(super) line: usize,
    /// Its verb: `require`, `replace`, `use`, …
    pub(super) verb: String,
    pub(super) words: Vec<String>,
}

/// A `replace` of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Replace {
    pub(super) line: usize,
    pub(super) module: String,
    /// The replaced version; `None` for all.
    pub(super) version: Option<String>,
    pub(super) target: Target,
}

/// The replacement of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// A folder, as written.
    Folder(String),
    /// Another module with its version.
    Module(String),
}

/// All directives of a file. Skips invalid lines, which `go` reports.
pub(super) fn directives(text: &str) -> Vec<Directive> {
    let mut found = Vec::new();
    let mut block = None;
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let mut words = words(line);
        match (&block, words.first().map(String::as_str)) {
            (_, None) => {}
            (Some(_), Some(")")) => block = None,
            (Some(verb), Some(_)) => {
                found.push(Directive { line: index + 1, verb: String::clone(verb), words });
            }
            (None, Some(_)) if words.get(1).is_some_and(|word| word == "(") => block = Some(words.remove(0)),
            (None, Some(_)) => {
                let verb = words.remove(0);
                found.push(Directive { line: index + 1, verb, words });
            }
        }
    }
    found
}

/// The words of a line, without comment and quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() && !rest.starts_with("//") {
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '`'));
        let (word, after) = match quote.and_then(|quote| rest[1..].split_once(quote)) {
            Some(quoted) => quoted,
            None if rest.starts_with(['(', ')']) => rest.split_at(1),
            None => {
                let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '(' | ')'));
                rest.split_at(end.unwrap_or(rest.len()))
            }
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    words
}

/// The directives with a verb.
pub(super) fn of<'a>(all: &'a [Directive], verb: &'a str) -> impl Iterator<Item = &'a Directive> {
    all.iter().filter(move |directive| directive.verb == verb)
}

/// The first word of the first directive with a verb.
pub(super) fn value<'a>(all: &'a [Directive], verb: &'a str) -> Option<&'a str> {
    of(all, verb).next()?.words.first().map(String::as_str)
}

/// The replacements in a file.
pub(super) fn replaces(all: &[Directive]) -> Vec<Replace> {
    of(all, "replace").filter_map(replace).collect()
}

fn replace(directive: &Directive) -> Option<Replace> {
    let arrow = directive.words.iter().position(|word| word == "=>")?;
    let (module, target) = (directive.words[..arrow].to_vec(), &directive.words[arrow + 1..]);
    let [path, rest @ ..] = target else { return None };
    let target = match rest {
        [] => Target::Folder(path.clone()),
        [version, ..] => Target::Module(format!("{path}@{version}")),
    };
    let (module, version) = (module.first()?.clone(), module.get(1).cloned());
    Some(Replace { line: directive.line, module, version, target })
}

impl Replace {
    /// The replaced module, as in `go mod edit`.
    pub(super) fn key(&self) -> String {
        match &self.version {
            Some(version) => format!("{}@{version}", self.module),
            None => self.module.clone(),
        }
    }

    /// The folder that replaces the module, if any; the file is in `base`.
    pub(super) fn folder(&self, base: &Path) -> Option<PathBuf> {
        match &self.target {
            Target::Folder(folder) => Some(base.join(folder)),
            Target::Module(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_of_a_file() {
        let text = "\
\u{feff}module example.com/etl // ours\r
go 1.20
require example.com/a v1.2.3 // indirect
require(
\texample.com/b v0.1.0
\t\"example.com/c\" `v2.0.0`
)

// replace x => ./x
replace (
\texample.com/a => ../a
\texample.com/b v0.1.0 => example.com/fork v0.2.0
)
replace example.com/c v2.0.0 => \"./with space\"
use ./one
use (
\t.
\t../two
)
nonsense
replace broken =>
";
        let all = directives(text);
        assert_eq!(value(&all, "module"), Some("example.com/etl"));
        assert_eq!(value(&all, "go"), Some("1.20"));
        let required: Vec<_> = of(&all, "require").map(|it| (it.line, it.words[..2].join("@"))).collect();
        let expected =
            [(3, "example.com/a@v1.2.3"), (5, "example.com/b@v0.1.0"), (6, "example.com/c@v2.0.0")];
        assert_eq!(required, expected.map(|(line, text)| (line, text.to_owned())));
        let used: Vec<_> = of(&all, "use").map(|it| (it.line, it.words[0].as_str())).collect();
        assert_eq!(used, [(15, "./one"), (17, "."), (18, "../two")]);
        let replaced: Vec<_> =
            replaces(&all).iter().map(|it| (it.line, it.key(), it.folder(Path::new("/m")))).collect();
        assert_eq!(
            replaced,
            [
                (11, "example.com/a".to_owned(), Some("/m/../a".into())),
                (12, "example.com/b@v0.1.0".to_owned(), None),
                (14, "example.com/c@v2.0.0".to_owned(), Some("/m/./with space".into())),
            ]
        );
    }
}
