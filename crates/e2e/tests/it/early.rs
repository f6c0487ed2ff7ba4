//! Early reply, early exit, and `None` (docs/reference/krt-v1.md#early-reply-and-early-exit).

use crate::{
    script::{self, raised, send, value},
    support::{Krt, Service, assert_status},
};
use serde_json::{Value, json};
use tonic::Code;

fn act(act: &str) -> Value {
    json!({ "act": act })
}

/// Whether the last node has run at all.
fn last_ran(service: &Service) -> bool {
    service.scratch.path().join("last ran").exists()
}

/// Waits for the record that the last node's result was dropped.
async fn dropped(service: &Service, node: &str) {
    let message = "the result is dropped: the request was replied to before";
    let record = service.lines.wait("a dropped result", |record| record.is(node, message)).await;
    assert_eq!(record.level, "INFO");
    assert!(record.workflow.is_some() && record.request.is_some(), "{record:?}");
}

#[tokio::test]
async fn an_early_reply_answers_before_the_rest_has_run() {
    let service = Krt::run("context").flag("--log-level", "debug").start().await;
    let answer = service.call("Act", act("reply")).await.unwrap();
    assert_eq!(answer, json!({ "text": "early" }));
    assert!(!last_ran(&service), "the handler of the first node still waits");
    service.scratch.put("go");
    service.scratch.wait("last ran").await;
    dropped(&service, "last").await;
    service.stop().await;
}

#[tokio::test]
async fn reply_is_its_old_name() {
    let service = Krt::run("context").flag("--log-level", "debug").start().await;
    let answer = service.call("Act", act("old_reply")).await.unwrap();
    assert_eq!(answer, json!({ "text": "early, by its old name" }));
    dropped(&service, "last").await;
    service.stop().await;
}

#[tokio::test]
async fn a_second_early_reply_fails() {
    let service = Krt::run("context").flag("--log-level", "debug").start().await;
    assert_eq!(service.call("Act", act("reply_twice")).await.unwrap(), json!({ "text": "once" }));
    dropped(&service, "last").await;
    let error = service.scratch.read("second reply").await;
    assert_eq!(error, "error the message was replied previously");
    service.stop().await;
}

#[tokio::test]
async fn a_second_early_reply_of_a_later_node_fails_in_the_background() {
    let service = Krt::run("context").start().await;
    let request = json!({ "act": "old_reply", "then": "reply" });
    assert_eq!(service.call("Act", request).await.unwrap()["text"], "early, by its old name");
    let words = "error in 'last': error the message was replied previously";
    failed_in_background(&service, "last", words).await;
    service.stop().await;
}

#[tokio::test]
async fn failures_after_an_early_reply_are_logged() {
    let service = Krt::run("context").start().await;
    assert_eq!(service.call("Act", act("reply_and_fail")).await.unwrap()["text"], "early");
    failed_in_background(&service, "first", "error in 'first': after the answer").await;
    let request = json!({ "act": "old_reply", "then": "fail" });
    service.call("Act", request).await.unwrap();
    failed_in_background(&service, "last", "error in 'last': in the background").await;
    service.stop().await;
}

async fn failed_in_background(service: &Service, node: &str, words: &str) {
    let message = format!("the workflow failed after its early reply: {words}");
    let what = "a failure in the background";
    let record = service.lines.wait(what, |record| record.is(node, &message)).await;
    assert_eq!((&*record.level, record.workflow.as_deref(), record.message), ("ERROR", Some("act"), message));
    assert!(record.request.is_some());
}

#[tokio::test]
async fn an_early_reply_of_another_type_is_refused() {
    let service = Krt::run("context").start().await;
    let message = "node 'first' answered with a context.Order, but the RPC returns context.Answer";
    assert_status(service.call("Act", act("reply_wrong")).await, Code::Internal, message);
    service.stop().await;
}

#[tokio::test]
async fn an_early_exit_ends_this_request_only() {
    let service = Krt::run("context").start().await;
    for way in ["exit", "exit_by_other_name"] {
        let answer = service.call("Act", act(way)).await.unwrap();
        assert_eq!(answer, json!({ "text": "out", "trail": ["first"] }), "{way}");
    }
    assert!(!last_ran(&service));
    let next = service.call("Act", json!({ "act": "plain", "text": "on" })).await.unwrap();
    assert_eq!(next, json!({ "text": "on", "trail": ["first", "last"] }));
    service.stop().await;
}

#[tokio::test]
async fn an_early_reply_and_an_early_exit_together() {
    let service = Krt::run("context").flag("--log-level", "debug").start().await;
    assert_eq!(service.call("Act", act("reply_and_exit")).await.unwrap(), json!({ "text": "early" }));
    dropped(&service, "first").await;
    assert!(!last_ran(&service));
    service.stop().await;
}

#[tokio::test]
async fn none_is_an_error_unless_the_last_node_follows_an_early_reply() {
    let service = Krt::run("context").start().await;
    let nothing = "the handler returned no message";
    for rpc in ["Alone", "Act"] {
        let answer = service.call(rpc, json!({ "act": "plain", "text": "none" })).await;
        assert_status(answer, Code::Internal, &format!("error in 'first': {nothing}"));
    }
    let last = service.call("Act", json!({ "act": "plain", "then": "none" })).await;
    assert_status(last, Code::Internal, &format!("error in 'last': {nothing}"));

    let replied = json!({ "act": "old_reply", "text": "none" });
    service.call("Act", replied.clone()).await.unwrap();
    failed_in_background(&service, "first", &format!("error in 'first': {nothing}")).await;
    service.call("Alone", replied).await.unwrap();
    service.call("Act", json!({ "act": "old_reply", "then": "none" })).await.unwrap();
    let ended = service.stop().await;
    let failed = ended.lines.records().into_iter().filter(|record| record.message.contains("early reply"));
    assert_eq!(failed.count(), 1, "{}", ended.lines.text());
}

/// The error of both methods outside of a request.
fn nowhere(method: &str, place: &str) -> String {
    format!("[ctx.{method}] there is no request {place}; hint: call it in `handler`")
}

#[tokio::test]
async fn early_replies_in_init_fail() {
    let init = "
        kinds = [await raised_by(ctx.early_reply(messages.Note())), await raised_by(ctx.reply(messages.Note()))]
        for way_out in (ctx.early_exit, ctx.set_early_exit):
            try:
                way_out()
            except Exception as error:
                kinds.append([type(error).__name__, str(error)])
        return kinds
    ";
    let service = Krt::run("script").env("SCRIPT_INIT", init).start().await;
    let (reply, exit) = (nowhere("early_reply", "in `init`"), nowhere("early_exit", "in `init`"));
    let expected =
        json!([["EarlyReplyError", reply], ["EarlyReplyError", reply], ["Error", exit], ["Error", exit]]);
    assert_eq!(value(&service, "return ctx.get('from init')").await, expected);
    service.stop().await;
}

#[tokio::test]
async fn early_replies_after_the_handler_fail() {
    let service = script::start().await;
    let code = "
        async def later():
            await asyncio.sleep(0)
            while not (scratch / 'go').exists():
                await asyncio.sleep(0.01)
            (scratch / 'late').write_text((await raised_by(ctx.early_reply(messages.Note())))[1])
            (scratch / 'done').touch()
        ctx.set('task', asyncio.create_task(later()))
        return 'answered'
    ";
    assert_eq!(value(&service, code).await, "answered");
    service.scratch.put("go");
    service.scratch.wait("done").await;
    let late = std::fs::read_to_string(service.scratch.path().join("late")).unwrap();
    assert_eq!(late, nowhere("early_reply", "after the handler has returned"));
    service.stop().await;
}

#[tokio::test]
async fn invalid_early_replies_answer_no_request() {
    let service = script::start().await;
    let build = "; hint: build a message of the `.proto` and return that";
    let plain = "; hint: give the node `payload: json` in krt.yml to work with plain data";
    for (response, shown, hint) in [
        ("None", "None of type `builtins.NoneType`", build),
        ("{'a': 1}", "{'a': 1} of type `builtins.dict`", plain),
        ("messages.Note", "<class 'public_input_pb2.Note'> of type ", build),
    ] {
        let (kind, text) = raised(&service, &format!("ctx.early_reply({response})")).await;
        assert_eq!(kind, "AnswerError", "the request was still answered by what the handler returned");
        let start = format!("a protobuf message was expected, not {shown}");
        assert!(text.starts_with(&start) && text.ends_with(hint), "{text}");
    }
    let code = "
        await raised_by(ctx.early_reply(None))
        await ctx.early_reply(messages.Note(text='second try'))
    ";
    assert_eq!(send(&service, "One", &[code]).await.unwrap(), json!({ "text": "second try" }));
    service.stop().await;
}

#[tokio::test]
async fn only_one_of_two_concurrent_early_replies_answers() {
    let service = script::start().await;
    let code = "
        both = [ctx.early_reply(messages.Note(text=str(n))) for n in range(2)]
        errors = await asyncio.gather(*both, return_exceptions=True)
        ctx.set('errors', [str(error) for error in errors])
    ";
    assert_eq!(send(&service, "One", &[code]).await.unwrap(), json!({ "text": "0" }));
    let errors = value(&service, "return ctx.get('errors')").await;
    assert_eq!(errors, json!(["None", "error the message was replied previously"]));
    service.stop().await;
}

#[tokio::test]
async fn oversized_early_replies_name_size_and_limit() {
    let service = Krt::run("script").flag("--max-message", "4KiB").start().await;
    let answer = send(&service, "One", &["await ctx.early_reply(messages.Note(text='x' * 5000))"]).await;
    let message = "the answer of node 'first' has 5003 bytes, the limit is 4096";
    assert_status(answer, Code::ResourceExhausted, message);
    service.stop().await;
}

#[tokio::test]
async fn the_deadline_of_a_request_ends_with_its_early_reply() {
    let service = Krt::run("script").env("KRT_REQUEST_TIMEOUT", "0.3").start().await;
    let code = "
        await ctx.early_reply(messages.Note(text='early'))
        await asyncio.sleep(0.6)
        return 'goes on'
    ";
    let last = "(scratch / 'last').write_text(messages.Note.FromString(data.value).text)";
    assert_eq!(send(&service, "Two", &[code, last]).await.unwrap(), json!({ "text": "early" }));
    service.scratch.wait("last").await;
    service.stop().await;
}

#[tokio::test]
async fn the_only_node_may_reply_early_and_return_anything() {
    let service = script::start().await;
    let reply = "await ctx.early_reply(messages.Note(text='early'))";
    let ends = [
        "return 'dropped'",
        "return None",
        "return messages.Other(text='of another type')",
        "ctx.early_exit(); return None",
        "ctx.early_exit(); return messages.Other()",
    ];
    for end in ends {
        let answer = send(&service, "One", &[&format!("{reply}\n{end}")]).await.unwrap();
        assert_eq!(answer, json!({ "text": "early" }), "{end}");
    }
    let ended = service.stop().await;
    let records = ended.lines.records();
    let with = |text: &str| records.iter().filter(|record| record.message.contains(text)).count();
    assert_eq!((with("the result is dropped"), with("failed")), (ends.len(), 0), "{}", ended.lines.text());
}

#[tokio::test]
async fn an_early_exit_must_end_with_an_answer() {
    let service = script::start().await;
    let rows = [
        ("return None", "error in 'first': the handler returned no message"),
        ("raise ValueError('after all')", "error in 'first': after all"),
        (
            "return messages.Other()",
            "node 'first' answered with a script.Other, but the RPC returns script.Note",
        ),
    ];
    for (end, message) in rows {
        let answer = send(&service, "Two", &[&format!("ctx.early_exit()\n{end}")]).await;
        assert_status(answer, Code::Internal, message);
    }
    let next = send(&service, "Two", &["return 1", "return 2"]).await.unwrap();
    assert_eq!(next["trail"], json!(["first", "last"]), "the flag was of those requests only");
    service.stop().await;
}

#[tokio::test]
async fn a_node_used_twice_can_exit_and_reply_at_either_position() {
    let service = script::start().await;
    let exit = "ctx.early_exit()\nreturn 'out'";
    let first = send(&service, "Twice", &[exit, "return 'on'"]).await.unwrap();
    assert_eq!((&first["trail"], &first["text"]), (&json!(["last"]), &json!("\"out\"")));
    let second = send(&service, "Twice", &["return 'on'", exit]).await.unwrap();
    assert_eq!((&second["trail"], &second["text"]), (&json!(["last", "last"]), &json!("\"out\"")));

    let reply = "await ctx.early_reply(messages.Note(text='early'))\nreturn 'on'";
    let again = "(scratch / 'again').write_text((await raised_by(ctx.early_reply(messages.Note())))[1])";
    let replied = send(&service, "Twice", &[reply, again]).await.unwrap();
    assert_eq!(replied, json!({ "text": "early" }));
    dropped(&service, "last").await;
    let again = service.scratch.read("again").await;
    assert_eq!(again, "error the message was replied previously");
    service.stop().await;
}
