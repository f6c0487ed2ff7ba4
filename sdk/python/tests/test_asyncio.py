"""Asyncio in handlers: with each way to wait, with one delivery and with several at a time."""

from __future__ import annotations

import sys

import pytest
from fake_engine import SOURCE

START = "import sys; sys.path.insert(0, {!r})\n{}\nfrom krt._start import main; main()"
WAYS = {
    "direct": "",
    "loop": "from krt import _event_loop as it; it.DirectWait.fits = staticmethod(lambda loop: 0)",
    "uvloop": "import asyncio, uvloop; asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())",
    # asyncio's warnings of callbacks that take 100 ms would come on a busy machine.
    "debug": "import logging; logging.getLogger('asyncio').setLevel(logging.ERROR)",
}
IMPORTS = """
import asyncio, contextvars, socket, threading, time
from google.protobuf.wrappers_pb2 import StringValue

def text(data):
    request = StringValue()
    data.Unpack(request)
    return request.value

def say(value):
    return StringValue(value=str(value))
"""


@pytest.fixture(params=WAYS)
def run(request, serve):
    """Starts a worker with one of the ways to wait."""
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    environment = {"PYTHONASYNCIODEBUG": "1"} if request.param == "debug" else {}
    bootstrap = START.format(str(SOURCE), WAYS[request.param])

    def start(code, **options):
        return serve(
            IMPORTS + code,
            arguments=["-W", "ignore", "-c", bootstrap],
            environment=environment,
            **options,
        )

    return start


@pytest.mark.parametrize("concurrency", [1, 4])
def test_timeouts_fire(run, concurrency):
    engine = run(
        """
async def handler(ctx, data):
    try:
        await asyncio.wait_for(asyncio.sleep(1000), 0.01)
    except asyncio.TimeoutError:
        pass
    if hasattr(asyncio, "timeout"):
        try:
            async with asyncio.timeout(0.01):
                await asyncio.sleep(1000)
        except TimeoutError:
            return say("timed out")
        return say("no timeout")
    return say("timed out")
""",
        concurrency=concurrency,
    )
    for _ in range(2):
        assert engine.ask("").text == "timed out"
    assert engine.stop() == 0


@pytest.mark.parametrize("concurrency", [1, 4])
def test_groups_of_tasks(run, concurrency):
    engine = run(
        """
async def double(number):
    await asyncio.sleep(0.001)
    return number * 2

async def fail():
    raise ValueError("inner")

async def handler(ctx, data):
    total = sum(await asyncio.gather(*(double(number) for number in range(10))))
    if hasattr(asyncio, "TaskGroup"):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(double(number)) for number in range(10)]
        assert total == sum(task.result() for task in tasks)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(fail())
                await asyncio.sleep(1000)
        except BaseException as error:
            assert "unhandled errors" in str(error), error
    assert asyncio.current_task() in asyncio.all_tasks()
    return say(total)
""",
        concurrency=concurrency,
    )
    for _ in range(2):
        assert engine.ask("").text == "90"
    assert engine.stop() == 0


def test_background_tasks_of_init_run_while_the_worker_waits(run):
    engine = run(
        """
async def tick(ctx):
    for number in range(5):
        await asyncio.sleep(0.002)
        ctx.logger.info(f"tick {number}")

async def init(ctx):
    ctx.set("task", asyncio.create_task(tick(ctx)))

async def handler(ctx, data):
    await ctx.get("task")
    return say("done")
"""
    )
    engine.wait_for(lambda seen: len(seen.logs) == 5)
    assert [log.delivery for log in engine.seen.logs] == [0] * 5
    assert engine.ask("").text == "done"


def test_tasks_started_by_a_handler_continue(run):
    engine = run(
        """
async def later(ctx):
    await asyncio.sleep(0.01)
    ctx.logger.info("later")

async def handler(ctx, data):
    ctx.set("task", asyncio.create_task(later(ctx)))
    return say("now")
"""
    )
    assert engine.ask("").text == "now"
    engine.wait_for(lambda seen: seen.texts() == ["later"])
    assert engine.seen.logs[0].delivery == 1, "answered, and still what the task works for"


@pytest.mark.parametrize("work", ["await asyncio.sleep(0)", "await asyncio.sleep(0.0001)"])
def test_background_tasks_are_not_starved(run, work):
    engine = run(
        f"""
count = 0

async def background():
    global count
    while True:
        {work}
        count += 1

async def init(ctx):
    ctx.set("task", asyncio.create_task(background()))

async def handler(ctx, data):
    return say(count)
"""
    )
    seen = []
    for _ in range(40):
        ids = engine.deliver_many([""] * 50)
        seen.append(int(engine.result(ids[-1]).text))
    assert len(set(seen)) > 10, seen


def test_sockets_of_background_tasks_are_served_under_load(run):
    engine = run(
        """
async def echo(reader, writer):
    line = await reader.readline()
    while line:
        writer.write(line)
        await writer.drain()
        line = await reader.readline()

class Count:
    rounds = 0

async def talk(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while True:
        writer.write(b"hello\\n")
        assert await reader.readline() == b"hello\\n"
        Count.rounds += 1

async def init(ctx):
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    ctx.set("kept", (server, asyncio.create_task(talk(port))))

async def handler(ctx, data):
    return say(Count.rounds)
"""
    )
    rounds = 0
    for _ in range(2000):
        ids = engine.deliver_many([""] * 50)
        rounds = int(engine.result(ids[-1]).text)
        if rounds >= 10:
            break
    assert rounds >= 10


def test_threads_wake_the_loop(run):
    engine = run(
        """
async def handler(ctx, data):
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    thread = threading.Thread(
        target=lambda: (time.sleep(0.01), loop.call_soon_threadsafe(future.set_result, "woken"))
    )
    thread.start()
    first = await future
    second = await loop.run_in_executor(None, lambda: (time.sleep(0.01), "executed")[1])
    return say(f"{first} {second}")
"""
    )
    for _ in range(3):
        assert engine.ask("").text == "woken executed"


def test_a_thread_wakes_the_loop_while_the_worker_waits(run):
    engine = run(
        """
async def init(ctx):
    loop = asyncio.get_running_loop()
    log = ctx.logger.info

    def work():
        for number in range(3):
            time.sleep(0.005)
            loop.call_soon_threadsafe(log, f"call {number}")

    thread = threading.Thread(target=work, daemon=True)
    thread.start()

async def handler(ctx, data):
    return say("")
"""
    )
    engine.wait_for(lambda seen: seen.texts() == ["call 0", "call 1", "call 2"])


def test_timers_fire_while_the_worker_waits(run):
    engine = run(
        """
async def init(ctx):
    loop = asyncio.get_running_loop()
    loop.call_later(0.02, ctx.logger.info, "second")
    loop.call_later(0.01, ctx.logger.info, "first")
    loop.call_later(0.005, ctx.logger.info, "never").cancel()

async def handler(ctx, data):
    return say("")
"""
    )
    engine.wait_for(lambda seen: seen.texts() == ["first", "second"])


@pytest.mark.parametrize("concurrency", [1, 4])
def test_measurements_are_sent_when_a_handler_waits(run, concurrency):
    engine = run(
        """
async def handler(ctx, data):
    ctx.measurement.save("one", {"value": 1})
    ctx.measurement.save("two", {"value": 2})
    if text(data) == "wait":
        await asyncio.sleep(1000)
    return say("")
""",
        concurrency=concurrency,
    )
    engine.ask("")
    assert len(engine.seen.measurements) == 2
    number = engine.deliver("wait")
    engine.wait_for(lambda seen: len(seen.measurements) == 4)
    assert [point["measurement"] for _, point in engine.seen.measurements] == ["one", "two"] * 2
    engine.cancel(number)
    engine.result(number)
    assert engine.stop() == 0


def test_measurements_of_background_tasks_are_sent_while_idle(run):
    engine = run(
        """
async def background(ctx):
    await asyncio.sleep(0.01)
    ctx.measurement.save("later", {"value": 1})

async def handler(ctx, data):
    ctx.set("task", asyncio.create_task(background(ctx)))
    return say("")
"""
    )
    engine.ask("")
    engine.wait_for(lambda seen: len(seen.measurements) == 1)
    assert engine.seen.measurements[0][0] == 1


@pytest.mark.skipif(sys.version_info < (3, 11), reason="a task's context came with Python 3.11")
def test_concurrent_requests_keep_their_own_context(run):
    engine = run(
        """
variable = contextvars.ContextVar("variable")

async def handler(ctx, data):
    variable.set(text(data))
    await asyncio.sleep(0.001)
    ctx.logger.info("of " + variable.get())
    return say(variable.get())
""",
        concurrency=8,
    )
    ids = engine.deliver_many([str(number) for number in range(1, 33)])
    assert [engine.result(number).text for number in ids] == [str(number) for number in ids]
    assert all(log.text == f"of {log.delivery}" for log in engine.seen.logs)


@pytest.mark.parametrize("concurrency", [1, 4])
def test_each_delivery_has_one_result_despite_crossing_cancels(run, concurrency):
    engine = run(
        """
async def handler(ctx, data):
    for _ in range(int(text(data))):
        await asyncio.sleep(0)
    return say("")
""",
        concurrency=concurrency,
    )
    for number in range(1, 400):
        engine.deliver(str(number % 4))
        if number % 3:
            engine.cancel(number - number % 2)
    assert engine.stop() == 0
    assert sorted(engine.order) == list(range(1, 400))


def test_ssl_is_loaded_on_first_use(serve):
    engine = serve(
        """
        import asyncio, sys
        from google.protobuf.wrappers_pb2 import StringValue

        before = "_ssl" in sys.modules

        def encryption(side):
            import ssl

            context = ssl.SSLContext(side)
            context.check_hostname = False
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            context.set_ciphers("AECDH:@SECLEVEL=0")  # needs no certificate
            context.verify_mode = ssl.CERT_NONE
            return context

        async def upper(reader, writer):
            writer.write((await reader.readline()).upper())
            writer.close()

        async def handler(ctx, data):
            import ssl

            server, client = map(encryption, (ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT))
            listening = await asyncio.start_server(upper, "127.0.0.1", 0, ssl=server)
            port = listening.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client)
            writer.write(b"hello\\n")
            answer = await reader.readline()
            writer.close()
            listening.close()
            kind = asyncio.sslproto.SSLProtocol.__module__
            return StringValue(value=repr((before, answer, kind)))
        """
    )
    assert engine.ask("").text == repr((False, b"HELLO\n", "asyncio.sslproto"))
