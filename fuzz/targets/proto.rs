//! Whatever a `.proto` holds, it is compiled or refused, and what was compiled can be read again.
//!
//! Lines of `----` part the entrypoint's file from others, `1.proto` and so on.

#![no_main]

use krt_package::{Error, comments::Comments, example::example, load, render::Style};
use libfuzzer_sys::fuzz_target;
use std::{fs, path::Path, sync::LazyLock};
use tempfile::TempDir;

const MANIFEST: &str = "version: v1
description: A fuzz target.
entrypoint: {proto: 0.proto}
nodes: [{name: n, src: n.py}]
workflows: [{name: w, entrypoint: Call, sequential: [n]}]
";

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("there is room");
    write(&folder.path().join("krt.yml"), MANIFEST.as_bytes());
    write(&folder.path().join("n.py"), b"");
    folder
});

fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("there is room");
}

fuzz_target!(|text: &[u8]| {
    let text = String::from_utf8_lossy(text);
    let files: Vec<&str> = text.split("\n----\n").take(4).collect();
    for number in 0..4 {
        let path = FOLDER.path().join(format!("{number}.proto"));
        match files.get(number) {
            Some(file) => write(&path, file.as_bytes()),
            None => drop(fs::remove_file(&path)),
        }
    }
    match load(FOLDER.path()) {
        Ok(package) => {
            package.warnings.render(&Style::default());
            for method in &package.schema.methods {
                example(&method.input);
            }
            for file in package.schema.pool.files() {
                Comments::of(&file);
            }
        }
        Err(Error::Invalid { report, .. }) => drop(report.render(&Style::default())),
        Err(error) => panic!("{error}"),
    }
});
