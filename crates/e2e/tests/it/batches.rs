//! Batches: `batch` of a node in `krt.yml` (docs/guide/batches.md).

use crate::support::{Krt, Service, assert_status, eventually, http::Http};
use futures::future::join_all;
use http::Method;
use krt_store::{Order, PointFilter, Value as Stored};
use serde_json::{Value, json};
use std::fs;
use tokio::task::JoinHandle;
use tonic::{Code, Status};

pub(crate) type Call = JoinHandle<Result<Value, Status>>;

/// A service whose requests wait together when a test wants it.
pub(crate) struct Batches {
    pub(crate) service: Service,
    metrics: Http,
    /// The field of a request that says what to do.
    field: &'static str,
}

impl Batches {
    pub(crate) async fn start(krt: Krt, field: &'static str) -> Self {
        let service = krt.flag("--metrics", "127.0.0.1:0").start().await;
        let page = service.lines.wait("the page", |record| record.message.starts_with("metrics are at "));
        let message = page.await.message;
        let address = message.strip_prefix("metrics are at http://").unwrap();
        let metrics = Http::one(address.strip_suffix("/metrics").unwrap().parse().unwrap());
        Self { service, metrics, field }
    }

    /// Makes the calls of a few quick requests, so that the node has learnt that they take little time.
    async fn warm_up(&self, rpc: &'static str) {
        for _ in 0..8 {
            assert_eq!(self.call(rpc, "quick").await.unwrap().unwrap()["text"], "quick");
        }
    }

    fn call(&self, rpc: &'static str, text: &str) -> Call {
        let (client, order) = (self.service.client(), json!({ self.field: text }));
        tokio::spawn(async move { client.call(rpc, order).await })
    }

    /// Makes requests that wait while the node is busy, in order, then frees the node.
    pub(crate) async fn at_once(
        &self,
        node: &str,
        busy: &'static str,
        requests: &[(&'static str, &str)],
    ) -> Vec<Call> {
        self.warm_up(busy).await;
        let held = self.call(busy, "hold");
        self.service.scratch.wait("hold.begun").await;
        let mut calls = Vec::new();
        for (rpc, text) in requests {
            calls.push(self.call(rpc, text));
            self.waiting(node, calls.len()).await;
        }
        self.service.scratch.put("hold");
        assert_eq!(held.await.unwrap().unwrap()["text"], "hold");
        calls
    }

    /// Waits until so many messages wait for a node.
    async fn waiting(&self, node: &str, messages: usize) {
        let line = format!("krt_queue_depth{{node=\"{node}\"}} {messages}");
        let found = async || self.page().await.lines().any(|found| found == line).then_some(());
        eventually(&line, found).await;
    }

    async fn page(&self) -> String {
        let page = self.metrics.send(Method::GET, "/metrics", &[], "").await;
        String::from_utf8(page.body.to_vec()).unwrap()
    }

    /// The texts of each call of the handler since the one that a test held.
    fn handled(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.service.scratch.path().join("calls")).unwrap();
        let since = calls.lines().skip_while(|texts| *texts != "hold").skip(1);
        since.map(str::to_owned).collect()
    }
}

async fn start() -> Batches {
    Batches::start(Krt::run("batches"), "text").await
}

/// The answers of calls; a failure is its status.
pub(crate) async fn answers(calls: Vec<Call>) -> Vec<Result<Value, Status>> {
    join_all(calls).await.into_iter().map(Result::unwrap).collect()
}

fn answer(text: &str, size: usize) -> Value {
    json!({ "text": text, "size": size })
}

#[tokio::test]
async fn what_waits_is_one_call() {
    let batches = start().await;
    let texts: Vec<_> = (1..=32).map(|number| number.to_string()).collect();
    let requests: Vec<_> = texts.iter().map(|text| ("Batch", text.as_str())).collect();
    let calls = batches.at_once("batcher", "Batch", &requests).await;
    for (found, text) in answers(calls).await.into_iter().zip(&texts) {
        assert_eq!(found.unwrap(), answer(text, 32));
    }
    assert_eq!(batches.handled(), [texts.join(" ")]);
    let page = batches.page().await;
    assert!(page.contains("krt_batch_size_bucket{le=\"32.0\",node=\"batcher\"} 10\n"), "{page}");
    assert!(page.contains("krt_batch_size_bucket{le=\"16.0\",node=\"batcher\"} 9\n"), "{page}");
    let ended = batches.service.stop().await;

    // Each item has its own request in logs and measurements.
    let records = ended.lines.records();
    let logged = |text: &str| {
        let message = format!("did {text}");
        let record = records.iter().find(|record| record.message == message).unwrap();
        record.request.clone().unwrap()
    };
    let filter = PointFilter { measurement: "texts".to_owned(), ..PointFilter::default() };
    let points = ended.reader().points(&filter, Order::OldestFirst, 1000).unwrap();
    for text in &texts {
        let of_text = |request: &String| {
            records.iter().filter(|record| record.request.as_ref() == Some(request)).count()
        };
        assert_eq!(of_text(&logged(text)), 1);
        let expected = Stored::Text(text.as_str().into());
        let point = points.iter().find(|point| point.fields["text"] == expected).unwrap();
        assert_eq!(point.tags["workflow"].as_str(), "batch");
    }
}

#[tokio::test]
async fn an_item_fails_alone() {
    let batches = start().await;
    let requests = ["a", "error", "b"].map(|text| ("Batch", text));
    let calls = batches.at_once("batcher", "Batch", &requests).await;
    let [one, error, two] = answers(calls).await.try_into().unwrap();
    assert_eq!(one.unwrap(), answer("a", 3));
    assert_status(error, Code::Internal, "error in 'batcher': only this one");
    assert_eq!(two.unwrap(), answer("b", 3));
    assert_eq!(batches.handled(), ["a error b"]);
    batches.service.stop().await;
}

/// One of sixteen requests fails its batch; the others succeed. Returns the handler's calls.
async fn poisoned(poison: &str, message: &str) -> Vec<String> {
    let batches = start().await;
    let mut texts: Vec<_> = (1..=16).map(|number| number.to_string()).collect();
    texts[10] = poison.to_owned();
    let requests: Vec<_> = texts.iter().map(|text| ("Batch", text.as_str())).collect();
    let calls = batches.at_once("batcher", "Batch", &requests).await;
    for (found, text) in answers(calls).await.into_iter().zip(&texts) {
        if text == poison {
            let failed = found.unwrap_err();
            assert!(failed.code() == Code::Internal && failed.message().starts_with(message), "{failed}");
        } else {
            assert_eq!(found.unwrap()["text"], text.as_str());
        }
    }
    let handled = batches.handled();
    batches.service.stop().await;
    handled
}

#[tokio::test]
async fn a_batch_that_fails_is_halved_until_the_guilty_request_is_alone() {
    let short = "the handler returned a list of length 0 for a batch of 1";
    for (poison, error) in [("raise", "poison"), ("short", short)] {
        let handled = poisoned(poison, &format!("error in 'batcher': {error}")).await;
        let sizes = |of: &str| -> Vec<_> {
            let calls = handled.iter().map(|texts| texts.split(' ').collect::<Vec<_>>());
            calls.filter(|texts| texts.contains(&of)).map(|texts| texts.len()).collect()
        };
        assert_eq!(sizes(poison), [16, 8, 4, 2, 1]);
        assert_eq!(sizes("1"), [16, 8]);
        assert_eq!(handled.len(), 9, "{handled:?}");
    }
}

#[tokio::test]
async fn a_request_that_kills_its_worker_fails_alone() {
    let died = "node 'batcher' died while it handled the request: killed by signal 9 (SIGKILL)";
    let handled = poisoned("die", died).await;
    assert_eq!(handled.len(), 9, "{handled:?}");
}

#[tokio::test]
async fn without_isolation_a_batch_fails_together() {
    let batches = start().await;
    let requests = ["a", "raise", "b"].map(|text| ("Together", text));
    let calls = batches.at_once("together", "Together", &requests).await;
    for found in answers(calls).await {
        assert_status(found, Code::Internal, "error in 'together': poison");
    }
    assert_eq!(batches.handled(), ["a raise b"]);
    batches.service.stop().await;
}

#[tokio::test]
async fn workflows_take_turns() {
    let batches = start().await;
    let many = (1..=8).map(|number| ("Many", number.to_string()));
    let requests: Vec<_> = many.chain([("Few", "few".to_owned())]).collect();
    let requests: Vec<_> = requests.iter().map(|(rpc, text)| (*rpc, text.as_str())).collect();
    let calls = batches.at_once("small", "Many", &requests).await;
    for found in answers(calls).await {
        found.unwrap();
    }
    assert_eq!(batches.handled(), ["1 few 2 3", "4 5 6 7", "8"]);
    batches.service.stop().await;
}

#[tokio::test]
async fn an_item_replies_early() {
    let batches = start().await;
    let requests = ["a", "early"].map(|text| ("Batch", text));
    let [other, early] = batches.at_once("batcher", "Batch", &requests).await.try_into().unwrap();
    assert_eq!(early.await.unwrap().unwrap(), answer("soon", 2));
    assert!(!other.is_finished());
    batches.service.scratch.put("after");
    assert_eq!(other.await.unwrap().unwrap(), answer("a", 2));
    batches.service.stop().await;
}

#[tokio::test]
async fn plain_data_comes_in_batches() {
    let batches = start().await;
    let requests = ["a", "b"].map(|text| ("Plain", text));
    let calls = batches.at_once("plain", "Plain", &requests).await;
    let [one, two] = answers(calls).await.try_into().unwrap();
    assert_eq!((one.unwrap(), two.unwrap()), (answer("a", 2), answer("b", 2)));
    batches.service.stop().await;
}

#[tokio::test]
async fn the_last_requests_of_a_stop_are_answered() {
    let batches = start().await;
    batches.warm_up("Batch").await;
    let held = batches.call("Batch", "hold");
    batches.service.scratch.wait("hold.begun").await;
    let calls = vec![batches.call("Batch", "a"), batches.call("Batch", "b")];
    batches.waiting("batcher", 2).await;
    batches.service.signal(rustix::process::Signal::TERM);
    batches.service.lines.wait("the drain", |record| record.message.starts_with("stopping: ")).await;
    batches.service.scratch.put("hold");
    held.await.unwrap().unwrap();
    for found in answers(calls).await {
        assert_eq!(found.unwrap()["size"], 2);
    }
    assert_eq!(batches.service.end().await.code, Some(0));
}
