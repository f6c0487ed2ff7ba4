//! Packages of symbolic links, as in a Kubernetes volume, and atomic swaps of links.

use crate::support::{Copy, Krt, Service, eventually, krt::command};
use serde_json::{Value, json};
use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

/// Moves a package's files into a folder of a volume, and links to each, as Kubernetes does.
fn volume(copy: &Copy) {
    let names: Vec<_> = fs::read_dir(copy.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    fs::create_dir(copy.path().join("..1")).unwrap();
    for name in names {
        fs::rename(copy.path().join(&name), copy.path().join("..1").join(&name)).unwrap();
        symlink(Path::new("..data").join(&name), copy.path().join(&name)).unwrap();
    }
    symlink("..1", copy.path().join("..data")).unwrap();
}

/// Replaces a link's target atomically.
fn swap(link: &Path, target: &str) {
    let made = link.with_file_name("..data_tmp");
    symlink(target, &made).unwrap();
    fs::rename(made, link).unwrap();
}

async fn typed(service: &Service, expected: &str) {
    let call = async || service.call("ToTyped", json!({ "act": "numbers" })).await.ok();
    let fits = async || call().await.filter(|answer| answer["text"] == expected);
    eventually(expected, fits).await;
}

fn run(command: &mut Command) -> (String, String) {
    let output = command.output().unwrap();
    (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn krt(words: &[&str], path: &Path) -> Command {
    let mut krt = command();
    krt.args(words).arg(path);
    krt
}

#[tokio::test]
async fn a_swapped_volume_restarts_changed_nodes() {
    let copy = Copy::of("plain");
    volume(&copy);
    let service = Krt::run_at(copy.path()).watch().start().await;
    typed(&service, "☃ 5.0").await;
    let plain = service.workers("plain");

    let copied =
        Command::new("cp").arg("-r").arg(copy.path().join("..1")).arg(copy.path().join("..2")).status();
    assert!(copied.unwrap().success());
    copy.edit("..2/src/typed/main.py", "text=f\"", "text=f\"swapped ");
    swap(&copy.path().join("..data"), "..2");
    typed(&service, "swapped ☃ 5.0").await;
    assert_eq!(service.workers("plain"), plain, "what is the same goes on");

    copy.edit("..2/src/typed/main.py", "swapped ", "edited ");
    typed(&service, "edited ☃ 5.0").await;

    let (edited, file) = (copy.path().join("..2/new.py"), copy.path().join("..2/src/typed/main.py"));
    fs::write(&edited, fs::read_to_string(&file).unwrap().replace("edited ", "replaced ")).unwrap();
    fs::rename(&edited, &file).unwrap();
    typed(&service, "replaced ☃ 5.0").await;
    service.stop().await;
}

#[tokio::test]
async fn a_linked_root_can_be_swapped() {
    let (first, second, place) = (Copy::of("plain"), Copy::of("plain"), tempfile::tempdir().unwrap());
    second.edit("src/typed/main.py", "text=f\"", "text=f\"second ");
    let link = place.path().join("current");
    symlink(first.path(), &link).unwrap();
    let service = Krt::run_at(&link).watch().start().await;
    typed(&service, "☃ 5.0").await;
    swap(&link, second.path().to_str().unwrap());
    typed(&service, "second ☃ 5.0").await;
    second.edit("src/typed/main.py", "second ", "edited ");
    typed(&service, "edited ☃ 5.0").await;
    service.stop().await;
}

#[test]
fn checks_and_archives_follow_links() {
    let (copy, elsewhere) = (Copy::of("plain"), tempfile::tempdir().unwrap());
    let out = elsewhere.path().join("plain.krt");
    let pack = |out: &Path| run(krt(&["pack"], copy.path()).arg("--output").arg(out));
    pack(&elsewhere.path().join("before.krt"));
    volume(&copy);
    let (stdout, _) = run(&mut krt(&["check"], copy.path()));
    assert!(stdout.ends_with(": no problems\n"), "{stdout}");
    let (stdout, error) = pack(&out);
    assert!(!stdout.is_empty(), "{error}");
    let same = fs::read(&out).unwrap() == fs::read(elsewhere.path().join("before.krt")).unwrap();
    assert!(same, "an archive is the same whether files are links or not");
}

#[test]
fn every_command_refuses_links_out_of_the_package() {
    let (copy, outside) = (Copy::of("plain"), tempfile::tempdir().unwrap());
    fs::write(outside.path().join("helper.py"), "").unwrap();
    let target = outside.path().join("helper.py").display().to_string();
    symlink(&target, copy.path().join("src/typed/helper.py")).unwrap();
    symlink("nothing", copy.path().join("src/gone.py")).unwrap();
    let expected = format!("the link `src/typed/helper.py` to `{target}` leads out of the package");
    let (stdout, _) = run(krt(&["check", "--json"], copy.path()).arg("--cluster"));
    let report: Value = serde_json::from_str(&stdout).unwrap();
    let problems = report["problems"].as_array().unwrap();
    assert!(
        problems.iter().any(|problem| problem["message"] == *expected && problem["severity"] == "error"),
        "{stdout}"
    );
    let gone = "the link `src/gone.py` leads to `nothing`, which does not exist";
    assert!(
        problems.iter().any(|problem| problem["message"] == gone && problem["severity"] == "warning"),
        "{stdout}"
    );
    for words in [&["pack"][..], &["run"], &["test"], &["proto"], &["call", "ToTyped", "--package"]] {
        let (_, error) = run(&mut krt(words, copy.path()));
        assert!(
            error.contains("leads out of the package") && error.contains("src/typed/helper.py"),
            "{words:?}: {error}"
        );
    }
}
