//! The calls of handlers in other engines, in the records of the entrypoint.

use super::{package, server};
use crate::support::{Copy, Krt, Service, eventually, runners::WireProtocol, service::Exited, team};
use http::{Method, StatusCode};
use krt_api::request::RequestPage;
use krt_model::request::{Ending, HopEnding, RequestRecord};
use krt_servers::NatsServer;
use krt_store::{Reader, RequestFilter, RequestOrder};
use serde_json::{Value, json};
use std::time::Duration;
use tonic::{Code, Status};

const PROTOCOLS: [WireProtocol; 2] = [WireProtocol::Core, WireProtocol::JetStream];

/// Acts that end the node's own process, always or the first time, and one that takes too long.
const ACTS: &str = "async def die(ctx, order):
    os.kill(os.getpid(), 9)


async def die_once(ctx, order):
    mark = os.path.join(os.environ['E2E_SCRATCH'], 'died')
    if not os.path.exists(mark):
        open(mark, 'w').close()
        os.kill(os.getpid(), 9)
    return order


async def linger(ctx, order):
    import asyncio
    await asyncio.sleep(600)


async def fail(ctx, order):";

fn package_with_acts() -> Copy {
    let package = package(&[]);
    package.edit("src/act/main.py", "async def fail(ctx, order):", ACTS);
    package.edit(
        "src/act/main.py",
        "        fail,\n",
        "        fail,\n        die,\n        die_once,\n        linger,\n",
    );
    package
}

async fn act(service: &Service, act: &str) -> Result<Value, Status> {
    service.call("Act", json!({ "text": "hi", "act": act })).await
}

/// An entrypoint and three nodes, each in an engine of its own.
async fn with_parts(
    server: &NatsServer,
    package: &Copy,
    protocol: WireProtocol,
    calls: impl AsyncFnOnce(&Service),
) -> Exited {
    let (url, path) = (server.url(), package.path());
    let start = |node| Krt::nodes(&[node], path).nats(&url, protocol).take();
    let (one, two, three) = tokio::join!(start("one"), start("two"), start("three"));
    let ingress = Krt::entrypoint(path).nats(&url, protocol).start().await;
    eventually("the ingress knows of the nodes", async || act(&ingress, "").await.ok()).await;
    calls(&ingress).await;
    for part in [one, two, three] {
        part.stop().await;
    }
    ingress.stop().await
}

/// The records of an entrypoint, the latest first.
fn records(ended: &Exited) -> Vec<RequestRecord> {
    ended.reader().requests(&RequestFilter::default(), RequestOrder::Latest, 100).unwrap()
}

/// The calls in a record: node, place in the workflow, ending.
fn calls(record: &RequestRecord) -> Vec<(&str, usize, HopEnding)> {
    record.hops.iter().map(|hop| (hop.node.as_str(), hop.position, hop.ending)).collect()
}

const WHOLE: [(&str, usize, HopEnding); 3] =
    [("one", 0, HopEnding::Returned), ("two", 1, HopEnding::Returned), ("three", 2, HopEnding::Returned)];

#[tokio::test]
async fn a_record_has_the_calls_of_three_engines() {
    for protocol in PROTOCOLS {
        let Some(server) = server("a_record_has_the_calls_of_three_engines") else { return };
        let ended = with_parts(&server, &package(&[]), protocol, async |ingress| {
            act(ingress, "").await.unwrap();
        })
        .await;
        let record = &records(&ended)[0];
        assert_eq!(calls(record), WHOLE, "{protocol:?}");
        assert_eq!((record.ending, record.hops_left_out), (Ending::Answered, 0));
        // A field of two bytes and the text: `hi`, and then `hi one two three`.
        assert_eq!((record.request_bytes, record.answer_bytes), (4, Some(18)));
        // One machine has one clock.
        let mut before = 0;
        for hop in &record.hops {
            assert!(before <= hop.posted && hop.posted <= hop.start, "{record:#?}");
            assert!(hop.start < hop.end && hop.end <= record.elapsed.cast_signed(), "{record:#?}");
            // The envelope has microseconds.
            before = hop.end / 1000 * 1000;
        }
    }
}

#[tokio::test]
async fn calls_of_failed_and_early_answered_requests_arrive_with_the_answer() {
    for protocol in PROTOCOLS {
        let Some(server) = server("calls_of_failed_requests_arrive_with_the_failure") else { return };
        let ended = with_parts(&server, &package(&[]), protocol, async |ingress| {
            assert_eq!(act(ingress, "two fail").await.unwrap_err().code(), Code::Internal);
            act(ingress, "two early_reply").await.unwrap();
            act(ingress, "two early_exit").await.unwrap();
        })
        .await;
        let [exit, reply, fail, ..] = &records(&ended)[..] else { panic!("three and more were sent") };
        let failed = [WHOLE[0], ("two", 1, HopEnding::Raised)];
        assert_eq!((calls(fail), fail.ending), (failed.to_vec(), Ending::Failed), "{protocol:?}");
        // The call that replies has not ended.
        assert_eq!((calls(reply), reply.ending), (WHOLE[..1].to_vec(), Ending::Answered), "{protocol:?}");
        assert_eq!((calls(exit), exit.ending), (WHOLE[..2].to_vec(), Ending::Answered), "{protocol:?}");
    }
}

#[tokio::test]
async fn each_try_of_a_dead_worker_is_a_call() {
    for protocol in PROTOCOLS {
        let Some(server) = server("each_try_of_a_dead_worker_is_a_call") else { return };
        let died = ("two", 1, HopEnding::Died);
        let ended = with_parts(&server, &package_with_acts(), protocol, async |ingress| {
            assert_eq!(act(ingress, "two die").await.unwrap_err().code(), Code::Internal);
            eventually("a worker is up again", async || act(ingress, "").await.ok()).await;
        })
        .await;
        let all = records(&ended);
        let failed = all.iter().find(|record| calls(record).contains(&died)).unwrap();
        assert_eq!(calls(failed), [WHOLE[0], died], "{protocol:?}");
        // The node has a retry.
        let package = package_with_acts();
        package.edit("krt.yml", "name: two,", "name: two, retries: 1,");
        let ended = with_parts(&server, &package, protocol, async |ingress| {
            act(ingress, "two die_once").await.unwrap();
        })
        .await;
        let record = &records(&ended)[0];
        assert_eq!(calls(record), [WHOLE[0], died, WHOLE[1], WHOLE[2]], "{protocol:?}");
    }
}

#[tokio::test]
async fn the_call_that_a_deadline_cancels_is_in_the_record() {
    for protocol in PROTOCOLS {
        let Some(server) = server("the_call_that_a_deadline_cancels_is_in_the_record") else { return };
        with_parts(&server, &package_with_acts(), protocol, async |ingress| {
            let request = json!({ "text": "hi", "act": "two linger" });
            let late = ingress.call_within(Duration::from_secs(2), "Act", request).await;
            assert_eq!(late.unwrap_err().code(), Code::DeadlineExceeded);
            let late = eventually("the record is stored", async || {
                let reader = Reader::open(ingress.data()).unwrap();
                let records = reader.requests(&RequestFilter::default(), RequestOrder::Latest, 1).unwrap();
                records.into_iter().find(|record| record.ending == Ending::Failed)
            })
            .await;
            let cancelled = [WHOLE[0], ("two", 1, HopEnding::Cancelled)];
            assert_eq!(calls(&late), cancelled, "{protocol:?}");
        })
        .await;
    }
}

#[tokio::test]
async fn one_engine_with_both_ends_shows_each_call_once() {
    for protocol in PROTOCOLS {
        let Some(server) = server("one_engine_with_both_ends_shows_each_call_once") else { return };
        let package = package(&[]);
        let krt = Krt::run_with_dashboard(package.path()).nats(&server.url(), protocol);
        let service = krt.start().await;
        act(&service, "").await.unwrap();
        let http = team::dashboard(&service).await;
        let page = http.send(Method::GET, "/api/v1/runtimes/wire-v1/requests", &[], "").await;
        let page: RequestPage = page.read(StatusCode::OK);
        let [request] = &page.requests[..] else { panic!("one was sent: {page:#?}") };
        let shown: Vec<_> = request.hops.iter().map(|hop| (&*hop.node, hop.position, hop.outcome)).collect();
        assert_eq!((shown, request.hops_left_out), (WHOLE.to_vec(), 0), "{protocol:?}");
        assert!(request.hops.iter().all(|hop| hop.handler_ms > 0.0 && hop.waiting_ms >= 0.0), "{request:#?}");
        service.stop().await;
    }
}
