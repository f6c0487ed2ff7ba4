"""The end of a worker."""

from __future__ import annotations

import os
import signal
import sys

import pytest
from fake_engine import CANCELLED, DELIVER, DOCUMENT, DONE, HELLO, PATIENCE

SLEEPS = """
    import asyncio, time
    from google.protobuf.wrappers_pb2 import StringValue

    async def handler(ctx, data):
        ctx.logger.info("begun")
        try:
            await asyncio.sleep(0.05 if "short" in str(data.value) else 1000)
        finally:
            ctx.logger.info("ended")
        return StringValue(value="slept")
"""


@pytest.mark.parametrize("concurrency", [1, 4])
def test_stop_finishes_and_answers_deliveries(serve, concurrency):
    engine = serve(SLEEPS, concurrency=concurrency)
    ids = engine.deliver_many(["short"] * 6)
    assert engine.stop() == 0
    assert sorted(engine.order) == ids
    assert {engine.results[number].text for number in ids} == {"slept"}


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_closed_socket_cancels_and_ends(serve, concurrency):
    engine = serve(SLEEPS, concurrency=concurrency)
    engine.deliver_many(["long"] * 3)
    engine.wait_for(lambda seen: "begun" in seen.texts())
    engine.hang_up()
    assert engine.process.wait(PATIENCE) == 0
    assert "ended" in engine.stderr()


def test_a_closed_socket_while_idle(serve):
    engine = serve(SLEEPS)
    engine.hang_up()
    assert engine.process.wait(PATIENCE) == 0
    assert engine.stderr() == ""


@pytest.mark.parametrize(
    "busy", ["time.sleep(1000)", "[x for x in iter(int, 1)]", "await asyncio.sleep(1000)"]
)
def test_the_end_interrupts_a_handler_at_any_point(serve, busy):
    engine = serve(
        f"""
        import asyncio, time

        async def handler(ctx, data):
            ctx.logger.info("begun")
            {busy}
        """
    )
    engine.deliver("")
    engine.wait_for(lambda seen: seen.texts() == ["begun"])
    os.close(engine.lifeline)
    engine.lifeline = -1
    assert engine.process.wait(PATIENCE) == -signal.SIGKILL


def test_the_end_stops_children_too(serve):
    engine = serve(
        """
        import subprocess, sys
        from google.protobuf.wrappers_pb2 import StringValue

        def init(ctx):
            script = "import time; print('up', flush=True); time.sleep(1000)"
            child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
            child.stdout.readline()
            ctx.set("child", child)

        async def handler(ctx, data):
            return StringValue(value=str(ctx.get("child").pid))
        """
    )
    child = int(engine.ask("").text)
    watch = os.pidfd_open(child) if hasattr(os, "pidfd_open") else None
    os.close(engine.lifeline)
    engine.lifeline = -1
    assert engine.process.wait(PATIENCE) == -signal.SIGKILL
    if watch is not None:
        import select

        assert select.select([watch], [], [], PATIENCE)[0] == [watch]
        os.close(watch)


def test_a_thread_watches_without_support_of_the_kernel(serve):
    bootstrap = """
import sys
sys.path.insert(0, {!r})
from krt import _process
_process._ask_kernel = lambda descriptor: False
from krt._start import main
main()
"""
    from fake_engine import SOURCE

    engine = serve(SLEEPS, arguments=["-c", bootstrap.format(str(SOURCE))])
    engine.deliver("long")
    engine.wait_for(lambda seen: seen.texts() == ["begun"])
    os.close(engine.lifeline)
    engine.lifeline = -1
    assert engine.process.wait(PATIENCE) == -signal.SIGKILL


@pytest.mark.parametrize(
    ("kind", "number", "body", "message"),
    [
        (HELLO, 0, b"{}", "a second HELLO"),
        (9, 0, b"", "the kind 9"),
        (DELIVER, 5, b"", "DELIVER 5 does not parse"),
        (DELIVER, 5, b"\0\0\0\xff\0\0", "DELIVER 5 does not parse"),
        (DELIVER, 5, b"\0\0\0\0\0\0\x0a\x05", "DELIVER 5 does not parse"),
        (DONE, 7, b"", "no call 7 waits"),
        (DOCUMENT, 7, b"{}", "no call 7 waits"),
    ],
)
@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_violation_ends_the_worker_with_70(serve, concurrency, kind, number, body, message):
    engine = serve(SLEEPS, concurrency=concurrency)
    engine.send(kind, number, body)
    assert engine.drain() == 70
    assert message in engine.stderr()


def test_a_first_frame_other_than_hello(launch):
    engine = launch(SLEEPS, protocol="one")
    assert engine.drain() == 70
    assert "HELLO does not parse" in engine.stderr()


def test_background_tasks_are_cancelled_at_the_end(serve):
    engine = serve(
        """
        import asyncio, atexit
        from google.protobuf.wrappers_pb2 import StringValue

        async def background(ctx):
            try:
                await asyncio.sleep(1000)
            finally:
                ctx.logger.info("cancelled")

        async def init(ctx):
            ctx.set("task", asyncio.create_task(background(ctx)))
            atexit.register(print, "at exit")

        async def handler(ctx, data):
            await asyncio.sleep(0)
            return StringValue()
        """
    )
    engine.ask("")
    assert engine.stop() == 0
    assert engine.seen.texts() == ["cancelled", "at exit"]


def test_no_thread_of_the_sdk_starts_when_the_interpreter_is_gone(serve):
    engine = serve(
        """
        import sys
        from time import sleep

        class Last:
            def __del__(self, sleep=sleep):
                sleep(0.05)

        def init(ctx):
            sys.setswitchinterval(10)
            sys.last = Last()

        def handler(ctx, data):
            return data
        """
    )
    engine.ask("")
    assert engine.stop() == 0
    assert engine.stderr() == ""


def test_cancel_before_the_handler_begins(serve):
    engine = serve(SLEEPS)
    first, second, third = engine.deliver_many(["short", "short", "short"])
    engine.cancel(second)
    assert engine.result(third).text == "slept"
    assert engine.results[first].text == "slept"
    assert engine.results[second].status == CANCELLED
    assert engine.seen.texts().count("begun") == 2


LEFT = """
    import asyncio, atexit, ctypes, threading, time

    def wait():
        threading.Event().wait()

    class Stubborn:
        def __del__(self):
            wait()

    def spin():
        while True:
            pass

    async def refuse():
        while True:
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                pass

    async def refuse_to_yield():
        try:
            await asyncio.sleep(1000)
        finally:
            wait()

    async def generate():
        try:
            yield 1
        finally:
            wait()

    async def init(ctx):
        atexit.register(print, "at exit")
        {left}

    {prefix}def handler(ctx, data):
        return data
"""
KEPT = {
    "threading.Thread(target=wait, name='left').start()": "it waits for `left`",
    "threading.Thread(target=spin, name='left').start()": "it waits for `left`",
    # Before Python 3.9 `atexit` waits for the threads of an executor.
    "asyncio.get_running_loop().run_in_executor(None, wait)": (
        "it waits for `" if sys.version_info >= (3, 9) else "`atexit` still runs"
    ),
    "atexit.register(wait)": "a function that was registered with `atexit` still runs",
    "ctx.set('task', asyncio.create_task(refuse_to_yield()))": "user code still runs",
    "ctx.set('g', generate()); await ctx.get('g').__anext__()": "user code still runs",
}


@pytest.mark.parametrize("prefix", ["", "async "])
@pytest.mark.parametrize("left", KEPT)
def test_leftovers_of_user_code_do_not_keep_a_worker(serve, prefix, left):
    engine = serve(LEFT.format(left=left, prefix=prefix))
    engine.ask("")
    assert engine.stop() == 0
    *_, log = [log for log in engine.seen.logs if log.level == 2]
    assert log.text.startswith("the process did not end within 3 s after it was stopped: ")
    assert KEPT[left] in log.text
    if "atexit" not in KEPT[left]:
        assert "at exit" in engine.seen.texts()


@pytest.mark.parametrize(
    "left",
    [
        "threading.Thread(target=wait, daemon=True).start()",
        "threading.Timer(0.1, print, ['timer']).start()",
        "ctx.set('task', asyncio.create_task(refuse()))",
    ],
)
def test_short_leftovers_are_awaited_silently(serve, left):
    engine = serve(LEFT.format(left=left, prefix=""))
    engine.ask("")
    assert engine.stop() == 0
    assert [text for text in engine.seen.texts() if "process" in text] == []
    assert ("timer" in engine.seen.texts()) == ("timer" in left)
    assert engine.seen.texts()[-1] == "at exit"


@pytest.mark.parametrize(
    "left",
    [
        "atexit.register(ctypes.PyDLL(None).sleep, 1000)",
        "import builtins; builtins.stubborn = Stubborn()",
    ],
)
def test_native_code_and_destructors_do_not_keep_a_worker(serve, left):
    engine = serve(LEFT.format(left=left, prefix=""))
    engine.ask("")
    assert engine.stop() in (0, 1)


def test_a_running_plain_handler_ends_with_the_engine(serve):
    engine = serve("""
        import time

        def handler(ctx, data):
            ctx.logger.info("begun")
            time.sleep(1000)
    """)
    engine.deliver("")
    engine.wait_for(lambda seen: seen.texts() == ["begun"])
    engine.hang_up()
    assert engine.process.wait(PATIENCE) == 0
