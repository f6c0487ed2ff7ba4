//! Archives and manifests crafted to harm their reader.

use super::HostilePackage;
use flate2::{Compression, write::GzEncoder};
use std::{
    fmt::Write as _,
    io::{self, Write},
};
use tar::{Builder, EntryType, Header};

/// A manifest with one node.
pub(super) fn manifest() -> &'static str {
    "version: bad-v1
description: Does harm.
entrypoint:
  proto: public_input.proto
nodes:
  - name: namer
    src: src/namer/main.py
workflows:
  - name: naming
    entrypoint: Name
    sequential:
      - namer
"
}

/// A `.krt` archive of files.
pub(super) fn archive(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    written(|builder| {
        files.iter().try_for_each(|(name, content)| {
            builder.append_data(&mut header(content.len() as u64), name, content.as_slice())
        })
    })
}

fn written(write: impl FnOnce(&mut Builder<GzEncoder<Vec<u8>>>) -> io::Result<()>) -> Vec<u8> {
    let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    write(&mut builder).and_then(|()| builder.into_inner()?.finish()).expect("memory takes everything")
}

fn header(size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_size(size);
    header.set_mode(0o644);
    header
}

/// More files than an archive may contain.
fn many_files() -> Vec<u8> {
    written(|builder| {
        (0..100_100)
            .try_for_each(|file| builder.append_data(&mut header(0), format!("f/{file}"), io::empty()))
    })
}

/// 128 MiB of zeros.
fn bomb() -> Vec<u8> {
    let zeros = io::Read::take(io::repeat(0), 128 << 20);
    written(|builder| builder.append_data(&mut header(128 << 20), "zeros", zeros))
}

/// A sparse entry that claims a TiB in a few bytes.
fn sparse() -> Vec<u8> {
    written(|builder| {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::GNUSparse);
        header.set_size(0);
        header.set_path("hole")?;
        let gnu = header.as_gnu_mut().expect("it is one");
        gnu.realsize.copy_from_slice(b"20000000000\0");
        header.set_cksum();
        builder.append(&header, io::empty())
    })
}

/// A file that claims to have a TiB.
fn claims() -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    let mut header = header(1 << 40);
    header.set_path("claims").expect("the name fits");
    header.set_cksum();
    gzip.write_all(header.as_bytes()).and_then(|()| gzip.finish()).expect("memory takes everything")
}

/// A gzip file that consists of empty members only.
fn empty_members() -> Vec<u8> {
    let member = GzEncoder::new(Vec::new(), Compression::fast()).finish().expect("memory takes everything");
    member.repeat(500_000)
}

pub(super) fn all() -> Vec<HostilePackage> {
    let hostile = |name, package, expected| HostilePackage { name, package, expected };
    vec![
        hostile("many files", many_files(), "it holds more than 100000 files"),
        hostile("a bomb", bomb(), "it becomes more than 200 times larger"),
        hostile("a sparse file", sparse(), "`hole` is a sparse file"),
        hostile("a file of a TiB", claims(), "`claims` has 1099511627776 bytes"),
        hostile("empty members", empty_members(), "it has no `krt.yml`"),
    ]
}

/// Aliases that each expand to ten aliases.
fn laughs() -> String {
    let mut text = "a0: &a0 [x]\n".to_owned();
    for layer in 1..12 {
        let aliases = vec![format!("*a{}", layer - 1); 10].join(", ");
        writeln!(text, "a{layer}: &a{layer} [{aliases}]").expect("a text takes everything");
    }
    text
}

pub(super) fn manifests() -> Vec<HostilePackage> {
    let of = |name, text: String, expected| {
        let package = archive(&[("krt.yml".to_owned(), text.into_bytes())]);
        HostilePackage { name, package, expected }
    };
    let names: String =
        (0..3000).fold("nodes:\n".to_owned(), |text, node| text + &format!("  - name: n{node}\n"));
    vec![
        of("aliases", laughs(), "values"),
        of("deep lists", "[".repeat(100_000), "lists and mappings nest deeper than 32"),
        of(
            "deep mappings",
            (0..400).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect(),
            "nest deeper than 32",
        ),
        of("large", "# x\n".repeat(100_000), "the file is larger than 256 KiB"),
        of("many errors", names, "`src`"),
        of("a long text", format!("version: {}\n", "v".repeat(200_000)), "a name has at most 19"),
    ]
}
