//! Hostile archives, built header by header: each is refused and leaves nothing behind.

use super::*;
use flate2::Compression;
use flate2::write::GzEncoder;
use krt_model::hint;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use tar::Header;
use tempfile::TempDir;

/// An entry with raw names: the builder of a tar library would refuse many of them.
fn entry(kind: u8, name: &str, link: &str, mode: u32, content: &[u8]) -> Vec<u8> {
    let mut header = Header::new_gnu();
    let raw = header.as_gnu_mut().unwrap();
    raw.name[..name.len()].copy_from_slice(name.as_bytes());
    raw.linkname[..link.len()].copy_from_slice(link.as_bytes());
    raw.typeflag = [kind];
    header.set_mode(mode);
    header.set_size(content.len() as u64);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn file(name: &str, content: &[u8]) -> Vec<u8> {
    entry(b'0', name, "", 0o644, content)
}

fn link(name: &str, target: &str) -> Vec<u8> {
    entry(b'2', name, target, 0o777, b"")
}

fn hard(name: &str, target: &str) -> Vec<u8> {
    entry(b'1', name, target, 0o644, b"")
}

fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let record = |(key, value): &(&str, &str)| {
        let rest = format!(" {key}={value}\n");
        let length = (1..).find(|length| length.to_string().len() + rest.len() == *length).unwrap();
        format!("{length}{rest}")
    };
    entry(b'x', "pax", "", 0o644, records.iter().map(record).collect::<String>().as_bytes())
}

/// The entries after a valid manifest, with the zeros that end a tar.
fn tar(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = file("krt.yml", b"version: a");
    bytes.extend(entries.concat());
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Unpacks in a folder of its own; a refused archive must leave no trace.
fn unpack_bytes(archive: &[u8], limits: &Limits) -> Result<TempDir, Error> {
    let folder = tempfile::tempdir().unwrap();
    let result = unpack(archive, &folder.path().join("out"), limits);
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let expected: &[&str] = if result.is_ok() { &["out"] } else { &[] };
    assert_eq!(left, expected);
    result.map(|()| folder)
}

fn refusal(entries: &[Vec<u8>]) -> String {
    refusal_of(&gzip(&tar(entries)), &Limits::default())
}

fn refusal_of(archive: &[u8], limits: &Limits) -> String {
    hint::line(&unpack_bytes(archive, limits).map(|_| "it was unpacked").unwrap_err())
}

#[test]
fn names_outside_the_package() {
    for name in ["../evil", "/etc/evil", "a/../../evil", "a/..", "..", "./../evil"] {
        assert_eq!(refusal(&[file(name, b"x")]), format!("`{name}` leads out of the package"));
    }
    let long = pax(&[("path", "a/../../evil")]);
    assert_eq!(refusal(&[long, file("fine", b"x")]), "`a/../../evil` leads out of the package");
    let gnu = entry(b'L', "././@LongLink", "", 0o644, b"/etc/evil\0");
    assert_eq!(refusal(&[gnu, file("fine", b"x")]), "`/etc/evil` leads out of the package");
}

#[test]
fn invalid_names() {
    for name in ["", ".", "./", "././."] {
        let error = refusal(&[entry(b'2', name, "x", 0o644, b"")]);
        assert!(error.contains("is not a file name"), "{name:?}: {error}");
    }
    let nul = pax(&[("path", "a\0b")]);
    assert!(refusal(&[nul, file("fine", b"x")]).contains("is not a file name"));
    let mut latin = entry(b'0', "gr\u{1}n", "", 0o644, b"");
    latin[2] = 0xfc;
    let mut header = Header::from_byte_slice(&latin[..512]).clone();
    header.set_cksum();
    assert!(refusal(&[header.as_bytes().to_vec()]).contains("is not a file name"));
}

#[test]
fn links_out_of_the_package() {
    let out = |name: &str, target: &str| format!("the link `{name}` to `{target}` leads out of the package");
    for (entries, expected) in [
        (vec![link("a", "/etc/passwd")], out("a", "/etc/passwd")),
        (vec![link("a", "../x")], out("a", "../x")),
        (vec![link("d/a", "../../x")], out("d/a", "../../x")),
        (vec![link("d/a", "x/../../../y")], out("d/a", "x/../../../y")),
        // A chain: the text of each link alone is harmless.
        (vec![link("d/e/up", ".."), link("far", "d/e/up/../../x")], out("far", "d/e/up/../../x")),
        (vec![link("d/a", ".."), link("d/b", "a/.."), link("c", "d/b")], out("c", "d/b")),
    ] {
        assert_eq!(refusal(&entries), expected);
    }
    assert!(refusal(&[link("a", "b"), link("b", "a")]).ends_with("forms a cycle"));
    assert!(refusal(&[link("a", "a/x")]).ends_with("forms a cycle"));
    assert!(refusal(&[link("a", "")]).contains("is not a file name"));
}

#[test]
fn nothing_is_written_through_a_link() {
    let below = "`a/evil` lies below `a`, which is not a folder";
    assert_eq!(refusal(&[link("a", "/tmp"), file("a/evil", b"x")]), below);
    assert_eq!(refusal(&[link("a", "."), file("a/evil", b"x")]), below);
    assert_eq!(refusal(&[file("a", b""), file("a/evil", b"x")]), below);
    let twice = "`a` is in the archive twice";
    assert_eq!(refusal(&[link("a", "/etc/passwd"), file("a", b"x")]), twice);
    assert_eq!(refusal(&[file("a", b""), link("a", "/etc/passwd")]), twice);
    assert_eq!(refusal(&[file("a/b", b""), file("a", b"x")]), twice);
    assert_eq!(refusal(&[file("a", b"1"), file("./a", b"2")]), twice);
    assert_eq!(refusal(&[link("a", "."), entry(b'5', "a/", "", 0o755, b"")]), twice);
    assert_eq!(refusal(&[file("krt.yml", b"again")]), "`krt.yml` is in the archive twice");
}

#[test]
fn hard_links() {
    for target in ["nobody", "a", "folder"] {
        let error = refusal(&[file("folder/x", b""), hard("a", target)]);
        assert!(error.contains("which is not an earlier file"), "{target}: {error}");
    }
    assert!(refusal(&[link("s", "krt.yml"), hard("a", "s")]).contains("which is not an earlier file"));
    assert_eq!(refusal(&[hard("a", "/etc/passwd")]), "`/etc/passwd` leads out of the package");
    assert_eq!(refusal(&[hard("a", "../x")]), "`../x` leads out of the package");

    let folder = unpack_bytes(&gzip(&tar(&[hard("d/copy.yml", "./krt.yml")])), &Limits::default()).unwrap();
    assert_eq!(fs::read(folder.path().join("out/d/copy.yml")).unwrap(), b"version: a");
}

#[test]
fn unsupported_kinds_of_entries() {
    for (kind, expected) in [
        (b'3', "`x` is a device: a package holds files, folders and links"),
        (b'4', "`x` is a device: a package holds files, folders and links"),
        (b'6', "`x` is a pipe: a package holds files, folders and links"),
        (b'S', "`x` is a sparse file: a package holds files, folders and links"),
        (b'V', "`x` is of a kind that is not known: a package holds files, folders and links"),
    ] {
        assert_eq!(refusal(&[entry(kind, "x", "", 0o644, b"")]), expected);
    }
    let sparse = pax(&[("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0")]);
    assert!(refusal(&[sparse, file("x", b"y")]).starts_with("`x` is a sparse file"));
}

#[test]
fn sizes_are_limited() {
    let limits = Limits { entries: 3, total: 10_000, file: 2_000, ratio: 200, path: 20 };
    let error = |entries: &[Vec<u8>]| refusal_of(&gzip(&tar(entries)), &limits);
    let many: Vec<_> = (0..3).map(|n| file(&n.to_string(), b"")).collect();
    assert_eq!(error(&many), "it holds more than 3 files");
    assert_eq!(error(&[file("a/b/c/d", b"")]), "it holds more than 3 files");
    assert_eq!(error(&[file("a", &[1; 2_001])]), "`a` has 2001 bytes, a file may have 2000");
    assert_eq!(
        error(&[file("abcdefghijklmnopqrstuvw", b"")]),
        "`abcdefghijklmnopqrstuvw…` is longer than 20 bytes"
    );
    let mut padded = tar(&[]);
    padded.resize(20_000, 0);
    assert_eq!(refusal_of(&gzip(&padded), &limits), "it holds more than 10000 bytes");

    let long = pax(&[("path", &"x".repeat(256))]);
    assert!(refusal(&[long, file("a", b"")]).ends_with("is longer than 255 bytes"));
    let huge = entry(b'L', "././@LongLink", "", 0o644, &vec![b'x'; 100_000]);
    assert!(refusal(&[huge, file("a", b"")]).contains("is longer than 65536 bytes"));
}

#[test]
fn a_bomb_is_stopped_early() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&vec![0; 1 << 20]).unwrap();
    let megabyte = encoder.finish().unwrap();
    let archive = [gzip(&tar(&[])), megabyte.repeat(500)].concat();
    assert!(archive.len() < 1 << 20, "{}", archive.len());
    assert_eq!(
        refusal_of(&archive, &Limits::default()),
        "it becomes more than 200 times larger when it is unpacked"
    );
}

#[test]
fn headers_with_a_wrong_size() {
    let mut header = Header::new_gnu();
    header.as_gnu_mut().unwrap().name[0] = b'a';
    header.set_mode(0o644);
    header.set_size(5_000);
    header.set_cksum();
    assert!(refusal(&[header.as_bytes().to_vec()]).starts_with("it is cut off"));
    header.set_size(1 << 60);
    header.set_cksum();
    assert!(refusal(&[header.as_bytes().to_vec()]).contains("a file may have"));
    let two_sizes = pax(&[("size", "3")]);
    assert!(refusal(&[two_sizes, file("a", b"12345")]).starts_with("it holds no tar"));
}

#[test]
fn invalid_archives() {
    let limits = Limits::default();
    let whole = gzip(&tar(&[file("a", &[7; 5_000])]));
    for (bytes, expected) in [
        (Vec::new(), "it is not a gzip file"),
        (b"version: a\n".to_vec(), "it is not a gzip file"),
        (tar(&[]), "it is not a gzip file"),
        (b"\x1f\x8b".to_vec(), "it is cut off"),
        (gzip(&vec![b'x'; 2_000]), "it holds no tar archive"),
        (gzip(b"short"), "it holds no tar archive"),
        (gzip(b""), "it has no `krt.yml` at its root"),
        ([whole.as_slice(), b"garbage of some length"].concat(), "it is damaged, or something was added"),
        (gzip(&[tar(&[]).as_slice(), b"garbage"].concat()), "something follows the end"),
    ] {
        let error = refusal_of(&bytes, &limits);
        assert!(error.starts_with(expected), "{error}");
    }
    for length in 2..whole.len() {
        let error = refusal_of(&whole[..length], &limits);
        assert!(error.starts_with("it is cut off"), "{length} bytes: {error}");
    }
    let mut wrong = whole.clone();
    let checksum = wrong.len() - 6;
    wrong[checksum] ^= 1;
    assert!(refusal_of(&wrong, &limits).starts_with("it is damaged"));
}

#[test]
fn the_manifest_is_at_the_root() {
    let mut nested = file("greeter/krt.yml", b"version: a");
    nested.resize(nested.len() + 1024, 0);
    assert_eq!(
        refusal_of(&gzip(&nested), &Limits::default()),
        "it has no `krt.yml` at its root; hint: there is one in `greeter`"
    );
}

#[test]
fn archives_of_other_tools() {
    let long = "a".repeat(60) + "/" + &"b".repeat(60) + "/main.py";
    let gnu = entry(b'L', "././@LongLink", "", 0o644, format!("{long}\0").as_bytes());
    let archive = tar(&[
        entry(b'5', "./", "", 0o755, b""),
        entry(b'g', "pax_global_header", "", 0o644, b"19 comment=deadbeef\n"),
        entry(b'0', "./._krt.yml", "", 0o644, b"apple"),
        entry(b'0', "__MACOSX/._x", "", 0o644, b"apple"),
        entry(b'5', "./src/", "", 0o755, b""),
        entry(b'5', "./src", "", 0o755, b""),
        gnu,
        file("cut", b"long"),
        pax(&[("path", "src/über.py"), ("mtime", "1.5")]),
        file("uber.py", b"pax"),
        entry(b'0', "bin/tool", "", 0o4711, b"elf"),
        entry(0, "old", "", 0o600, b"v7"),
        link("src/latest.py", "../src/über.py"),
        link("dangling", "nowhere"),
    ]);
    // Two gzip members, as written by `cat a.gz b.gz` and parallel compressors.
    let (first, second) = archive.split_at(700);
    let folder = unpack_bytes(&[gzip(first), gzip(second)].concat(), &Limits::default()).unwrap();
    let out = folder.path().join("out");
    let read = |name: &str| fs::read_to_string(out.join(name)).unwrap();
    assert_eq!((read(&long), read("src/über.py"), read("old")), ("long".into(), "pax".into(), "v7".into()));
    assert_eq!(read("src/latest.py"), "pax");
    let mode = |name: &str| fs::metadata(out.join(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("bin/tool"), mode("old")), (0o755, 0o644), "no set-user-id bit");
    assert!(!out.join("._krt.yml").exists() && !out.join("__MACOSX").exists());
}

#[test]
fn a_folder_with_files_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let archive = gzip(&tar(&[]));
    fs::write(folder.path().join("mine"), "").unwrap();
    let error = unpack(archive.as_slice(), folder.path(), &Limits::default()).unwrap_err();
    assert!(matches!(error, Error::Occupied { .. }));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);

    let error = unpack(archive.as_slice(), &folder.path().join("mine"), &Limits::default()).unwrap_err();
    assert!(matches!(error, Error::Write { .. }));
    let error = unpack(archive.as_slice(), &folder.path().join("no/parent"), &Limits::default()).unwrap_err();
    assert!(matches!(error, Error::Write { .. }));

    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    unpack(archive.as_slice(), &empty, &Limits::default()).unwrap();
    assert!(empty.join("krt.yml").is_file());
}
