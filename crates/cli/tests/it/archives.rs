//! Tests of `krt pack` and `krt unpack`.

use crate::support::{CommandOutput, Folder, krt, run_with};
use std::fs;

fn krt_in(folder: &Folder, arguments: &[&str]) -> CommandOutput {
    let mut command = krt();
    command.current_dir(folder.path()).args(arguments);
    run_with(command, "")
}

/// A folder with a package in `shop/`.
fn work() -> Folder {
    let work = Folder::new(&[]);
    let greeter = Folder::greeter("# main\n");
    for name in ["krt.yml", "public_input.proto", "src/main.py"] {
        work.write(&format!("shop/{name}"), &fs::read_to_string(greeter.join(name)).unwrap());
    }
    work
}

#[test]
fn packed_packages_unpack_unchanged() {
    let work = work();
    let packed = krt_in(&work, &["pack", "shop"]);
    assert_eq!((packed.code, &*packed.stderr), (Some(0), ""));
    let line = packed.stdout.strip_prefix("greeter-v1.krt (3 files, ").unwrap();
    let hash = line.trim_end().strip_suffix(')').unwrap().rsplit(' ').next().unwrap();
    assert!(hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{line}");

    let unpacked = krt_in(&work, &["unpack", "greeter-v1.krt"]);
    assert_eq!((unpacked.code, &*unpacked.stdout, &*unpacked.stderr), (Some(0), "greeter-v1\n", ""));
    for name in ["krt.yml", "public_input.proto", "src/main.py"] {
        let read = |folder: &str| fs::read(work.join(folder).join(name)).unwrap();
        assert_eq!(read("shop"), read("greeter-v1"), "{name}");
    }
    let checked = krt_in(&work, &["check", "greeter-v1.krt"]);
    assert_eq!((checked.code, &*checked.stdout), (Some(0), "greeter-v1: no problems\n"));
}

#[test]
fn an_earlier_archive_is_replaced_by_the_same_bytes() {
    let work = work();
    let first = krt_in(&work, &["pack", "shop"]);
    let bytes = fs::read(work.join("greeter-v1.krt")).unwrap();
    let second = krt_in(&work, &["pack", "shop"]);
    assert_eq!((second.code, &second.stdout), (Some(0), &first.stdout));
    assert_eq!(fs::read(work.join("greeter-v1.krt")).unwrap(), bytes);
    assert_eq!(work.names(), ["greeter-v1.krt", "shop"]);
}

#[test]
fn only_archives_are_replaced() {
    let work = work();
    work.write("notes.txt", "mine");
    let ended = krt_in(&work, &["pack", "shop", "-o", "notes.txt"]);
    assert_eq!((ended.code, &*ended.stdout), (Some(1), ""));
    assert_eq!(
        ended.stderr,
        "error: `notes.txt` exists and is not an archive\nhint: choose another --output, or remove it first\n"
    );
    assert_eq!(fs::read_to_string(work.join("notes.txt")).unwrap(), "mine");
    let ended = krt_in(&work, &["pack", "shop", "-o", "shop"]);
    assert_eq!(
        (ended.code, &*ended.stderr),
        (Some(1), "error: `shop` is a folder\nhint: name the file in it, too\n")
    );
    assert_eq!(work.names(), ["notes.txt", "shop"]);
}

#[test]
fn errors_prevent_packing_unless_the_check_is_skipped() {
    let work = work();
    fs::remove_file(work.join("shop/src/main.py")).unwrap();
    let ended = krt_in(&work, &["pack", "shop"]);
    assert_eq!((ended.code, &*ended.stdout), (Some(1), ""));
    assert!(ended.stderr.contains("`src/main.py` does not exist"), "{}", ended.stderr);
    assert!(ended.stderr.contains("shop/krt.yml:9"), "{}", ended.stderr);
    assert!(ended.stderr.ends_with("error: the package has 1 error\n"), "{}", ended.stderr);
    assert_eq!(work.names(), ["shop"]);

    let ended = krt_in(&work, &["pack", "shop", "--no-check"]);
    assert_eq!(ended.code, Some(2));
    let ended = krt_in(&work, &["pack", "shop", "--no-check", "-o", "x.krt"]);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    assert!(ended.stdout.starts_with("x.krt (2 files, "), "{}", ended.stdout);
}

#[test]
fn a_cluster_needs_images() {
    let work = work();
    let manifest = fs::read_to_string(work.join("shop/krt.yml")).unwrap();
    work.write("shop/krt.yml", &manifest.replace("    image: konstellation/kre-py:latest\n", ""));
    assert_eq!(krt_in(&work, &["pack", "shop", "--cluster"]).code, Some(1));
    assert_eq!(work.names(), ["shop"]);
    assert_eq!(krt_in(&work, &["pack", "shop"]).code, Some(0));
}

#[test]
fn archives_in_the_package_are_excluded_or_warned_about() {
    let work = work();
    work.write("shop/greeter-v0.krt", "old");
    let ended = krt_in(&work, &["pack", "shop"]);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    assert!(ended.stdout.starts_with("greeter-v1.krt (3 files, "), "{}", ended.stdout);
    work.write("shop/src/greeter-v0.krt", "old");
    let ended = krt_in(&work, &["pack", "shop"]);
    assert_eq!(ended.code, Some(0));
    assert_eq!(ended.stderr, "warning: `src/greeter-v0.krt` was packed, too\nhint: name it in .krtignore\n");
}

#[test]
fn an_archive_is_unpacked_to_the_named_folder() {
    let work = work();
    krt_in(&work, &["pack", "shop", "-o", "archive"]);
    let ended = krt_in(&work, &["unpack", "archive"]);
    assert_eq!(
        (ended.code, &*ended.stderr),
        (Some(1), "error: `archive` does not end in .krt\nhint: name the folder, too\n")
    );
    let ended = krt_in(&work, &["unpack", "archive", "there"]);
    assert_eq!((ended.code, &*ended.stdout), (Some(0), "there\n"));
    let ended = krt_in(&work, &["unpack", "archive", "shop"]);
    assert_eq!((ended.code, &*ended.stdout), (Some(1), ""));
    assert_eq!(
        ended.stderr,
        "error: cannot unpack `archive`: `shop` is not empty\nhint: name a folder that does not exist yet\n"
    );
}
