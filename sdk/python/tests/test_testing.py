"""`krt.testing` from a user's point of view."""

from __future__ import annotations

import asyncio

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.wrappers_pb2 import Int64Value, StringValue

from krt import BatchContext, Context, errors
from krt.testing import FakeBatchContext, FakeContext, Log, run, run_batch


async def init(ctx: Context) -> None:
    ctx.set("greeting", "hello")
    ctx.logger.info("ready")


async def handler(ctx: Context, data: AnyMessage) -> StringValue:
    request = StringValue()
    assert data.Unpack(request)
    await ctx.db.save("names", {"name": request.value, "length": len(request.value)})
    ctx.measurement.save("names", {"length": len(request.value)}, {})
    return StringValue(value=f"{ctx.get('greeting')} {request.value}")


def test_a_handler_is_run_with_its_init():
    context = FakeContext()
    answer = run(handler, StringValue(value="ada"), init=init, context=context)
    assert answer == StringValue(value="hello ada")
    assert context.saved("names") == [{"name": "ada", "length": 3}]
    assert context.measurements[0]["fields"] == {"length": 3}
    assert context.logs == [Log("INFO", "ready")]
    assert context.exited is False


def test_a_context_is_kept_over_runs():
    context = FakeContext()
    run(handler, StringValue(value="ada"), init=init, context=context)
    run(handler, StringValue(value="bob"), context=context)
    assert [document["name"] for document in context.saved("names")] == ["ada", "bob"]


def test_errors_are_raised():
    with pytest.raises(AttributeError, match="no value is kept for `greeting`"):
        run(handler, StringValue())


def test_plain_functions():
    assert run(lambda ctx, data: Int64Value(value=5), StringValue()) == Int64Value(value=5)
    assert run(lambda ctx, data: None, StringValue()) is None
    with pytest.raises(errors.AnswerError, match=r"not 5 of type `builtins\.int`"):
        run(lambda ctx, data: 5, StringValue())


def test_an_any_is_passed_unchanged():
    packed = AnyMessage()
    packed.Pack(StringValue(value="x"))
    assert run(lambda ctx, data: data, packed) is packed


def test_early_replies_and_exits():
    async def early(ctx: Context, data: AnyMessage) -> None:
        await ctx.early_reply(StringValue(value="now"))
        ctx.early_exit()

    context = FakeContext()
    run(early, StringValue(), context=context)
    assert context.replies == [StringValue(value="now")]
    assert context.exited is True
    run(lambda ctx, data: None, StringValue(), context=context)
    assert context.exited is False
    with pytest.raises(errors.EarlyReplyError, match=r"^error the message was replied previously$"):
        run(early, StringValue(), context=FakeContext(replied=True))


@pytest.mark.parametrize("use", [Context.early_exit, lambda ctx: ctx.request_id])
def test_init_has_no_request(use):
    with pytest.raises(errors.Error, match="there is no request in `init`"):
        run(handler, StringValue(), init=use)


def test_a_request_has_the_given_id():
    def answer(ctx: Context, data: AnyMessage) -> StringValue:
        return StringValue(value=ctx.request_id)

    assert run(answer, StringValue()).value == "request"
    assert run(answer, StringValue(), context=FakeContext(request_id="7")).value == "7"


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        (FakeContext(), "None"),
        (FakeContext(deadline=3600), "left"),
        (FakeContext(deadline=-1), "0.0"),
        (FakeContext(deadline=3600, replied=True), "None"),
    ],
)
def test_a_request_has_the_given_deadline(context, expected):
    def answer(ctx: Context, data: AnyMessage) -> StringValue:
        left = ctx.deadline
        return StringValue(value="left" if left and 3000 < left <= 3600 else str(left))

    assert (
        run(answer, StringValue(), init=lambda ctx: ctx.deadline, context=context).value == expected
    )


def test_a_request_has_the_given_metadata():
    def answer(ctx: Context, data: AnyMessage) -> StringValue:
        metadata = ctx.metadata
        assert dict(metadata) == {"x-tenant": "acme", "accept-language": "es, en"}
        assert metadata.all("Accept-Language") == ["es", "en"]
        assert metadata.binary("x-key-bin") == [b"\x00\xff"]
        assert "x-key-bin" not in metadata
        assert metadata.all("x-key-bin") == metadata.binary("x-tenant") == []
        assert "acme" not in repr(metadata)
        return StringValue(value=metadata["X-Tenant"])

    sent = {"X-Tenant": "acme", "accept-language": ["es", "en"], "x-key-bin": b"\x00\xff"}
    context = FakeContext(metadata=sent)
    assert (
        run(answer, StringValue(), init=lambda ctx: len(ctx.metadata), context=context).value
        == "acme"
    )
    with pytest.raises(TypeError, match="`x-key-bin` in `metadata` must be of type `bytes`"):
        FakeContext(metadata={"x-key-bin": "text"})


def test_each_item_of_a_batch_has_its_own_id():
    def answer(ctx: BatchContext, data: list[AnyMessage]) -> list[StringValue]:
        return [StringValue(value=own.request_id) for own in ctx.items]

    answers = run_batch(answer, [StringValue()] * 2, context=FakeBatchContext(request_id="7"))
    assert [one.value for one in answers] == ["7-1", "7-2"]


def test_find_compares_values():
    context = FakeContext()
    context.saved("houses").extend([{"rooms": {"count": 3}, "city": "x"}, {"city": "y"}])

    async def search(ctx: Context, data: AnyMessage) -> Int64Value:
        assert await ctx.db.find("none", {"a": 1}) == []
        assert await ctx.db.find("houses", {"rooms.count": 3, "city": "y"}) == []
        [house] = await ctx.db.find("houses", {"rooms.count": 3, "city": "x"})
        return Int64Value(value=house["rooms"]["count"])

    assert run(search, StringValue(), context=context).value == 3


def test_find_refuses_unsupported_queries():
    async def search(ctx: Context, data: AnyMessage) -> None:
        await ctx.db.find("houses", {"price": {"$gt": 5}})

    with pytest.raises(NotImplementedError, match=r"operator `\$gt`.*hint: test it with `krt run`"):
        run(search, StringValue())


def test_a_failing_store():
    context = FakeContext()
    context.fail("no space")
    with pytest.raises(errors.DatabaseError, match="no space"):
        run(handler, StringValue(), init=init, context=context)
    context.fail(None)
    assert run(handler, StringValue(), init=init, context=context)


def test_tracebacks_are_logged():
    def noisy(ctx: Context, data: AnyMessage) -> None:
        try:
            raise ValueError("inner")
        except ValueError:
            ctx.logger.exception("outer")

    context = FakeContext()
    run(noisy, StringValue(), context=context)
    [log] = context.logs
    assert log.level == "ERROR"
    assert log.text.startswith("outer\nTraceback")


def test_plain_functions_run_on_one_thread():
    import sqlite3
    import threading

    def init(ctx):
        ctx.set("connection", sqlite3.connect(":memory:"))

    def handler(ctx, data):
        assert threading.current_thread() is threading.main_thread()
        asyncio.run(ctx.db.save("things", {"n": 1}))
        [row] = ctx.get("connection").execute("select 'found'").fetchall()
        return StringValue(value=row[0])

    context = FakeContext()
    assert run(handler, StringValue(), init=init, context=context).value == "found"
    assert context.saved("things") == [{"n": 1}]


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), KeyboardInterrupt()])
def test_errors_of_a_plain_handler_are_raised(error):
    def handler(ctx, data):
        raise error

    with pytest.raises(type(error)) as raised:
        run(handler, StringValue())
    assert raised.value is error
