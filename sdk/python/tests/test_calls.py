"""`ctx.db` and `ctx.measurement` against an engine."""

from __future__ import annotations

import json

import pytest
from fake_engine import CANCELLED, DOCUMENT, DONE, FAILED, FIND, SAVE

IMPORTS = """
import asyncio, datetime, json
from google.protobuf.wrappers_pb2 import StringValue
"""


def handle(serve, body, before="", **options):
    """Starts a worker whose handler has this body."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return serve(f"{IMPORTS}\n{before}\nasync def handler(ctx, data):\n{lines}\n", **options)


def with_store(engine, documents=()):
    """Answers calls: saves succeed, finds return `documents`."""

    def answer(call):
        if call.kind == FIND:
            for document in documents:
                engine.send(DOCUMENT, call.id, json.dumps(document).encode())
        engine.send(DONE, call.id)

    engine.on_call = answer
    return engine


def test_save(serve):
    engine = with_store(
        handle(
            serve,
            "at = datetime.datetime(2024, 1, 1)\n"
            "await ctx.db.save('sales', {'price': 1.0, 'at': at})\nreturn data",
        )
    )
    number = engine.deliver("")
    assert engine.result(number).text == ""
    [call] = engine.seen.calls
    assert (call.kind, call.body) == (
        SAVE,
        {
            "delivery": number,
            "collection": "sales",
            "document": {"price": 1.0, "at": {"$date": "2024-01-01T00:00:00.000Z"}},
        },
    )


def test_find(serve):
    documents = [{"_id": {"$oid": "a" * 24}, "n": number} for number in range(500)]
    engine = with_store(
        handle(
            serve,
            "found = await ctx.db.find('sales \"é\"', {'n': {'$gt': 3}})\n"
            "again = await ctx.db.find('sales', {'_id': found[0]['_id']})\n"
            "return StringValue(value=json.dumps([len(found), found[7], found == again]))",
        ),
        documents,
    )
    found = json.loads(engine.ask("").text)
    assert found == [500, {"_id": "a" * 24, "n": 7}, True]
    first, second = engine.seen.calls
    assert first.body["collection"] == 'sales "é"'
    assert first.body["query"] == {"n": {"$gt": 3}}
    assert second.body["query"] == {"_id": {"$oid": "a" * 24}}
    assert (first.id, second.id) == (1, 2)


def test_a_failure_is_an_error_of_the_request(serve):
    engine = handle(serve, "await ctx.db.find('sales', {'a': 1})")
    engine.on_call = lambda call: engine.send(FAILED, call.id, b"too much")
    assert engine.ask("").error == "[ctx.db.find] error getting data from MongoDB: too much"


def test_calls_in_init(launch):
    engine = launch(
        """
        async def init(ctx):
            await ctx.db.save("starts", {"a": 1})
            ctx.set("found", await ctx.db.find("starts", {"a": 1}))

        async def handler(ctx, data):
            return data
        """
    )
    with_store(engine, [{"a": 1}])
    engine.start()
    assert [call.body["delivery"] for call in engine.seen.calls] == [0, 0]


def test_concurrent_calls(serve):
    engine = handle(
        serve,
        "found = await asyncio.gather(*(ctx.db.find('c', {'n': n}) for n in range(1, 20)))\n"
        "return StringValue(value=json.dumps([documents[0]['n'] for documents in found]))",
    )
    waiting = []

    def answer_in_reverse(call):
        waiting.append(call)
        if len(waiting) == 19:
            for late in reversed(waiting):
                engine.send(DOCUMENT, late.id, json.dumps(late.body["query"]).encode())
            for late in waiting:
                engine.send(DONE, late.id)

    engine.on_call = answer_in_reverse
    assert json.loads(engine.ask("").text) == list(range(1, 20))


def test_a_cancelled_call_may_be_answered_late(serve):
    engine = handle(
        serve, "if b'find' in data.value:\n    await ctx.db.find('c', {'a': 1})\nreturn data"
    )
    engine.on_call = lambda call: None
    number = engine.deliver("find")
    engine.wait_for(lambda seen: seen.calls)
    engine.cancel(number)
    assert engine.result(number).status == CANCELLED
    engine.send(DOCUMENT, 1, b"{}")
    engine.send(DONE, 1)
    assert engine.ask("other").text == "other"
    assert engine.stop() == 0


def test_a_plain_function_may_run_its_own_loop(serve):
    engine = with_store(
        serve(
            f"{IMPORTS}\n"
            "def handler(ctx, data):\n"
            "    found = asyncio.run(ctx.db.find('c', {'a': 1}))\n"
            "    return StringValue(value=json.dumps(found))\n"
        ),
        [{"a": 1}],
    )
    assert json.loads(engine.ask("").text) == [{"a": 1}]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            "await ctx.db.save('c', {'a': 'x' * 200_000})",
            "[ctx.db.save] error saving the document: it has ",
        ),
        (
            "await ctx.db.find('c', {'a': 'x' * 200_000})",
            "[ctx.db.find] error getting data from MongoDB: it has ",
        ),
    ],
)
def test_oversized_calls_are_refused_before_they_are_sent(serve, call, message):
    engine = handle(serve, call, max_frame=100_000)
    error = engine.ask("").error
    assert error.startswith(message)
    assert "more than the limit of" in error
    assert engine.seen.calls == []


def test_measurements_are_sent_before_the_result(serve):
    engine = handle(
        serve,
        "ctx.measurement.save('calls', {'a': 1, 'b': 0.5, 'c': 'é', 'd': True}, {'t': 'x'})\n"
        "ctx.measurement.save('large', {'a': 'x' * 2_000_000})\nreturn data",
    )
    number = engine.deliver("")
    engine.result(number)
    [(delivery, point)] = engine.seen.measurements
    assert delivery == number
    assert point["fields"] == {"a": 1, "b": 0.5, "c": "é", "d": True}
    assert point["tags"] == {"t": "x"}
    [log] = engine.seen.logs
    assert log.level == 2
    assert "measurement `large`: it is not saved: it has 2000" in log.text


def test_memory_stays_flat(serve):
    engine = with_store(
        handle(
            serve,
            "import resource\n"
            "ctx.measurement.save('calls', {'a': 1})\n"
            "await ctx.db.save('c', {'a': 1})\n"
            "try:\n    raise ValueError\nexcept ValueError:\n    pass\n"
            "peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
            "return StringValue(value=str(peak))",
        )
    )

    def peak(rounds):
        for _ in range(rounds):
            ids = engine.deliver_many(["x" * 1000] * 50)
            last = engine.result(ids[-1])
            engine.seen.measurements.clear()
            engine.seen.calls.clear()
            engine.results.clear()
        return int(last.text)

    early = peak(20)
    assert peak(100) - early < 1024, "KiB for 5,000 requests"
