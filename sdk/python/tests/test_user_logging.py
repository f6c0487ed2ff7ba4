"""Records and lines of user code arrive even if it changes `logging` and its streams."""

from __future__ import annotations

import textwrap

import pytest

HANDLER = """
import contextlib, io, logging, logging.config, os, sys, tempfile
from google.protobuf.wrappers_pb2 import StringValue

{before}

def change(ctx):
{change}

async def init(ctx):
    if {early}:
        change(ctx)

async def handler(ctx, data):
    if not {early}:
        change(ctx)
{body}
    return StringValue()
"""
LOG = 'ctx.logger.info("an info"); ctx.logger.error("an error")'
PRINT = 'print("a line"); sys.stderr.write("another\\n")'
FILE = '''
file = tempfile.NamedTemporaryFile("w", suffix=".ini", delete=False)
file.write("""[loggers]
keys=root
[handlers]
keys=console
[formatters]
keys=plain
[logger_root]
level=ERROR
handlers=console
[handler_console]
class=StreamHandler
formatter=plain
args=(sys.stderr,)
[formatter_plain]
format=%(message)s
""")
file.close()
logging.config.fileConfig(file.name, disable_existing_loggers=True)
'''
CHANGES = {
    "dictConfig": "logging.config.dictConfig({'version': 1, 'disable_existing_loggers': True})",
    "dictConfig with handlers": (
        "logging.config.dictConfig({'version': 1, 'handlers': {'out': {'class': "
        "'logging.StreamHandler', 'level': 'CRITICAL'}}, "
        "'root': {'level': 'CRITICAL', 'handlers': ['out']}, "
        "'loggers': {'krt': {'level': 'ERROR'}, "
        "'krt.etl': {'level': 'CRITICAL', 'propagate': False}}})"
    ),
    "fileConfig": FILE,
    "basicConfig": "logging.basicConfig(force=True, level='CRITICAL')",
    "shutdown": "logging.shutdown()",
    "disable": "logging.disable(logging.CRITICAL)",
    "level of the root": "logging.getLogger().setLevel(logging.CRITICAL)",
    "no handlers at all": (
        "for name in [None, *logging.root.manager.loggerDict, ctx.logger.name]:\n"
        "    logging.getLogger(name).handlers.clear()\n"
        "    logging.getLogger(name).disabled = True\n"
        "ctx.logger.handlers.clear()"
    ),
    "streams in a file": "sys.stdout = sys.stderr = io.StringIO()",
    "streams away": "sys.stdout = sys.stderr = None",
    "streams closed": "sys.stdout.close(); sys.stderr.close()",
    "descriptors closed": "os.closerange(1, 3)",
}


def run(serve, change, body, early, before=""):
    """Calls a node twice, with user code that changes something in `init` or in the handler."""
    code = HANDLER.format(
        before=before,
        change=textwrap.indent(change.strip(), "    "),
        body=textwrap.indent(body, "    "),
        early=early,
    )
    engine = serve(code)
    numbers = [engine.deliver(""), engine.deliver("")]
    for number in numbers:
        engine.result(number)
    return engine, numbers


@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize("change", CHANGES)
def test_records_of_the_context_logger_arrive(serve, change, early):
    engine, numbers = run(serve, CHANGES[change], LOG, early)
    records = [(log.delivery, log.level, log.text) for log in engine.seen.logs if log.level < 4]
    assert records == [
        record for number in numbers for record in ((number, 1, "an info"), (number, 3, "an error"))
    ]
    assert engine.stop() == 0


@pytest.mark.parametrize(
    "change",
    [
        "sys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding='latin-1')\n"
        "sys.stderr = io.TextIOWrapper(sys.stderr.buffer, encoding='latin-1')",
        "sys.stdout = io.TextIOWrapper(sys.stdout.detach())\n"
        "sys.stderr = io.TextIOWrapper(io.BufferedWriter(sys.stderr.buffer.raw))",
        "import codecs\nsys.stdout = codecs.getwriter('utf-8')(sys.stdout.buffer)",
        "sys.stdout.close(); sys.stderr.close()",
        "with sys.stdout, sys.stderr: pass",
        "sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__",
        "os.closerange(1, 3)",
        "saved = os.dup(1), os.dup(2)\n"
        "null = os.open(os.devnull, os.O_WRONLY)\n"
        "os.dup2(null, 1); os.dup2(null, 2); print('to nobody')\n"
        "os.dup2(saved[0], 1); os.dup2(saved[1], 2)",
        "os.dup2(1, 2)",
        "with contextlib.redirect_stdout(io.StringIO()): print('kept')",
        "logging.config.dictConfig({'version': 1})",
    ],
)
@pytest.mark.parametrize("early", [True, False])
def test_lines_arrive_with_their_request(serve, change, early):
    again = "if getattr(sys, 'changed', False): return\nsys.changed = True\n"
    engine, numbers = run(serve, again + change, PRINT, early)
    lines = [(log.delivery, log.text) for log in engine.seen.logs]
    assert lines == [(number, line) for number in numbers for line in ("a line", "another")]
    assert engine.stop() == 0


@pytest.mark.parametrize(
    "change",
    [
        "sys.stdout = sys.stderr = open('printed', 'a')",
        "file = os.open('printed', os.O_WRONLY | os.O_CREAT | os.O_APPEND)\n"
        "os.dup2(file, 1); os.dup2(file, 2)",
        "os.close(1)\nos.open('printed', os.O_WRONLY | os.O_CREAT | os.O_APPEND)\nos.dup2(1, 2)",
    ],
)
def test_user_code_can_redirect_prints(serve, tmp_path, change):
    engine, numbers = run(serve, change, f"{PRINT}\n{LOG}", early=True)
    # A request's lines arrive before its answer: user code's own stream is flushed, too.
    assert (tmp_path / "printed").read_text() == "a line\nanother\n" * 2
    assert [log.delivery for log in engine.seen.logs] == [n for n in numbers for _ in range(2)]
    assert engine.seen.texts() == ["an info", "an error"] * 2
    assert engine.stop() == 0


def test_user_code_can_redirect_other_loggers(serve):
    body = "logging.getLogger('library').warning('its')"
    engine, _ = run(serve, "pass", body, early=True)
    assert [(log.level, log.text) for log in engine.seen.logs] == [(2, "its")] * 2
    config = "logging.config.dictConfig({'version': 1, 'handlers': {'out': {'class': 'logging."
    config += "StreamHandler', 'stream': 'ext://sys.stdout'}}, 'root': {'handlers': ['out']}})"
    engine, _ = run(serve, config, body, early=True)
    assert [(log.level, log.text) for log in engine.seen.logs] == [(4, "its")] * 2


def test_the_logger_is_a_standard_logger(serve):
    body = """
    kept = []
    class Keep(logging.Handler):
        def emit(self, record): kept.append(record.getMessage())
    child = ctx.logger.getChild("part")
    assert child is ctx.logger.getChild("part") and isinstance(ctx.logger, logging.Logger)
    ctx.logger.addHandler(Keep())
    child.info("of a part")
    ctx.logger.setLevel("ERROR")
    child.info("not wanted"); ctx.logger.warning("not wanted")
    ctx.logger.setLevel("INFO")
    ctx.logger.disabled = True
    ctx.logger.error("not wanted")
    ctx.logger.disabled = False
    import pickle
    assert pickle.loads(pickle.dumps(ctx.logger)).name == ctx.logger.name
    logging.LoggerAdapter(ctx.logger, {}).warning("adapted")
    assert kept == ["of a part", "adapted"], kept
    ctx.logger.handlers[:] = ctx.logger.handlers[:1]
    """
    engine, _ = run(serve, "logging.disable(logging.CRITICAL)", textwrap.dedent(body), early=True)
    assert engine.seen.texts() == ["of a part", "adapted"] * 2


def test_a_failed_start_is_reported_without_streams(launch):
    engine = launch("import sys\nsys.stdout = None\nsys.stderr.close()\nraise ValueError('no')")
    assert "ValueError: no" in engine.broken()


@pytest.mark.parametrize("away", ["sys.stdout = None", "import os; os.close(1); os.close(2)"])
def test_a_violation_ends_a_worker_without_streams(serve, away):
    engine = serve(f"import sys\n{away}\nasync def handler(ctx, data): pass")
    engine.send(9, 0)
    assert engine.drain() == 70
