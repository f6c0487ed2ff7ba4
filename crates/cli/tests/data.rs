//! `krt data`, run as a binary on stores that the tests fill.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use krt_model::log::Level;
use krt_store::{
    LogRecord, Options, PREDICTIONS, Point, Retention, Store, UPDATES, Value, Writer, parse_document,
};
use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};
use tempfile::TempDir;

/// 2026-01-31T12:00:00Z
const NOON: i64 = 1_769_860_800_000_000_000;
const SECOND: i64 = 1_000_000_000;
/// Longer than anything here takes, even on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A store for a test to fill, in the working directory of `krt`.
struct Fixture {
    folder: TempDir,
    store: Store,
    writer: Writer,
    runtime: tokio::runtime::Runtime,
}

impl Fixture {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        // The times here are long ago; no retention limit applies.
        let options = Options {
            retention: Retention { age: None, size: None, ..Retention::default() },
            flush_interval: Duration::from_millis(20),
            ..Options::default()
        };
        let (store, writer) = Store::open(&folder.path().join(".krt"), &options).unwrap();
        Self {
            folder,
            store,
            writer,
            runtime: tokio::runtime::Builder::new_current_thread().build().unwrap(),
        }
    }

    fn measure(&self, measurement: &str, tags: &[(&str, &str)], fields: &[(&str, Value<'_>)], time: i64) {
        self.store.measure(&Point { measurement, tags, fields, time }).unwrap();
    }

    fn save(&self, collection: &str, document: &str) {
        self.runtime.block_on(self.store.save(collection, parse_document(document).unwrap())).unwrap();
    }

    fn log(&self, time: i64, level: Level, node: Option<&str>, request: Option<&str>, message: &str) {
        let workflow = request.map(|_| "price");
        self.store.log(&LogRecord { time, level, version: "v1", workflow, node, request, message });
    }

    fn flush(&self) {
        self.runtime.block_on(self.store.flush()).unwrap();
    }

    /// Closes the writer, and keeps its data.
    fn close(self) -> TempDir {
        drop(self.store);
        self.writer.close();
        self.folder
    }
}

/// A store with some data of each kind.
fn filled() -> Fixture {
    let fixture = Fixture::new();
    for n in 0..4_i64 {
        let node = if n % 2 == 0 { "etl" } else { "model" };
        let fields = [("elapsed_ms", (n as f64 * 1.5 + 0.25).into()), ("tracking_id", "r-1".into())];
        fixture.measure(
            "node_elapsed_time",
            &[("node", node), ("version", "v1")],
            &fields,
            NOON + n * 20 * SECOND,
        );
    }
    fixture.measure("accuracy", &[], &[("share", 0.9.into()), ("final", true.into())], NOON + 1);
    fixture.measure("accuracy", &[("fold", "a, \"b\"")], &[("count", 12_i64.into())], NOON - SECOND);
    fixture.save(
        "people",
        r#"{"_id": 1, "name": "Ada", "born": {"$date": "1985-12-10T00:00:00Z"}, "tags": ["x", "y"]}"#,
    );
    fixture.save("people", r#"{"_id": 2, "name": "two\nlines, \"quoted\"", "age": 36, "weight": 61.5}"#);
    fixture.save(
        "people",
        r#"{"_id": {"$oid": "65a000000000000000000000"}, "name": null, "age": {"$numberLong": "7"}}"#,
    );
    for (n, (predicted, wanted, error)) in
        [("cat", "cat", ""), ("dog", "dog", ""), ("dog", "cat", ""), ("", "", "missing_values")]
            .iter()
            .enumerate()
    {
        fixture.save(
            PREDICTIONS,
            &format!(
                r#"{{"_id": {n}, "date": "2026-01-31T12:0{n}:00.000000Z", "error": "{error}", "predictedValue": "{predicted}", "trueValue": "{wanted}", "extra": null, "versionName": "v{}"}}"#,
                n % 2
            ),
        );
    }
    fixture.log(NOON, Level::Info, None, None, "the service is up");
    fixture.log(NOON + SECOND, Level::Debug, Some("etl"), Some("r-1"), "looking, \"closely\"");
    fixture.log(
        NOON + 2 * SECOND,
        Level::Error,
        Some("model"),
        Some("r-1"),
        "it failed\nTraceback:\n\tline \x1b[31m1",
    );
    fixture.log(NOON + 3 * SECOND + 1, Level::Warn, Some("model"), Some("r-2"), "a Timeout is near");
    fixture.flush();
    fixture
}

fn krt(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_krt"));
    command.arg("data").args(arguments).current_dir(folder).env_remove("KRT_DATA");
    command
}

/// The output and exit status of a command.
struct CommandOutput {
    code: i32,
    stdout: String,
    stderr: String,
}

fn run(folder: &Path, arguments: &[&str]) -> CommandOutput {
    let output = krt(folder, arguments).output().unwrap();
    CommandOutput {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The results of a command, which must succeed and print nothing else.
fn results(folder: &Path, arguments: &[&str]) -> String {
    let ran = run(folder, arguments);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{arguments:?}");
    ran.stdout
}

/// The output of commands in every format, as on a terminal.
fn session(folder: &Path, commands: &[&[&str]]) -> String {
    let mut session = String::new();
    for command in commands {
        for format in [&[] as &[&str], &["--json"], &["--format", "csv"]] {
            let arguments = [*command, format].concat();
            let printed = results(folder, &arguments);
            session.push_str(&format!("$ krt data {}\n{printed}\n", arguments.join(" ")));
        }
    }
    session
}

/// The overview without the parts that depend on SQLite: the files, and the last column, as wide as their
/// sizes.
fn without_sizes(session: &str) -> String {
    let others = session.lines().filter(|line| !line.contains(".db"));
    let columns = |line: &str| line.trim_end_matches("bytes").trim_end_matches('─').trim_end().to_owned();
    others.map(columns).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_topic_in_every_format() {
    let folder = filled().close();
    let folder = folder.path();
    insta::assert_snapshot!("overview", without_sizes(&session(folder, &[&[]])));
    insta::assert_snapshot!(
        "measurements",
        session(
            folder,
            &[
                &["measurements"],
                &["measurements", "accuracy"],
                &["measurements", "node_elapsed_time", "--tag", "node=etl", "--oldest"],
                &[
                    "measurements",
                    "node_elapsed_time",
                    "--every",
                    "1m",
                    "--field",
                    "elapsed_ms",
                    "--by",
                    "node"
                ],
            ]
        )
    );
    insta::assert_snapshot!(
        "documents",
        session(
            folder,
            &[
                &["documents"],
                &["documents", "people", "--oldest"],
                &["documents", "people", "--query", r#"{"age": {"$gt": 7}}"#]
            ]
        )
    );
    insta::assert_snapshot!(
        "predictions",
        session(folder, &[&["predictions", "--limit", "2"], &["predictions", "--summary"]])
    );
    insta::assert_snapshot!("logs", session(folder, &[&["logs"]]));
}

#[test]
fn the_overview_has_the_sizes_of_files() {
    let folder = filled().close();
    let printed = results(folder.path(), &["--json"]);
    let file = printed.lines().find(|line| line.contains("\"documents.db\"")).unwrap();
    let size = fs::metadata(folder.path().join(".krt/documents.db")).unwrap().len();
    assert_eq!(file, format!(r#"{{"kind":"file","name":"documents.db","bytes":{size}}}"#));
}

#[test]
fn logs_are_filtered() {
    let folder = filled().close();
    let messages = |arguments: &[&str]| -> Vec<String> {
        let printed = results(folder.path(), &[&["logs", "--json"], arguments].concat());
        let message =
            |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["message"].clone();
        printed
            .lines()
            .map(|line| message(line).as_str().unwrap().lines().next().unwrap().to_owned())
            .collect()
    };
    let (up, looking, failed, near) =
        ("the service is up", "looking, \"closely\"", "it failed", "a Timeout is near");
    let cases: [(&[&str], &[&str]); 11] = [
        (&[], &[up, looking, failed, near]),
        (&["timeout"], &[near]),
        (&["--level", "warn"], &[failed, near]),
        (&["--node", "model"], &[failed, near]),
        (&["--request", "r-1"], &[looking, failed]),
        (&["--workflow", "price", "--limit", "2"], &[failed, near]),
        (&["--version", "v1", "--limit", "1"], &[near]),
        (&["--since", "2026-01-31T12:00:02Z"], &[failed, near]),
        (&["--until", "2026-01-31T12:00:01Z"], &[up]),
        (&["--since", "2026-01-31T13:00:01+01:00", "--until", "2026-01-31T12:00:02"], &[looking]),
        (&["--until", "1m", "--level", "error"], &[failed]),
    ];
    for (arguments, expected) in cases {
        assert_eq!(messages(arguments), expected, "{arguments:?}");
    }
}

#[test]
fn predictions_are_filtered() {
    let folder = filled().close();
    let dates = |arguments: &[&str]| -> String {
        let printed =
            results(folder.path(), &[&["predictions", "--format", "csv", "--oldest"], arguments].concat());
        printed.lines().skip(1).map(|line| line.split(',').next().unwrap().to_owned()).collect()
    };
    assert_eq!(dates(&[]), "0123");
    assert_eq!(dates(&["--version", "v1"]), "13");
    assert_eq!(dates(&["--since", "2026-01-31T12:01:00Z", "--until", "2026-01-31T12:03:00Z"]), "12");
    assert_eq!(dates(&["--limit", "1"]), "0");
}

#[test]
fn predictions_have_the_true_value_that_came_later() {
    let fixture = Fixture::new();
    for (n, (request, predicted, truth)) in
        [("r-1", "cat", ""), ("r-2", "cat", "cat"), ("r-3", "dog", ""), ("r-4", "cow", "cow")]
            .iter()
            .enumerate()
    {
        fixture.save(
            PREDICTIONS,
            &format!(
                r#"{{"_id": {n}, "date": "2026-01-31T12:0{n}:00.000000Z", "error": "", "predictedValue": "{predicted}", "trueValue": "{truth}", "versionName": "v{}", "requestId": "{request}"}}"#,
                n % 2
            ),
        );
    }
    for (request, truth, date) in
        [("r-1", "cat", "13"), ("r-2", "dog", "13"), ("r-1", "cow", "12"), ("r-9", "cat", "12")]
    {
        fixture.save(
            UPDATES,
            &format!(r#"{{"requestId": "{request}", "trueValue": "{truth}", "date": "2026-01-31T{date}:00:00.000000Z"}}"#),
        );
    }
    let folder = fixture.close();
    let print = |arguments: &[&str]| results(folder.path(), &[&["predictions"], arguments].concat());
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    let printed = print(&["--oldest", "--json"]);
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let shown: Vec<_> =
        printed.lines().map(json).map(|one| (text(&one["trueValue"]), text(&one["updated"]))).collect();
    let late = "2026-01-31T13:00:00.000000Z";
    let expected = [("cat", late), ("dog", late), ("", ""), ("cow", "")];
    assert_eq!(shown, expected.map(|(truth, updated)| (truth.to_owned(), updated.to_owned())));

    let counts = |arguments: &[&str]| {
        let summary = json(&print(&[&["--summary", "--json"], arguments].concat()));
        ["count", "compared", "correct", "pending", "unmatchedUpdates"]
            .map(|name| summary[name].as_u64().unwrap())
    };
    assert_eq!(counts(&[]), [4, 3, 2, 1, 1]);
    assert_eq!(counts(&["--version", "v1"]), [2, 2, 1, 0, 1], "others match updates, too");
    let rows = print(&["--summary", "--format", "csv"]);
    assert!(rows.lines().any(|row| row == ",,pending,1"), "{rows}");
    let table = print(&["--summary"]);
    assert!(table.lines().next().unwrap().contains("pending  updates without prediction"), "{table}");
}

#[test]
fn empty_results_succeed() {
    let folder = Fixture::new().close();
    for arguments in [
        &["measurements"] as &[&str],
        &["documents"],
        &["predictions"],
        &["predictions", "--summary"],
        &["logs"],
    ] {
        for format in ["table", "json", "csv"] {
            let ran = run(folder.path(), &[arguments, &["--format", format]].concat());
            assert_eq!(
                (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
                (0, "", "note: nothing was found\n"),
                "{arguments:?}"
            );
        }
    }
}

#[test]
fn wrong_arguments_are_explained() {
    let fixture = filled();
    let folder = fixture.close();
    let cases: [(&[&str], i32, &str); 22] = [
        (
            &["logs", "--since", "yesterday"],
            2,
            "invalid value 'yesterday' for '--since <TIME>': expected a time such as",
        ),
        (&["logs", "--until", "15"], 2, "expected a time such as"),
        (&["logs", "--since", "1h", "--until", "2h"], 1, " is not before --until "),
        (&["logs", "--level", "loud"], 2, "`loud` is not a level"),
        (&["logs", "--limit", "-3"], 2, "'-3'"),
        (&["logs", "--limit", "many"], 2, "expected a number, or `all`"),
        (&["logs", "--follow", "--until", "1h"], 2, "cannot be used with '--until"),
        (&["logs", "--follow", "-o", "x"], 2, "cannot be used with '--output"),
        (&["logs", "--json", "--format", "csv"], 2, "cannot be used with '--format"),
        (
            &["documents", "people", "--query", "{\"age\": }"],
            2,
            "not a document: expected value, line 1, column 9",
        ),
        (&["documents", "people", "--query", "[1]"], 2, "expected an object"),
        (
            &["documents", "people", "--query", r#"{"age": {"$near": 1}}"#],
            2,
            "unknown operator `$near` at `age`",
        ),
        (&["documents", "peple"], 1, "there is no collection `peple`\nhint: did you mean `people`?\n"),
        (&["documents", "--limit", "3"], 1, "need the name of a collection\nhint: "),
        (
            &["measurements", "node_elapsed"],
            1,
            "there is no measurement `node_elapsed`\nhint: did you mean `node_elapsed_time`?\n",
        ),
        (
            &["measurements", "zebra"],
            1,
            "there is no measurement `zebra`\nhint: there are `accuracy`, `node_elapsed_time`\n",
        ),
        (&["measurements", "--tag", "node=etl"], 1, "need the name of a measurement\nhint: "),
        (&["measurements", "accuracy", "--tag", "fold"], 2, "expected NAME=VALUE"),
        (
            &["measurements", "accuracy", "--tag", "fald=a"],
            1,
            "`accuracy` has no tag `fald`\nhint: did you mean `fold`?\n",
        ),
        (&["measurements", "accuracy", "--every", "1m"], 2, "--field <NAME>"),
        (&["measurements", "accuracy", "--every", "0s", "--field", "share"], 2, "expected 1ms to 3650d"),
        (
            &["measurements", "accuracy", "--every", "1m", "--field", "final"],
            1,
            "`accuracy` has no numbers in a field `final`\nhint: there are `count`, `share`\n",
        ),
    ];
    for (arguments, code, expected) in cases {
        let ran = run(folder.path(), arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (code, ""), "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(expected), "{arguments:?}: {}", ran.stderr);
    }
}

#[test]
fn a_folder_without_a_store_is_explained() {
    let folder = TempDir::new().unwrap();
    let expected = |name: &str| {
        format!(
            "error: there is no store in `{name}`\nhint: `krt run` makes one, `--data` chooses another folder\n"
        )
    };
    for arguments in [&["--data", "missing"] as &[&str], &["logs", "--data", "missing", "--follow"]] {
        let ran = run(folder.path(), arguments);
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr), (1, "", expected("missing")));
    }
    assert_eq!(run(folder.path(), &[]).stderr, expected(".krt"));
    let from_environment = krt(folder.path(), &[]).env("KRT_DATA", "elsewhere").output().unwrap();
    assert_eq!(String::from_utf8(from_environment.stderr).unwrap(), expected("elsewhere"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is made");
}

#[test]
fn output_files_are_written_atomically() {
    let folder = filled().close();
    let names = || -> Vec<_> {
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    };
    let path = folder.path().join("people.csv");
    fs::write(&path, "before").unwrap();

    let ran = run(folder.path(), &["documents", "nobody", "-o", "people.csv"]);
    assert_eq!((ran.code, fs::read_to_string(&path).unwrap().as_str()), (1, "before"));
    assert_eq!(names().len(), 2, "nothing is left beside it: {:?}", names());

    let arguments = ["documents", "people", "--format", "csv"];
    let expected = results(folder.path(), &arguments);
    assert_eq!(results(folder.path(), &[&arguments as &[&str], &["-o", "people.csv"]].concat()), "");
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    assert_eq!(names().len(), 2);

    assert_eq!(results(folder.path(), &["logs", "--json", "-o", "/dev/null"]), "");
    let ran = run(folder.path(), &["logs", "-o", "no/such/folder"]);
    let expected = "error: failed to write `no/such/folder`: No such file or directory (os error 2)\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (1, expected));
}

/// More points than a page holds, many of them with the same time, in many series.
fn crowded() -> (TempDir, Vec<i64>) {
    let fixture = Fixture::new();
    let mut times: Vec<i64> = (0..15_000).map(|n| if n < 9_000 { 3 } else { n % 101 }).collect();
    for (index, time) in times.iter().enumerate() {
        let node = (index % 7).to_string();
        fixture.measure("m", &[("node", &node)], &[("index", (index as i64).into())], NOON + time * SECOND);
    }
    fixture.flush();
    times.sort_unstable();
    (fixture.close(), times)
}

#[test]
fn points_of_several_pages_are_printed_once_in_order() {
    let (folder, mut times) = crowded();
    for order in ["--oldest", "--newest"] {
        let printed = results(folder.path(), &["measurements", "m", "--json", order]);
        let points: Vec<serde_json::Value> =
            printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let seconds = |point: &serde_json::Value| -> i64 {
            let text = point["time"].as_str().unwrap();
            text[14..16].parse::<i64>().unwrap() * 60 + text[17..19].parse::<i64>().unwrap()
        };
        assert_eq!(points.iter().map(seconds).collect::<Vec<_>>(), times, "{order}");
        let mut indices: Vec<_> =
            points.iter().map(|point| point["fields"]["index"].as_u64().unwrap()).collect();
        indices.sort_unstable();
        assert!(indices.into_iter().eq(0..15_000), "{order}");
        times.reverse();
    }
}

#[test]
fn tables_are_short_by_default() {
    let (folder, _) = crowded();
    let ran = run(folder.path(), &["measurements", "m"]);
    assert_eq!(ran.stdout.lines().count(), 102);
    assert_eq!(ran.stderr, "note: only 100 are shown\nhint: `--limit all` shows all\n");
    for (limit, lines) in [("3", 5), ("all", 15_002)] {
        assert_eq!(results(folder.path(), &["measurements", "m", "--limit", limit]).lines().count(), lines);
    }
}

#[test]
fn closed_pipes_end_the_command_quietly() {
    let (folder, _) = crowded();
    for format in ["json", "csv", "table"] {
        let mut child = krt(folder.path(), &["measurements", "m", "--limit", "all", "--format", format])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::with_capacity(16, child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        assert_eq!((child.wait().unwrap().code(), stderr.as_str()), (Some(0), ""), "{format}");
    }
}

/// A program that runs until the end of the test.
struct FollowingCommand {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl FollowingCommand {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut child = krt(folder, arguments).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, lines }
    }

    fn next(&self) -> String {
        self.lines.recv_timeout(TIMEOUT).unwrap()
    }
}

impl Drop for FollowingCommand {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn logs_are_followed_while_another_process_writes() {
    let fixture = filled();
    let log =
        |n: i64| fixture.log(NOON + (10 + n) * SECOND, Level::Info, Some("etl"), None, &format!("new {n}"));
    let csv = FollowingCommand::start(
        fixture.folder.path(),
        &["logs", "--follow", "--node", "etl", "--format", "csv"],
    );
    let json = FollowingCommand::start(fixture.folder.path(), &["logs", "new", "-f", "--json"]);
    let table = FollowingCommand::start(fixture.folder.path(), &["logs", "-f", "--limit", "1"]);
    assert_eq!(csv.next(), "time,level,version,workflow,node,request,message");
    assert_eq!(csv.next(), "2026-01-31T12:00:01.000Z,DEBUG,v1,price,etl,r-1,\"looking, \"\"closely\"\"\"");
    assert_eq!(table.next(), "2026-01-31T12:00:03.000Z WARN  model      a Timeout is near  request=r-2");
    for n in 0..3 {
        fixture.log(NOON, Level::Info, Some("model"), None, "of another node");
        log(n);
        let time = format!("2026-01-31T12:00:1{n}.000Z");
        assert_eq!(csv.next(), format!("{time},INFO,v1,,etl,,new {n}"));
        let expected =
            format!(r#"{{"time":"{time}","level":"INFO","version":"v1","node":"etl","message":"new {n}"}}"#);
        assert_eq!(json.next(), expected);
        assert_eq!(table.next(), "2026-01-31T12:00:00.000Z INFO  model      of another node");
        assert_eq!(table.next(), format!("{time} INFO  etl        new {n}"));
    }
}

#[test]
fn a_store_is_read_while_its_writer_works() {
    let fixture = filled();
    let folder = fixture.folder.path();
    assert_eq!(results(folder, &["documents", "people", "--json"]).lines().count(), 3);
    fixture.save("people", r#"{"name": "Grace"}"#);
    fixture.measure("late", &[], &[("x", 1_i64.into())], NOON);
    fixture.flush();
    assert_eq!(results(folder, &["documents", "people", "--json"]).lines().count(), 4);
    let printed = results(folder, &["measurements", "late", "--json"]);
    let expected = r#"{"time":"2026-01-31T12:00:00.000Z","fields":{"x":1}}"#;
    assert_eq!(printed.trim_end(), expected);
}
