//! The content of archives, and that it is reproducible.

use super::*;
use crate::archive::{Limits, unpack};
use crate::fixture::folder;
use krt_model::hint;
use std::collections::BTreeMap;
use std::fs::FileTimes;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

fn packed(folder: &Path) -> Result<Vec<u8>, PackError> {
    let mut archive = Vec::new();
    pack(folder, &mut archive, &mut |_| {}).map(|_| archive)
}

/// The names in an archive, links with their targets.
fn names(archive: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(archive));
    let entries = archive.entries().unwrap().map(Result::unwrap);
    let name = |entry: tar::Entry<'_, _>| {
        let link = entry.link_name().unwrap().map(|link| format!(" -> {}", link.display()));
        format!("{}{}", entry.path().unwrap().display(), link.unwrap_or_default())
    };
    entries.map(name).collect()
}

#[test]
fn the_same_content_makes_the_same_bytes() {
    let files = [("krt.yml", "version: a"), ("src/b.py", "b"), ("src/a.py", "a"), ("a-b", ""), ("a/b", "")];
    let first = folder(&files);
    let mut backwards = files;
    backwards.reverse();
    let second = folder(&backwards);
    for (name, _) in files {
        let file = File::options().append(true).open(second.path().join(name)).unwrap();
        let past = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        file.set_times(FileTimes::new().set_modified(past)).unwrap();
        let mode = if name == "krt.yml" { 0o600 } else { 0o664 };
        file.set_permissions(fs::Permissions::from_mode(mode)).unwrap();
    }
    let archive = packed(first.path()).unwrap();
    assert_eq!(archive, packed(second.path()).unwrap());
    assert_eq!(archive[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
    assert_eq!(names(&archive), ["a/", "a-b", "a/b", "krt.yml", "src/", "src/a.py", "src/b.py"]);

    fs::set_permissions(second.path().join("src/a.py"), fs::Permissions::from_mode(0o755)).unwrap();
    assert_ne!(archive, packed(second.path()).unwrap(), "the x bit is content");
}

#[test]
fn excluded_files() {
    let folder = folder(&[
        ("krt.yml", ""),
        (".krtignore", "*.log\n/data/\n!keep.log\n"),
        ("a.log", ""),
        ("keep.log", ""),
        ("data/x", ""),
        ("src/data/x", ""),
        ("src/.krtignore", "notes.txt"),
        ("src/notes.txt", ""),
        ("notes.txt", ""),
        (".gitignore", "notes.txt"),
        (".ignore", "notes.txt"),
        (".git/config", ""),
        (".krt/log.db", ""),
        (".krt.schema.json", ""),
        (".venv/lib/x.py", ""),
        ("env/pyvenv.cfg", ""),
        ("src/__pycache__/x.pyc", ""),
        ("hello-v1.krt", ""),
        (".krt-pack-x", ""),
        (".krt-unpack-x/package/krt.yml", ""),
        ("src/models.krt/weights", ""),
        ("src/other-v1.krt", ""),
    ]);
    assert_eq!(
        names(&packed(folder.path()).unwrap()),
        [
            ".gitignore",
            ".ignore",
            ".krtignore",
            "keep.log",
            "krt.yml",
            "notes.txt",
            "src/",
            "src/.krtignore",
            "src/data/",
            "src/data/x",
            "src/models.krt/",
            "src/models.krt/weights",
            "src/other-v1.krt",
        ]
    );
}

#[test]
fn packing_twice_in_the_package_makes_the_same_bytes() {
    let folder = folder(&[("krt.yml", "version: a"), ("main.py", "")]);
    let pack = |name: &str| {
        let out = folder.path().join(name);
        pack_file(folder.path(), &out, &mut |_| {}).unwrap();
        fs::read(out).unwrap()
    };
    let first = pack("first.krt");
    assert_eq!(pack("second.krt"), first);
    assert_eq!(pack("first.krt"), first);
}

#[test]
fn ignore_files_above_the_package_do_not_apply() {
    let folder = folder(&[(".krtignore", "*.py"), ("package/krt.yml", ""), ("package/main.py", "")]);
    assert_eq!(names(&packed(&folder.path().join("package")).unwrap()), ["krt.yml", "main.py"]);
}

#[test]
fn links_are_packed_as_their_targets() {
    let folder =
        folder(&[("krt.yml", ""), ("src/a/main.py", "main"), ("left.log", "log"), (".krtignore", "*.log")]);
    let at = |name: &str| folder.path().join(name);
    fs::set_permissions(at("src/a/main.py"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("a/main.py", at("src/link.py")).unwrap();
    symlink(at("src/a").canonicalize().unwrap(), at("latest")).unwrap();
    symlink("link.py", at("src/twice.py")).unwrap();
    symlink("left.log", at("log")).unwrap();
    symlink("nothing", at("dangling")).unwrap();
    let archive = packed(folder.path()).unwrap();
    let expected = [
        ".krtignore",
        "krt.yml",
        "latest/",
        "latest/main.py",
        "log",
        "src/",
        "src/a/",
        "src/a/main.py",
        "src/link.py",
        "src/twice.py",
    ];
    assert_eq!(names(&archive), expected, "files and folders, and no link");
    unpack(archive.as_slice(), &at("out"), &Limits::default()).unwrap();
    for name in ["latest/main.py", "src/link.py", "src/twice.py"] {
        let path = at("out").join(name);
        assert_eq!(fs::read_to_string(&path).unwrap(), "main");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o755);
    }
    assert_eq!(fs::read_to_string(at("out/log")).unwrap(), "log");
    fs::remove_dir_all(at("out")).unwrap();

    for (name, target, expected) in [
        ("out", "/etc/passwd", "leads out of the package; hint: copy what it points to"),
        ("up", "..", "leads out of the package"),
        ("src/up", "..", "forms a cycle"),
        ("self", "self", "forms a cycle"),
    ] {
        symlink(target, at(name)).unwrap();
        let said = hint::line(&packed(folder.path()).unwrap_err());
        assert!(said.starts_with(&format!("the link `{name}` to `{target}` {expected}")), "{said}");
        fs::remove_file(at(name)).unwrap();
    }
}

#[test]
fn unpackable_folders() {
    let none = folder(&[("main.py", "")]);
    assert!(matches!(packed(none.path()), Err(PackError::NoManifest { .. })));
    let ignored = folder(&[("krt.yml", ""), (".krtignore", "krt.*")]);
    assert!(matches!(packed(ignored.path()), Err(PackError::NoManifest { .. })));
    let broken = folder(&[("krt.yml", ""), (".krtignore", "a{")]);
    assert!(matches!(packed(broken.path()), Err(PackError::Walk(_))));
    assert!(matches!(packed(Path::new("/no/such/folder")), Err(PackError::Read { .. })));

    let socket = folder(&[("krt.yml", "")]);
    let _listener = std::os::unix::net::UnixListener::bind(socket.path().join("s")).unwrap();
    let Err(PackError::Special { name }) = packed(socket.path()) else { panic!("a socket") };
    assert_eq!(name, "s");
}

#[test]
fn archives_appear_complete_and_exclude_themselves() {
    let folder = folder(&[("krt.yml", "version: a"), ("main.py", "x")]);
    let out = folder.path().join("a.krt");
    let first = pack_file(folder.path(), &out, &mut |_| {}).unwrap();
    assert_eq!(first, Packed { files: 2, bytes: 11 });
    let bytes = fs::read(&out).unwrap();
    pack_file(folder.path(), &out, &mut |_| {}).unwrap();
    assert_eq!(fs::read(&out).unwrap(), bytes);
    assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o644);

    fs::remove_file(folder.path().join("krt.yml")).unwrap();
    pack_file(folder.path(), &out, &mut |_| {}).unwrap_err();
    assert_eq!(fs::read(&out).unwrap(), bytes, "the old archive stays");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no temporary file stays");
    assert!(matches!(
        pack_file(folder.path(), &PathBuf::from("/no/a.krt"), &mut |_| {}),
        Err(PackError::NoManifest { .. })
    ));
}

#[test]
fn files_changed_during_packing_are_noticed() {
    for change in ["longer than before", ""] {
        let folder = folder(&[("a", "first"), ("b", "second"), ("krt.yml", "")]);
        let later = folder.path().join("b");
        let mut out = Vec::new();
        let result = pack(folder.path(), &mut out, &mut |progress| {
            if progress.file == "a" {
                fs::write(&later, change).unwrap();
            }
        });
        let Err(PackError::Changed { name }) = result else { panic!("it changed") };
        assert_eq!(name, "b");
    }
}

#[test]
fn progress_reaches_the_total() {
    let folder = folder(&[("krt.yml", "1234"), ("big", &"x".repeat(100_000))]);
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    let mut last = 0;
    pack(folder.path(), io::sink(), &mut |progress| {
        assert!(progress.bytes >= last && progress.total == 100_004);
        last = progress.bytes;
        seen.insert(progress.file.to_owned(), progress.bytes);
    })
    .unwrap();
    assert_eq!((last, seen["big"]), (100_004, 100_000));
}
