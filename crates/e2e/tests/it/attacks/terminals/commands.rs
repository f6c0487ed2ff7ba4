//! The output of each command for packages, archives, and typed arguments.

use super::{
    hostile_text::{HOSTILE, assert_calm, assert_shown, literal},
    types,
};
use crate::support::krt::{command, write_package};
use std::{collections::BTreeSet, fs::File, path::Path};
use tempfile::TempDir;

/// An address without a server.
const NATS: &str = "--nats=nats://127.0.0.1:1";

/// The commands that a row here or in the parent module runs.
const TYPED: [&str; 28] = [
    "backup",
    "bench",
    "call",
    "check",
    "completions",
    "data",
    "dead",
    "doctor",
    "entrypoint",
    "env",
    "login",
    "logout",
    "man",
    "new",
    "node",
    "pack",
    "proto",
    "restore",
    "run",
    "runtime",
    "schema",
    "serve",
    "size",
    "test",
    "token",
    "unpack",
    "user",
    "version",
];

#[test]
fn every_command_is_attacked() {
    let output = command().arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let (_, listed) = help.split_once("Commands:\n").unwrap();
    let (listed, _) = listed.split_once("\n\n").unwrap();
    let names = listed.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let names: BTreeSet<_> = names.filter(|name| !name.is_empty() && *name != "help").collect();
    assert_eq!(names, BTreeSet::from(TYPED), "a command that is missing here is not attacked");
}

fn path(folder: &TempDir) -> &str {
    folder.path().to_str().unwrap()
}

const PROTO: &str = "syntax = \"proto3\";\npackage p;\nservice Entrypoint {\n  rpc Go(M) returns (M);\n}\nmessage M {\n  string text = 1;\n}\n";

fn manifest(node: &str, more: &str) -> String {
    format!(
        "version: v1\ndescription: \"{}\"\nentrypoint:\n  proto: public_input.proto\nnodes:\n  - name: node\n    src: {node}\n\
         workflows:\n  - name: flow\n    entrypoint: Go\n    sequential:\n      - node\n{more}",
        literal()
    )
}

/// A package with hostile names and texts in every place that errors quote.
fn wrong_package() -> TempDir {
    let more = format!("\"{0}\": 1\n# \u{202e}\u{200b}\nextra: \"{0}\u{202e}\u{200b}\"\n", literal());
    write_package(&[
        ("krt.yml", &manifest(&format!("\"src/{}.py\"", literal()), &more)),
        ("public_input.proto", &format!("{PROTO}// \u{202e}\nmessage \u{202e}\u{200b}\u{9b}\x1b[2J {{}}\n")),
    ])
}

fn archive(name: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let file = File::create(folder.path().join("a.krt")).unwrap();
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(file, flate2::Compression::fast()));
    let mut put = |name: &str, content: &str| {
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tar.append(&header, content.as_bytes()).unwrap();
    };
    put("krt.yml", &manifest("src/main.py", ""));
    put(name, "");
    tar.into_inner().unwrap().finish().unwrap();
    folder
}

#[test]
fn packages_and_archives() {
    let wrong = wrong_package();
    let outside = archive("../<\x1b[2J\u{9b}31m\u{202e}\r\n>");
    let outside = outside.path().join("a.krt");
    let archive = outside.to_str().unwrap();
    let target = tempfile::tempdir().unwrap();
    let into = target.path().join("into");
    let into = into.to_str().unwrap();
    let out = target.path().join("out.krt");
    let out = out.to_str().unwrap();
    let linked = write_package(&[("krt.yml", &manifest("src/main.py", "")), ("public_input.proto", PROTO)]);
    std::os::unix::fs::symlink(format!("/nowhere{HOSTILE}"), linked.path().join(HOSTILE)).unwrap();
    let tested = write_package(&[
        ("krt.yml", &manifest("src/main.py", "")),
        ("public_input.proto", PROTO),
        ("src/main.py", "async def handler(ctx, data):\n    return data\n"),
        (
            "src/test_main.py",
            &format!(
                "import sys, unittest\nclass T(unittest.TestCase):\n    def test(self):\n        print('{0}')\n        \
                 print('{0}', file=sys.stderr)\n        sys.stdout.buffer.write(b'\\xff\\x1b[2J')\n        self.fail('{0}')\n",
                literal()
            ),
        ),
    ]);
    let needs = write_package(&[
        ("krt.yml", &manifest("src/main.py", "")),
        ("public_input.proto", PROTO),
        ("src/main.py", "async def handler(ctx, data):\n    return data\n"),
        ("requirements.txt", "./nowhere\u{202e}\u{200b}\x1b[2J\u{9b}31m\n"),
    ]);
    let below = format!("/dev/null/{HOSTILE}");
    let rows: &[(&str, Vec<&str>)] = &[
        ("diagnostics", vec!["check", path(&wrong)]),
        ("diagnostics as JSON", vec!["check", "--json", path(&wrong)]),
        ("diagnostics before a run", vec!["run", "--listen", "127.0.0.1:0", path(&wrong)]),
        ("diagnostics before a call", vec!["call", "--package", path(&wrong), "Go"]),
        ("diagnostics of a package to pack", vec!["pack", path(&wrong), "-o", out]),
        ("names in an archive", vec!["unpack", archive, into]),
        ("an archive that does not run", vec!["run", "--listen", "127.0.0.1:0", archive]),
        ("names of links", vec!["pack", "--no-check", path(&linked), "-o", out]),
        ("names that were typed", vec!["new", HOSTILE]),
        ("paths that were typed", vec!["check", HOSTILE]),
        ("arguments that were typed", vec!["check", ".", HOSTILE]),
        ("values that were typed", vec!["run", "--listen", HOSTILE]),
        ("nodes that were typed", vec!["env", HOSTILE, path(&tested), "--nats", "nats://127.0.0.1:1"]),
        ("servers to call", vec!["call", "--address", HOSTILE, "Go"]),
        ("methods to measure", vec!["bench", HOSTILE, "--package", path(&wrong)]),
        ("diagnostics before a measurement", vec!["size", path(&wrong), "--rate", "1", "--p95", "1s"]),
        ("servers to measure", vec!["bench", "Go", "--address", HOSTILE]),
        ("names of nodes", vec!["new", "node", HOSTILE]),
        ("nodes to run", vec!["node", HOSTILE, path(&tested), NATS, "--data", into]),
        (
            "diagnostics before an entrypoint",
            vec!["entrypoint", path(&wrong), NATS, "--listen", "127.0.0.1:0"],
        ),
        ("diagnostics of a package with dead letters", vec!["dead", "list", path(&wrong), NATS]),
        ("diagnostics of messages", vec!["proto", path(&wrong)]),
        ("addresses that were typed", vec!["serve", "--listen", HOSTILE]),
        ("servers that were typed", vec!["login", HOSTILE]),
        ("shells that were typed", vec!["completions", HOSTILE]),
        ("arguments of a command that has none", vec!["schema", HOSTILE]),
        ("arguments of a command without any", vec!["doctor", HOSTILE]),
        ("notebooks that were typed", vec!["new", "a", "--from", HOSTILE]),
        ("folders of pages", vec!["man", &below]),
        ("folders that were typed", vec!["data", "--data", HOSTILE]),
        ("folders to copy", vec!["backup", out, "--data", HOSTILE]),
        ("copies that were typed", vec!["restore", HOSTILE, "--data", into]),
        ("programs that were typed", vec!["guard", HOSTILE]),
        ("output of tests", vec!["test", path(&tested)]),
        ("output of an installer", vec!["check", path(&needs)]),
        ("output of an installer before a run", vec!["run", "--listen", "127.0.0.1:0", path(&needs)]),
    ];
    for (place, words) in rows {
        let written = types(words);
        match *place {
            "output of an installer" => assert_calm(place, &written),
            _ => assert_shown(place, &written),
        }
    }
}

/// On a pipe, text of others is escaped in diagnostics, too: a pager or a terminal shows it next.
#[test]
fn diagnostics_in_a_pipe() {
    let wrong = wrong_package();
    let output = command().args(["check", path(&wrong)]).output().unwrap();
    assert_shown("diagnostics in a pipe", std::str::from_utf8(&output.stdout).unwrap());
    let missing = Path::new("/nowhere").join(HOSTILE);
    let output = command().arg("check").arg(missing).output().unwrap();
    assert_shown("errors in a pipe", std::str::from_utf8(&output.stderr).unwrap());
}
