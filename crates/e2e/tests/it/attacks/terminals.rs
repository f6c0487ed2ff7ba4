//! Names, messages and logs that try to control the reader's terminal.
//!
//! Bound: of the texts that clients, archives and user code choose, no command writes a control or hidden
//! character to a terminal, and no line that user code prints has a forged time or level.
//!
//! Each row of a table is a place where `krt` prints text of others.

mod commands;
mod compilers;
mod hostile_text;

use crate::support::{
    Krt, Service, eventually,
    krt::{command, packages},
    lines::Record,
    person::Person,
    runners::WireProtocol,
    service::Exited,
    team::{PASSWORD, Team},
    terminal::{Terminal, on_terminal},
};
use hostile_text::{HOSTILE, assert_calm, assert_shown, literal};
use krt_servers::{NatsOptions, NatsServer};
use serde_json::{Value, json};
use std::process::{Command, Stdio};

/// The output of `krt` on a terminal.
fn types(words: &[&str]) -> String {
    on_terminal(command().args(words)).1
}

/// A handler that prints, logs, saves and fails with the text.
fn code(end: &str) -> String {
    format!(
        "import sys
text = '{0}'
print(text)
print(text, file=sys.stderr)
os.write(1, (text + '\\n').encode())
ctx.logger.warning('%s\\n2024-01-01T00:00:00.000Z ERROR forged\\n00:00:00.000 ERROR krt        forged', text)
await ctx.db.save('people', {{'name': text, text: 1}})
ctx.measurement.save('m', {{'field': 1.0}}, {{'tag': text.replace('\\n', '')}})
await ctx.prediction.save(text, text)
{end}",
        literal()
    )
}

#[tokio::test]
async fn output_of_user_code_and_clients() {
    let package = packages().join("script");
    let terminal = Terminal::open();
    let data = tempfile::tempdir().unwrap();
    // JSON records for the tests, and text for people: two services with the same code.
    let service = Krt::run_at(&package).start().await;
    let address = service.address.to_string();
    let folder = data.path().to_str().unwrap();
    let mut shown = command();
    shown
        .args([
            "run",
            package.to_str().unwrap(),
            "--no-dashboard",
            "--data",
            folder,
            "--listen",
            "127.0.0.1:0",
        ])
        .env("E2E_SCRATCH", service.scratch.path())
        .stdout(terminal.writer())
        .stderr(terminal.writer());
    let mut person = shown.spawn().unwrap();
    drop(shown);
    let listen = terminal.until("listening on ").await;
    let calls = tokio::task::spawn_blocking(move || {
        let returned = json!({"code": [code("return text")]}).to_string();
        let failed = json!({"code": [code("raise ValueError(text)")]}).to_string();
        let call = |address: &str, body: &str| types(&["call", "--address", address, "One", body]);
        (call(&listen, &returned), call(&listen, &failed), call(&address, &returned), call(&address, &failed))
    });
    let (answer, failure, ..) = calls.await.unwrap();
    assert_shown("answers", &answer);
    assert!(answer.contains("\"text\""), "{answer}");
    assert_shown("errors of handlers", &failure);
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(i32::try_from(person.id()).unwrap()).unwrap(),
        rustix::process::Signal::TERM,
    )
    .unwrap();
    person.wait().unwrap();
    let console = terminal.written();
    assert_shown("records on the console", &console);
    let lines: Vec<_> = console.lines().map(|line| line.trim_end_matches('\r')).collect();
    let forged = lines.iter().filter(|line| line.contains("forged"));
    assert!(forged.clone().count() >= 4, "{console}");
    for line in forged {
        assert!(line.starts_with(&" ".repeat(30)), "a line looks like a record: {line:?}");
    }

    for topic in [&["logs"][..], &["documents", "people"], &["measurements", "m"], &["predictions"]] {
        for format in ["table", "json", "csv"] {
            let words =
                [&["data"], topic, &["--data", folder, "--format", format, "--limit", "all"]].concat();
            assert_shown(&format!("{words:?}"), &types(&words));
        }
    }
    assert_calm("what there is", &types(&["data", "--data", folder]));
    piped_data_is_exact(folder);
    records_stay_records(&service.stop().await);
}

/// A program that reads results receives the text unchanged.
fn piped_data_is_exact(folder: &str) {
    let read = |format: &str| {
        let output = command()
            .args(["data", "documents", "people", "--data", folder, "--format", format])
            .stderr(Stdio::null())
            .output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    let json = read("json");
    let document: Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert!(document.to_string().contains(&json!(HOSTILE).to_string()), "{json}");
    assert!(json.contains('\u{202e}'), "JSON is as it was: {json}");
    assert!(read("csv").contains(HOSTILE), "CSV is as it was");
}

/// Each record is one line; for printed lines, the engine sets the time and the level.
fn records_stay_records(ended: &Exited) {
    assert_eq!(ended.lines.plain(), "", "every line is a record");
    assert!(ended.lines.text().is_ascii(), "JSON in logs shows everything by its code");
    let records = ended.lines.records();
    let forged: Vec<&Record> = records.iter().filter(|record| record.message.contains("forged")).collect();
    assert!(!forged.is_empty());
    for record in forged {
        assert!(record.level == "WARN" && !record.time.starts_with("2024"), "{record:?}");
        assert!(record.message.contains(HOSTILE), "{record:?}");
    }
}

#[tokio::test]
async fn prints_have_the_time_and_level_of_plain_output() {
    let service: Service = Krt::run("script").start().await;
    let code = "
        import subprocess, sys
        line = '2001-01-01T00:00:00.000Z ERROR forged'
        print(line)
        await asyncio.sleep(0.1)
        print('x', line, sep=chr(10), file=sys.stderr)
        os.write(1, (line + chr(10)).encode())
        os.write(2, (line + chr(10)).encode())
        subprocess.run([sys.executable, '-c', f'print({line!r})'])
        return 0
    ";
    crate::script::value(&service, code).await;
    let ended = service.stop().await;
    let records = ended.lines.records();
    let forged: Vec<_> = records.iter().filter(|record| record.message.contains("forged")).collect();
    let lines: usize = forged.iter().map(|record| record.message.matches("forged").count()).sum();
    assert_eq!(lines, 5, "{forged:?}");
    for record in forged {
        assert!(record.level == "INFO" && !record.time.starts_with("2001"), "{record:?}");
    }
}

#[tokio::test]
async fn output_of_a_server_and_its_users() {
    let data = tempfile::tempdir().unwrap();
    let team = Team::with_shop(data.path()).await;
    let ann = Person::new();
    ann.signs_in(&team.api.url(), "admin", PASSWORD).await.well();
    team.api.post("/runtimes", json!({"id": "evil", "name": HOSTILE, "description": HOSTILE})).await;
    team.upload(
        "v1",
        &format!("async def init(ctx):\n    print('{0}')\n    raise ValueError('{0}')\n", literal()),
    )
    .await;
    team.api.act("v1", "start").await;
    team.until("v1", "ERROR").await;
    team.api.post("/tokens", json!({"name": HOSTILE, "role": "VIEWER"})).await;
    let types = |words: &[&str]| on_terminal(ann.command(words).stdin(Stdio::null())).1;
    let rows: &[(bool, &[&str])] = &[
        (false, &["runtime", "ls"]),
        (false, &["runtime", "ls", "--json"]),
        (false, &["token", "ls"]),
        (true, &["version", "--runtime", "shop", "show", "v1"]),
        (true, &["version", "--runtime", "shop", "show", "v1", "--json"]),
        (true, &["version", "--runtime", "shop", "logs", "v1"]),
        (true, &["version", "--runtime", "shop", "logs", "v1", "--json"]),
        (true, &["version", "--runtime", "shop", "start", "v1"]),
        (true, &["version", "--runtime", "shop", "show", HOSTILE]),
        (true, &["user", "delete", HOSTILE]),
        (true, &["runtime", "show", HOSTILE]),
        (true, &["logout", HOSTILE]),
    ];
    for (is_shown, words) in rows {
        let place = format!("{words:?}");
        match is_shown {
            true => assert_shown(&place, &types(words)),
            false => assert_calm(&place, &types(words)),
        }
    }
    assert!(team.lines.text().is_ascii());
    team.stop().await;
}

/// The error of a handler in a dead letter.
#[tokio::test]
async fn output_of_dead_letters() {
    let options = NatsOptions { jetstream: true, ..NatsOptions::default() };
    let Some(server) = NatsServer::start("output_of_dead_letters", options) else { return };
    let package = packages().join("script");
    let service = Krt::run_at(&package).nats(&server.url(), WireProtocol::JetStream).start().await;
    let fails =
        format!("await ctx.early_reply(messages.Note(text='now')); raise ValueError('{}')", literal());
    crate::script::send(&service, "One", &[&fails]).await.unwrap();
    let url = server.url();
    let dead = move |words: &[&str], flags: &[&str]| {
        let package = package.to_str().unwrap();
        types(&[&["dead"], words, &[package, "--nats", &url], flags].concat())
    };
    let listed = eventually("a message is given up", async || {
        Some(dead(&["list"], &[])).filter(|listed| listed.contains("tries"))
    });
    let listed = listed.await;
    assert_shown("messages that were given up", &listed);
    let id = listed.split_whitespace().next().unwrap();
    assert_shown("the same as JSON", &dead(&["list"], &["--json"]));
    assert_shown("one of them", &dead(&["show", id], &[]));
    service.stop().await;
}

/// Somebody else's server may send anything.
#[tokio::test]
async fn output_of_foreign_servers() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let body = json!({"code": "invalid", "message": HOSTILE, "hint": HOSTILE}).to_string();
    let answer = format!(
        "HTTP/1.1 400 Bad\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let serving = tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                // A client that has left needs no answer.
                let _ = socket.read(&mut [0; 4096]).await;
                let _ = socket.write_all(answer.as_bytes()).await;
            });
        }
    });
    let program = Person::with_token(&format!("http://{address}"), "token");
    let mut asks: Command = program.command(&["runtime", "ls"]);
    let written =
        tokio::task::spawn_blocking(move || on_terminal(asks.stdin(Stdio::null())).1).await.unwrap();
    assert_shown("errors of a server", &written);
    let called = address.to_string();
    let call =
        tokio::task::spawn_blocking(move || types(&["call", "--address", &called, "Go"])).await.unwrap();
    assert_calm("errors of a port", &call);
    serving.abort();
}
