//! A writer in another process: read while it writes, and killed.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bson::{Document, doc};
use futures::TryStreamExt;
use krt_store::{Error, FindLimits, LogFilter, Options, Reader, Store};
use std::{
    collections::HashSet,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};
use tempfile::TempDir;

/// The variable that makes the test below the other process, with the folder to write to.
const FOLDER: &str = "KRT_STORE_TEST_FOLDER";

/// Saves endlessly from many tasks, and prints each `_id` once it is confirmed.
#[test]
#[ignore = "the other process of the tests here"]
fn child() {
    let folder = std::env::var_os(FOLDER).expect("started by a test");
    let (store, _writer) = Store::open(Path::new(&folder), &Options::default()).unwrap();
    let save = |task: i32| {
        let store = store.clone();
        async move {
            for n in 0.. {
                let id = format!("{task}-{n}");
                store.save("things", doc! { "_id": &id, "text": "x".repeat(500) }).await.unwrap();
                // A single write, so that lines of several tasks do not mix.
                #[expect(clippy::disallowed_methods, reason = "the other process reads it")]
                let mut out = std::io::stdout();
                out.write_all(format!("saved {id}\n").as_bytes()).unwrap();
            }
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(futures::future::join_all(
        (0..16).map(save).map(|task| async { runtime.spawn(task).await.unwrap() }),
    ));
}

/// The other process. Killed on drop.
struct ChildProcess {
    process: Child,
    output: BufReader<ChildStdout>,
}

impl ChildProcess {
    fn start(folder: &Path) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "child", "--nocapture", "--test-threads=1"])
            .env(FOLDER, folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        Self { process, output }
    }

    /// The next `count` confirmed ids; fewer at the end of the output.
    fn confirmed(&mut self, count: usize) -> Vec<String> {
        let mut ids = Vec::new();
        let mut line = String::new();
        while ids.len() < count {
            line.clear();
            if self.output.read_line(&mut line).unwrap() == 0 {
                break;
            }
            // A line that the kill truncated does not count as confirmed.
            let id = line.strip_suffix('\n').and_then(|line| line.split_once("saved "));
            ids.extend(id.map(|(_, id)| id.to_owned()));
        }
        ids
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn stored(reader: &Reader) -> HashSet<String> {
    let found = reader.find("things", &Document::new(), FindLimits::default()).unwrap();
    let ids = found.map_ok(|document| document.get_str("_id").unwrap().to_owned());
    ids.try_collect().await.unwrap()
}

#[tokio::test]
async fn confirmed_saves_survive_a_kill() {
    for kill_after in [1, 50, 3000] {
        let folder = TempDir::new().unwrap();
        let mut other = ChildProcess::start(folder.path());
        let mut confirmed = other.confirmed(kill_after);
        assert_eq!(confirmed.len(), kill_after);
        other.process.kill().unwrap();
        confirmed.extend(other.confirmed(usize::MAX));

        let (store, _writer) = Store::open(folder.path(), &Options::default()).unwrap();
        let stored = stored(store.reader()).await;
        let lost: Vec<_> = confirmed.iter().filter(|id| !stored.contains(*id)).collect();
        assert!(lost.is_empty(), "{} of {} lost: {lost:?}", lost.len(), confirmed.len());
        store.save("things", doc! { "_id": "after" }).await.unwrap();
    }
}

#[tokio::test]
async fn another_process_is_read_while_it_writes() {
    let folder = TempDir::new().unwrap();
    let mut other = ChildProcess::start(folder.path());
    let mut confirmed = other.confirmed(1);
    let reader = Reader::open(folder.path()).unwrap();
    for _ in 0..5 {
        confirmed.extend(other.confirmed(400));
        let stored = stored(&reader).await;
        assert!(confirmed.iter().all(|id| stored.contains(id)));
    }
    assert_eq!(reader.collections().unwrap()[0].name, "things");
    assert_eq!(reader.logs(&LogFilter::default(), 10).unwrap().records, []);

    let error = Store::open(folder.path(), &Options::default()).unwrap_err();
    assert!(matches!(error, Error::InUse { .. }), "{error}");
}
