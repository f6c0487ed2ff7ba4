//! Tests of `krt man`.

use crate::support::{Folder, krt, run_with};
use std::fs;

#[test]
fn every_command_has_a_page() {
    let work = Folder::new(&[]);
    let mut command = krt();
    command.args(["man", "pages"]).current_dir(work.join(""));
    let ended = run_with(command, "");
    assert_eq!((ended.code, &*ended.stdout, &*ended.stderr), (Some(0), "", ""));
    let page = |name: &str| fs::read_to_string(work.join("pages").join(name)).unwrap();
    assert!(page("krt.1").contains(".TH krt 1"));
    assert!(page("krt-version-start.1").contains("\\-\\-no\\-wait"));
    // Commands that krt itself calls are not for people.
    assert!(!work.join("pages/krt-worker.1").exists());
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let work = Folder::new(&[("file", "")]);
    let mut command = krt();
    command.args(["man", "file/pages"]).current_dir(work.join(""));
    let ended = run_with(command, "");
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("cannot write manual pages to `file/pages`"), "{}", ended.stderr);
}
