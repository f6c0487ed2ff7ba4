//! GPUs: `gpu` of a node in `krt.yml`, and `--gpus` (docs/guide/gpus.md). A stand-in replaces NVIDIA's library.

use crate::support::{
    Krt, Service, actor, assert_status,
    http::Http,
    krt::command,
    processes,
    team::{Team, dashboard, packed},
};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::{fs, path::Path, process::Command};
use tempfile::TempDir;
use tonic::Code;

const NODE: &str = "\
import os
import signal
import sys

from public_input_pb2 import Text


def init(ctx):
    open(f\"{os.environ.get('E2E_SCRATCH', '/tmp')}/{os.getpid()}.init\", \"w\").close()


def handler(ctx, data):
    text = Text()
    data.Unpack(text)
    if text.text.startswith(\"fill\"):
        print(\"torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.\", file=sys.stderr, flush=True)
    if text.text.endswith(\"die\"):
        os.kill(os.getpid(), signal.SIGABRT)
    return text
";

fn package(version: &str, keys: &str) -> TempDir {
    actor::with(version, keys, NODE)
}

/// The value of a variable in each worker, sorted.
fn visible(service: &Service, name: &str) -> Vec<String> {
    let of = |pid: &i32| {
        let found = processes::environment(*pid).into_iter().find_map(|line| {
            line.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')).map(str::to_owned)
        });
        found.unwrap_or_else(|| "not set".to_owned())
    };
    let mut values: Vec<_> = service.workers("actor").iter().map(of).collect();
    values.sort();
    values
}

/// What a run that must not start prints. No worker has started.
fn refused(package: &Path, flags: &[&str], library: Option<&Path>) -> String {
    let scratch = tempfile::tempdir().unwrap();
    let mut krt = command();
    krt.args(["run", "--listen", "127.0.0.1:0", "--data"]).arg(scratch.path().join("data")).arg(package);
    krt.args(flags).env("E2E_SCRATCH", scratch.path()).env_remove("LD_LIBRARY_PATH");
    if let Some(library) = library {
        krt.env("LD_LIBRARY_PATH", library);
    }
    let output = krt.output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{text}");
    let inits = fs::read_dir(scratch.path()).unwrap().filter(|entry| {
        entry.as_ref().unwrap().path().extension().is_some_and(|extension| extension == "init")
    });
    assert_eq!(inits.count(), 0, "a worker has started: {text}");
    text
}

/// A folder with the stand-in of NVIDIA's library.
fn library() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/gpus/nvml.c");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).arg(folder.path().join("libnvidia-ml.so.1")).arg(source);
    assert!(compiler.status().unwrap().success());
    folder
}

#[tokio::test]
async fn each_worker_sees_its_own() {
    let package = package("own-v1", "gpu: 2\n    replicas: 2");
    let service = Krt::run_at(package.path()).flag("--gpus", "3,0,5,1").start().await;
    for name in ["CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"] {
        assert_eq!(visible(&service, name), ["3,0", "5,1"]);
    }
    service.stop().await;
}

#[tokio::test]
async fn a_worker_that_is_started_again_gets_the_same() {
    let package = package("again-v1", "gpu: {share: 2}\n    replicas: 3");
    let service = Krt::run_at(package.path()).env("CUDA_VISIBLE_DEVICES", "7,4").start().await;
    let before = visible(&service, "CUDA_VISIBLE_DEVICES");
    assert_eq!(before, ["4", "7", "7"]);
    service.call("Act", json!({"text": "die"})).await.unwrap_err();
    service.lines.wait("the worker", |record| record.is("actor", "up again")).await;
    assert_eq!(visible(&service, "CUDA_VISIBLE_DEVICES"), before);
    service.stop().await;
}

#[test]
fn more_than_there_are_is_an_error_before_anything_starts() {
    for (keys, flags, message, hint) in [
        (
            "gpu: 2\n    replicas: 2",
            "0,1,2",
            "it wants 2 GPUs for each of 2 workers, and there are 3 GPUs",
            "replicas",
        ),
        (
            "gpu: true\n    replicas: 2",
            "0",
            "it wants 1 GPU for each of 2 workers, and there is 1 GPU",
            "share",
        ),
        (
            "gpu: true\n    replicas: {min: 0, max: 3}",
            "0,1",
            "it wants 1 GPU for each of 3 workers, and there are 2 GPUs",
            "replicas",
        ),
        ("gpu: 1", "none", "it wants 1 GPU, and krt knows of no GPU on this machine", "--gpus"),
        (
            "gpu: {share: 4}\n    replicas: 5",
            "0",
            "it wants 1 GPU for each of 5 workers, shared by up to 4, and there is 1 GPU",
            "optional",
        ),
    ] {
        let package = package("few-v1", keys);
        let text = refused(package.path(), &["--gpus", flags], None);
        assert!(text.contains(&format!("node `actor` does not start: {message}")), "{text}");
        assert!(text.lines().any(|line| line.contains("hint: ") && line.contains(hint)), "{text}");
    }
}

#[tokio::test]
async fn packages_for_a_cluster_and_optional_ones_run_without() {
    for (keys, flags) in
        [("gpu: true", "none"), ("gpu: optional", "none"), ("gpu: optional\n    replicas: 2", "1")]
    {
        let package = package("without-v1", keys);
        let service = Krt::run_at(package.path()).flag("--gpus", flags).start().await;
        assert_eq!(service.call("Act", json!({"text": "hello"})).await.unwrap()["text"], "hello");
        let (expected, warning): (&[_], _) = match flags {
            "none" => (&["not set"], "krt knows of no GPU on this machine; name them with --gpus"),
            _ => (&["", "1"], "workers that run without a GPU, since none is free: 1"),
        };
        assert_eq!(visible(&service, "CUDA_VISIBLE_DEVICES"), expected, "{keys}");
        service.lines.wait("a warning", |record| record.is("actor", warning)).await;
        service.stop().await;
    }
}

#[tokio::test]
async fn the_library_lists_gpus_and_reads_their_load() {
    let (library, package) = (library(), package("load-v1", "gpu: 1\n    replicas: 3"));
    let service = Krt::run_at(package.path())
        .env("LD_LIBRARY_PATH", library.path())
        .flag("--metrics", "127.0.0.1:0")
        .start()
        .await;
    let all = ["GPU-11111111-aaaa", "MIG-33333333-cccc", "MIG-44444444-dddd"];
    assert_eq!(visible(&service, "CUDA_VISIBLE_DEVICES"), all);
    assert_eq!(visible(&service, "CUDA_DEVICE_ORDER"), ["PCI_BUS_ID"; 3]);

    let page = service.lines.wait("the page", |record| record.message.starts_with("metrics are at ")).await;
    let address =
        page.message.trim_start_matches("metrics are at http://").trim_end_matches("/metrics").to_owned();
    let page = Http::one(address.parse().unwrap()).send(Method::GET, "/metrics", &[], "").await;
    let page = String::from_utf8(page.body.to_vec()).unwrap();
    for line in [
        "krt_gpu_workers{gpu=\"GPU-11111111-aaaa\",name=\"Tester 80GB\"} 1.0",
        "krt_gpu_memory_bytes{gpu=\"GPU-11111111-aaaa\",name=\"Tester 80GB\"} 80000000000.0",
        "krt_gpu_memory_used_bytes{gpu=\"MIG-44444444-dddd\",name=\"Tester 40GB\"} 2000000000.0",
        "krt_gpu_utilization_ratio{gpu=\"GPU-11111111-aaaa\",name=\"Tester 80GB\"} 0.75",
    ] {
        assert!(page.lines().any(|found| found == line), "{line}\n{page}");
    }
    assert!(!page.contains("krt_gpu_utilization_ratio{gpu=\"MIG"), "it is not known: {page}");
    service.stop().await;
}

#[tokio::test]
async fn the_graph_shows_the_gpus_of_a_node() {
    let (library, package) = (library(), package("graph-v1", "gpu: 1"));
    let krt = Krt::run_with_dashboard(package.path()).env("LD_LIBRARY_PATH", library.path());
    let service = krt.flag("--gpus", "0").start().await;
    let graph = "/api/v1/runtimes/graph-v1/versions/graph-v1/graph";
    let shown: Value =
        dashboard(&service).await.send(Method::GET, graph, &[], "").await.expect(StatusCode::OK);
    let gpu = json!({
        "id": "0", "name": "Tester 80GB", "workers": 1,
        "memory": 80_000_000_000_u64, "memory_used": 20_000_000_000_u64, "utilization": 0.75,
    });
    assert_eq!(shown["nodes"][0]["gpus"], json!([gpu]));
    service.stop().await;
}

#[test]
fn names_that_the_library_does_not_know_are_an_error() {
    let (library, package) = (library(), package("names-v1", "gpu: 1"));
    let text = refused(package.path(), &["--gpus", "0,7"], Some(library.path()));
    assert!(text.contains("this machine has no GPU `7`"), "{text}");
    assert!(text.contains("its GPUs are 0 (Tester 80GB), 1 (Tester 40GB), 2 (Tester 40GB)"), "{text}");
    let text = refused(package.path(), &["--gpus", "first"], Some(library.path()));
    assert!(text.contains("`first` is not a GPU: an index such as `0`"), "{text}");
}

#[tokio::test]
async fn a_driver_that_does_not_work_does_no_harm() {
    let (library, package) = (library(), package("driver-v1", "gpu: true"));
    let krt = Krt::run_at(package.path()).env("LD_LIBRARY_PATH", library.path());
    let service = krt.env("E2E_NVML_WITHOUT_DRIVER", "1").start().await;
    assert_eq!(service.call("Act", json!({"text": "hello"})).await.unwrap()["text"], "hello");
    let warning = "the NVIDIA driver cannot be used: ";
    service.lines.wait("a warning", |record| record.message.starts_with(warning)).await;
    service.stop().await;
}

#[tokio::test]
async fn a_worker_that_dies_of_its_gpus_memory_says_so() {
    let package = package("memory-v1", "gpu: 1");
    let service = Krt::run_at(package.path()).flag("--gpus", "0").start().await;
    let died = "node 'actor' died while it handled the request: killed by signal 6 (SIGABRT)";
    let call = |text: &str| service.call("Act", json!({ "text": text }));
    assert_status(
        call("fill and die").await,
        Code::Internal,
        &format!("{died}, after its GPU ran out of memory"),
    );
    service.lines.wait("the worker", |record| record.is("actor", "up again")).await;
    // It went on: its end has another reason.
    assert_eq!(call("fill").await.unwrap()["text"], "fill");
    assert_status(call("die").await, Code::Internal, died);
    service.stop().await;
}

#[tokio::test]
async fn versions_of_a_server_do_not_take_each_others() {
    let data = tempfile::tempdir().unwrap();
    let (first, second) = (package("first-v1", "gpu: 1"), package("second-v1", "gpu: 1"));
    let team = Team::started_by(Krt::serve(first.path()).flag("--gpus", "2"), data.path()).await;
    team.api.post("/runtimes", json!({"id": "shop", "name": "The shop"})).await.expect(StatusCode::CREATED);
    for package in [&first, &second] {
        team.api.upload(packed(package.path())).await.expect(StatusCode::CREATED);
    }
    team.api.act("first-v1", "start").await.expect(StatusCode::ACCEPTED);
    team.until("first-v1", "STARTED").await;
    team.api.act("second-v1", "start").await.expect(StatusCode::ACCEPTED);
    let failed = team.until("second-v1", "ERROR").await;
    let reason = "it wants 1 GPU, and the only one is in use by other workers";
    assert!(failed.to_string().contains(reason), "{failed}");

    team.api.act("first-v1", "stop").await.expect(StatusCode::ACCEPTED);
    team.until("first-v1", "STOPPED").await;
    team.api.act("second-v1", "start").await.expect(StatusCode::ACCEPTED);
    team.until("second-v1", "STARTED").await;
    team.stop().await;
}
