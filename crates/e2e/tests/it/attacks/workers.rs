//! User code that tries to outlive its worker, to exceed its limits, or to access the engine.

use crate::support::{
    Krt, Service, actor, assert_status, eventually,
    krt::packages,
    processes::{self, environment, open_files},
};
use rustix::process::{Signal, getuid};
use serde_json::json;
use std::{fs, path::Path};
use tonic::Code;

const LANGUAGES: [&str; 3] = ["go", "python", "rust"];

/// Starts the given program where no control group can be created.
const WITHOUT_GROUPS: [&str; 4] =
    ["-m", "sh", "-c", "mount -t tmpfs none /sys/fs/cgroup && exec \"$0\" \"$@\""];

/// A process that leaves its session and its parent, and writes its id.
const DAEMON: &str = "setsid --fork sh -c 'echo $$ >\"$E2E_SCRATCH/new\" && mv \"$E2E_SCRATCH/new\" \
    \"$E2E_SCRATCH/daemon\" && exec sleep 1000' </dev/null >/dev/null 2>&1";

/// Acts in Python.
const ACTS: &str = "

async def hog():
    kept = []
    while True:
        kept.append(bytearray(b'x') * (4 << 20))


async def breed():
    import subprocess
    import sys

    hog = 'kept = []\\nwhile True: kept.append(bytearray(b\"x\") * (4 << 20))'
    subprocess.run([sys.executable, '-c', hog], start_new_session=True, check=False)
    return 'it ended'


async def reserve():
    import mmap

    return str(len(mmap.mmap(-1, 1 << 30)))


async def limits():
    import resource

    files = resource.getrlimit(resource.RLIMIT_NOFILE)
    return f'{files[0]} {files[1]} {resource.getrlimit(resource.RLIMIT_CORE)[1]}'


async def processors():
    with open('/proc/self/cgroup') as groups:
        mine = next((line[3:].strip() for line in groups if line.startswith('0::')), '')
    try:
        with open('/sys/fs/cgroup' + mine + '/cpu.max') as limit:
            return limit.read().split()[0]
    except OSError:
        return str(len(os.sched_getaffinity(0)))


async def orphan():
    import signal
    import subprocess

    with open('/proc/self/cgroup') as groups:
        if any(line.startswith('0::') and '/krt-' in line for line in groups):
            # It must end even so.
            subprocess.Popen(['sleep', '1000'], start_new_session=True, stdout=subprocess.DEVNULL)
    os.kill(os.getppid(), signal.SIGKILL)
    return 'its guard is gone'


async def open_lifeline():
    found = []
    for number in os.listdir('/proc/self/fd'):
        try:
            if os.readlink('/proc/self/fd/' + number).startswith('pipe:') and int(number) > 2:
                os.close(os.open('/proc/self/fd/' + number, os.O_WRONLY))
                found.append(number)
        except OSError:
            pass
    return ' '.join(found)


ACTS.update(hog=hog, breed=breed, reserve=reserve, limits=limits, processors=processors, orphan=orphan)
ACTS.update(open_lifeline=open_lifeline)
";

fn conformance(language: &str) -> Krt {
    Krt::run_at(&packages().join("conformance").join(language))
}

/// A package with limits for its only node.
fn limited(limits: &str) -> tempfile::TempDir {
    let package = actor::package(ACTS);
    let path = package.path().join("krt.yml");
    let manifest = fs::read_to_string(&path).unwrap();
    fs::write(path, format!("{manifest}limits: {{{limits}}}\n")).unwrap();
    package
}

/// Runs a shell command in a handler.
async fn shell(service: &Service, script: &str) {
    let text = format!("0 $$; {script}; kill -TERM");
    let answer = service.call("Alone", json!({ "act": "child", "text": text })).await.unwrap();
    assert_eq!(answer["text"], "15");
}

/// Starts a daemon from a handler; returns its id.
async fn daemon(service: &Service) -> i32 {
    shell(service, DAEMON).await;
    let pid = service.scratch.read("daemon").await.trim().parse().unwrap();
    assert!(processes::lives(pid));
    service.scratch.remove("daemon");
    pid
}

async fn daemons_end(krt: impl Fn() -> Krt) {
    let service = krt().start().await;
    let pid = daemon(&service).await;
    let guard = processes::parent(pid);
    let workers = service.workers("worker").into_iter().filter(|&worker| worker != pid);
    let worker = workers.into_iter().find(|&worker| processes::parent(worker) == guard);
    processes::signal(worker.expect("the guard of its worker has adopted it"), Signal::KILL);
    eventually("the daemon ends with its worker", async || (!processes::lives(pid)).then_some(())).await;

    let again = async || service.call("Alone", json!({ "act": "calls" })).await.ok();
    eventually("the worker is up again", again).await;
    daemon(&service).await;
    // All processes of the service must be gone afterwards.
    service.stop().await;

    let service = krt().start().await;
    daemon(&service).await;
    service.signal(Signal::KILL);
    service.end().await;
}

#[tokio::test]
async fn daemons_end_with_their_worker_and_with_the_engine() {
    for language in LANGUAGES {
        daemons_end(|| conformance(language)).await;
    }
}

#[tokio::test]
async fn daemons_end_without_control_groups() {
    if !getuid().is_root() {
        return krt_servers::skipped("daemons_end_without_control_groups", "a mount namespace");
    }
    for language in LANGUAGES {
        daemons_end(|| conformance(language).started_by("unshare", &WITHOUT_GROUPS)).await;
    }
}

#[tokio::test]
async fn workers_over_the_memory_limit_are_reported_and_restarted() {
    let package = limited("memory: 128Mi");
    let service = Krt::run_at(package.path()).start().await;
    let reserved = service.call("Act", json!({ "text": "reserve" })).await.unwrap();
    assert_eq!(reserved["text"], (1 << 30).to_string(), "what is not touched does not count");
    for act in ["hog", "breed"] {
        let answer = service.call("Act", json!({ "text": act })).await;
        let words = "node 'actor' ran out of memory while it handled the request: its limit is 128Mi";
        assert_status(answer, Code::ResourceExhausted, words);
        let again = async || service.call("Act", json!({ "text": "hello" })).await.ok();
        eventually("the worker is up again", again).await;
    }
    let died =
        "its process died: killed for memory: with the processes that it started it took more than 128Mi";
    let logged = service.lines.records().iter().filter(|record| record.is("actor", died)).count();
    assert_eq!(logged, 2, "{}", service.lines.text());
    service.stop().await;
}

#[tokio::test]
async fn file_and_processor_limits_apply_to_workers() {
    let package = limited("files: 96, cpu: 1");
    let service = Krt::run_at(package.path()).start().await;
    let answer = service.call("Act", json!({ "text": "limits" })).await.unwrap();
    assert_eq!(answer["text"], "96 96 0", "files, and no core");
    let engines = fs::read_to_string(format!("/proc/{}/limits", service.pid())).unwrap();
    let core = engines.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    let answer = service.call("Act", json!({ "text": "processors" })).await.unwrap();
    assert!(["1", "100000"].contains(&answer["text"].as_str().unwrap()), "{answer}");
    service.stop().await;
}

#[tokio::test]
async fn workers_inherit_no_descriptors_of_the_engine() {
    for language in LANGUAGES {
        let service = conformance(language).start().await;
        let data = service.data().to_owned();
        let engines = open_files(service.pid());
        assert!(engines.iter().any(|target| Path::new(target).starts_with(&data)), "{engines:?}");
        let workers = service.workers("worker");
        assert!(!workers.is_empty(), "{language}");
        for worker in workers {
            let open = open_files(worker);
            let foreign =
                |target: &&String| Path::new(target).starts_with(&data) || target.contains("inotify");
            assert_eq!(open.iter().find(foreign), None, "{language}: {open:?}");
            // Its own socket to the engine, and possibly one of the language's runtime.
            let sockets: Vec<_> = open.iter().filter(|target| target.starts_with("socket:")).collect();
            let pair = |target: &&&String| engines.contains(**target);
            assert_eq!(sockets.iter().find(pair), None, "{language}: {open:?}");
        }
        service.stop().await;
    }
}

#[tokio::test]
async fn workers_attacking_their_guard_end_alone() {
    let package = actor::package(ACTS);
    let service = Krt::run_at(package.path()).start().await;
    let opened = service.call("Act", json!({ "text": "open_lifeline" })).await.unwrap();
    if !getuid().is_root() {
        assert_eq!(opened["text"], "", "else no other worker would see the engine's end");
    }
    let answer = service.call("Act", json!({ "text": "orphan" })).await;
    // The worker may have answered before the engine saw its guard end.
    assert!(answer.is_ok() || answer.unwrap_err().code() == Code::Internal);
    let again = async || service.call("Act", json!({ "text": "hello" })).await.ok();
    eventually("the worker is up again", again).await;
    service.lines.wait("the end", |record| record.message.contains("its guard was killed")).await;
    service.stop().await;
}

#[tokio::test]
async fn workers_inherit_the_shell_without_krt_variables() {
    for language in LANGUAGES {
        let secrets = ["KRT_TOKEN", "KRT_ADMIN_PASSWORD", "KRT_OPENID_SECRET", "OTEL_EXPORTER_OTLP_HEADERS"];
        let krt = secrets.iter().fold(conformance(language), |krt, name| krt.env(name, "s3cret-s3cret"));
        let service = krt.env("OF_THE_SHELL", "seen").start().await;
        let workers = service.workers("worker");
        assert!(!workers.is_empty(), "{language}");
        for worker in workers {
            let seen = environment(worker);
            assert!(seen.contains(&"OF_THE_SHELL=seen".to_owned()), "{seen:?}");
            assert!(seen.contains(&"KRT_NODE_NAME=worker".to_owned()), "{seen:?}");
            let secret = seen.iter().find(|variable| variable.contains("s3cret-s3cret"));
            assert_eq!(secret, None, "{language}");
        }
        service.stop().await;
    }
}
