//! The commands for a team's server.

use crate::support::{
    Krt, TIMEOUT,
    krt::write_package,
    person::Person,
    processes,
    team::{PASSWORD, Team, dashboard, packed, version},
    tls::SelfSigned,
};
use rustix::{
    fs::{Mode, OFlags},
    process::Signal,
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, tcgetattr},
};
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener},
    os::{fd::OwnedFd, unix::fs::PermissionsExt as _},
    path::Path,
    process::Stdio,
};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};

fn path(folder: &Path) -> &str {
    folder.to_str().unwrap()
}

/// A version that answers with its name and its configuration.
fn configured(name: &str) -> TempDir {
    let manifest = format!(
        "version: {name}
description: Repeats what it gets.
entrypoint:
  proto: public_input.proto
config:
  variables:
    - GREETING
  files:
    - RULES
nodes:
  - name: namer
    src: src/namer/main.py
workflows:
  - name: naming
    entrypoint: Name
    sequential:
      - namer
"
    );
    let node = "import os
from public_input_pb2 import Text

def handler(ctx, data):
    ctx.logger.warning('asked')
    return Text(text='|'.join(os.environ[name] for name in ['KRT_VERSION', 'GREETING', 'RULES']))
";
    let proto = "syntax = \"proto3\";
package names;
service Entrypoint {
  rpc Name(Text) returns (Text);
}
message Text {
  string text = 1;
}
";
    write_package(&[("krt.yml", &manifest), ("public_input.proto", proto), ("src/namer/main.py", node)])
}

/// A user signed in to a server with the runtime `shop`.
async fn admin(team: &Team) -> Person {
    let person = Person::new();
    person.signs_in(&team.api.url(), "admin", PASSWORD).await.well();
    person
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_from_its_upload_to_its_end() {
    let data = tempfile::tempdir().unwrap();
    let team = Team::start(data.path()).await;
    let ada = admin(&team).await;
    let made = ada.types(&["runtime", "create", "shop", "--name", "The shop", "--json"]).await.json();
    assert_eq!((&made["id"], &made["name"]), (&json!("shop"), &json!("The shop")));

    let one = configured("v1");
    let created = ada.types(&["version", "create", path(one.path()), "-m", "the first one"]).await;
    assert!(created.err.contains("it starts when it has values for GREETING, RULES\nhint: "), "{created:?}");
    assert_eq!(created.well(), "v1 is CREATED\n");
    let why = ada.types(&["version", "start", "v1"]).await.why();
    assert!(why.contains("no value is given for GREETING, RULES\nhint: set it"), "{why}");

    // A value from standard input, without the line break; a file unchanged.
    let rules = one.path().join("rules");
    fs::write(&rules, "be kind\n").unwrap();
    let set_file = format!("RULES={}", path(&rules));
    let set =
        ["version", "config", "v1", "--set-file", "GREETING=-", "--set-file", &set_file, "-m", "values"];
    let shown = ada.pipes(&set, "s3cret\n").await.well();
    assert!(shown.contains("GREETING  variable  yes"), "{shown}");
    assert!(!shown.contains("s3cret"), "{shown}");
    let shown = ada.types(&["version", "config", "v1", "--json"]).await.json();
    assert_eq!(
        shown[0],
        json!({"name": "GREETING", "kind": "variable", "set": true, "inherited_from": null})
    );
    let shown = ada.types(&["version", "config", "v1", "--show-values", "--json"]).await.json();
    assert_eq!((&shown[0]["value"], &shown[1]["value"]), (&json!("s3cret"), &json!("be kind\n")));

    assert_eq!(ada.types(&["version", "start", "v1", "-m", "to try it"]).await.well(), "v1 is STARTED\n");
    assert_eq!(
        ada.types(&["version", "publish", "v1", "-m", "it is good"]).await.well(),
        "v1 is PUBLISHED\n"
    );
    let address = team.address.to_string();
    let called = ada.types(&["call", "--address", &address, "Name", "{}"]).await.json();
    assert_eq!(called, json!({"text": "v1|s3cret|be kind\n"}));
    let logs =
        ada.types(&["version", "logs", "v1", "ASK", "--node", "namer", "--level", "warn"]).await.well();
    assert!(logs.contains(" WARN  namer      asked  request="), "{logs}");

    // Another version replaces it, and a rollback restores it.
    let two = configured("v2");
    let archive = two.path().join("v2.krt");
    fs::write(&archive, packed(two.path())).unwrap();
    ada.types(&["version", "create", path(&archive)]).await.well();
    assert_eq!(ada.types(&["version", "publish", "v2", "--start"]).await.well(), "v2 is PUBLISHED\n");
    let called = ada.types(&["call", "--address", &address, "Name", "{}"]).await.json();
    assert_eq!(called, json!({"text": "v2|s3cret|be kind\n"}));
    ada.types(&["version", "stop", "v1"]).await.well();
    assert_eq!(ada.types(&["version", "rollback", "-m", "it was not"]).await.well(), "v1 is PUBLISHED\n");
    assert_eq!(states(&ada).await, ["v2 STARTED", "v1 PUBLISHED"]);

    assert_eq!(ada.types(&["version", "unpublish", "v1"]).await.well(), "v1 is STARTED\n");
    assert_eq!(ada.types(&["version", "stop", "v1"]).await.well(), "v1 is STOPPED\n");
    let stopping = ada.types(&["version", "stop", "v2", "--no-wait", "--json"]).await.json();
    assert_eq!(stopping["state"], "STOPPING");
    team.until("v2", "STOPPED").await;
    ada.types(&["version", "delete", "v2"]).await.well();
    assert_eq!(states(&ada).await, ["v1 STOPPED"]);
    let why = ada.types(&["runtime", "delete", "shop"]).await.why();
    assert!(why.contains("hint: --yes"), "{why}");
    ada.types(&["runtime", "delete", "shop", "--yes"]).await.well();
    assert_eq!(ada.types(&["runtime", "ls", "--json"]).await.json(), json!([]));

    let audit = team.api.get("/audit").await.json();
    let comments: Vec<_> =
        audit["entries"].as_array().unwrap().iter().map(|entry| &entry["comment"]).collect();
    for comment in ["the first one", "values", "to try it", "it is good", "it was not"] {
        assert!(comments.contains(&&json!(comment)), "{comment}: {comments:?}");
    }
    team.stop().await;
}

/// Each version with its state, newest first.
async fn states(person: &Person) -> Vec<String> {
    let listed = person.types(&["version", "ls", "--json"]).await.json();
    let shown = |version: &Value| {
        format!("{} {}", version["name"].as_str().unwrap(), version["state"].as_str().unwrap())
    };
    listed.as_array().unwrap().iter().map(shown).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_starts_report_the_reason() {
    let data = tempfile::tempdir().unwrap();
    let team = Team::with_shop(data.path()).await;
    let ada = admin(&team).await;
    team.upload("v1", "raise RuntimeError('no such model')").await;
    let why = ada.types(&["version", "start", "v1"]).await.why();
    assert!(why.starts_with("error: `v1` is in ERROR: "), "{why}");
    assert!(why.contains("RuntimeError: no such model"), "{why}");
    let failed = ada.types(&["version", "start", "v1", "--json"]).await;
    let report: Value = serde_json::from_str(&failed.out).unwrap();
    assert_eq!((failed.code, &report["state"]), (Some(1), &json!("ERROR")));
    let shown = ada.types(&["version", "show", "v1"]).await.well();
    assert!(shown.contains("state:           ERROR\n") && shown.contains("no such model"), "{shown}");
    // A wait for a state that is never reached ends after the timeout; the operation continues.
    team.upload("v2", "import time\ntime.sleep(3600)").await;
    let why = ada.types(&["version", "start", "v2", "--timeout", "0.1"]).await.why();
    assert!(why.contains("`v2` is still STARTING after 0.1 s\nhint: it goes on"), "{why}");
    team.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_followed_until_interrupted() {
    let data = tempfile::tempdir().unwrap();
    let team = Team::with_shop(data.path()).await;
    let ada = admin(&team).await;
    team.started("v1").await;
    team.api.act("v1", "publish").await.expect(http::StatusCode::OK);
    let follow = ["version", "logs", "v1", "asked", "--since", "1h", "--follow", "--json"];
    let mut following: tokio::process::Command = ada.command(&follow).into();
    let mut child = following.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut ids = Vec::new();
    for _ in 0..3 {
        team.client().call("Name", json!({})).await.unwrap();
        let line = tokio::time::timeout(TIMEOUT, lines.next_line()).await.unwrap().unwrap().unwrap();
        let log: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&log["node"], &log["message"]), (&json!("namer"), &json!("asked")));
        ids.push(log["id"].as_i64().unwrap());
    }
    assert!(ids.is_sorted_by(|one, next| one < next), "{ids:?}");
    processes::signal(child.id().unwrap().try_into().unwrap(), Signal::INT);
    let ended = tokio::time::timeout(TIMEOUT, child.wait()).await.unwrap().unwrap();
    assert_eq!(ended.code(), Some(130));

    let log = ada.types(&["version", "logs", "v1", "asked", "-n", "2", "--json"]).await.well();
    let last: Vec<_> = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect();
    assert_eq!(last.iter().map(|log| log["id"].as_i64().unwrap()).collect::<Vec<_>>(), ids[1..]);
    let request = last[0]["request"].as_str().unwrap();
    let log = ada.types(&["version", "logs", "v1", "--request", request, "asked"]).await.well();
    assert_eq!(log.lines().count(), 1, "{log}");
    let none = ada.types(&["version", "logs", "v1", "--until", "1h"]).await;
    assert_eq!((none.code, &*none.out, &*none.err), (Some(0), "", "note: no record fits\n"));
    let why = ada.types(&["version", "logs", "v9"]).await.why();
    assert!(why.contains("there is no version `v9`"), "{why}");
    team.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_are_private_to_their_user() {
    let data = tempfile::tempdir().unwrap();
    let team = Team::start(data.path()).await;
    let server = team.api.url();
    let ada = Person::new();
    let why = ada.types(&["runtime", "ls"]).await.why();
    assert!(why.contains("not signed in\nhint: `krt login URL`"), "{why}");
    let why = ada.signs_in(&server, "admin", "not the password").await.why();
    assert_eq!(why, "error: login or password is wrong\n");
    assert!(!ada.logins().exists());
    let why = ada.signs_in(&server, "admin", "").await.why();
    assert!(why.contains("no password was given\nhint:"), "{why}");
    let why = ada.signs_in("http://192.0.2.1:9001", "admin", PASSWORD).await.why();
    assert!(why.contains("unencrypted") && why.contains("hint: use https://, or --insecure"), "{why}");
    let typo = ada.signs_in("192.0.2.1:9001", "admin", PASSWORD).await;
    assert_eq!(typo.code, Some(2), "{typo:?}");

    ada.signs_in(&server, "admin", PASSWORD).await.well();
    ada.signs_in(&format!("{server}/"), "admin", PASSWORD).await.well();
    let mode = fs::metadata(ada.logins()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let kept = fs::read_to_string(ada.logins()).unwrap();
    assert!(!kept.contains(PASSWORD), "{kept}");
    // The token of the first login is gone, and so are the sessions.
    assert_eq!(tokens(&ada).await.len(), 1);
    let sessions = team.api.get("/sessions").await.json();
    let own =
        sessions.as_array().unwrap().iter().filter(|one| one["agent"].as_str().unwrap().starts_with("krt/"));
    assert_eq!(own.count(), 0, "{sessions}");
    ada.types(&["logout"]).await.well();
    assert!(ada.types(&["runtime", "ls"]).await.why().contains("not signed in"));
    let left = team.api.get("/tokens").await.json();
    assert_eq!(left.as_array().unwrap().len(), 1, "{left}");

    // An expired token.
    let short = ["login", &*server, "--expires", "1ms"];
    ada.pipes(&short, &format!("{PASSWORD}\n")).await.well();
    let why = ada.types(&["runtime", "ls"]).await.why();
    assert_eq!(
        why,
        format!(
            "error: `{server}` does not take the token of `krt login` any more\nhint: `krt login {server}`\n"
        )
    );
    team.stop().await;
}

/// The tokens that `krt login` created.
async fn tokens(person: &Person) -> Vec<Value> {
    let all = person.types(&["token", "ls", "--json"]).await.json();
    let all = all.as_array().unwrap().iter();
    all.filter(|token| token["name"].as_str().unwrap().starts_with("krt login")).cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn users_and_tokens() {
    let data = tempfile::tempdir().unwrap();
    let team = Team::with_shop(data.path()).await;
    team.upload("v1", "").await;
    let (server, ada) = (team.api.url(), admin(&team).await);
    let create = ["user", "create", "vera", "--role", "viewer"];
    let why = ada.pipes(&create, "short\n").await.why();
    assert!(why.contains("the password is too short\nhint: take at least 12 characters"), "{why}");
    assert_eq!(ada.pipes(&create, &format!("{PASSWORD}\n")).await.well(), "vera is viewer\n");
    let listed = ada.types(&["user", "ls"]).await.well();
    assert!(listed.lines().any(|line| line.starts_with("vera   viewer  20")), "{listed}");

    let vera = Person::new();
    vera.signs_in(&server, "vera", PASSWORD).await.well();
    let why = vera.types(&["version", "start", "v1"]).await.why();
    assert_eq!(why, "error: this needs the role manager, `vera` is viewer\n");
    let shown = vera.types(&["version", "config", "v1", "--show-values"]).await;
    assert_eq!((shown.code, &*shown.out), (Some(0), ""), "{shown:?}");
    let change = format!("{PASSWORD}\nanother long password\n");
    vera.pipes(&["user", "password"], &change).await.well();
    vera.signs_in(&server, "vera", PASSWORD).await.why();
    vera.signs_in(&server, "vera", "another long password").await.well();
    ada.types(&["user", "change", "vera", "--disable", "-m", "has left"]).await.well();
    vera.types(&["version", "ls"]).await.why();
    ada.types(&["user", "delete", "vera"]).await.well();

    // A program's token: printed once, and invalid after its deletion.
    let secret =
        ada.types(&["token", "create", "deploy", "--role", "manager", "--expires", "90d"]).await.well();
    let program = Person::with_token(&server, secret.trim());
    program.types(&["version", "ls"]).await.well();
    let why = program.types(&["runtime", "create", "other"]).await.why();
    assert_eq!(why, "error: this needs the role admin, `admin` is manager\n");
    let made = ada.types(&["token", "ls", "--json"]).await.json();
    let made = made.as_array().unwrap().iter().find(|token| token["name"] == "deploy").unwrap();
    ada.types(&["token", "delete", made["id"].as_str().unwrap()]).await.well();
    let why = program.types(&["version", "ls"]).await.why();
    assert!(
        why.contains("does not take the token in KRT_TOKEN: it is wrong, has expired or was revoked"),
        "{why}"
    );
    let broken = Person::with_token(&server, "krt_\u{7f}");
    let why = broken.types(&["version", "ls"]).await.why();
    assert!(why.contains("invalid token: contains illegal characters"), "{why}");
    team.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_packages_are_not_uploaded() {
    let data = tempfile::tempdir().unwrap();
    let described = version("described", "");
    let small = Krt::serve(described.path()).flag("--max-package", "1KiB");
    let team = Team::started_by(small, data.path()).await;
    let ada = admin(&team).await;
    let why = ada.types(&["version", "ls"]).await.why();
    assert!(why.contains("has no runtime\nhint: `krt runtime create ID`"), "{why}");
    for id in ["shop", "other"] {
        ada.types(&["runtime", "create", id]).await.well();
    }
    let why = ada.types(&["version", "ls"]).await.why();
    assert!(why.contains("has several runtimes\nhint: --runtime, one of other, shop"), "{why}");

    let bad = write_package(&[("krt.yml", "version: v1\n"), ("notes.krt", "no archive")]);
    let create = async |path: &Path| {
        ada.types(&["version", "create", "--runtime", "shop", path.to_str().unwrap()]).await.why()
    };
    let why = create(bad.path()).await;
    assert!(why.contains("krt.yml") && why.contains("error: the package has"), "{why}");
    let why = create(&bad.path().join("notes.krt")).await;
    assert!(why.starts_with("error: the package cannot be unpacked: "), "{why}");
    let why = create(&bad.path().join("nothing.krt")).await;
    assert!(why.contains("nothing.krt`: No such file"), "{why}");
    let large = bad.path().join("large.krt");
    fs::write(&large, vec![0; 2048]).unwrap();
    let why = create(&large).await;
    assert!(why.contains("takes at most 1.00 KiB\nhint: `krt serve --max-package`"), "{why}");
    assert_eq!(ada.types(&["version", "ls", "--runtime", "shop", "--json"]).await.json(), json!([]));
    team.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_server_addresses_are_reported() {
    // A port that was free a moment ago, so no server answers there.
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let person = Person::with_token(&format!("http://{closed}"), "krt_x");
    let why = person.types(&["version", "ls"]).await.why();
    assert!(
        why.starts_with(&format!("error: failed to reach `http://{closed}`: Connection refused")),
        "{why}"
    );
    assert!(why.contains("\nhint: is `krt serve` running there?"), "{why}");

    // The clients' port is the wrong one; no password is sent there.
    let data = tempfile::tempdir().unwrap();
    let team = Team::start(data.path()).await;
    let why = Person::new().signs_in(&format!("http://{}", team.address), "admin", PASSWORD).await.why();
    assert!(
        why.contains("` is not a `krt serve`: nothing is published here\nhint: the URL is that of"),
        "{why}"
    );
    team.stop().await;
    let package = version("v1", "");
    let service = Krt::run_with_dashboard(package.path()).start().await;
    let server = format!("http://{}", dashboard(&service).await.address());
    let why = Person::new().signs_in(&server, "admin", PASSWORD).await.why();
    assert!(why.contains("is a `krt run`, which has no users"), "{why}");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_with_a_private_authority() {
    let folder = tempfile::tempdir().unwrap();
    let SelfSigned { certificate, key, .. } = SelfSigned::new(folder.path(), "server");
    let described = version("described", "");
    let krt = Krt::serve(described.path()).flag("--tls-cert", &certificate).flag("--tls-key", &key);
    let service = krt.env("KRT_ADMIN_PASSWORD", PASSWORD).start().await;
    let start = "the dashboard is at https://127.0.0.1:";
    let record = service.lines.wait("the dashboard", |record| record.message.starts_with(start)).await;
    let server = format!("https://localhost:{}", &record.message[start.len()..]);

    let ada = Person::new();
    let why = ada.signs_in(&server, "admin", PASSWORD).await.why();
    assert!(why.contains("UnknownIssuer") && why.contains("hint: --cacert names"), "{why}");
    let login = ["login", &*server, "--cacert", path(&certificate)];
    ada.pipes(&login, &format!("{PASSWORD}\n")).await.well();
    // The login stores it.
    ada.types(&["runtime", "create", "shop"]).await.well();
    assert_eq!(ada.types(&["runtime", "ls", "--json"]).await.json()[0]["id"], "shop");
    service.stop().await;
}

/// A terminal: the person's end, and the command's end.
fn terminal() -> (File, OwnedFd) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let end = rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    (File::from(master), end)
}

/// Starts to sign in at a terminal, and waits for the password prompt.
async fn asked(person: &Person, server: &str, terminal: OwnedFd) -> tokio::process::Child {
    let mut command: tokio::process::Command = person.command(&["login", server]).into();
    let mut child = command.stdin(terminal).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut prompt = Vec::new();
    let errors = child.stderr.as_mut().unwrap();
    while !prompt.ends_with(b": ") {
        prompt.push(tokio::time::timeout(TIMEOUT, errors.read_u8()).await.unwrap().unwrap());
    }
    assert_eq!(String::from_utf8_lossy(&prompt), format!("password of admin at {server}: "));
    child
}

#[tokio::test(flavor = "multi_thread")]
async fn typed_passwords_are_not_shown() {
    let data = tempfile::tempdir().unwrap();
    let team = Team::start(data.path()).await;
    let (ada, server) = (Person::new(), team.api.url());
    let (mut typed, end) = terminal();
    // After an interruption, the terminal echoes input again.
    let mut child = asked(&ada, &server, end.try_clone().unwrap()).await;
    assert!(!tcgetattr(&end).unwrap().local_modes.contains(LocalModes::ECHO));
    processes::signal(child.id().unwrap().try_into().unwrap(), Signal::INT);
    let ended = tokio::time::timeout(TIMEOUT, child.wait()).await.unwrap().unwrap();
    assert_eq!(ended.code(), Some(130));
    assert!(tcgetattr(&end).unwrap().local_modes.contains(LocalModes::ECHO));

    let mut child = asked(&ada, &server, end).await;
    writeln!(typed, "{PASSWORD}").unwrap();
    let ended = tokio::time::timeout(TIMEOUT, child.wait()).await.unwrap().unwrap();
    assert_eq!(ended.code(), Some(0));
    // The complete output of the terminal; reading ends with an error once the other end is closed.
    let mut shown = Vec::new();
    let _ = typed.read_to_end(&mut shown);
    assert_eq!(String::from_utf8_lossy(&shown), "");
    ada.types(&["runtime", "ls"]).await.well();
    team.stop().await;
}
