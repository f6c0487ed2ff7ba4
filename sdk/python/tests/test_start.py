"""From an empty process to READY, and the errors on the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from fake_engine import SOURCE, STOP

ECHO = """
    from google.protobuf.wrappers_pb2 import StringValue

    async def handler(ctx, data):
        request = StringValue()
        data.Unpack(request)
        return request
"""


def test_ready_introduces_the_worker(launch):
    engine = launch(ECHO)
    ready = engine.start()
    assert ready["protocol"] == 1
    assert ready["pid"] == engine.process.pid
    assert ready["sdk"].startswith("krt-python ")
    assert ready["language"] == "Python {}.{}.{}".format(*sys.version_info)
    assert engine.stop() == 0
    assert engine.stderr() == ""


@pytest.mark.parametrize(
    "arguments", [[str(SOURCE / "krt")], ["-m", "krt"], ["-P", str(SOURCE / "krt" / "__main__.py")]]
)
def test_other_ways_to_start(serve, arguments):
    if arguments[0] == "-P" and sys.version_info < (3, 11):
        pytest.skip("-P came with Python 3.11")
    engine = serve(ECHO, arguments=arguments, environment={"PYTHONPATH": str(SOURCE)})
    assert engine.ask("hello").text == "hello"
    assert engine.stop() == 0


def test_the_search_path_has_the_sdk_and_the_node_only(serve, tmp_path):
    (tmp_path / "src" / "etl").mkdir(parents=True)
    (tmp_path / "src" / "etl" / "helper.py").write_text("WORD = 'helped'")
    engine = serve(
        """
        import json, sys
        import helper
        import krt
        from google.protobuf.wrappers_pb2 import StringValue

        async def handler(ctx, data):
            return StringValue(value=json.dumps([sys.path, helper.WORD, krt.__file__, __file__]))
        """,
        file="src/etl/main.py",
    )
    path, word, krt_file, main_file = json.loads(engine.ask("").text)
    assert path[0] == str(SOURCE)
    assert path[-1] == str(tmp_path / "src" / "etl")
    assert str(SOURCE / "krt") not in path
    assert word == "helped"
    assert krt_file == str(SOURCE / "krt" / "__init__.py")
    assert main_file == str(tmp_path / "src" / "etl" / "main.py")


def test_the_file_is_one_module_under_every_import(serve):
    engine = serve(
        """
        import pickle, sys
        from google.protobuf.wrappers_pb2 import StringValue

        class Model:
            pass

        def init(ctx):
            import main
            assert main is sys.modules[__name__]
            ctx.set("model", pickle.loads(pickle.dumps(Model())))

        async def handler(ctx, data):
            return StringValue(value=type(ctx.get("model")).__module__)
        """
    )
    assert engine.ask("").text == "main"


@pytest.mark.parametrize("file", ["json.py", "my-node.py", "krt.py"])
def test_files_with_unusual_names_are_loaded(serve, file):
    engine = serve(ECHO + "\n    import json; json.dumps({})", file=file)
    assert engine.ask("hello").text == "hello"


def test_standard_input_and_protocol_variables_are_hidden(serve):
    engine = serve(
        """
        import os, sys
        from google.protobuf.wrappers_pb2 import StringValue

        async def handler(ctx, data):
            names = ("KRT_NODE_PROTOCOL", "KRT_LIFELINE")
            ours = [name for name in names if name in os.environ]
            return StringValue(value=repr((sys.stdin.read(), ours)))
        """
    )
    assert engine.ask("").text == "('', [])"


@pytest.mark.parametrize("prefix", ["", "async "])
def test_ready_comes_after_init(launch, prefix):
    engine = launch(
        f"""
        from google.protobuf.wrappers_pb2 import StringValue

        {prefix}def init(ctx):
            ctx.logger.info("in init")
            ctx.set("word", "kept")

        async def handler(ctx, data):
            return StringValue(value=ctx.get("word"))
        """
    )
    engine.deliver("early")
    engine.start()
    assert engine.seen.texts() == ["in init"]
    assert engine.result(1).text == "kept"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("def handler(:", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("x = 1", "has no `handler`; hint: define `async def handler(ctx, data)`"),
        ("handler = 5", "is 5, not a function"),
        ("init = 'x'\nasync def handler(ctx, data): pass", "`init` of"),
        ("def init(ctx): 1 / 0\nasync def handler(ctx, data): pass", "ZeroDivisionError"),
        ("async def init(ctx): 1 / 0\nasync def handler(ctx, data): pass", "ZeroDivisionError"),
        ("def init(): pass\nasync def handler(ctx, data): pass", "TypeError"),
        ("def init(ctx): ctx.early_exit()\nasync def handler(ctx, data): pass", "in `init`"),
        (
            "async def init(ctx): await ctx.early_reply(None)\nasync def handler(ctx, data): pass",
            "[ctx.early_reply] there is no request in `init`",
        ),
    ],
)
def test_a_failed_start_has_a_reason_without_worker_frames(launch, code, message):
    why = launch(code).broken()
    assert message in why
    assert "krt/_start.py" not in why
    assert "krt/_user_code.py" not in why
    assert "importlib" not in why


def test_a_traceback_begins_with_the_file_of_the_user(launch, tmp_path):
    why = launch("def load():\n    1 / 0\nload()\n").broken()
    lines = why.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1] == f'  File "{tmp_path / "main.py"}", line 3, in <module>'


def test_a_missing_file(launch, tmp_path):
    engine = launch(ECHO, handler_path=str(tmp_path / "gone.py"))
    assert engine.broken().startswith(f"there is no file `{tmp_path / 'gone.py'}`; hint:")


def test_user_threads_do_not_keep_a_broken_worker(launch):
    engine = launch(
        """
        import threading
        threading.Thread(target=threading.Event().wait).start()
        raise RuntimeError("no")
        """
    )
    assert "RuntimeError: no" in engine.broken()


def test_another_version_of_the_protocol(launch):
    assert (
        "speaks version 1 of the node protocol, the engine version 2"
        in launch(ECHO, protocol=2).broken()
    )


def test_a_stop_ends_init(launch):
    engine = launch(
        """
        import asyncio

        async def init(ctx):
            ctx.logger.info("begun")
            await asyncio.sleep(1000)

        async def handler(ctx, data):
            pass
        """
    )
    engine.wait_for(lambda seen: seen.texts() == ["begun"])
    engine.send(STOP, 0)
    assert engine.drain() == 0
    assert engine.seen.ready is None


def test_started_by_hand():
    environment = {key: value for key, value in os.environ.items() if not key.startswith("KRT_")}
    done = subprocess.run(
        [sys.executable, str(SOURCE / "krt" / "__main__.py")],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 64
    assert "hint: `krt run`" in done.stderr


def test_the_loop_is_available_during_the_import(serve):
    engine = serve(
        """
        import asyncio, warnings
        from google.protobuf.wrappers_pb2 import StringValue
        warnings.simplefilter("ignore")
        loop = asyncio.get_event_loop()

        async def handler(ctx, data):
            return StringValue(value=str(loop is asyncio.get_running_loop()))
        """
    )
    assert engine.ask("").text == "True"


def test_an_environment_without_protobuf(launch):
    bootstrap = f"""
import sys
sys.path.insert(0, {str(SOURCE)!r})
sys.modules["google.protobuf"] = None
from krt._start import main
main()
"""
    why = launch(ECHO, arguments=["-c", bootstrap]).broken()
    assert why.startswith(f"`{sys.executable}` cannot import protobuf: ")
    assert why.endswith("hint: add `protobuf` to what the node requires")


def test_an_incomplete_line_is_not_lost_in_a_failed_start(launch):
    engine = launch("print('loading', end=''); 1 / 0")
    engine.broken()
    assert engine.seen.texts() == ["loading"]
