//! Batches: nodes with `batch`.

use super::Language;
use crate::{
    batches::{Batches, answers},
    support::assert_status,
};
use serde_json::{Value, json};
use tonic::Code;

const NODE: &str = "batch";
const RPC: &str = "Batch";

async fn start(language: &Language) -> Batches {
    Batches::start(language.krt(), "act").await
}

fn done(act: &str, size: usize) -> Value {
    json!({ "text": act, "process": size.to_string() })
}

pub(super) async fn what_waits_is_one_call_and_items_end_on_their_own(language: &Language) {
    let batches = start(language).await;
    let requests = ["a", "fail alone", "early", "b", "request"].map(|act| (RPC, act));
    let calls = batches.at_once(NODE, RPC, &requests).await;
    let [one, failed, early, two, asked] = answers(calls).await.try_into().unwrap();
    assert_eq!(one.unwrap(), done("a", 5));
    assert_status(failed, Code::Internal, "error in 'batch': only this one");
    assert_eq!(early.unwrap(), done("early", 5));
    assert_eq!(two.unwrap(), done("b", 5));
    let ended = batches.service.stop().await;
    let requests: Vec<_> = ["a", "b", "request"]
        .map(|act| {
            let message = format!("did {act}");
            let records = ended.lines.records();
            records.into_iter().find(|record| record.message == message).unwrap().request.unwrap()
        })
        .into();
    assert_ne!(requests[0], requests[1], "each item has its own request");
    assert_eq!(asked.unwrap()["text"], *requests[2]);
}

pub(super) async fn a_failed_batch_is_halved_until_the_guilty_request_is_alone(language: &Language) {
    let died = "node 'batch' died while it handled the request: it exited with status 3";
    for (guilty, message) in [("fail", "error in 'batch': poison"), ("die", died)] {
        let batches = start(language).await;
        let requests = ["a", "b", guilty, "c"].map(|act| (RPC, act));
        let calls = batches.at_once(NODE, RPC, &requests).await;
        for (found, (_, act)) in answers(calls).await.into_iter().zip(requests) {
            if act == guilty {
                assert_status(found, Code::Internal, message);
            } else {
                assert_eq!(found.unwrap()["text"], act);
            }
        }
        batches.service.stop().await;
    }
}
