"""Logs and printed output of user code."""

from __future__ import annotations

import json

import pytest

IMPORTS = """
import asyncio, contextvars, logging, os, sys, threading, warnings
from google.protobuf.wrappers_pb2 import StringValue

def text(data):
    request = StringValue()
    data.Unpack(request)
    return request.value

def in_thread(function, *arguments):
    # `asyncio.to_thread` came with Python 3.9.
    run = contextvars.copy_context().run
    return asyncio.get_running_loop().run_in_executor(None, run, function, *arguments)
"""


def handle(serve, body, before="", **options):
    """Starts a worker whose handler has this body."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return serve(f"{IMPORTS}\n{before}\nasync def handler(ctx, data):\n{lines}\n", **options)


def test_the_logger_has_levels_and_the_request(serve):
    engine = handle(
        serve,
        "for level in ('debug', 'info', 'warning', 'error', 'critical'):\n"
        "    getattr(ctx.logger, level)('a %s of %s', level, text(data))\n"
        "return data",
        log_level="DEBUG",
    )
    number = engine.deliver("x")
    result = engine.result(number)
    assert [
        (log.delivery, log.level, log.text) for log in engine.seen.logs if "a " in log.text
    ] == [
        (number, 0, "a debug of x"),
        (number, 1, "a info of x"),
        (number, 2, "a warning of x"),
        (number, 3, "a error of x"),
        (number, 3, "a critical of x"),
    ]
    slack = 2_000
    assert all(
        result.start - slack <= log.time <= result.end + slack
        for log in engine.seen.logs
        if log.delivery
    )


@pytest.mark.parametrize(
    ("log_level", "count"), [("DEBUG", 4), ("INFO", 3), ("WARN", 2), ("ERROR", 1)]
)
def test_lower_records_are_not_sent(serve, log_level, count):
    engine = handle(
        serve,
        "ctx.logger.setLevel('DEBUG')\n"
        "for level in ('debug', 'info', 'warning', 'error'):\n"
        "    getattr(ctx.logger, level)('mine')\n"
        "    getattr(logging.getLogger('library'), level)('its')\n"
        "return data",
        log_level=log_level,
    )
    engine.ask("")
    assert engine.seen.texts().count("mine") == count
    assert engine.seen.texts().count("its") == count


def test_a_traceback_is_part_of_its_record(serve):
    engine = handle(
        serve, "try:\n    1 / 0\nexcept Exception:\n    ctx.logger.exception('failed')\nreturn data"
    )
    engine.ask("")
    [log] = engine.seen.logs
    assert log.text.startswith("failed\nTraceback (most recent call last):\n")
    assert log.text.endswith("ZeroDivisionError: division by zero")


@pytest.mark.parametrize(
    "configure",
    ["logging.basicConfig(level='INFO')", "logging.basicConfig(level='INFO', force=True)", "pass"],
)
def test_records_are_not_duplicated(serve, configure):
    engine = handle(
        serve,
        "ctx.logger.info('mine')\nlogging.getLogger('library').info('its')\nreturn data",
        before=configure,
    )
    engine.ask("")
    assert [log.text.rpartition(":")[2] for log in engine.seen.logs] == ["mine", "its"]
    assert engine.seen.logs[0].text == "mine"


def test_lines_of_output_belong_to_their_request(serve):
    engine = handle(
        serve,
        "print(text(data), 'one'); print('two', end='')\n"
        "sys.stderr.write('three\\n\\nfour')\n"
        "sys.stdout.buffer.write(b' five\\nsix\\n')\n"
        "return data",
        before="print('from import')",
        concurrency=4,
    )
    ids = engine.deliver_many(["a", "b", "c"])
    engine.result(ids[-1])
    first, *others = engine.seen.logs
    assert (first.delivery, first.level, first.text) == (0, 4, "from import")
    assert all(log.level == 4 for log in others)
    for number, name in zip(ids, "abc"):
        lines = [log.text for log in others if log.delivery == number]
        assert sorted(lines) == sorted([f"{name} one", "three", "", "two five", "six", "four"])


def test_concurrent_requests_do_not_mix_their_lines(serve):
    engine = handle(
        serve,
        "for _ in range(3):\n    print(text(data), end='')\n    await asyncio.sleep(0.001)\n"
        "print()\nreturn data",
        concurrency=4,
    )
    ids = engine.deliver_many(["a", "b", "c", "d"])
    for number, name in zip(ids, "abcd"):
        engine.result(number)
        assert [log.text for log in engine.seen.logs if log.delivery == number] == [name * 3]


def test_a_progress_bar_is_logged_in_its_last_state(serve):
    engine = handle(
        serve,
        "for percent in range(0, 101, 10):\n    sys.stderr.write(f'\\r{percent} %')\n"
        "sys.stderr.write('\\n')\nprint('windows\\r')\nreturn data",
    )
    engine.ask("")
    assert engine.seen.texts() == ["100 %", "windows"]


def test_the_length_of_an_endless_line_is_bounded(serve):
    engine = handle(serve, "sys.stdout.write('x' * 200_000)\nprint('end')\nreturn data")
    engine.ask("")
    assert engine.seen.texts() == ["x" * 200_000, "end"]


def test_streams_look_like_the_real_ones(serve):
    engine = handle(
        serve,
        "stream = sys.stdout\nstream.flush()\n"
        "return StringValue(value=repr([stream.fileno(), sys.stderr.fileno(), stream.isatty(), "
        "stream.encoding, stream.errors, stream.writable(), sys.__stdout__.fileno()]))",
    )
    assert engine.ask("").text == "[1, 2, False, 'utf-8', 'backslashreplace', True, 1]"


def test_invalid_text_is_escaped(serve):
    engine = handle(serve, "print('a\\ud800b')\nctx.logger.info('c\\ud800d')\nreturn data")
    engine.ask("")
    assert engine.seen.texts() == ["a\\ud800b", "c\\ud800d"]


def test_warnings_are_lines(serve):
    engine = handle(serve, "warnings.warn('careful')\nreturn data")
    engine.ask("")
    assert any("UserWarning: careful" in line for line in engine.seen.texts(4))


def test_output_outside_python_goes_to_the_real_descriptors(serve):
    engine = handle(
        serve,
        "os.write(1, b'out\\n'); os.write(2, b'err\\n')\n"
        "os.system('echo from a shell')\nreturn data",
    )
    engine.ask("")
    assert engine.stop() == 0
    assert engine.stdout() == "out\nfrom a shell\n"
    assert engine.stderr() == "err\n"


def test_very_long_records_are_cut(serve):
    engine = handle(serve, "ctx.logger.info('é' * 5_000_000)\nreturn data")
    engine.ask("")
    [log] = engine.seen.logs
    assert log.text.endswith(" … (cut: there were 10000000 bytes)")
    assert len(log.text.encode()) <= 256 * 1024


def test_logs_survive_a_crash(serve):
    engine = handle(serve, "ctx.logger.info('last words')\nprint('a line')\nos._exit(9)")
    engine.deliver("")
    engine.wait_for(lambda seen: seen.texts() == ["last words", "a line"])
    engine.process.wait(20)


def test_a_crash_in_native_code_has_a_location(serve):
    engine = handle(serve, "import faulthandler; faulthandler._sigsegv()")
    engine.deliver("")
    assert engine.process.wait(20) < 0
    assert "Fatal Python error: Segmentation fault" in engine.stderr()


def test_threads_with_and_without_the_context(serve):
    engine = handle(
        serve,
        "await in_thread(ctx.logger.info, 'with')\n"
        "thread = threading.Thread(target=ctx.logger.info, args=['without'])\n"
        "thread.start(); thread.join()\nreturn data",
    )
    number = engine.deliver("")
    engine.result(number)
    delivery_of = {log.text: log.delivery for log in engine.seen.logs}
    assert delivery_of["with"] == number
    assert delivery_of["without"] in (0, number)


def test_many_threads_write_whole_frames(serve):
    engine = handle(
        serve,
        "def work(name):\n"
        "    for count in range(200):\n"
        "        ctx.logger.info(name * 100 + str(count))\n"
        "        print(name * 50)\n"
        "        ctx.measurement.save(name, {'count': count})\n"
        "await asyncio.gather(*(in_thread(work, name) for name in 'abcd'))\n"
        "return data",
    )
    engine.ask("")
    for name in "abcd":
        records = [text for text in engine.seen.texts(1) if text.startswith(name)]
        assert records == [name * 100 + str(count) for count in range(200)]
    assert len(engine.seen.measurements) == 800


def test_a_forked_child_does_not_write_to_the_engine(serve):
    engine = handle(
        serve,
        "ctx.measurement.save('before', {'x': 1})\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    ctx.logger.info('logged by the child')\n"
        "    print('printed by the child')\n"
        "    ctx.measurement.save('child', {'x': 1})\n"
        "    os._exit(0)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
        "ctx.logger.info('parent')\nreturn data",
    )
    engine.ask("")
    assert engine.seen.texts() == ["parent"]
    assert [point["measurement"] for _, point in engine.seen.measurements] == ["before"]
    assert engine.stop() == 0
    assert "logged by the child" in engine.stderr()
    assert engine.stdout() == "printed by the child\n"


def test_a_log_from_a_finalizer_while_a_frame_is_written(serve):
    engine = handle(
        serve,
        "import gc\n"
        "class Loud:\n"
        "    def __init__(self): self.me = self\n"
        "    def __del__(self): ctx.logger.info('finalized')\n"
        "gc.set_threshold(1)\n"
        "for _ in range(50):\n"
        "    Loud()\n    print('x')\n    ctx.logger.info('y')\n"
        "gc.collect()\nreturn data",
    )
    engine.ask("")
    assert engine.seen.texts().count("finalized") == 50
    assert engine.seen.texts().count("y") == 50


def test_the_first_record_of_each_kind_is_in_order(serve):
    engine = handle(
        serve,
        "print('1')\nctx.logger.info('2')\nlogging.warning('3')\nsys.stderr.write('4\\n')\n"
        "return StringValue(value=__import__('json').dumps('5'))",
    )
    assert json.loads(engine.ask("").text) == "5"
    assert engine.seen.texts() == ["1", "2", "3", "4"]
