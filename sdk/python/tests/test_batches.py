"""Batches: one call of the handler for several deliveries."""

from __future__ import annotations

import pytest
from fake_engine import ANSWER, CANCELLED, ERROR, NONE, TOO_LARGE, Log
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.wrappers_pb2 import StringValue

from krt import BatchContext, errors
from krt.testing import FakeBatchContext, run_batch
from krt.testing import Log as FakeLog

IMPORTS = """
import asyncio, os, sys, threading
from google.protobuf.wrappers_pb2 import StringValue

def text(data):
    request = StringValue()
    assert data.Unpack(request)
    return request.value

def say(text):
    return StringValue(value=text)
"""
BATCH = {"batch": {"max": 8}}
ASYNC = "async def handler(ctx, data):\n"
PLAIN = "def handler(ctx, data):\n"
COUNT = "    return [say(f'{text(item)} of {len(data)}') for item in data]\n"


@pytest.mark.parametrize("concurrency", [1, 3])
@pytest.mark.parametrize("kind", [ASYNC, PLAIN])
def test_a_batch_is_one_call(serve, kind, concurrency):
    engine = serve(IMPORTS + kind + COUNT, concurrency=concurrency, **BATCH)
    assert engine.start()["batch"] is True
    assert [result.text for result in engine.ask_batch(["a", "b", "c"])] == [
        "a of 3",
        "b of 3",
        "c of 3",
    ]
    assert [result.text for result in engine.ask_batch(["d"])] == ["d of 1"]
    assert engine.stop() == 0


def test_a_batch_begins_with_its_last_delivery(serve):
    engine = serve(IMPORTS + ASYNC + COUNT, **BATCH)
    from fake_engine import DELIVER, MORE, delivery_body

    engine.send(DELIVER, 1, delivery_body("a", MORE, 0))
    engine.send(DELIVER, 2, delivery_body("b", MORE, 0))
    engine.send(DELIVER, 3, delivery_body("c", 0, 0))
    engine._open += [1, 2, 3]
    assert [engine.result(number).text for number in (1, 2, 3)] == ["a of 3", "b of 3", "c of 3"]


ENDS = """
async def handler(ctx, data):
    return [
        say("fine"),
        ValueError("broken"),
        None,
        5,
        say("x" * (2 << 20)),
    ]
"""


def test_each_item_ends_on_its_own(serve):
    engine = serve(IMPORTS + ENDS, **BATCH)
    results = engine.ask_batch(["a", "b", "c", "d", "e"])
    assert [result.status for result in results] == [ANSWER, ERROR, NONE, ERROR, TOO_LARGE]
    assert not any(result.whole for result in results)
    assert results[1].error == "broken"
    assert "not 5 of type `builtins.int`" in results[3].error
    errors = {log.delivery: log.text for log in engine.seen.logs}
    assert errors[results[1].id] == "ValueError: broken"
    assert set(errors) == {results[1].id, results[3].id, results[4].id}


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("    raise RuntimeError('no model')\n", "no model"),
        (
            "    return [say('one')]\n",
            "a list of length 1 for a batch of 2; hint: return one answer for each",
        ),
        ("    return say('one')\n", "must return a list, not a `google.protobuf"),
        ("    return (say(text(item)) for item in data)\n", "a list, not a `builtins.generator`"),
        ("    return None\n", "a list, not a `builtins.NoneType`"),
        ("    sys.exit(3)\n", "the handler called sys.exit(3)"),
    ],
)
@pytest.mark.parametrize("kind", [ASYNC, PLAIN])
def test_a_batch_fails_as_a_whole(serve, kind, body, error):
    engine = serve(IMPORTS + kind + body, **BATCH)
    results = engine.ask_batch(["a", "b"])
    assert all(result.whole and error in result.error for result in results), results
    # The failure is no request's own.
    assert [log.delivery for log in engine.seen.logs] == [0]
    assert engine.stop() == 0


def test_the_error_of_a_batch_of_one_is_its_requests_own(serve):
    engine = serve(IMPORTS + ASYNC + "    raise RuntimeError('no model')\n", **BATCH)
    [result] = engine.ask_batch(["a"])
    assert result.error == "no model"
    [log] = engine.seen.logs
    assert log.delivery == result.id
    assert "RuntimeError: no model" in log.text


OWN = """
async def init(ctx):
    ctx.set("kept", "value")

async def handler(ctx, data):
    ctx.logger.info("together")
    for item, own in zip(data, ctx.items):
        own.logger.info("%s alone", text(item))
        own.logger.getChild("part").info("%s in part", text(item))
        own.measurement.save("seen", {"count": 1}, {})
        await own.db.save("things", {"text": text(item)})
        assert own.get("kept") == ctx.get("kept") == "value"
        assert own.path("x") == ctx.path("x")
    await ctx.items[0].early_reply(say("early"))
    ctx.items[1].early_exit()
    print("printed")
    return [say("done") for item in data]
"""


def test_each_item_keeps_its_own(serve):
    engine = serve(IMPORTS + OWN, **BATCH)
    engine.on_call = lambda call: engine.send(4, call.id)
    one, two = engine.ask_batch(["a", "b"])
    assert (one.early_exit, two.early_exit) == (False, True)
    assert [(log.delivery, log.text) for log in engine.seen.logs] == [
        (0, "together"),
        (one.id, "a alone"),
        (one.id, "a in part"),
        (two.id, "b alone"),
        (two.id, "b in part"),
        (0, "printed"),
    ]
    assert [number for number, _ in engine.seen.measurements] == [one.id, two.id]
    assert [call.body["delivery"] for call in engine.seen.calls] == [one.id, two.id]
    assert [number for number, _ in engine.seen.replies] == [one.id]


REFUSED = """
def init(ctx):
    try:
        ctx.items
    except Exception as error:
        ctx.logger.info("%s", error)

async def handler(ctx, data):
    for call in (
        ctx.early_exit,
        ctx.trace_headers,
        lambda: ctx.request_id,
        lambda: ctx.deadline,
        lambda: ctx.metadata,
        lambda: ctx._delivery("early_reply"),
    ):
        try:
            call()
        except Exception as error:
            ctx.logger.info("%s: %s", type(error).__name__, error)
    return [say("done") for item in data]
"""


def test_what_belongs_to_one_request_is_refused_for_a_batch(serve):
    engine = serve(IMPORTS + REFUSED, **BATCH)
    engine.ask_batch(["a", "b"])
    about = "a batch has several requests; hint: call it on the context of one, such as"
    assert engine.seen.texts() == [
        "[ctx.items] there is no batch in `init`; hint: use it in `handler`",
        f"Error: [ctx.early_exit] {about} `ctx.items[0].early_exit`",
        f"Error: [ctx.trace_headers] {about} `ctx.items[0].trace_headers`",
        f"Error: [ctx.request_id] {about} `ctx.items[0].request_id`",
        f"Error: [ctx.deadline] {about} `ctx.items[0].deadline`",
        f"Error: [ctx.metadata] {about} `ctx.items[0].metadata`",
        f"EarlyReplyError: [ctx.early_reply] {about} `ctx.items[0].early_reply`",
    ]


def test_plain_data(serve):
    code = "def handler(ctx, data):\n    return [{'sum': sum(item['list'])} for item in data]\n"
    engine = serve(code, payload="json", **BATCH)
    results = engine.ask_batch([{"list": [1, 2]}, {"list": [3, 4]}])
    assert [result.last for result in results] == [b'{"sum":3}', b'{"sum":7}']


WAITS = """
async def handler(ctx, data):
    ctx.logger.info("waiting")
    await asyncio.Event().wait()
"""


@pytest.mark.parametrize("concurrency", [1, 2])
def test_a_batch_is_cancelled_with_its_last_request(serve, concurrency):
    engine = serve(IMPORTS + WAITS, concurrency=concurrency, **BATCH)
    one, two = engine.deliver_batch(["a", "b"])
    engine.wait_for(lambda seen: seen.texts() == ["waiting"])
    engine.cancel(one)
    engine.cancel(two)
    results = [engine.result(number) for number in (one, two)]
    assert [(result.status, result.whole) for result in results] == [(CANCELLED, True)] * 2


def test_cancelled_before_the_batch_starts(serve):
    release = """
gate = asyncio.Event()

async def handler(ctx, data):
    if text(data[0]) == "wait":
        ctx.logger.info("waiting")
        await gate.wait()
    return [say(f"{text(item)} of {len(data)}") for item in data]
"""
    engine = serve(IMPORTS + release, **BATCH)
    first = engine.deliver_batch(["wait"])
    one, two, three = engine.deliver_batch(["a", "b", "c"])
    engine.wait_for(lambda seen: seen.texts() == ["waiting"])
    engine.cancel(three)
    engine.cancel(one)
    assert engine.result(three).status == CANCELLED
    assert engine.result(one).status == CANCELLED
    engine.cancel(first[0])
    assert engine.result(first[0]).status == CANCELLED
    assert engine.result(two).text == "b of 1"


def test_an_empty_delivery_is_a_violation(serve):
    engine = serve(IMPORTS + ASYNC + COUNT, **BATCH)
    engine.send(2, 1)
    assert engine.drain() == 70
    assert "DELIVER 1 does not parse" in engine.stderr()


async def greet(ctx: BatchContext, data: list[AnyMessage]) -> list[object]:
    answers: list[object] = []
    for item, own in zip(data, ctx.items):
        request = StringValue()
        assert item.Unpack(request)
        own.logger.info("greeting")
        await own.db.save("names", {"name": request.value})
        if request.value == "nobody":
            answers.append(ValueError("nobody is here"))
            continue
        await own.early_reply(StringValue(value="soon"))
        own.early_exit()
        answers.append(StringValue(value=f"{ctx.get('greeting')} {request.value}"))
    return answers


def names(*texts: str) -> list[StringValue]:
    return [StringValue(value=text) for text in texts]


def test_run_batch():
    context = FakeBatchContext()
    context.set("greeting", "hello")
    ada, nobody = run_batch(greet, names("ada", "nobody"), context=context)
    assert ada == StringValue(value="hello ada")
    assert str(nobody) == "nobody is here"
    assert context.saved("names") == [{"name": "ada"}, {"name": "nobody"}]
    first, second = context.items
    assert first.logs == [FakeLog("INFO", "greeting")]
    assert (first.replies, second.replies) == ([StringValue(value="soon")], [])
    assert (first.exited, second.exited) == (True, False)


def test_run_batch_checks_the_answers():
    plain = run_batch(
        lambda ctx, data: [{"n": item["n"] + 1} for item in data], [{"n": 1}, {"n": 2}]
    )
    assert plain == [{"n": 2}, {"n": 3}]
    with pytest.raises(errors.AnswerError, match="a list of length 1 for a batch of 2"):
        run_batch(lambda ctx, data: [None], names("a", "b"))
    with pytest.raises(errors.AnswerError, match=r"not 5 of type `builtins\.int`"):
        run_batch(lambda ctx, data: [5], names("a"))
    with pytest.raises(errors.EarlyReplyError, match=r"call it on the context of one, such as"):
        run_batch(reply_for_all, names("a"))


async def reply_for_all(ctx: BatchContext, data: list[AnyMessage]) -> list[object]:
    await ctx.early_reply(StringValue())
    return [None for _ in data]


def test_what_is_logged_is_a_record(serve):
    engine = serve(IMPORTS + ASYNC + "    ctx.items[0].logger.error('bad')\n" + COUNT, **BATCH)
    [result] = engine.ask_batch(["a"])
    [log] = engine.seen.logs
    assert log == Log(result.id, 3, log.time, "bad")
