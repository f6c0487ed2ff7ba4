//! Modules in the package's `vendor`, as placed by `go mod vendor` and `go work vendor`.
//!
//! `go -mod=vendor` would use vendored copies of KRT v1's modules instead of the SDK. So each vendored module
//! is replaced by its own folder, and `go` fetches none of them.

use super::directive::{self, Directive, Replace};
use crate::executables::ExecutableSource;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// The list of vendored modules.
const LIST: &str = "modules.txt";
/// From this version in a `go.mod`, `go` uses the folder by default.
const VENDOR_SINCE: (u32, u32) = (1, 14);

/// A `vendor` folder.
#[derive(Debug)]
pub(super) struct Vendor {
    folder: PathBuf,
    modules: BTreeMap<String, Module>,
}

/// A module in it.
#[derive(Debug, Default)]
struct Module {
    version: String,
    /// Whether a `go.mod` requires it directly.
    explicit: bool,
    /// The version of Go in its own `go.mod`.
    go: Option<String>,
    /// Whether a package of it is present.
    present: bool,
}

impl Vendor {
    /// The folder that applies to a module, if `go` would use it. In a workspace it is the workspace's.
    pub(super) fn of(
        node: &ExecutableSource,
        go_mod: &[Directive],
        workspace: Option<&Path>,
        flags: &str,
    ) -> Option<Self> {
        let is_told_otherwise =
            flags.split_whitespace().any(|flag| flag.trim_start_matches('-') == "mod=mod");
        let version = directive::value(go_mod, "go").and_then(minor)?;
        if is_told_otherwise || version < VENDOR_SINCE {
            return None;
        }
        let folder = workspace.unwrap_or(&node.module).join("vendor");
        let list = fs::read_to_string(folder.join(LIST)).ok()?;
        Some(Self { folder, modules: modules(&list) })
    }

    /// The modules present, each with its folder and a `go.mod` for it.
    pub(super) fn present(&self) -> impl Iterator<Item = (&str, PathBuf, String)> {
        self.modules.iter().filter(|(_, module)| module.present).map(|(path, module)| {
            let go = module.go.as_ref().map(|go| format!("\ngo {go}\n")).unwrap_or_default();
            (path.as_str(), self.folder.join(path), format!("module {path}\n{go}"))
        })
    }

    /// Whether a module is present.
    pub(super) fn has(&self, module: &str) -> bool {
        self.modules.get(module).is_some_and(|module| module.present)
    }

    /// The difference between a `go.mod` and the list, by the rules of `go`: its line, if it has one there,
    /// and the message.
    pub(super) fn difference(&self, go_mod: &[Directive], is_workspace: bool) -> Option<(usize, String)> {
        let required = directive::of(go_mod, "require").filter_map(|line| match &line.words[..] {
            [path, version, ..] => Some((line.line, path, version)),
            _ => None,
        });
        let required: Vec<_> = required.collect();
        let replaced: Vec<Replace> = directive::replaces(go_mod);
        for (line, path, version) in required.iter().copied() {
            let found = self.modules.get(path).filter(|module| is_workspace || module.explicit);
            let is_fork = replaced.iter().any(|replace| replace.module == *path);
            match found {
                Some(module) if module.version == *version || is_fork || is_workspace => {}
                Some(module) => {
                    return Some((
                        line,
                        format!("requires `{path} {version}`, but `vendor` has {}", module.version),
                    ));
                }
                None if is_workspace => {}
                None => {
                    return Some((
                        line,
                        format!("requires `{path} {version}`, which `vendor` does not have"),
                    ));
                }
            }
        }
        if is_workspace {
            return None;
        }
        let explicit = self.modules.iter().filter(|(_, module)| module.explicit);
        let (path, _) =
            explicit.into_iter().find(|(path, _)| !required.iter().any(|(_, it, _)| it == path))?;
        Some((1, format!("does not require `{path}`, which `vendor` has as required")))
    }
}

/// Parses the list: `# PATH VERSION [=> …]`, then `## explicit; go 1.20`, then the packages present.
fn modules(list: &str) -> BTreeMap<String, Module> {
    let mut modules: BTreeMap<String, Module> = BTreeMap::new();
    let mut current: Option<String> = None;
    for line in list.lines() {
        if let Some(marks) = line.strip_prefix("## ") {
            let Some(module) = current.as_ref().and_then(|path| modules.get_mut(path)) else { continue };
            for mark in marks.split(';').map(str::trim) {
                module.explicit |= mark == "explicit";
                module.go = mark.strip_prefix("go ").map(str::to_owned).or(module.go.take());
            }
        } else if let Some(name) = line.strip_prefix("# ") {
            let mut words = name.split_whitespace();
            let (path, version) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            // A module replaced at all versions is listed again at the end, without a version.
            if version.starts_with('v') {
                let module = Module { version: version.to_owned(), ..Module::default() };
                modules.insert(path.to_owned(), module);
                current = Some(path.to_owned());
            } else {
                current = None;
            }
        } else if !line.trim().is_empty()
            && let Some(module) = current.as_ref().and_then(|path| modules.get_mut(path))
        {
            module.present = true;
        }
    }
    modules
}

/// The first two numbers of a Go version.
fn minor(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.').map(|part| {
        let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        part[..end].parse().ok()
    });
    Some((numbers.next()??, numbers.next().flatten().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: &str = "\
# example.com/a v1.2.3
## explicit; go 1.20
example.com/a
example.com/a/deep
# example.com/b v0.1.0
## explicit
# example.com/c v1.0.0 => ../c
## explicit; go 1.21
example.com/c
# example.com/c => ../c
";

    #[test]
    fn vendored_modules_and_differences_to_go_mod() {
        let vendor = Vendor { folder: "/v".into(), modules: modules(LISTED) };
        let present: Vec<_> = vendor.present().collect();
        assert_eq!(
            present,
            [
                ("example.com/a", "/v/example.com/a".into(), "module example.com/a\n\ngo 1.20\n".to_owned()),
                ("example.com/c", "/v/example.com/c".into(), "module example.com/c\n\ngo 1.21\n".to_owned()),
            ]
        );
        let good = "require example.com/a v1.2.3\nrequire example.com/b v0.1.0\nrequire example.com/c v1.0.0\nreplace example.com/c => ../c\n";
        let differs = |text: &str| vendor.difference(&directive::directives(text), false);
        assert_eq!(differs(good), None);
        for (from, to, expected) in [
            ("v1.2.3", "v1.2.4", (1, "requires `example.com/a v1.2.4`, but `vendor` has v1.2.3")),
            (
                "require example.com/b v0.1.0\n",
                "",
                (1, "does not require `example.com/b`, which `vendor` has as required"),
            ),
            (
                "example.com/b",
                "example.com/d",
                (2, "requires `example.com/d v0.1.0`, which `vendor` does not have"),
            ),
        ] {
            assert_eq!(differs(&good.replace(from, to)), Some((expected.0, expected.1.to_owned())), "{to}");
        }
    }

    #[test]
    fn go_versions() {
        for (text, expected) in [
            ("1.20", Some((1, 20))),
            ("1.9", Some((1, 9))),
            ("1.21rc2", Some((1, 21))),
            ("2", Some((2, 0))),
            ("x", None),
        ] {
            assert_eq!(minor(text), expected, "{text}");
        }
    }
}
