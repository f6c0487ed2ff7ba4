//! The packages of `examples/` run unchanged. `make demo` shows `digits`.

use crate::support::Krt;
use serde_json::json;
use std::path::Path;

#[tokio::test]
async fn a_letter_goes_through_three_languages() {
    let greeter = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/greeter");
    let service = Krt::run_at(&greeter).start().await;
    let greeting = service.call("Greet", json!({ "name": "Ada" })).await.unwrap();
    assert_eq!(greeting, json!({ "text": "Hello, Ada!" }));
    let letter = service.call("Write", json!({ "name": "Ada" })).await.unwrap();
    assert_eq!(letter, json!({ "text": "Hello, Ada! Have a good day. Yours, krt" }));
    let ended = service.stop().await;
    let records = ended.lines.records();
    for (node, message) in [
        ("greeter", "greeting Ada"),
        ("wisher", "a wish for \"Hello, Ada!\""),
        ("signer", "signing \"Hello, Ada! Have a good day.\""),
    ] {
        let record = records
            .iter()
            .find(|record| record.is(node, message) && record.workflow.as_deref() == Some("letter"));
        assert!(record.is_some_and(|record| record.request.is_some()), "{node}: {records:#?}");
    }
}
