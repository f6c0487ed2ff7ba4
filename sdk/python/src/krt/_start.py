"""The life of a worker: start, service, end."""

from __future__ import annotations

import asyncio
import contextvars
import faulthandler
import inspect
import os
import socket
import sys
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, NoReturn

from . import __version__, _event_loop, _pb2, _process, _protocol, _user_code
from ._batch_worker import BatchWorker
from ._batches import BatchContext
from ._connection import Calls, Engine, Link, Wires, fit
from ._context import Context, Identity
from ._output import Streams, install_logging
from ._payload import JSON
from ._process import Farewell
from ._protocol import Hello, ProtocolError, Reader
from ._streams import sending
from ._threads import MainThread, Pool
from ._worker import Worker

if TYPE_CHECKING:
    from ._template import Template

Init = Callable[[Context], Any]
Function = Callable[[Context, Any], Any]


class Node(NamedTuple):
    """The loaded user code."""

    context: Context
    init: Init | None
    handler: Function


class Begun(NamedTuple):
    """A worker after `init`."""

    loop: asyncio.AbstractEventLoop
    worker: Worker
    variables: contextvars.Context


_PROTOCOL_VARIABLE = "KRT_NODE_PROTOCOL"
_LIFELINE_VARIABLE = "KRT_LIFELINE"
_FORKS_VARIABLE = "KRT_FORKS"
"""Names the descriptor of requests for forks."""
_MODULES_VARIABLE = "KRT_MODULES"
"""Names the folder of the `*_pb2` modules that the engine made."""
_STDERR = 2
_FAREWELL = 1.0
"""Seconds for background tasks of user code to end after a STOP."""


def main() -> NoReturn:
    """Runs a worker on standard input."""
    if os.environ.pop(_PROTOCOL_VARIABLE, None) is None:
        sys.stderr.write("krt: this is the part of krt that it starts itself; hint: `krt run`\n")
        sys.exit(_process.USAGE)
    _process.install_signals()
    faulthandler.enable(file=_STDERR)
    number = os.environ.pop(_LIFELINE_VARIABLE, None)
    lifeline = None if number is None else _process.Lifeline(int(number))
    if lifeline is not None:
        lifeline.hold()
    template = _take_template(lifeline)
    sock = _take_stdin()
    reader = Reader(sock)
    hello = _read_hello(reader)
    link = Link(sock, hello.max_frame)
    _run(Wires(sock, reader, link, Streams(link), Calls(link)), hello, template)
    sys.exit(0)


def _take_template(lifeline: _process.Lifeline | None) -> Template | None:
    """Takes over the socket for forks, if other workers are to be forked from this one."""
    descriptor = os.environ.pop(_FORKS_VARIABLE, None)
    if descriptor is None:
        return None
    from ._template import Template

    return Template(int(descriptor), lifeline)


def _take_stdin() -> socket.socket:
    """Takes over the socket from standard input, before user code can read it."""
    sock = socket.socket(fileno=os.dup(0))
    sock.setblocking(True)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return sock


def _read_hello(reader: Reader) -> Hello:
    """Reads the first frame and nothing after it."""
    try:
        frames: list[_protocol.Frame] | None = []
        while frames == []:
            frames = reader.read(reader.missing)
        if frames is None:
            _process.leave(0)
        [(kind, _, body)] = frames
        if kind != _protocol.HELLO:
            raise ProtocolError(f"the first frame has the kind {kind}, not {_protocol.HELLO}")
        hello = Hello.parse(bytes(body))
        reader.max_frame = hello.max_frame
        return hello
    except ProtocolError as violation:
        _process.leave_for_violation(str(violation))


def _run(wires: Wires, hello: Hello, template: Template | None) -> None:
    if hello.protocol != _protocol.PROTOCOL:
        _break(
            wires,
            f"this worker speaks version {_protocol.PROTOCOL} of the node protocol, the engine "
            f"version {hello.protocol}; hint: use the SDK that comes with the engine",
        )
    wires.streams.install()
    _event_loop.prepare()
    node = _prepare(wires, hello)
    moves = not _user_code.is_async(node.handler) and hello.concurrency == 1
    loop = _event_loop.choose(moves)
    wires.link.attach(loop)
    farewell = Farewell(wires.link)
    try:
        begun = loop.run_until_complete(_begin(wires, hello, node, farewell))
        if begun is not None:
            _serve(wires, node, begun, moves)
        if begun is not None and template is not None and not wires.link.gone:
            _serve_forked(wires, node, begun, moves, template, farewell)
    finally:
        farewell.begin()
        _close(loop)
        wires.streams.finish(None)
        wires.link.flush()


def _prepare(wires: Wires, hello: Hello) -> Node:
    """Loads the user code; on failure, reports the error and ends the process."""
    logger = install_logging(wires.link, hello.node, hello.log_level)
    try:
        if hello.payload != JSON:
            _require_protobuf()
        made = os.environ.pop(_MODULES_VARIABLE, None)
        _pb2.install(hello.descriptors, made)
        _process.bequeath(os.path.dirname(hello.handler_path), made)
        identity = Identity(hello.node, hello.version, hello.version_id, hello.base_path)
        kind = BatchContext if hello.batch else Context
        context = kind(identity, logger, Engine(hello, wires.link, wires.calls))
        module = _user_code.load(hello.handler_path)
        return Node(context, _user_code.find_init(module), _user_code.find_handler(module))
    except _user_code.UserCodeError as error:
        _break(wires, str(error))
    except BaseException as error:
        _break(wires, _user_code.trace(error))


def _require_protobuf() -> None:
    try:
        import google.protobuf.any_pb2  # only checks that the import works
    except ImportError as error:
        raise _user_code.UserCodeError(
            f"`{sys.executable}` cannot import protobuf: {error}; "
            "hint: add `protobuf` to what the node requires"
        ) from None
    except Exception as error:
        import google.protobuf

        raise _user_code.UserCodeError(
            f"protobuf {google.protobuf.__version__} does not work in Python "
            f"{sys.version_info[0]}.{sys.version_info[1]}: {error}; "
            "hint: require a newer protobuf, or choose an older Python"
        ) from error


async def _begin(wires: Wires, hello: Hello, node: Node, farewell: Farewell) -> Begun | None:
    """Runs `init`; returns `None` if the worker must not serve."""
    loop = asyncio.get_running_loop()
    worker = await _make_worker(wires, hello, farewell)
    if node.init is not None and not await _initialise(wires, worker, node.context, node.init):
        return None
    return Begun(loop, worker, contextvars.copy_context())


def _serve(
    wires: Wires,
    node: Node,
    begun: Begun,
    moves: bool,
    of_main_thread: asyncio.AbstractEventLoop | None = None,
) -> None:
    """Handles deliveries until the last one.

    The handler sees the context variables that `init` set. `of_main_thread` is the loop of user
    code if the worker's own one moves; without it there is a new one.
    """
    loop, worker, variables = begun
    function = node.handler
    wires.link.send(_protocol.frame(_protocol.READY, 0, _protocol.json_body(_introduction())))
    if not moves:
        stoppable, pool = _user_code.is_async(function), Pool()
        handler = sending(function) if stoppable else pool.handler(function)
        variables.run(loop.run_until_complete, worker.serve(node.context, handler, stoppable))
        pool.end()
        return
    main_thread = MainThread()
    deliveries = worker.serve(node.context, main_thread.handler(function), False)

    def work() -> None:
        wires.link.attach(loop)
        variables.run(loop.run_until_complete, deliveries)

    # For calls of `asyncio.run`, and of `run_until_complete` on the thread's loop, in user code.
    if of_main_thread is None:
        _event_loop.renew()
    else:
        _event_loop.set_for_this_thread(of_main_thread)
    main_thread.lend(work, stop=lambda: loop.call_soon_threadsafe(worker.stop))
    wires.link.attach(loop)


def _serve_forked(
    wires: Wires,
    node: Node,
    begun: Begun,
    moves: bool,
    template: Template,
    farewell: Farewell,
) -> None:
    """Forks workers. In each of them, handles deliveries until the last one."""
    loop, worker, variables = begun
    worker.close()
    wires.streams.finish(None)
    wires.link.flush()
    other = _event_loop.of_this_thread()
    if other is loop:
        other = None
    loops = [loop] if other is None else [loop, other]
    sock = template.fork_workers(wires, loops)
    wires.link.renew(sock)
    wires.streams.look()
    reader = Reader(sock)
    wires = wires._replace(socket=sock, reader=reader)
    hello = _read_hello(reader)
    _event_loop.set_for_this_thread(loop)
    wires.link.attach(loop)
    worker = variables.run(loop.run_until_complete, _make_worker(wires, hello, farewell))
    _serve(wires, node, Begun(loop, worker, variables), moves, other)


async def _make_worker(wires: Wires, hello: Hello, farewell: Farewell) -> Worker:
    kind = BatchWorker if hello.batch else Worker
    return kind(wires, hello, asyncio.get_running_loop(), farewell)


async def _initialise(wires: Wires, worker: Worker, context: Context, init: Init) -> bool:
    """Calls `init` and returns whether the worker may serve."""
    worker.starting = asyncio.current_task()
    try:
        pending = init(context)
        if inspect.isawaitable(pending):
            await pending
    except BaseException as error:
        if worker.stopping and isinstance(error, asyncio.CancelledError):
            return False
        _break(wires, _user_code.trace(error))
    finally:
        worker.starting = None
    return not worker.stopping


def _introduction() -> dict[str, Any]:
    return {
        "protocol": _protocol.PROTOCOL,
        "sdk": f"krt-python {__version__}",
        "language": "Python {}.{}.{}".format(*sys.version_info),
        "pid": os.getpid(),
        "batch": True,
        "stream": True,
        "fork": sys.platform == "linux",
    }


def _break(wires: Wires, why: str) -> NoReturn:
    """Reports why this node cannot start, and ends the process."""
    text = fit(why.encode(errors="backslashreplace"), _protocol.MAX_LOG)
    wires.streams.finish(None)
    wires.link.send(_protocol.frame(_protocol.BROKEN, 0, text))
    _process.leave(_process.CANNOT_START)


def _close(loop: asyncio.AbstractEventLoop) -> None:
    """Ends the remaining tasks of user code, with a deadline."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.wait(tasks, timeout=_FAREWELL))
    loop.run_until_complete(loop.shutdown_asyncgens())
