//! An error as text, with what to do about it.
//!
//! An error's message says what happened. Its hint says what to do, and is a field of the error: the help of a
//! [`Diagnostic`]. Nothing else writes `hint:` before a hint of an error, and nothing reads it out of a text.

use miette::Diagnostic;
use std::error::Error;

/// The hints of an error, of the errors that it lists, and of its causes, from the outermost, each once.
pub fn hints(error: &dyn Diagnostic) -> Vec<String> {
    let mut hints = Vec::new();
    collect(error, &mut hints);
    hints
}

fn collect(error: &dyn Diagnostic, hints: &mut Vec<String>) {
    let hint = error.help().map(|hint| hint.to_string());
    hints.extend(hint.filter(|hint| !hints.contains(hint)));
    error.related().into_iter().flatten().for_each(|error| collect(error, hints));
    if let Some(cause) = error.diagnostic_source() {
        collect(cause, hints);
    }
}

/// An error on one line, without its causes: `message; hint: what to do`.
pub fn line(error: &dyn Diagnostic) -> String {
    on_one_line(error.to_string(), &hints(error))
}

/// An error on one line, with its causes: `message: cause; hint: what to do`.
pub fn chain(error: &dyn Diagnostic) -> String {
    on_one_line(messages(error), &hints(error))
}

/// The messages of an error and of its causes, joined with `: `.
pub fn messages(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}

/// A message and its hints on one line: `message; hint: what to do`.
pub fn on_one_line(message: impl Into<String>, hints: &[impl AsRef<str>]) -> String {
    written(message.into(), "; hint: ", hints)
}

/// A message, and each hint on a line of its own, for terminals.
pub fn on_lines(message: impl Into<String>, hints: &[impl AsRef<str>]) -> String {
    written(message.into(), "\nhint: ", hints)
}

fn written(mut text: String, label: &str, hints: &[impl AsRef<str>]) -> String {
    for hint in hints {
        text.push_str(label);
        text.push_str(hint.as_ref());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error, Diagnostic)]
    enum Outer {
        #[error("no package `{name}`")]
        #[diagnostic(help("`krt new {name}` makes one"))]
        Missing { name: &'static str },
        #[error("cannot load it")]
        #[diagnostic(help("look at the file"))]
        Load {
            #[source]
            #[diagnostic_source]
            cause: Inner,
        },
        #[error("cannot save it")]
        Save {
            #[source]
            #[diagnostic_source]
            cause: Inner,
        },
        #[error(transparent)]
        #[diagnostic(transparent)]
        Inner(Inner),
        #[error("cannot list it")]
        List(#[source] std::fmt::Error),
        #[error("all are full")]
        All(#[related] Vec<Inner>),
    }

    #[derive(Debug, thiserror::Error, Diagnostic)]
    #[error("the disk is full")]
    struct Inner {
        #[help]
        hint: Option<&'static str>,
    }

    #[test]
    fn hints_follow_the_messages() {
        let inner = |hint| Inner { hint };
        let full = Some("free some space");
        for (error, line, chain) in [
            (
                Outer::Missing { name: "shop" },
                "no package `shop`; hint: `krt new shop` makes one",
                "no package `shop`; hint: `krt new shop` makes one",
            ),
            (
                Outer::Load { cause: inner(full) },
                "cannot load it; hint: look at the file; hint: free some space",
                "cannot load it: the disk is full; hint: look at the file; hint: free some space",
            ),
            (
                Outer::Load { cause: inner(Some("look at the file")) },
                "cannot load it; hint: look at the file",
                "cannot load it: the disk is full; hint: look at the file",
            ),
            (
                Outer::Save { cause: inner(full) },
                "cannot save it; hint: free some space",
                "cannot save it: the disk is full; hint: free some space",
            ),
            (Outer::Save { cause: inner(None) }, "cannot save it", "cannot save it: the disk is full"),
            (
                Outer::Inner(inner(full)),
                "the disk is full; hint: free some space",
                "the disk is full; hint: free some space",
            ),
            (
                Outer::List(std::fmt::Error),
                "cannot list it",
                "cannot list it: an error occurred when formatting an argument",
            ),
            (
                Outer::All(vec![inner(full), inner(None), inner(full), inner(Some("wait"))]),
                "all are full; hint: free some space; hint: wait",
                "all are full; hint: free some space; hint: wait",
            ),
        ] {
            assert_eq!((super::line(&error), super::chain(&error)), (line.to_owned(), chain.to_owned()));
            assert!(!error.to_string().contains("hint"), "{error}");
        }
        assert_eq!(on_lines("it failed", &["wait", "try again"]), "it failed\nhint: wait\nhint: try again");
    }
}
