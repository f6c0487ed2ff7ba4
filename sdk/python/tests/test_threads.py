"""The threads of user code, and libraries that replace threads and event loops."""

from __future__ import annotations

import os
import signal

import pytest
from fake_engine import DONE

IMPORTS = """
import asyncio, sqlite3, threading, time
from google.protobuf.wrappers_pb2 import StringValue

def text(data):
    request = StringValue()
    data.Unpack(request)
    return request.value

def say(value):
    return StringValue(value=str(value))
"""


@pytest.mark.parametrize("init", ["", "async "])
@pytest.mark.parametrize("handler", ["", "async "])
def test_all_functions_run_on_the_main_thread(serve, init, handler):
    engine = serve(
        f"{IMPORTS}\nconnections = [sqlite3.connect(':memory:')]\n"
        f"{init}def init(ctx):\n"
        "    connections.append(sqlite3.connect(':memory:'))\n"
        "    ctx.set('thread', threading.get_ident())\n"
        f"{handler}def handler(ctx, data):\n"
        "    assert threading.get_ident() == ctx.get('thread')\n"
        "    assert threading.current_thread() is threading.main_thread()\n"
        "    return say([c.execute('select 1 + 1').fetchone()[0] for c in connections])\n"
    )
    for _ in range(3):
        assert engine.ask("").text == "[2, 2]"
    assert engine.stop() == 0


def test_concurrent_plain_handlers_have_their_own_threads(serve):
    engine = serve(
        f"{IMPORTS}\nmeeting = threading.Barrier(3)\n"
        "def handler(ctx, data):\n"
        "    meeting.wait(10)\n"
        "    return say(threading.current_thread() is threading.main_thread())\n",
        concurrency=3,
    )
    numbers = engine.deliver_many([""] * 3)
    assert [engine.result(number).text for number in numbers] == ["False"] * 3
    assert engine.stop() == 0


@pytest.mark.parametrize("concurrency", [1, 2])
def test_a_plain_handler_may_run_asyncio(serve, concurrency):
    engine = serve(
        IMPORTS
        + """
async def work(ctx, value):
    await asyncio.sleep(0.001)
    await ctx.db.save("things", {"value": value})
    assert await asyncio.get_running_loop().run_in_executor(None, str, value) == value
    return value * 2

def init(ctx):
    ctx.set("loop", asyncio.get_running_loop())
    ctx.set("task", asyncio.create_task(asyncio.sleep(0, "of init")))

def handler(ctx, data):
    ways = [asyncio.run(work(ctx, text(data)))]
    loop = asyncio.new_event_loop()
    ways.append(loop.run_until_complete(work(ctx, text(data))))
    loop.close()
    pending = work(ctx, text(data))
    ways.append(asyncio.run_coroutine_threadsafe(pending, ctx.get("loop")).result(10))
    return say([*ways, ctx.get("task").result()])
""",
        concurrency=concurrency,
    )
    engine.on_call = lambda call: engine.send(DONE, call.id)
    for _ in range(2):
        assert engine.ask("a").text == "['aa', 'aa', 'aa', 'of init']"
    assert len(engine.seen.calls) == 6
    assert engine.stop() == 0


def test_a_plain_handler_has_a_loop_to_run(serve):
    engine = serve(
        IMPORTS + "import warnings\nwarnings.simplefilter('error')\n"
        "def handler(ctx, data):\n"
        "    loop = asyncio.get_event_loop()\n"
        "    return say(loop.run_until_complete(asyncio.sleep(0.001, text(data))))\n"
    )
    for word in "ab":
        assert engine.ask(word).text == word
    assert engine.stop() == 0


def test_context_variables_set_in_init_are_visible(serve):
    for init, handler in (("", ""), ("async ", ""), ("", "async "), ("async ", "async ")):
        engine = serve(
            f"{IMPORTS}\nimport contextvars\nword = contextvars.ContextVar('word')\n"
            f"{init}def init(ctx): word.set('kept')\n"
            f"{handler}def handler(ctx, data): return say(word.get())\n"
        )
        assert engine.ask("").text == "kept"
        assert engine.stop() == 0


def test_background_tasks_run_while_a_plain_handler_works(serve):
    engine = serve(
        IMPORTS
        + """
async def work(ctx, asked, answered):
    await asked.wait()
    await ctx.db.save("things", {"n": 1})
    answered.set()

async def init(ctx):
    ctx.set("loop", asyncio.get_running_loop())
    ctx.set("asked", asyncio.Event())
    ctx.set("answered", threading.Event())
    ctx.set("task", asyncio.create_task(work(ctx, ctx.get("asked"), ctx.get("answered"))))

def handler(ctx, data):
    ctx.get("loop").call_soon_threadsafe(ctx.get("asked").set)
    return say(ctx.get("answered").wait(10))
"""
    )
    engine.on_call = lambda call: engine.send(DONE, call.id)
    assert engine.ask("").text == "True"
    assert engine.stop() == 0


@pytest.mark.parametrize("error", ["SystemExit(3)", "KeyboardInterrupt", "asyncio.CancelledError"])
def test_errors_of_a_plain_handler_affect_its_request_only(serve, error):
    engine = serve(
        f"{IMPORTS}\ndef handler(ctx, data):\n"
        f"    if text(data) == 'fail': raise {error}\n    return data\n"
    )
    assert engine.ask("fail").error
    assert engine.ask("go on").text == "go on"
    assert engine.stop() == 0


POLICIES = {
    "uvloop.install": ("import uvloop; uvloop.install()", "uvloop"),
    "uvloop's policy": (
        "import uvloop; asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())",
        "uvloop",
    ),
    "uvloop's loop": ("import uvloop; asyncio.set_event_loop(uvloop.new_event_loop())", "uvloop"),
    "own policy": (
        "class Loop(asyncio.SelectorEventLoop): pass\n"
        "class Policy(asyncio.DefaultEventLoopPolicy): _loop_factory = Loop\n"
        "asyncio.set_event_loop_policy(Policy())",
        "main",
    ),
    "own loop": (
        "class Loop(asyncio.SelectorEventLoop): pass\nasyncio.set_event_loop(Loop())",
        "main",
    ),
    "asyncio.run": ("asyncio.run(asyncio.sleep(0))", "asyncio.unix_events"),
    "closed": ("asyncio.get_event_loop().close()", "asyncio.unix_events"),
}


@pytest.mark.parametrize("handler", ["", "async "])
@pytest.mark.parametrize("concurrency", [1, 3])
@pytest.mark.parametrize("policy", POLICIES)
def test_user_code_chooses_the_event_loop(serve, handler, concurrency, policy):
    code, module = POLICIES[policy]
    if "uvloop" in policy:
        pytest.importorskip("uvloop")
    engine = serve(
        f"{IMPORTS}\nimport warnings; warnings.simplefilter('ignore')\n{code}\n"
        "async def init(ctx):\n"
        "    ctx.set('loop', asyncio.get_running_loop())\n"
        "    ctx.set('early', asyncio.create_task(asyncio.sleep(0.001, 'slept')))\n"
        f"{handler}def handler(ctx, data):\n"
        "    loop = ctx.get('loop')\n"
        "    if not loop.is_running(): raise RuntimeError\n"
        "    while not ctx.get('early').done(): "
        f"{'await asyncio.sleep' if handler else 'time.sleep'}(0.001)\n"
        "    return say(type(loop).__module__)\n",
        concurrency=concurrency,
    )
    for number in engine.deliver_many([""] * 4):
        assert engine.result(number).text == module
    assert engine.stop() == 0


def test_a_task_created_at_import_runs(serve):
    engine = serve(
        f"{IMPORTS}\nimport warnings; warnings.simplefilter('ignore')\n"
        "task = asyncio.get_event_loop().create_task(asyncio.sleep(0, 'ran'))\n"
        "async def handler(ctx, data): return say(await task)\n"
    )
    assert engine.ask("").text == "ran"
    assert engine.stop() == 0


@pytest.mark.parametrize("concurrency", [1, 3])
@pytest.mark.parametrize("init", ["", "async "])
@pytest.mark.parametrize("handler", ["", "async "])
@pytest.mark.parametrize("when", ["import", "init", "handler"])
def test_nest_asyncio(launch, init, handler, concurrency, when):
    pytest.importorskip("nest_asyncio")
    engine = launch(
        IMPORTS
        + f"""
import nest_asyncio

def apply(when):
    if when == "{when}":
        nest_asyncio.apply()
        return True
    return when == "handler"

async def save(ctx, value):
    await asyncio.sleep(0.001)
    await ctx.db.save("things", {{"value": value}})
    return value

apply("import")

{init}def init(ctx):
    if apply("init") or "{when}" == "import":
        loop = asyncio.get_event_loop()
        assert loop.run_until_complete(save(ctx, "init")) == "init"
        assert asyncio.run(save(ctx, "init")) == "init"

{handler}def handler(ctx, data):
    if {not handler} and threading.current_thread() is not threading.main_thread():
        return say([asyncio.run(save(ctx, text(data)))] * 2)
    apply("handler")
    {"await asyncio.sleep(0.001)" if handler else ""}
    first = asyncio.run(save(ctx, text(data)))
    loop = asyncio.get_event_loop()
    return say([first, loop.run_until_complete(save(ctx, text(data)))])
""",
        concurrency=concurrency,
    )
    engine.on_call = lambda call: engine.send(DONE, call.id)
    engine.start()
    for word in "abc":
        assert engine.ask(word).text == str([word, word])
    for number in engine.deliver_many(["d"] * 4):
        assert engine.result(number).text == "['d', 'd']"
    assert engine.stop() == 0


@pytest.mark.parametrize("concurrency", [1, 3])
@pytest.mark.parametrize("init", ["", "async "])
@pytest.mark.parametrize("handler", ["", "async "])
@pytest.mark.parametrize("patch", ["monkey.patch_all()", "monkey.patch_all(thread=False)"])
def test_patches_of_gevent(serve, init, handler, concurrency, patch):
    pytest.importorskip("gevent")
    engine = serve(
        f"from gevent import monkey; {patch}\n{IMPORTS}"
        + f"""
import gevent, socket, subprocess
def double(number):
    time.sleep(0.001)
    return 2 * number

{init}def init(ctx):
    ctx.set("connection", sqlite3.connect(":memory:"))

{handler}def handler(ctx, data):
    print("printed for", text(data))
    ctx.logger.info("logged for " + text(data))
    ctx.measurement.save("m", {{"x": 1}})
    doubled = [job.get() for job in [gevent.spawn(double, n) for n in range(3)]]
    if threading.current_thread() is threading.main_thread():
        assert subprocess.check_output(["echo", "out"]) == b"out\\n"
    ours, theirs = socket.socketpair()
    reader = gevent.spawn(theirs.recv, 5)
    ours.sendall(b"hello")
    assert reader.get() == b"hello"
    event = threading.Event()
    threading.Timer(0.001, event.set).start()
    assert event.wait(10)
    if {concurrency} == 1 or {bool(handler)}:
        ctx.get("connection").execute("select 1")
    return say(doubled)
""",
        concurrency=concurrency,
    )
    for number in engine.deliver_many(["a", "b", "c", "d"]):
        assert engine.result(number).text == "[0, 2, 4]"
        texts = [log.text for log in engine.seen.logs if log.delivery == number]
        word = "abcd"[number - 1]
        assert texts == [f"printed for {word}", f"logged for {word}"]
    assert len(engine.seen.measurements) == 4
    assert engine.stop() == 0


@pytest.mark.parametrize("handler", ["", "async "])
def test_greenlets_run_while_a_node_waits(serve, handler):
    pytest.importorskip("gevent")
    engine = serve(
        f"from gevent import monkey; monkey.patch_all()\n{IMPORTS}"
        + f"""
import gevent

def later(ctx):
    gevent.sleep(0.05)
    ctx.logger.info("later")

def init(ctx):
    gevent.spawn(later, ctx)

{handler}def handler(ctx, data):
    return data
"""
    )
    engine.wait_for(lambda seen: seen.texts() == ["later"])
    assert engine.ask("after").text == "after"
    os.kill(engine.process.pid, signal.SIGINT)
    assert engine.ask("after").text == "after"
    assert engine.stop() == 0


def test_asyncio_under_patches_of_gevent(serve):
    pytest.importorskip("gevent")
    engine = serve(
        f"from gevent import monkey; monkey.patch_all()\n{IMPORTS}"
        + """
async def handler(ctx, data):
    await asyncio.sleep(0.001)
    await ctx.db.save("things", {"n": 1})
    loop = asyncio.get_running_loop()
    number = await loop.run_in_executor(None, lambda: time.sleep(0.001) or 5)
    return say(number)
"""
    )
    engine.on_call = lambda call: engine.send(DONE, call.id)
    for _ in range(3):
        assert engine.ask("").text == "5"
    number = engine.deliver("")
    assert engine.result(number).text == "5"
    assert engine.stop() == 0
