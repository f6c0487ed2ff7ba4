//! The output of compilers and installers about a package's sources while `krt` builds them.

use super::{
    hostile_text::{HOSTILE, assert_shown, literal},
    types,
};
use crate::support::{Copy, krt::write_package};
use std::{fs, path::Path};

const RUN: &[&str] = &["run", "--listen", "127.0.0.1:0"];
const ALL: &[&[&str]] = &[&["check"], &["check", "--json"], RUN];

/// Runs commands on a package that does not build.
fn attack(place: &str, package: &Path, commands: &[&[&str]]) {
    let data = tempfile::tempdir().unwrap();
    let data = ["--data", data.path().to_str().unwrap()];
    for command in commands {
        let data = if *command == RUN { &data[..] } else { &[] };
        let words = [command, data, &[package.to_str().unwrap()][..]].concat();
        assert_shown(&format!("{place}: {command:?}"), &types(&words));
    }
}

#[test]
fn output_of_go() {
    let copy = Copy::of("chain-go");
    // Go drops carriage returns, and refuses byte order marks.
    let name: String = HOSTILE.chars().filter(|c| !matches!(c, '\r' | '\u{feff}')).collect();
    let wrong = format!("func main() {{\n//line /{name}.go:7\n\tundefined(`{name}`)\n");
    copy.edit("src/mark/main.go", "func main() {\n", &wrong);
    attack("go", copy.path(), ALL);
}

#[test]
fn output_of_cargo() {
    let copy = Copy::of("chain-rust");
    let script = format!(
        "fn main() {{\n    println!({HOSTILE:?});\n    eprintln!({HOSTILE:?});\n    \
         println!(\"cargo::warning={{}}\", {HOSTILE:?});\n    std::process::exit(1);\n}}\n"
    );
    // No dependencies, so that the build script is compiled first.
    let manifest = "[package]\nname = \"mark\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n";
    let sources = copy.path().join("src/mark");
    fs::write(sources.join("Cargo.toml"), manifest).unwrap();
    fs::remove_file(sources.join("Cargo.lock")).unwrap();
    fs::write(sources.join("src/main.rs"), "fn main() {}\n").unwrap();
    fs::write(sources.join("build.rs"), script).unwrap();
    attack("cargo", copy.path(), ALL);
}

#[test]
fn output_of_installers() {
    let backend = format!(
        "import sys\n\n\ndef build_wheel(*_, **__):\n    print('{0}')\n    print('{0}', file=sys.stderr)\n    \
         raise ValueError('{0}')\n",
        literal()
    );
    let package = write_package(&[
        (
            "krt.yml",
            "version: v1\ndescription: Does not install.\nentrypoint:\n  proto: public_input.proto\nnodes:\n  \
             - { name: node, src: src/main.py }\nworkflows:\n  - { name: flow, entrypoint: Go, sequential: [node] }\n",
        ),
        (
            "public_input.proto",
            "syntax = \"proto3\";\npackage p;\nservice Entrypoint {\n  rpc Go(M) returns (M);\n}\nmessage M {}\n",
        ),
        ("src/main.py", "async def handler(ctx, data):\n    return data\n"),
        ("requirements.txt", "./lib\n"),
        (
            "lib/pyproject.toml",
            "[build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n\n\
             [project]\nname = \"lib\"\nversion = \"1\"\n",
        ),
        ("lib/backend.py", &backend),
    ]);
    attack("the installer", package.path(), &[RUN]);
}
