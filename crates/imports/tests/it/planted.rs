//! Small workspaces, most with one violation.

use krt_imports::{
    Workspace,
    rules::{Cycle, Rules},
    violations,
};
use std::fs;

/// `top` may use `base`, and `middle` nothing.
const RULES: Rules<'static> = Rules {
    crates: &[("alpha", &[]), ("beta", &["alpha"]), ("gamma", &["beta"])],
    layers: &[("beta", &[("base", &[]), ("middle", &[]), ("top", &["base"])])],
    outside: &[("alpha", &["std::fs"])],
    cycles: &[],
};

/// What the rules forbid in a workspace of these files, which stand in `crates/`, beside those that all have.
fn found(files: &[(&str, &str)]) -> Vec<String> {
    found_by(&RULES, files)
}

fn found_by(rules: &Rules<'_>, files: &[(&str, &str)]) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let manifest = |name: &str, dependencies: &str| {
        format!("[package]\nname = \"krt-{name}\"\n[dependencies]\n{dependencies}")
    };
    let common = [
        ("alpha/Cargo.toml", manifest("alpha", "")),
        ("alpha/src/lib.rs", "pub struct Noun;".to_owned()),
        ("beta/Cargo.toml", manifest("beta", "krt-alpha = {}")),
        ("beta/src/lib.rs", "mod base;\nmod middle;\nmod top;\npub use top::Top;".to_owned()),
        ("beta/src/base.rs", "pub struct Base;".to_owned()),
        ("beta/src/middle.rs", String::new()),
        ("beta/src/top.rs", "use crate::base::Base;\npub struct Top(Base);".to_owned()),
    ];
    let changed = files.iter().map(|(path, text)| (*path, (*text).to_owned()));
    for (path, text) in common.into_iter().chain(changed) {
        let path = folder.path().join("crates").join(path);
        fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a folder can be made");
        fs::write(path, text).expect("a file can be written");
    }
    let workspace = Workspace::load(folder.path()).expect("the workspace can be read");
    let root = format!("{}/crates/", folder.path().display());
    let mut found: Vec<String> = violations(&workspace, rules)
        .iter()
        .map(|violation| violation.to_string().replace(&root, ""))
        .collect();
    found.sort();
    found
}

#[test]
fn a_workspace_that_keeps_the_rules_has_no_violation() {
    assert_eq!(found(&[]), [""; 0]);
    let names = "use krt_alpha::Noun;\nuse crate::base::Base as Floor;\npub struct Top(Floor, Noun);";
    assert_eq!(found(&[("beta/src/top.rs", names)]), [""; 0]);
}

#[test]
fn layers_apply_to_every_form_of_import() {
    let deep = ("beta/src/middle.rs", "mod deep;");
    for (file, text, by) in [
        ("beta/src/middle.rs", "use crate::top::Top;", "crate::top::Top"),
        ("beta/src/middle.rs", "use crate::Top;", "crate::Top"),
        ("beta/src/middle.rs", "use super::Top;", "super::Top"),
        ("beta/src/middle.rs", "use crate::Top as Base;", "crate::Top"),
        ("beta/src/middle.rs", "use crate::{base::{self}, top::{Top}};", "crate::top::Top"),
        ("beta/src/middle.rs", "fn f() { use super::top; }", "super::top"),
        ("beta/src/middle.rs", "fn f(_: crate::Top) {}", "crate::Top"),
        ("beta/src/middle.rs", "fn f() { println!(\"{:?}\", crate::top::Top); }", "crate::top::Top"),
        ("beta/src/middle.rs", "#[serde(with = \"crate::top\")] struct S;", "crate::top"),
        ("beta/src/middle.rs", "mod inline { use super::super::Top; }", "super::super::Top"),
        ("beta/src/middle.rs", "#[cfg(test)] mod tests { use crate::Top; }", "crate::Top"),
        ("beta/src/middle/deep.rs", "use super::super::top::Top;", "super::super::top::Top"),
        ("beta/src/middle/deep.rs", "use super::super::*;\nfn f(_: Top) {}", "Top"),
    ] {
        let found = found(&[deep, (file, text)]);
        let top = format!("imports top by `{by}`");
        assert!(
            found.iter().any(|found| found.starts_with(file) && found.ends_with(&top)),
            "{text}: {found:?}"
        );
    }
}

#[test]
fn names_imported_by_another_module_are_followed() {
    let files = [
        ("beta/src/base.rs", "pub use crate::middle::Hidden as Base;"),
        ("beta/src/middle.rs", "pub struct Hidden;"),
    ];
    let rules =
        Rules { layers: &[("beta", &[("base", &["middle"]), ("middle", &[]), ("top", &["base"])])], ..RULES };
    let place = "beta/src/top.rs:1 imports middle by `crate::base::Base`";
    assert!(found_by(&rules, &files).contains(&place.to_owned()));
}

#[test]
fn crate_rules_are_enforced() {
    let manifest = "[package]\nname = \"krt-alpha\"\n[target.'cfg(unix)'.dependencies]\nother = { package = \"krt-beta\" }";
    assert_eq!(found(&[("alpha/Cargo.toml", manifest)]), ["crates/alpha depends on crates/beta"]);
    let new = "[package]\nname = \"krt-delta\"";
    assert_eq!(found(&[("delta/Cargo.toml", new), ("delta/src/lib.rs", "")]), ["crates/delta has no rule"]);
}

#[test]
fn reexported_crates_are_noticed() {
    let manifest = "[package]\nname = \"krt-gamma\"\n[dependencies]\nkrt-beta = {}";
    let files = [
        ("beta/src/lib.rs", "mod base;\nmod middle;\nmod top;\npub use krt_alpha::Noun;"),
        ("gamma/Cargo.toml", manifest),
        ("gamma/src/lib.rs", "use krt_beta::Noun;"),
    ];
    assert_eq!(found(&files), ["gamma/src/lib.rs:1 imports crates/alpha by `krt_beta::Noun`"]);
}

#[test]
fn forbidden_external_imports_are_noticed() {
    let text = "use std::{fs::File, io};\n#[cfg(test)]\nmod tests { use std::fs; }";
    assert_eq!(
        found(&[("alpha/src/lib.rs", text)]),
        ["alpha/src/lib.rs:1 imports std::fs by `std::fs::File`"]
    );
}

#[test]
fn each_layer_has_a_rule() {
    let files = [("beta/src/lib.rs", "mod base;\nmod middle;\nmod top;\nmod new;"), ("beta/src/new.rs", "")];
    assert_eq!(found(&files), ["new of crates/beta has no rule"]);
}

#[test]
fn a_cycle_needs_a_reason() {
    let files = [
        ("alpha/src/lib.rs", "mod one;\nmod two;\npub use two::Two;"),
        ("alpha/src/one.rs", "mod deep;\npub struct One;"),
        ("alpha/src/one/deep.rs", "use crate::Two;"),
        ("alpha/src/two.rs", "use crate::one::One;\npub struct Two(One);"),
    ];
    let cycle = "crates/alpha has a cycle of one, two\n  alpha/src/one/deep.rs:1 imports two by `crate::Two`\n  \
        alpha/src/two.rs:1 imports one by `crate::one::One`";
    assert_eq!(found(&files), [cycle]);
    let reason = "each is a part of the other";
    let cycles = [Cycle { krate: "alpha", modules: &["one", "two"], reason }];
    let rules = Rules { cycles: &cycles, ..RULES };
    assert_eq!(found_by(&rules, &files), [""; 0]);
    assert_eq!(found_by(&rules, &[]), ["crates/alpha has no cycle of one, two, but a rule for it"]);
}
