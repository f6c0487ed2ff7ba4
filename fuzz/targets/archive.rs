//! Whatever an archive holds, nothing appears beside the folder that it is unpacked to, and all or nothing in it.

#![no_main]

use krt_package::archive::{Limits, unpack};
use libfuzzer_sys::fuzz_target;
use std::{fs, sync::LazyLock};
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("there is room"));

fuzz_target!(|archive: &[u8]| {
    let limits = Limits { entries: 20, total: 1 << 20, file: 1 << 20, ..Limits::default() };
    let into = FOLDER.path().join("package");
    let is_whole = unpack(archive, &into, &limits).is_ok();
    assert_eq!(is_whole, into.is_dir());
    if is_whole {
        assert!(into.join("krt.yml").is_file() || into.join("krt.yaml").is_file());
        fs::remove_dir_all(&into).expect("it was written here");
    }
    let left = fs::read_dir(FOLDER.path()).expect("it is there").count();
    assert_eq!(left, 0, "something lies beside the package");
});
