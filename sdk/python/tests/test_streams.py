"""Streams: answers of several messages."""

from __future__ import annotations

import pytest
from fake_engine import ANSWER, CANCELLED, ERROR, NONE
from google.protobuf.wrappers_pb2 import StringValue

from krt import errors
from krt.testing import FakeContext, run, run_stream

IMPORTS = """
import asyncio, functools, sys, threading
from google.protobuf.wrappers_pb2 import StringValue

def text(data):
    request = StringValue()
    assert data.Unpack(request)
    return request.value

def say(text):
    return StringValue(value=str(text))

"""
WINDOW = {"messages": 3, "bytes": 1 << 20}
ASYNC = """
async def handler(ctx, data):
    try:
        for number in range(int(text(data))):
            yield say(number)
            await asyncio.sleep(0)
    finally:
        ctx.logger.info("closed")
"""
PLAIN = ASYNC.replace("async ", "").replace("            await asyncio.sleep(0)\n", "")
SEND = """
async def handler(ctx, data):
    try:
        for number in range(int(text(data))):
            await ctx.send(say(number))
    finally:
        ctx.logger.info("closed")
"""
SEND_PLAIN = """
def handler(ctx, data):
    try:
        for number in range(int(text(data))):
            asyncio.run(ctx.send(say(number)))
    finally:
        ctx.logger.info("closed")
"""
OBJECT = ASYNC.replace("handler(ctx", "__call__(self, ctx")
KINDS = {
    "async generator": ASYNC,
    "generator": PLAIN,
    "send": SEND,
    "send in a plain function": SEND_PLAIN,
    "partial": ASYNC.replace("handler(ctx", "act(more, ctx")
    + "handler = functools.partial(act, 1)",
    "object": "class Act:\n" + OBJECT.replace("\n", "\n    ") + "\nhandler = Act()",
    "function that returns a generator": PLAIN.replace("handler(", "act(")
    + "def handler(ctx, data):\n    return act(ctx, data)",
}
every_kind = pytest.mark.parametrize("code", KINDS.values(), ids=KINDS)


@every_kind
@pytest.mark.parametrize("concurrency", [1, 3])
def test_messages_go_out_in_order_as_there_is_credit(serve, code, concurrency):
    engine = serve(IMPORTS + code, concurrency=concurrency, stream=WINDOW)
    assert engine.seen.ready["stream"] is True
    number = engine.deliver_stream("8")
    for sent in (3, 5, 8):
        engine.wait_for(lambda seen, sent=sent: len(seen.messages) == sent)
        if sent < 8:
            assert number not in engine.results
            # The `Any` of a `StringValue` of one letter.
            engine.credit(number, {3: 2, 5: 3}[sent], 54 * {3: 2, 5: 3}[sent])
    assert engine.result(number).status == NONE
    assert engine.seen.sent(number) == list("01234567")
    assert engine.seen.texts() == ["closed"]
    assert engine.stop() == 0


@every_kind
@pytest.mark.parametrize("concurrency", [1, 3])
def test_a_cancelled_handler_that_waits_for_credit_is_closed(serve, code, concurrency):
    engine = serve(IMPORTS + code, concurrency=concurrency, stream=WINDOW)
    number = engine.deliver_stream("8")
    engine.wait_for(lambda seen: len(seen.messages) == 3)
    engine.cancel(number)
    assert engine.result(number).status == CANCELLED
    assert engine.seen.texts() == ["closed"]
    assert engine.result(engine.deliver_stream("0")).status == NONE
    assert engine.stop() == 0


def test_an_async_generator_is_cancelled_between_messages(serve):
    code = """
async def handler(ctx, data):
    yield say("one")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        ctx.logger.info("cancelled")
        raise
"""
    engine = serve(IMPORTS + code, stream=WINDOW)
    number = engine.deliver_stream("")
    engine.wait_for(lambda seen: seen.messages)
    engine.cancel(number)
    assert engine.result(number).status == CANCELLED
    assert engine.seen.texts() == ["cancelled"]


def test_bytes_hold_a_handler_back(serve):
    code = "async def handler(ctx, data):\n    for _ in range(3):\n        yield say('x' * 1000)\n"
    engine = serve(IMPORTS + code, stream={"messages": 100, "bytes": 1500})
    number = engine.deliver_stream("")
    engine.wait_for(lambda seen: len(seen.messages) == 2)
    engine.credit(number, 1, 1050)
    assert engine.result(number).status == NONE
    assert len(engine.seen.messages) == 3


@pytest.mark.parametrize("kind", ["async def", "def"])
def test_an_error_after_a_message_is_the_result(serve, kind):
    code = f"{kind} handler(ctx, data):\n    yield say('one')\n    raise RuntimeError('no more')\n"
    engine = serve(IMPORTS + code, stream=WINDOW)
    number = engine.deliver_stream("")
    result = engine.result(number)
    assert (result.status, result.error) == (ERROR, "no more")
    assert engine.seen.sent(number) == ["one"]


def test_a_returned_message_is_the_last(serve):
    code = """
async def handler(ctx, data):
    await ctx.send(say("one"))
    return say(text(data))
"""
    engine = serve(IMPORTS + code, stream=WINDOW)
    number = engine.deliver_stream("two")
    result = engine.result(number)
    assert (result.status, result.text) == (ANSWER, "two")
    assert engine.seen.sent(number) == ["one"]


@pytest.mark.parametrize("kind", ["async def", "def"])
def test_an_rpc_with_one_answer_takes_no_stream(serve, kind):
    engine = serve(IMPORTS + f"{kind} handler(ctx, data):\n    yield say('one')\n", stream=WINDOW)
    error = engine.ask("").error
    assert error.startswith("[ctx.send] the RPC has one answer; hint: write `returns")
    assert engine.seen.messages == []


def test_messages_after_an_early_reply_are_dropped(serve):
    code = """
async def handler(ctx, data):
    yield say("one")
    await ctx.early_reply(say("two"))
    for _ in range(9):
        yield say("three")
"""
    engine = serve(IMPORTS + code, stream=WINDOW)
    number = engine.deliver_stream("")
    assert engine.result(number).status == NONE
    assert engine.seen.sent(number) == ["one"]
    assert len(engine.seen.replies) == 1
    replied = engine.deliver_stream("", flags=1)
    assert engine.result(replied).status == ERROR, "a second reply is an error"
    assert engine.seen.sent(replied) == []


def test_a_task_that_is_left_behind_cannot_send(serve):
    code = """
left = []

async def late(ctx):
    await asyncio.sleep(0)
    try:
        await ctx.send(say("late"))
    except Exception as error:
        ctx.logger.info("%s", error)

async def handler(ctx, data):
    if text(data):
        left.append(asyncio.ensure_future(late(ctx)))
    else:
        await left[0]
    return say("done")
"""
    engine = serve(IMPORTS + code, stream=WINDOW)
    assert engine.result(engine.deliver_stream("leave")).text == "done"
    assert engine.result(engine.deliver_stream("")).text == "done"
    assert engine.seen.texts() == [
        "[ctx.send] there is no request after the handler has returned; hint: call it in `handler`"
    ]
    assert engine.seen.messages == []


def test_plain_data(serve):
    code = "async def handler(ctx, data):\n    for n in range(data['n']):\n        yield {'n': n}\n"
    engine = serve(IMPORTS + code, stream=WINDOW, payload="json")
    number = engine.deliver_stream({"n": 2})
    assert engine.result(number).status == NONE
    assert engine.seen.messages == [(number, {"n": 0}), (number, {"n": 1})]


def word(value):
    return StringValue(value=value)


async def streams(ctx, data):
    yield word("one")
    await ctx.send(word("two"))


def streams_plainly(ctx, data):
    yield word("one")
    yield word("two")


async def returns(ctx, data):
    await ctx.send(word("one"))
    return word("two")


@pytest.mark.parametrize("handler", [streams, streams_plainly, returns])
def test_run_stream(handler):
    context = FakeContext()
    assert run_stream(handler, word(""), context=context) == [word("one"), word("two")]
    assert context.sent[0] == word("one")


def test_run_refuses_a_stream():
    with pytest.raises(errors.Error, match="the RPC has one answer"):
        run(streams, word(""))


def test_run_stream_checks_messages():
    def handler(ctx, data):
        yield "text"

    with pytest.raises(errors.AnswerError, match="a protobuf message was expected"):
        run_stream(handler, word(""))
