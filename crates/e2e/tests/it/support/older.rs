//! Packages with executables that contain a stand-in for the older Go runner (`runners/go`).

use super::{Copy, krt::binary};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
};

/// The kre-go versions of the executables: a release for core NATS, and a commit for JetStream.
const VERSIONS: [&str; 2] = ["v1.2.3", "v0.0.0-20220718093000-4829b1390428"];

/// The kind of an executable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Core,
    JetStream,
    /// Core NATS, without symbols.
    Stripped,
}

/// The nodes of a package: their names, and whether they are executables of an older runner.
pub(crate) type Nodes<'a> = &'a [(&'a str, bool)];

/// The package `wire` with some nodes as executables. `more` is added to each of their entries.
pub(crate) fn package(kind: Kind, nodes: Nodes<'_>, more: &str) -> Copy {
    let copy = Copy::of("wire");
    let manifest = fs::read_to_string(copy.path().join("krt.yml")).expect("the package has one");
    let head = &manifest[..manifest.find("nodes:").expect("it has nodes")];
    let mut text = format!("{head}nodes:\n");
    for (name, is_older) in nodes {
        let (src, more) = if *is_older { ("bin/old", more) } else { ("src/act/main.py", "") };
        text += &format!("  - {{ name: {name}, image: i, src: {src}{more} }}\n");
    }
    let names: Vec<_> = nodes.iter().map(|(name, _)| *name).collect();
    let (all, first) = (names.join(", "), names[0]);
    text += &format!("workflows:\n  - {{ name: wire, entrypoint: Act, sequential: [{all}] }}\n");
    text += &format!("  - {{ name: again, entrypoint: Again, sequential: [{first}, {all}, {first}] }}\n");
    fs::write(copy.path().join("krt.yml"), text).expect("the folder is ours");
    copy.edit("public_input.proto", "rpc Act", "rpc Again(Order) returns (Order);\n  rpc Act");
    fs::create_dir_all(copy.path().join("bin")).expect("the folder is ours");
    // Not executable, as in real packages.
    let program = fs::read(executable(kind)).expect("it was built");
    fs::write(copy.path().join("bin/old"), program).expect("the folder is ours");
    copy
}

/// The executable, built once.
fn executable(kind: Kind) -> PathBuf {
    static BUILD_LOCK: Mutex<()> = Mutex::new(());
    let _alone = BUILD_LOCK.lock().unwrap_or_else(PoisonError::into_inner);
    let target =
        binary().ancestors().nth(2).expect("the binary is in `target/PROFILE`").join("test-cache/older");
    fs::create_dir_all(&target).expect("the folder is ours");
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("runners/go");
    let [name, version, flags] = match kind {
        Kind::Core => ["core", VERSIONS[0], ""],
        Kind::Stripped => ["stripped", VERSIONS[0], "-ldflags=-s -w"],
        Kind::JetStream => ["jetstream", VERSIONS[1], "-tags=jetstream"],
    };
    let manifest = fs::read_to_string(sources.join("go.mod")).expect("the stand-in has one");
    fs::write(target.join(format!("{name}.mod")), manifest.replace(VERSIONS[0], version))
        .expect("it is ours");
    fs::copy(sources.join("go.sum"), target.join(format!("{name}.sum"))).expect("it is ours");
    let built = Command::new("go")
        .args(["build", "-mod=mod", "-trimpath", "-buildvcs=false"])
        .arg(format!("-modfile={}", target.join(format!("{name}.mod")).display()))
        .args(Some(flags).filter(|flags| !flags.is_empty()))
        .arg("-o")
        .args([&target.join(name), Path::new(".")])
        .current_dir(&sources)
        .env("GOWORK", "off")
        .output()
        .expect("Go can be started");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    target.join(name)
}
