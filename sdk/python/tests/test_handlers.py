"""The kinds of handlers, their return values and their exceptions."""

from __future__ import annotations

import sys

import pytest
from fake_engine import CANCELLED, ERROR, NONE, Log
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.struct_pb2 import Struct
from google.protobuf.wrappers_pb2 import BytesValue, StringValue

IMPORTS = """
import asyncio, functools, sys, threading, time
from google.protobuf.any_pb2 import Any
from google.protobuf.wrappers_pb2 import BytesValue, StringValue

def text(data):
    request = StringValue()
    data.Unpack(request)
    return request.value
"""

HANDLERS = {
    "async function": """
async def handler(ctx, data):
    return StringValue(value=text(data).upper())
""",
    "plain function": """
def handler(ctx, data):
    return StringValue(value=text(data).upper())
""",
    "object": """
class Upper:
    async def __call__(self, ctx, data):
        return StringValue(value=text(data).upper())
handler = Upper()
""",
    "method": """
class Upper:
    async def run(self, ctx, data):
        return StringValue(value=text(data).upper())
handler = Upper().run
""",
    "partial": """
async def work(how, ctx, data):
    return StringValue(value=how(text(data)))
handler = functools.partial(work, str.upper)
""",
    "partial of an object": """
class Change:
    async def __call__(self, how, ctx, data):
        return StringValue(value=how(text(data)))
handler = functools.partial(functools.partial(Change()), str.upper)
""",
    "plain wrapper of an async function": """
async def work(ctx, data):
    await asyncio.sleep(0)
    return StringValue(value=text(data).upper())
def handler(ctx, data):
    return work(ctx, data)
""",
    "decorated async function": """
def logged(function):
    @functools.wraps(function)
    async def wrapper(ctx, data):
        return await function(ctx, data)
    return wrapper
@logged
async def handler(ctx, data):
    return StringValue(value=text(data).upper())
""",
}


@pytest.mark.parametrize("concurrency", [1, 3])
@pytest.mark.parametrize("code", HANDLERS.values(), ids=HANDLERS)
def test_kinds_of_handlers(serve, code, concurrency):
    engine = serve(IMPORTS + code, concurrency=concurrency)
    ids = engine.deliver_many(["a", "b", "c", "d", "e"])
    assert [engine.result(number).text for number in ids] == ["A", "B", "C", "D", "E"]
    assert engine.stop() == 0


def handle(serve, body, **options):
    """Starts a worker whose handler has this body."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return serve(f"{IMPORTS}\nasync def handler(ctx, data):\n{lines}\n", **options)


def test_the_answer_is_packed_with_its_type(serve):
    engine = handle(serve, "return StringValue(value='x' * int(text(data)))")
    for size in (0, 1, 100, 126, 127, 128, 129, 16383, 16384, 70_000, 300_000):
        answer = engine.ask(str(size)).answer
        assert answer.type_url == "type.googleapis.com/google.protobuf.StringValue"
        assert answer == packed(StringValue(value="x" * size))


def packed(message):
    answer = AnyMessage()
    answer.Pack(message)
    return answer


def test_an_any_is_sent_unchanged(serve):
    engine = handle(serve, "return data")
    message = Struct()
    message["key"] = [1, "two", None]
    assert engine.ask(message).answer == packed(message)


def test_large_messages_go_both_ways(serve):
    engine = handle(serve, "return data", max_message=8 << 20, max_frame=9 << 20)
    message = BytesValue(value=bytes(range(256)) * (4 << 12))
    ids = engine.deliver_many([message, StringValue(value="small"), message])
    assert engine.result(ids[0]).answer == packed(message)
    assert engine.result(ids[1]).text == "small"
    assert engine.result(ids[2]).answer == packed(message)


def test_an_idle_worker_holds_no_message(serve):
    engine = handle(
        serve,
        "import asyncio, os\n"
        "def log(when):\n"
        "    pages = int(open('/proc/self/statm').read().split()[1])\n"
        "    ctx.logger.info(f'{when} {pages * os.sysconf(\"SC_PAGE_SIZE\")}')\n"
        "answer = BytesValue(value=bytes(32 << 20))\n"
        "log('busy')\n"
        "asyncio.get_running_loop().call_later(0.001, log, 'idle')\n"
        "return answer",
        max_message=64 << 20,
        max_frame=65 << 20,
    )
    message = BytesValue(value=bytes(32 << 20))
    assert engine.ask(message).answer == packed(message)
    engine.wait_for(lambda seen: len(seen.logs) == 2)
    busy, idle = (int(text.split()[1]) for text in engine.seen.texts())
    assert busy - idle > 48 << 20


def test_none_has_its_own_status(serve):
    assert handle(serve, "return None").ask("").status == NONE


@pytest.mark.parametrize(
    ("value", "described"),
    [
        ("'text'", "not 'text' of type `builtins.str`"),
        ("StringValue", "of type `"),
        ("False", "not False of type `builtins.bool`"),
    ],
)
def test_invalid_answers_are_errors(serve, value, described):
    engine = handle(serve, f"return {value}")
    error = engine.ask("").error
    assert error.startswith("a protobuf message was expected, not ")
    assert described in error
    assert error.endswith("hint: build a message of the `.proto` and return that")


def test_oversized_answers_name_size_and_limit(serve):
    engine = handle(serve, "return BytesValue(value=bytes(int(text(data))))", max_message=1000)
    assert len(engine.ask("990").answer.value) == 993
    assert engine.ask("2000").too_large == 2003
    assert engine.ask("990").answer


@pytest.mark.parametrize("prefix", ["", "async "])
@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("raise ValueError('what it says')", "what it says"),
        ("raise ValueError", "ValueError"),
        ("{}['key']", "'key'"),
        ("raise Exception('two', 'parts')", "('two', 'parts')"),
        ("raise Exception('lone \\ud800')", "lone \\ud800"),
        ("sys.exit(1)", "the handler called sys.exit(1)"),
        ("sys.exit()", "the handler called sys.exit(None)"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise asyncio.CancelledError", "CancelledError"),
        ("raise StopAsyncIteration('x')", None),
        ("raise StopIteration('x')", None),
    ],
)
def test_errors(serve, prefix, statement, error):
    engine = serve(f"{IMPORTS}\n{prefix}def handler(ctx, data):\n    {statement}\n")
    for _ in range(2):
        result = engine.ask("")
        assert result.status == ERROR
        assert error is None or result.error == error
    assert engine.stop() == 0


def test_an_unprintable_error_is_named(serve):
    engine = serve(
        """
        class Odd(Exception):
            def __str__(self):
                raise RuntimeError

        async def handler(ctx, data):
            raise Odd
        """
    )
    assert engine.ask("").error == "Odd"


@pytest.mark.parametrize("prefix", ["", "async "])
def test_the_traceback_is_one_record_of_the_delivery(serve, tmp_path, prefix):
    code = f"{prefix}def handler(ctx, data):\n    work()\n\ndef work():\n    1 / 0\n"
    engine = serve(code)
    number = engine.deliver("")
    assert engine.result(number).error == "division by zero"
    [log] = engine.seen.logs
    assert isinstance(log, Log)
    assert (log.delivery, log.level) == (number, 3)
    lines = [line for line in log.text.splitlines() if not set(line) <= set(" ^~")]
    assert lines == [
        "Traceback (most recent call last):",
        f'  File "{tmp_path / "main.py"}", line 2, in handler',
        "    work()",
        f'  File "{tmp_path / "main.py"}", line 5, in work',
        "    1 / 0",
        "ZeroDivisionError: division by zero",
    ]


def test_a_very_long_error_is_cut_to_the_size_of_a_frame(serve):
    engine = handle(serve, "raise ValueError('é' * 5_000_000)", max_frame=100_000)
    error = engine.ask("").error
    assert error.endswith(" … (cut: there were 10000000 bytes)")
    assert 90_000 < len(error.encode()) <= 100_000


def test_times_are_those_of_the_handler(serve):
    engine = handle(serve, "time.sleep(0.05)")
    before = engine.ask("")
    after = engine.ask("")
    assert 50_000_000 <= before.end - before.start < 5_000_000_000
    assert before.end <= after.start


@pytest.mark.parametrize("call", ["ctx.early_exit()", "ctx.set_early_exit()"])
def test_early_exit_affects_one_request_only(serve, call):
    engine = handle(serve, f"if text(data) == 'exit': {call}\nreturn data")
    assert engine.ask("exit").early_exit is True
    assert engine.ask("stay").early_exit is False


@pytest.mark.parametrize("call", ["early_reply", "reply"])
def test_early_reply(serve, call):
    engine = handle(serve, f"await ctx.{call}(StringValue(value='now'))\nreturn data")
    number = engine.deliver("later")
    assert engine.result(number).text == "later"
    assert engine.seen.replies == [(number, packed(StringValue(value="now")))]


def test_a_second_early_reply_fails(serve):
    engine = handle(
        serve, "for _ in range(int(text(data))):\n    await ctx.early_reply(data)\nreturn data"
    )
    assert engine.ask("2").error == "error the message was replied previously"
    assert len(engine.seen.replies) == 1
    assert engine.ask("1").text == "1"
    assert engine.ask("1", replied=True).error == "error the message was replied previously"


def test_an_invalid_early_reply_leaves_the_request_unanswered(serve):
    engine = handle(
        serve,
        "try:\n    await ctx.early_reply('text')\n"
        "except Exception as error:\n    await ctx.early_reply(StringValue(value=str(error)))\n",
    )
    engine.ask("")
    [(_, reply)] = engine.seen.replies
    assert b"a protobuf message was expected, not 'text'" in reply.value


@pytest.mark.parametrize("concurrency", [1, 3])
@pytest.mark.parametrize(
    "wait", ["await asyncio.sleep(1000)", "await asyncio.gather(asyncio.sleep(1000))"]
)
def test_cancel_stops_a_waiting_handler(serve, concurrency, wait):
    engine = handle(
        serve,
        "if text(data) == 'quick': return data\n"
        f"ctx.logger.info('begun')\ntry:\n    {wait}\nfinally:\n    ctx.logger.info('ended')",
        concurrency=concurrency,
    )
    for round_ in range(1, 4):
        number = engine.deliver("slow")
        engine.wait_for(lambda seen, times=round_: seen.texts().count("begun") == times)
        engine.cancel(number)
        engine.cancel(number)
        assert engine.result(number).status == CANCELLED
        assert engine.ask("quick").text == "quick"
    assert engine.seen.texts() == ["begun", "ended"] * 3
    engine.cancel(1)
    assert engine.stop() == 0


def test_a_handler_may_answer_after_a_cancel(serve):
    engine = handle(
        serve,
        "ctx.logger.info('begun')\ntry:\n    await asyncio.sleep(1000)\n"
        "except asyncio.CancelledError:\n    return data",
    )
    number = engine.deliver("kept")
    engine.wait_for(lambda seen: seen.texts() == ["begun"])
    engine.cancel(number)
    assert engine.result(number).text == "kept"
    assert engine.stop() == 0


def test_a_cancel_does_not_leave_a_plain_function_running(serve):
    engine = serve(
        f"{IMPORTS}\n"
        "def handler(ctx, data):\n"
        "    ctx.logger.info('begun')\n"
        "    time.sleep(0.1)\n"
        "    ctx.logger.info('ended')\n"
        "    return data\n"
    )
    first, second = engine.deliver_many(["1", "2"])
    engine.wait_for(lambda seen: seen.texts() == ["begun"])
    engine.cancel(first)
    assert engine.result(second).text == "2"
    assert engine.results[first].text == "1"
    assert engine.seen.texts() == ["begun", "ended"] * 2


@pytest.mark.skipif(sys.version_info < (3, 11), reason="uncancel came with Python 3.11")
def test_a_cancel_leaves_no_trace_in_the_task(serve):
    engine = handle(
        serve,
        "if text(data) == 'count':\n"
        "    async with asyncio.timeout(10): await asyncio.sleep(0)\n"
        "    return StringValue(value=str(asyncio.current_task().cancelling()))\n"
        "ctx.logger.info('begun')\nawait asyncio.sleep(1000)",
    )
    number = engine.deliver("slow")
    engine.wait_for(lambda seen: seen.texts() == ["begun"])
    engine.cancel(number)
    engine.result(number)
    assert engine.ask("count").text == "0"


def test_the_concurrency_is_a_limit(serve):
    engine = serve(
        """
        import asyncio
        from google.protobuf.wrappers_pb2 import StringValue
        now = most = 0

        async def handler(ctx, data):
            global now, most
            now += 1
            most = max(most, now)
            await asyncio.sleep(0.01)
            now -= 1
            return StringValue(value=str(most))
        """,
        concurrency=3,
    )
    ids = engine.deliver_many([""] * 12)
    assert engine.result(ids[-1]).text == "3"
    assert engine.stop() == 0


def test_the_default_concurrency_is_one(serve):
    engine = handle(
        serve,
        "ctx.logger.info('begin ' + text(data))\nawait asyncio.sleep(0.005)\n"
        "ctx.logger.info('end ' + text(data))\nreturn data",
    )
    ids = engine.deliver_many(["1", "2", "3"])
    engine.result(ids[-1])
    assert engine.seen.texts() == ["begin 1", "end 1", "begin 2", "end 2", "begin 3", "end 3"]
    assert engine.order == ids
