//! `krt env`: the variables that existing runners need to start.

use super::{package, pairs, server};
use crate::support::{
    krt::{command, refused, stdout_of},
    runners::{INFLUX, MONGO, Runner, WireProtocol},
};
use std::{collections::BTreeMap, fs, path::Path, process::Command};

const NATS: &str = "nats://127.0.0.1:4222";

/// The variables that `krt env` prints, and its messages.
fn printed(words: &[&str], package: &Path, flags: &[&str]) -> (BTreeMap<String, String>, String) {
    let flags = [flags, &["--nats", NATS]].concat();
    let output = command().arg("env").args(words).arg(package).args(&flags).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{words:?} {flags:?}: {errors}");
    (pairs(&String::from_utf8(output.stdout).unwrap()).into_iter().collect(), errors)
}

#[test]
fn empty_values_are_omitted_and_missing_ones_reported() {
    let package = package(&[]);
    let node = ["one", "--workflow", "wire"];
    for (mode, flags, missing) in [
        ("core", vec![], vec!["KRT_MONGO_URI", "KRT_INFLUX_URI"]),
        ("jetstream", vec!["--influx", INFLUX], vec!["KRT_MONGO_URI"]),
        ("core", vec!["--mongo", MONGO, "--influx", ""], vec!["KRT_INFLUX_URI"]),
        ("core", vec!["--mongo", MONGO, "--influx", INFLUX], vec![]),
    ] {
        let flags = [&flags[..], &["--nats-mode", mode]].concat();
        let (variables, errors) = printed(&node, package.path(), &flags);
        assert!(variables.values().all(|value| !value.is_empty()), "{variables:?}");
        for name in ["KRT_MONGO_URI", "KRT_INFLUX_URI"] {
            let is_missing = missing.contains(&name);
            assert_eq!(variables.contains_key(name), !is_missing, "{flags:?} {variables:?}");
            assert_eq!(errors.contains(&format!("{name} is not printed")), is_missing, "{errors}");
        }
        assert_eq!(errors.contains("hint: --mongo mongodb://HOST:27017"), missing.contains(&"KRT_MONGO_URI"));
        assert_eq!(errors.contains("hint: --influx http://HOST:8086"), missing.contains(&"KRT_INFLUX_URI"));
        assert_eq!(errors.is_empty(), missing.is_empty(), "{errors}");
    }
    // The last node of core NATS checks whether it has an output.
    let (variables, _) = printed(&["three"], package.path(), &["--mongo", MONGO, "--influx", INFLUX]);
    assert_eq!(variables["KRT_NATS_OUTPUT"], "");
    assert_eq!(variables["KRT_MONGO_DB_NAME"], "wire-v1-data");
    let (variables, _) = printed(&["three"], package.path(), &["--nats-mode", "jetstream"]);
    assert!(variables.values().all(|value| !value.is_empty()), "{variables:?}");
}

/// A runner appends its own path to the URL.
#[test]
fn the_influxdb_url_suits_runners() {
    let package = package(&[]);
    let influx = "http://ada:s3cret@127.0.0.1:8086/write?org=us";
    let (variables, _) = printed(&["three"], package.path(), &["--influx", influx]);
    assert_eq!(variables["KRT_INFLUX_URI"], "http://ada:s3cret@127.0.0.1:8086");
}

/// A runner's error names the variables that `krt env` omits.
#[tokio::test(flavor = "multi_thread")]
async fn runners_need_the_omitted_variables() {
    let Some(server) = server("runners_need_the_omitted_variables") else { return };
    let (url, package) = (server.url(), package(&[]));
    for protocol in [WireProtocol::Core, WireProtocol::JetStream] {
        let flags = ["--nats", &url, "--nats-mode", protocol.mode()];
        let without = pairs(&stdout_of(&["env", "three"], package.path(), &flags));
        let words = Runner::refused(protocol, package.path(), &without).await;
        assert!(words.contains("KRT_MONGO_URI is not set"), "{words}");
        let flags = [&flags[..], &["--mongo", MONGO]].concat();
        let without = pairs(&stdout_of(&["env", "three"], package.path(), &flags));
        let words = Runner::refused(protocol, package.path(), &without).await;
        assert!(words.contains("KRT_INFLUX_URI is not set"), "{words}");
    }
}

#[test]
fn an_entrypoint_has_a_file_of_subjects() {
    let (package, folder) = (package(&[]), tempfile::tempdir().unwrap());
    let file = folder.path().join("subjects.json");
    let path = file.display().to_string();
    for (mode, runtime, act, again) in [
        ("core", "wire-v1", "wire-v1-Act-entrypoint", "wire-v1-Again-entrypoint"),
        ("jetstream", "shop", "shop-wire-v1-Act.one", "shop-wire-v1-Again.two"),
    ] {
        let flags = ["--nats-mode", mode, "--runtime", runtime, "--influx", INFLUX];
        let with_file = [&flags[..], &["--subjects-file", &path, "--request-timeout", "1.5"]].concat();
        let (variables, errors) = printed(&["--entrypoint"], package.path(), &with_file);
        assert_eq!(errors, "");
        let expected = [
            ("KRT_INFLUX_URI", INFLUX),
            ("KRT_NATS_SERVER", NATS),
            ("KRT_NATS_SUBJECTS_FILE", &path),
            ("KRT_NODE_ID", "entrypoint"),
            ("KRT_NODE_NAME", "entrypoint"),
            ("KRT_REQUEST_TIMEOUT", "2"),
            ("KRT_RUNTIME_ID", runtime),
            ("KRT_VERSION", "wire-v1"),
            ("KRT_VERSION_ID", "wire-v1"),
        ];
        for (name, value) in expected {
            assert_eq!(variables.get(name).map(String::as_str), Some(value), "{name}");
        }
        let subjects = serde_json::json!({ "Act": act, "Again": again });
        let written: serde_json::Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        assert_eq!(written, subjects);
        let flags = [&flags[..], &["--nats", NATS, "--subjects-file", "-"]].concat();
        let shown = stdout_of(&["env", "--entrypoint"], package.path(), &flags);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), subjects);
    }
    let (variables, errors) = printed(&["--entrypoint"], package.path(), &[]);
    assert!(!variables.contains_key("KRT_NATS_SUBJECTS_FILE"), "{variables:?}");
    assert!(
        errors.contains("KRT_NATS_SUBJECTS_FILE is not printed") && errors.contains("--subjects-file"),
        "{errors}"
    );
    assert!(!errors.contains("KRT_MONGO_URI"), "an entrypoint has no documents: {errors}");
    let words = refused(&["env", "one", "--entrypoint"], package.path(), &["--nats", NATS]);
    assert!(words.contains("hint: krt env --entrypoint PATH"), "{words}");
    let words = refused(&["env", "one"], package.path(), &["--nats", NATS, "--subjects-file", "x"]);
    assert!(words.contains("--entrypoint"), "{words}");
}

/// A shell passes a program the same values as in the JSON output, in each format.
#[test]
fn shells_read_values_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("it's a $(false) \"package\"");
    copy(package(&[]).path(), &path);
    let mongo = "mongodb://ada:p%27w@127.0.0.1/?authSource=admin&tls=true";
    let flags = ["--nats", NATS, "--mongo", mongo, "--influx", INFLUX];
    let json: BTreeMap<String, String> =
        serde_json::from_str(&stdout_of(&["env", "three"], &path, &[&flags[..], &["--json"]].concat()))
            .unwrap();
    let exported = stdout_of(&["env", "three"], &path, &[&flags[..], &["--export"]].concat());
    let script = "eval \"$1\" && env -0";
    let seen = Command::new("sh").args(["-c", script, "sh", &exported]).env_clear().output().unwrap();
    let seen = String::from_utf8(seen.stdout).unwrap();
    let seen: BTreeMap<_, _> = seen
        .split_terminator('\0')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(name, _)| name.starts_with("KRT_"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    assert_eq!(seen, json);
    assert!(seen["KRT_BASE_PATH"].ends_with("it's a $(false) \"package\""), "{seen:?}");
    let (_, errors) = printed(&["three"], &path, &["--mongo", mongo, "--influx", INFLUX]);
    assert!(errors.contains("KRT_BASE_PATH") && errors.contains("--export"), "{errors}");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => _ = fs::copy(entry.path(), target).unwrap(),
        }
    }
}
