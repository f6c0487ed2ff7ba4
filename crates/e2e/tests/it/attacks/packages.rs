//! Packages crafted to harm their reader.
//!
//! Bound: the server answers each upload with 422 and the reason, stays the same process with at most
//! `--max-bytes` and 64 MiB, keeps serving, and leaves neither a process nor a file of the upload.

mod archives;
mod protos;

use super::held_within;
use crate::support::{
    Krt, eventually,
    http::Reply,
    krt::{command, write_package},
    team::{Team, version},
};
use archives::{archive, manifest};
use http::StatusCode;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::{cell::Cell, fs, io::Write as _, net::TcpStream, path::Path, process::Output};

/// The server's memory limit for requests.
const MAX_BYTES: u64 = 16 << 20;

/// A package, and the expected error.
pub(super) struct HostilePackage {
    pub(super) name: &'static str,
    pub(super) package: Vec<u8>,
    pub(super) expected: &'static str,
}

async fn team(data: &Path) -> Team {
    let described = version("described", "");
    let krt = Krt::serve(described.path()).flag("--max-bytes", MAX_BYTES.to_string());
    let team = Team::started_by(krt, data).await;
    let shop = json!({"id": "shop", "name": "The shop"});
    team.api.post("/runtimes", shop).await.expect(StatusCode::CREATED);
    team.started("v1").await;
    team.api.act("v1", "publish").await.expect(StatusCode::OK);
    team
}

async fn serves(team: &Team) {
    let answer = team.call("Name", json!({})).await.expect("the version serves");
    assert_eq!(answer, json!({"text": "v1"}));
}

/// All errors in an answer.
fn errors(reply: &Reply) -> String {
    let body = reply.json();
    let problems = body["problems"].as_array().cloned().unwrap_or_default();
    assert!(problems.len() <= 200, "{} problems", problems.len());
    let problems = problems.iter().map(|problem| problem["message"].as_str().unwrap_or_default().to_owned());
    let message = body["message"].as_str().unwrap_or_default().to_owned();
    [message].into_iter().chain(problems).collect::<Vec<_>>().join("\n")
}

/// The server's package-reading processes.
fn readers(server: i32) -> Vec<i32> {
    let parent = format!("\nPPid:\t{server}\n");
    let entries = fs::read_dir("/proc").expect("Linux has /proc");
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let reads = |pid: &i32| {
        let words = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        words.split('\0').nth(1) == Some("read-package") && status.contains(&parent)
    };
    pids.filter(reads).collect()
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).expect("the folder is there").next().is_none()
}

async fn refused(team: &Team, data: &Path, HostilePackage { name, package, expected }: HostilePackage) {
    let reply = team.api.upload(package).await;
    assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{name}: {reply:?}");
    let errors = errors(&reply);
    assert!(errors.contains(expected), "{name}: {errors}");
    assert!(reply.body.len() < 1 << 20, "{name}: the answer has {} bytes", reply.body.len());
    assert!(is_empty(&data.join("incoming")), "{name} left files");
    assert_eq!(readers(team.pid()), [] as [i32; 0], "{name} left a process");
    serves(team).await;
}

async fn all_refused(packages: impl IntoIterator<Item = HostilePackage>) {
    let data = tempfile::tempdir().unwrap();
    let team = team(data.path()).await;
    let pid = team.pid();
    for package in packages {
        refused(&team, data.path(), package).await;
    }
    assert_eq!(team.pid(), pid);
    held_within(&team, MAX_BYTES);
    team.stop().await;
}

#[tokio::test]
async fn no_proto_harms_a_server() {
    all_refused(protos::all()).await;
}

#[tokio::test]
async fn no_archive_harms_a_server() {
    all_refused(archives::all()).await;
}

#[tokio::test]
async fn no_manifest_harms_a_server() {
    all_refused(archives::manifests()).await;
}

#[tokio::test]
async fn abandoned_uploads_leave_nothing() {
    let data = tempfile::tempdir().unwrap();
    let team = team(data.path()).await;
    let package = archive(&protos::slow());
    let mut client = TcpStream::connect(team.api.address()).unwrap();
    let head = format!(
        "POST /api/v1/runtimes/shop/versions HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n\
         content-type: application/octet-stream\r\ncontent-length: {}\r\n\r\n",
        team.api.address(),
        team.api.token(),
        package.len()
    );
    client.write_all(head.as_bytes()).unwrap();
    client.write_all(&package).unwrap();
    let pid = team.pid();
    let reader = eventually("a process reads it", async || readers(pid).first().copied()).await;
    // A stopped process does not end by itself.
    kill_process(Pid::from_raw(reader).unwrap(), Signal::STOP).unwrap();
    drop(client);
    eventually("it has ended", async || (!readers(pid).contains(&reader)).then_some(())).await;
    let incoming = data.path().join("incoming");
    eventually("its files are gone", async || is_empty(&incoming).then_some(())).await;
    let versions = team.api.get("/runtimes/shop/versions").await.expect(StatusCode::OK);
    assert_eq!(versions.as_array().map(Vec::len), Some(1), "{versions}");
    serves(&team).await;
    team.stop().await;
}

/// Runs a command on a package; asserts that it exits by itself, with `expected` on standard error.
fn fails(words: &[&str], folder: &Path, expected: &str) {
    let Output { status, stdout, stderr } =
        command().args(words).arg(folder).output().expect("the binary can be executed");
    let said = [stdout, stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(status.code() == Some(1) && said.contains(expected), "{words:?}: {status}: {said}");
}

#[test]
fn commands_end_with_an_error() {
    for HostilePackage { name, expected, package } in protos::few() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join(format!("{name}.krt"));
        fs::write(&at, package).unwrap();
        for words in [&["run", "--listen", "127.0.0.1:0"][..], &["check"], &["test"]] {
            fails(words, &at, expected);
        }
    }
}

#[test]
fn large_valid_packages_are_read() {
    let folder = tempfile::tempdir().unwrap();
    for (name, package) in protos::large_and_sound() {
        let at = folder.path().join("large.krt");
        fs::write(&at, package).unwrap();
        let checked = command().arg("check").arg(&at).output().expect("the binary can be executed");
        let said = String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.success(), "{name}: {}: {said}", checked.status);
    }
}

/// Tested with a command, which has no timeout of its own: on a busy machine, ten seconds of CPU time take
/// minutes.
#[test]
fn slow_protos_time_out() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("slow.krt");
    fs::write(&at, archive(&protos::slow())).unwrap();
    fails(
        &["check"],
        &at,
        "the package could not be read: compiling `public_input.proto` took more than 10 s",
    );
}

#[test]
fn reader_processes_end_with_their_parent() {
    let folder = write_package(&[]);
    for (name, content) in protos::slow() {
        let at = folder.path().join(name);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        fs::write(at, content).unwrap();
    }
    let mut check = command().arg("check").arg(folder.path()).spawn().unwrap();
    let pid = i32::try_from(check.id()).unwrap();
    let reader = wait_for(|| readers(pid).first().copied());
    check.kill().unwrap();
    check.wait().unwrap();
    let used = Cell::new(0);
    wait_for(|| match ticks(reader) {
        Some(ticks) => {
            used.set(ticks);
            None
        }
        None => Some(()),
    });
    assert!(used.get() < 800, "it ended by its limit of ten seconds, after {} hundredths", used.get());
}

/// The CPU time of a process, hundredths of a second; `None` if it has ended.
fn ticks(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    if fields[0] == "Z" {
        return None;
    }
    Some(fields[11].parse::<u64>().ok()? + fields[12].parse::<u64>().ok()?)
}

/// Waits for an expected change.
fn wait_for<T>(found: impl Fn() -> Option<T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(eventually("what must come", async || found()))
}

/// A version whose messages all contain one another, and nest as deep as their number.
#[tokio::test]
async fn valid_packages_with_recursive_messages_do_no_harm() {
    let data = tempfile::tempdir().unwrap();
    let team = team(data.path()).await;
    let package = archive(&[
        ("krt.yml".into(), manifest().into()),
        ("src/namer/main.py".into(), "async def handler(ctx, data):\n    return data\n".into()),
        ("public_input.proto".into(), protos::endless().into()),
    ]);
    team.api.upload(package).await.expect(StatusCode::CREATED);
    let methods = team.api.get("/runtimes/shop/versions/bad-v1/methods").await.expect(StatusCode::OK);
    let messages = methods["messages"].as_object().map(serde_json::Map::len);
    assert!(messages.is_some_and(|messages| messages > 5000), "{messages:?}");
    assert_ne!(methods["methods"][0]["example"], Value::Null);
    serves(&team).await;
    team.stop().await;
}
