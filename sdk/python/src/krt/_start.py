"""From an empty process to a host at work, and its end."""

from __future__ import annotations

import asyncio
import faulthandler
import inspect
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any, Callable, NoReturn

from . import _exit, _frames, _lifeline, _pb2, _user_code
from ._calls import Calls
from ._context import Context, Identity
from ._engine import Engine
from ._forms import JSON
from ._frames import Breach, Hello
from ._link import Link, fit
from ._output import Streams, install_logging
from ._reader import Reader
from ._version import VERSION
from ._wires import Wires

if TYPE_CHECKING:
    from ._host import Host

Init = Callable[[Context], Any]
Function = Callable[[Context, Any], Any]

_PROTOCOL_VARIABLE = "KRT_NODE_PROTOCOL"
_LIFELINE_VARIABLE = "KRT_LIFELINE"
_STDERR = 2
_FAREWELL = 1.0
"""Seconds that background tasks of user code have to end after a STOP."""


def main() -> NoReturn:
    """Runs a host on standard input."""
    if os.environ.pop(_PROTOCOL_VARIABLE, None) is None:
        sys.stderr.write("krt: this is the part of krt that it starts itself; hint: `krt run`\n")
        sys.exit(_exit.USAGE)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable(file=_STDERR)
    lifeline = os.environ.pop(_LIFELINE_VARIABLE, None)
    if lifeline is not None:
        _lifeline.hold(int(lifeline))
    sock = _take_stdin()
    reader = Reader(sock)
    hello = _read_hello(reader)
    link = Link(sock, hello.max_frame)
    _run(Wires(sock, reader, link, Streams(link), Calls(link)), hello)
    sys.exit(0)


def _take_stdin() -> socket.socket:
    """Takes the socket from where user code would read it."""
    sock = socket.socket(fileno=os.dup(0))
    sock.setblocking(True)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return sock


def _read_hello(reader: Reader) -> Hello:
    """Reads the first frame and nothing after it."""
    try:
        frames: list[_frames.Frame] | None = []
        while frames == []:
            frames = reader.read(reader.missing)
        if frames is None:
            _exit.leave(0)
        [(kind, _, body)] = frames
        if kind != _frames.HELLO:
            raise Breach(f"the first frame has the kind {kind}, not {_frames.HELLO}")
        hello = Hello.parse(bytes(body))
        reader.max_frame = hello.max_frame
        return hello
    except Breach as breach:
        _exit.leave_for_breach(str(breach))


def _run(wires: Wires, hello: Hello) -> None:
    if hello.protocol != _frames.PROTOCOL:
        _break(
            wires,
            f"this host speaks version {_frames.PROTOCOL} of the node protocol, the engine "
            f"version {hello.protocol}; hint: use the SDK that comes with the engine",
        )
    wires.streams.install()
    loop = asyncio.new_event_loop()
    # User code may ask for the loop while it is imported, before it runs.
    asyncio.set_event_loop(loop)
    wires.link.attach(loop)
    try:
        loop.run_until_complete(_live(wires, hello, *_prepare(wires, hello)))
    finally:
        _close(loop)
        wires.streams.finish(None)
        wires.link.flush()


def _prepare(wires: Wires, hello: Hello) -> tuple[Context, Init | None, Function]:
    """Loads the user's code; if that fails, says why and ends the process."""
    logger = install_logging(wires.link, hello.node, hello.log_level)
    try:
        if hello.payload != JSON:
            _require_protobuf()
        _pb2.install(hello.descriptors)
        identity = Identity(hello.node, hello.version, hello.version_id, hello.base_path)
        context = Context(identity, logger, Engine(hello, wires.link, wires.calls))
        module = _user_code.load(hello.handler_path)
        return context, _user_code.find_init(module), _user_code.find_handler(module)
    except _user_code.UserCodeError as error:
        _break(wires, str(error))
    except BaseException as error:
        _break(wires, _user_code.trace(error))


def _require_protobuf() -> None:
    try:
        import google.protobuf.any_pb2  # noqa: F401  # what is needed is that it can be imported
    except ImportError as error:
        raise _user_code.UserCodeError(
            f"`{sys.executable}` cannot import protobuf: {error}; "
            "hint: add `protobuf` to what the node requires"
        ) from None


async def _live(
    wires: Wires, hello: Hello, context: Context, init: Init | None, function: Function
) -> None:
    """From `init` to the last delivery."""
    from ._host import Host

    host = Host(wires, hello, asyncio.get_running_loop())
    if init is not None and not await _initialise(wires, host, context, init):
        return
    stoppable = _user_code.is_async(function)
    handler = function if stoppable else _user_code.off_loop(function, hello.concurrency)
    wires.link.send(_frames.frame(_frames.READY, 0, _frames.json_body(_introduction())))
    await host.serve(context, handler, stoppable)


async def _initialise(wires: Wires, host: Host, context: Context, init: Init) -> bool:
    """Calls `init`, and returns whether deliveries may come."""
    host.starting = asyncio.current_task()
    try:
        pending = init(context)
        if inspect.isawaitable(pending):
            await pending
    except BaseException as error:
        if host.stopping and isinstance(error, asyncio.CancelledError):
            return False
        _break(wires, _user_code.trace(error))
    finally:
        host.starting = None
    return not host.stopping


def _introduction() -> dict[str, Any]:
    return {
        "protocol": _frames.PROTOCOL,
        "sdk": f"krt-python {VERSION}",
        "language": "Python {}.{}.{}".format(*sys.version_info),
        "pid": os.getpid(),
    }


def _break(wires: Wires, why: str) -> NoReturn:
    """Says why this node cannot start, and ends."""
    text = fit(why.encode(errors="backslashreplace"), _frames.MAX_LOG)
    wires.streams.finish(None)
    wires.link.send(_frames.frame(_frames.BROKEN, 0, text))
    _exit.leave(_exit.CANNOT_START)


def _close(loop: asyncio.AbstractEventLoop) -> None:
    """Ends what user code has left running, but does not wait for it for ever."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.wait(tasks, timeout=_FAREWELL))
    loop.run_until_complete(loop.shutdown_asyncgens())
