//! Explains messages of `go` about modules: with the user's own file and line instead of the build's, and a
//! hint.

use super::directive::{self, Directive};
use crate::executables::ExecutableSource;
use std::fs;

/// The hint when the installed `go` is too old.
const NEWER_GO_HINT: &str = "install a newer Go (https://go.dev/dl), let `go` fetch it with GOTOOLCHAIN=auto, or lower the \
    version in the go.mod";
/// The hint when a module cannot be fetched.
const FETCH_HINT: &str = "if the module is private, set GOPRIVATE and let git sign in, or put the module into the package: \
    `go mod vendor`, or `replace` it by a folder";
/// The hint when a package of the old runner is missing.
const RUNNER_HINT: &str = "krt has the old runner's packages `kre-go` and `kre-go/config` only: do without the others, or name \
    an executable that was built with them as `src`";

/// Messages of `go` that it is too old.
const OLD_GO_MESSAGES: [&str; 4] =
    ["requires go >=", "toolchain not available", "but maximum supported version is", "requires Go 1."];
/// Messages of `go`, and of git below it, that a module cannot be fetched.
const FETCH_MESSAGES: [&str; 12] = [
    ": reading http",
    "unrecognized import path",
    "git ls-remote",
    "could not read Username",
    "terminal prompts disabled",
    "module lookup disabled by GOPROXY=off",
    "404 Not Found",
    "410 Gone",
    "no such host",
    "Permission denied (publickey",
    "invalid version: unknown revision",
    "dial tcp",
];

/// Messages of `go` that no module has a package of the old runner: it then looks for a module with that
/// name.
const RUNNER_MESSAGES: [&str; 4] = [
    "does not contain package",
    "no required module provides package",
    "cannot find module providing package",
    "module github.com/konstellation-io/",
];

/// The lines of a failed build, located where they concern a `go.mod`, and a hint.
pub(super) fn explain(node: &ExecutableSource, output: Vec<String>) -> (Vec<String>, Option<String>) {
    let text = fs::read_to_string(node.module.join("go.mod")).unwrap_or_default();
    let directives = directive::directives(&text);
    let depth = node.folder.strip_prefix(&node.module).map_or(0, |below| below.components().count());
    let file = if depth == 0 { "./go.mod".to_owned() } else { format!("{}go.mod", "../".repeat(depth)) };
    let hint = output.iter().find_map(|line| hint(line));
    let lines = output.into_iter().map(|line| placed(&line, &file, &directives).unwrap_or(line)).collect();
    (lines, hint.map(str::to_owned))
}

fn hint(line: &str) -> Option<&'static str> {
    let has = |words: &[&str]| words.iter().any(|word| line.contains(word));
    if line.contains("/kre-go/") && has(&RUNNER_MESSAGES) {
        return Some(RUNNER_HINT);
    }
    if has(&OLD_GO_MESSAGES) {
        return Some(NEWER_GO_HINT);
    }
    has(&FETCH_MESSAGES).then_some(FETCH_HINT)
}

/// A line as `FILE:LINE:COLUMN: MESSAGE`, if it concerns the `go.mod`.
fn placed(line: &str, file: &str, directives: &[Directive]) -> Option<String> {
    let at = |line: usize, message: &str| Some(format!("{file}:{line}:1: {message}"));
    let line_of = |verb: &str| directive::of(directives, verb).next().map(|directive| directive.line);
    if let Some((path, rest)) = line.split_once("go.mod:")
        && !path.contains(' ')
        && let Some((number, message)) = rest.split_once(": ")
        && let Ok(number) = number.parse()
    {
        return at(number, message);
    }
    let said = line.strip_prefix("go: ")?;
    if let Some((path, message)) = said.split_once(" requires go >= ")
        && path.ends_with("go.mod")
    {
        return at(line_of("go")?, &format!("requires go >= {message}"));
    }
    if said.contains("toolchain not available") {
        let newest = line_of("toolchain").or_else(|| line_of("go"))?;
        return at(newest, said);
    }
    let module = said.trim_start_matches("module ").split([' ', '@', ':']).next()?;
    let required = directive::of(directives, "require")
        .find(|line| line.words.first().is_some_and(|it| it == module))?;
    at(required.line, said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_their_locations() {
        let directives =
            directive::directives("module etl\n\ngo 1.99\n\nrequire (\n\texample.com/private v1.0.0\n)\n");
        for (line, expected, hinted) in [
            (
                "go: ../.build-x/go.mod requires go >= 1.99 (running go 1.26; GOTOOLCHAIN=local)",
                Some("./go.mod:3:1: requires go >= 1.99 (running go 1.26; GOTOOLCHAIN=local)"),
                Some(NEWER_GO_HINT),
            ),
            (
                "go: download go1.99 for linux/amd64: toolchain not available",
                Some("./go.mod:3:1: download go1.99 for linux/amd64: toolchain not available"),
                Some(NEWER_GO_HINT),
            ),
            (
                "/cache/.build-x/go.mod:3: invalid go version 'banana': must match format 1.23.0",
                Some("./go.mod:3:1: invalid go version 'banana': must match format 1.23.0"),
                None,
            ),
            (
                "go: example.com/private@v1.0.0: reading https://proxy.example/x: 404 Not Found",
                Some(
                    "./go.mod:6:1: example.com/private@v1.0.0: reading https://proxy.example/x: 404 Not Found",
                ),
                Some(FETCH_HINT),
            ),
            (
                "go: module example.com/private@v1.0.0 requires go >= 1.30 (running go 1.26)",
                Some("./go.mod:6:1: module example.com/private@v1.0.0 requires go >= 1.30 (running go 1.26)"),
                Some(NEWER_GO_HINT),
            ),
            (
                "main.go:3:8: unrecognized import path \"example.com/private\": https fetch",
                None,
                Some(FETCH_HINT),
            ),
            (
                "main.go:9:2: module github.com/konstellation-io/kre/runners/kre-go/mongodb: reading https://x: 404 Not Found",
                None,
                Some(RUNNER_HINT),
            ),
            (
                "main.go:9:2: no required module provides package github.com/konstellation-io/kre-runners/kre-go/v2/mongodb",
                None,
                Some(RUNNER_HINT),
            ),
            ("main.go:9:2: no required module provides package example.com/kre-go-like", None, None),
            ("./main.go:3:15: undefined: nothing", None, None),
            ("go: downloading example.com/other v1.0.0", None, None),
        ] {
            assert_eq!(placed(line, "./go.mod", &directives).as_deref(), expected, "{line}");
            assert_eq!(hint(line), hinted, "{line}");
        }
    }
}
