"""Workers that are forked from a process which has run `init`."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

import pytest
from fake_engine import PATIENCE, Engine

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can fork workers")

HEAD = """
    import asyncio, json, os, random, sys, threading
    from google.protobuf.wrappers_pb2 import StringValue

    def init(ctx):
        with open(ctx.path("inits"), "a") as inits:
            inits.write("x")
        ctx.model = "loaded"
        random.seed(1)

    def answer(ctx, data):
        request = StringValue()
        data.Unpack(request)
        print("printed", request.value)
        ctx.logger.info("logged %s", request.value)
        main = threading.current_thread() is threading.main_thread()
        found = [request.value, ctx.model, random.random(), os.getpid(), main]
        return StringValue(value=json.dumps(found))
"""
ASYNC = f"""{HEAD}
    async def handler(ctx, data):
        await asyncio.sleep(0.001)
        return answer(ctx, data)
"""
PLAIN = f"""{HEAD}
    def handler(ctx, data):
        asyncio.get_event_loop().run_until_complete(asyncio.sleep(0.001))
        return answer(ctx, data)
"""
POOL = f"""{HEAD}
    def handler(ctx, data):
        return answer(ctx, data)
"""


def found(engine: Engine, text: str) -> list[Any]:
    answer: list[Any] = json.loads(engine.ask(text).text)
    assert answer[:2] == [text, "loaded"]
    return answer[2:]


@pytest.mark.parametrize("samples", [0, 3])
@pytest.mark.parametrize(("code", "concurrency"), [(ASYNC, 1), (ASYNC, 8), (PLAIN, 1), (POOL, 8)])
def test_workers_go_on_where_init_has_ended(serve, tmp_path, code, concurrency, samples):
    template = serve(code, concurrency=concurrency, forks=True)
    for number in template.deliver_many(["sample"] * samples):
        template.result(number)
    assert template.obstacle() is None
    workers = [template.fork() for _ in range(3)]
    answers = [found(worker, f"to {index}") for index, worker in enumerate(workers)]
    pids = [pid for _, pid, _ in answers]
    assert pids == [worker.pid for worker in workers]
    assert len({template.process.pid, *pids}) == 4
    assert len({number for number, _, _ in answers}) == 3, "each has random numbers of its own"
    assert all(main == (code is not POOL) for _, _, main in answers)
    assert (tmp_path / "inits").read_text() == "x"
    for index, worker in enumerate(workers):
        numbers = worker.deliver_many([f"{index}-{more}" for more in range(20)])
        for number in numbers:
            worker.result(number)
        logs = {(log.delivery, log.text) for log in worker.seen.logs}
        assert (1, f"printed to {index}") in logs
        assert (1, f"logged to {index}") in logs
        assert (numbers[-1], f"printed {index}-19") in logs
        assert all(f"{index}-" in text or f"to {index}" in text for _, text in logs)
        worker.stop()
        assert worker.output() == ""
    found(template.fork(), "later")


def test_a_worker_outlives_the_template(serve):
    template = serve(ASYNC, forks=True)
    assert template.obstacle() is None
    worker = template.fork()
    template.process.kill()
    template.process.wait(PATIENCE)
    found(worker, "x")
    worker.stop()


def test_the_template_ends_with_its_requests(serve):
    template = serve(ASYNC, forks=True)
    assert template.obstacle() is None
    worker = template.fork()
    template.requests.close()
    assert template.process.wait(PATIENCE) == 0
    found(worker, "x")


def test_workers_end_with_the_engine(serve):
    template = serve(ASYNC, forks=True)
    assert template.obstacle() is None
    worker = template.fork()
    os.close(template.lifeline)
    template.lifeline = -1
    assert template.process.wait(PATIENCE) == -signal.SIGKILL
    worker.drain()


def test_tasks_of_init_go_on_in_each_worker(serve):
    template = serve(
        """
        import asyncio
        from google.protobuf.wrappers_pb2 import StringValue

        async def init(ctx):
            ctx.count = 0
            ctx.task = asyncio.get_running_loop().create_task(count(ctx))

        async def count(ctx):
            while True:
                ctx.count += 1
                await asyncio.sleep(0.001)

        async def handler(ctx, data):
            before = ctx.count
            while ctx.count < before + 3:
                await asyncio.sleep(0.001)
            return StringValue(value="counted")
        """,
        forks=True,
    )
    assert template.obstacle() is None
    for worker in [template.fork(), template.fork()]:
        assert worker.ask("x").text == "counted"


def test_children_of_a_worker_are_no_workers(serve):
    template = serve(
        """
        import os, signal
        from google.protobuf.wrappers_pb2 import StringValue

        def handler(ctx, data):
            child = os.fork()
            if not child:
                return StringValue(value="child")
            os.waitpid(child, 0)
            return StringValue(value=str(signal.getsignal(signal.SIGINT)))
        """,
        forks=True,
    )
    assert template.obstacle() is None
    worker = template.fork()
    assert "_do_nothing" in worker.ask("x").text
    worker.stop()


OBSTACLES = {
    "thread": (
        "threading.Thread(target=threading.Event().wait, name='poller', daemon=True).start()",
        "a thread of user code runs, which a fork would lack: `poller`; hint: end them in `init`",
    ),
    "threads": (
        "[threading.Thread(target=threading.Event().wait, name=name, daemon=True).start()"
        " for name in ('one', 'two')]",
        "threads of user code run, which a fork would lack: `one`, `two`; hint: ",
    ),
    "executor": (
        "await asyncio.get_running_loop().run_in_executor(None, int)",
        "a thread of user code runs, which a fork would lack: `",
    ),
    "connection": (
        "ctx.server = await asyncio.start_server(print, '127.0.0.1', 0)",
        "a connection or a process is open in its event loop, and two workers cannot share it; ",
    ),
    "driver": (
        "ctx.driver = mapped('libcuda.so.1')",
        "CUDA's driver is loaded, and a fork cannot use it; hint: load it in the handler only",
    ),
    "call": (
        "ctx.task = asyncio.ensure_future(ctx.db.find('texts', {'a': 1})); await asyncio.sleep(0)",
        "a call of `ctx` has not ended; hint: await it in `init`",
    ),
}


@pytest.mark.parametrize("name", OBSTACLES)
def test_obstacles(launch, name):
    line, expected = OBSTACLES[name]
    template = launch(
        f"""
        import asyncio, mmap, threading
        from pathlib import Path

        def mapped(name):
            file = Path(__file__).with_name(name)
            file.write_bytes(b"x" * mmap.PAGESIZE)
            with file.open("rb") as opened:
                return mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)

        async def init(ctx):
            {line}

        async def handler(ctx, data):
            return None
        """,
        forks=True,
    )
    template.on_call = lambda call: None
    template.start()
    obstacle = template.obstacle()
    assert obstacle is not None
    assert obstacle.startswith(expected)
    assert obstacle.endswith(", or remove `share: fork`")
    assert template.drain() == 1


def test_a_loop_of_another_library(serve):
    pytest.importorskip("uvloop")
    template = serve(
        """
        import asyncio, uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())

        async def handler(ctx, data):
            return None
        """,
        forks=True,
    )
    assert template.obstacle().startswith(
        "its event loop, a `uvloop.Loop`, cannot be forked; hint: "
    )


def test_threads_of_a_library(serve):
    pytest.importorskip("numpy")
    template = serve(
        """
        import os
        os.environ["OPENBLAS_NUM_THREADS"] = "2"
        import numpy

        async def handler(ctx, data):
            return None
        """,
        forks=True,
    )
    obstacle = template.obstacle()
    if obstacle is None:
        pytest.skip("this numpy has no threads")
    assert "of a library run" in obstacle
    assert "hint: set OPENBLAS_NUM_THREADS=1 before its import, or remove" in obstacle


def test_random_numbers_of_numpy(serve):
    pytest.importorskip("numpy")
    template = serve(
        """
        import os
        os.environ["OPENBLAS_NUM_THREADS"] = "1"
        import numpy
        from google.protobuf.wrappers_pb2 import StringValue

        def init(ctx):
            numpy.random.seed(1)

        async def handler(ctx, data):
            return StringValue(value=str(numpy.random.random()))
        """,
        forks=True,
    )
    assert template.obstacle() is None
    answers = {template.fork().ask("x").text for _ in range(3)}
    assert len(answers) == 3
