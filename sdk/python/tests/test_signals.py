"""Signals: a worker survives them, and its children start with the system's defaults."""

from __future__ import annotations

import os
import signal
import sys

import pytest
from fake_engine import SOURCE, STOP

# The exit status of an interrupted Python; before 3.8 it does not kill itself.
INTERRUPTED = int(-signal.SIGINT) if sys.version_info >= (3, 8) else 1

CODE = """
import asyncio, multiprocessing, os, signal, subprocess, sys, time
from google.protobuf.wrappers_pb2 import StringValue

# Many short sleeps: Python notices a signal that came right before a sleep only after it.
SLEEP = [
    sys.executable,
    "-c",
    "import time; print('up', flush=True); [time.sleep(0.01) for _ in range(100_000)]",
]

def sleep_long():
    for _ in range(100_000):
        time.sleep(0.01)

def text(data):
    request = StringValue()
    data.Unpack(request)
    return request.value

def sleep(started):
    started.set()
    sleep_long()

def end_process(kind, number):
    context = multiprocessing.get_context(kind)
    started = context.Event()
    child = context.Process(target=sleep, args=(started,))
    child.start()
    started.wait()
    os.kill(child.pid, number)
    child.join()
    return child.exitcode

def end_fork(number):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(write, b"x")
            sleep_long()
        except KeyboardInterrupt:
            os._exit(42)
    os.read(read, 1)
    os.kill(child, number)
    status = os.waitpid(child, 0)[1]
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)

def end_program(number, **options):
    child = subprocess.Popen(SLEEP, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **options)
    child.stdout.readline()
    child.send_signal(number)
    return child.wait()

def settings(**options):
    status = subprocess.check_output(["cat", "/proc/self/status"], text=True, **options)
    rows = dict(line.split(":", 1) for line in status.splitlines())
    # glibc has signals 32 and 33 for itself; its posix_spawn makes children ignore them.
    return [int(rows[name], 16) & ~(0b11 << 31) for name in ("SigBlk", "SigIgn")]
"""
HANDLER = "\n{prefix}def handler(ctx, data):\n    return StringValue(value=str(eval(text(data))))\n"
ROWS = {
    "end_program(signal.SIGINT)": INTERRUPTED,
    "end_program(signal.SIGTERM)": -signal.SIGTERM,
    "end_program(signal.SIGINT, start_new_session=True)": INTERRUPTED,
    "subprocess.call('kill -INT $$; exit 7', shell=True)": -signal.SIGINT,
    "os.system('kill -INT $$; exit 7')": signal.SIGINT,
    "end_fork(signal.SIGINT)": 42,
    "end_fork(signal.SIGTERM)": -signal.SIGTERM,
    "end_process('fork', signal.SIGTERM)": -signal.SIGTERM,
    "end_process('fork', signal.SIGINT)": 1,
    "end_process('spawn', signal.SIGINT)": 1,
    "end_process('spawn', signal.SIGTERM)": -signal.SIGTERM,
    "end_process('forkserver', signal.SIGINT)": 1,
    "end_process('forkserver', signal.SIGTERM)": -signal.SIGTERM,
    **({"sum(settings())": 0} if sys.platform == "linux" else {}),
}


@pytest.mark.parametrize("prefix", ["", "async "])
@pytest.mark.parametrize("expression", ROWS)
def test_children_start_with_the_default_signals(serve, expression, prefix):
    engine = serve(CODE + HANDLER.format(prefix=prefix))
    assert engine.ask(expression).text == str(int(ROWS[expression]))
    assert engine.stop() == 0


def test_signal_settings_of_the_engine_are_not_inherited(serve):
    bootstrap = f"""
import signal, sys
sys.path.insert(0, {str(SOURCE)!r})
for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGCHLD, signal.SIGQUIT):
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, {{signal.SIGTERM, signal.SIGUSR1, signal.SIGINT}})
from krt._start import main
main()
"""
    engine = serve(CODE + HANDLER.format(prefix=""), arguments=["-c", bootstrap])
    assert engine.ask("end_program(signal.SIGINT)").text == str(INTERRUPTED)
    assert engine.ask("end_program(signal.SIGTERM)").text == str(-signal.SIGTERM)
    assert engine.ask("settings()").text == "[0, 0]"
    assert engine.stop() == 0


@pytest.mark.parametrize("prefix", ["", "async "])
@pytest.mark.parametrize("concurrency", [1, 2])
def test_ctrl_c_neither_ends_nor_disturbs_a_worker(serve, prefix, concurrency):
    engine = serve(
        CODE + f"\n{prefix}def handler(ctx, data):\n    ctx.logger.info('begun')\n"
        "    begin = time.monotonic()\n    time.sleep(0.2)\n"
        "    return StringValue(value=str(time.monotonic() - begin >= 0.2))\n",
        concurrency=concurrency,
    )
    for round_ in range(1, 4):
        os.kill(engine.process.pid, signal.SIGINT)
        number = engine.deliver("")
        engine.wait_for(lambda seen, times=round_: seen.texts().count("begun") == times)
        os.killpg(engine.process.pid, signal.SIGINT)
        assert engine.result(number).text == "True"
    engine.deliver("")
    engine.send(STOP, 0)
    os.kill(engine.process.pid, signal.SIGINT)
    assert engine.drain() == 0
    assert engine.stderr() == ""


@pytest.mark.parametrize("where", ["import", "init", "async init", "handler", "async handler"])
def test_signal_handlers_of_user_code_work_in_any_function(serve, where):
    install = "signal.signal(signal.SIGUSR1, lambda *_: print('caught', flush=True))"
    at_import = install if where == "import" else ""
    in_init = install if "init" in where else "pass"
    in_handler = f"if text(data) == 'install': {install}" if "handler" in where else "pass"
    engine = serve(
        f"{CODE}\n{at_import}\n"
        f"{'async ' * where.startswith('async i')}def init(ctx):\n    {in_init}\n"
        f"{'async ' * where.startswith('async h')}def handler(ctx, data):\n    {in_handler}\n"
        "    return data\n"
    )
    engine.ask("install")
    os.kill(engine.process.pid, signal.SIGUSR1)
    engine.wait_for(lambda seen: seen.texts() == ["caught"])
    assert engine.stop() == 0


@pytest.mark.parametrize("prefix", ["", "async "])
def test_a_signal_handler_of_the_event_loop_works(serve, prefix):
    engine = serve(
        f"{CODE}\nasync def init(ctx):\n"
        "    loop = asyncio.get_running_loop()\n"
        "    loop.add_signal_handler(signal.SIGUSR1, print, 'caught')\n"
        f"{prefix}def handler(ctx, data): return data\n"
    )
    engine.ask("")
    os.kill(engine.process.pid, signal.SIGUSR1)
    engine.wait_for(lambda seen: seen.texts() == ["caught"])
    assert engine.stop() == 0


@pytest.mark.parametrize("prefix", ["", "async "])
def test_a_signal_handler_may_end_the_process(serve, prefix):
    engine = serve(
        f"{CODE}\ndef init(ctx): signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\n"
        f"{prefix}def handler(ctx, data): return data\n"
    )
    engine.ask("")
    os.kill(engine.process.pid, signal.SIGTERM)
    assert engine.drain() == 5


@pytest.mark.parametrize("prefix", ["", "async "])
@pytest.mark.parametrize("concurrency", [1, 2])
@pytest.mark.parametrize(
    ("end", "status", "words"),
    [
        ("sys.exit(3)", 3, ""),
        ("sys.exit()", 0, ""),
        ("sys.exit('words')", 1, "words"),
        ("1 / 0", 1, "ZeroDivisionError"),
        ("return data", 0, ""),
    ],
)
def test_a_forked_child_that_returns_ends(serve, prefix, concurrency, end, status, words):
    engine = serve(
        f"{CODE}\n{prefix}def handler(ctx, data):\n"
        f"    child = os.fork()\n    if child == 0:\n        {end}\n"
        "    return StringValue(value=str(os.waitpid(child, 0)[1] >> 8))\n",
        concurrency=concurrency,
    )
    assert engine.ask("").text == str(status)
    assert engine.stop() == 0
    assert words in engine.stderr()
