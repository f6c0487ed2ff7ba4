"""A process that other workers are forked from: `replicas: {share: fork}`.

A *template* runs `init` and the samples of `warmup` like any worker. After its STOP it waits for
requests of the engine instead of ending. Each brings the descriptors of a worker, which is a fork
of this process with its own guard (`krt worker`), socket and outputs. So models are in memory once,
until a worker changes them.
"""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import struct
import sys
import threading
from time import monotonic, sleep
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from . import _event_loop, _process, _protocol

if TYPE_CHECKING:
    from ._connection import Wires
    from ._process import Lifeline

_THREADS = 1.0
"""Seconds for the last threads to end."""
_TASKS = "/proc/self/task"
_DEVICES = ("/dev/nvidia", "/dev/kfd", "/dev/dxg")
"""The start of the files that a process with a CUDA or ROCm context has open."""
_POOLS = (
    ("openblas", "OPENBLAS_NUM_THREADS"),
    ("libmkl", "MKL_NUM_THREADS"),
    ("libgomp", "OMP_NUM_THREADS"),
    ("libiomp", "OMP_NUM_THREADS"),
    ("libomp", "OMP_NUM_THREADS"),
)
"""Libraries that start threads of their own, and the variables with their number."""
_OR_NOT = "or remove `share: fork`"
_FAILED = 1


class _Descriptors(NamedTuple):
    """What a request brings."""

    socket: int
    """Of the worker, to the engine."""
    control: int
    """Of its guard, to the engine."""
    stdout: int
    stderr: int
    program: int
    """The engine's program, which is the guard's, too."""

    def close(self) -> None:
        for descriptor in self:
            os.close(descriptor)


_SIZE = len(_Descriptors._fields)


class Template:
    """Forks workers of this process."""

    def __init__(self, descriptor: int, lifeline: Lifeline | None) -> None:
        os.set_inheritable(descriptor, False)
        self._requests = socket.socket(fileno=descriptor)
        self._lifeline = lifeline
        self._guards: set[int] = set()
        """The guards of the workers, children of this process."""

    def fork_workers(self, wires: Wires, loops: list[asyncio.AbstractEventLoop]) -> socket.socket:
        """Forks a worker for each request. Returns in the workers, with the socket to the engine.

        `loops` have stopped.
        """
        obstacle = find_obstacle(wires, loops)
        self._requests.send(_protocol.json_body({"obstacle": obstacle}))
        if obstacle is not None:
            _process.leave(_process.CANNOT_START)
        # A collection would write to the memory of every object, which the workers share.
        gc.collect()
        gc.freeze()
        while True:
            descriptors = self._wait()
            if descriptors is None:
                _process.leave(0)
            if self._fork(descriptors):
                return self._become_worker(descriptors, loops)

    def _wait(self) -> _Descriptors | None:
        """Waits for a request; returns `None` when the engine wants no more workers."""
        space = socket.CMSG_LEN(_SIZE * struct.calcsize("i"))
        data, ancillary, _, _ = self._requests.recvmsg(1, space)
        if not data:
            return None
        [(_, _, packed)] = ancillary
        numbers = struct.unpack(f"{_SIZE}i", packed)
        for number in numbers:
            os.set_inheritable(number, False)
        return _Descriptors(*numbers)

    def _fork(self, descriptors: _Descriptors) -> bool:
        """Forks a worker and its guard, which is the worker's parent. Returns whether this is the
        worker.
        """
        ignores_sigint = _process.ignores_sigint()
        self._reap()
        try:
            guard = os.fork()
        except OSError as error:
            descriptors.close()
            sys.stderr.write(f"krt: no worker can be forked: {error}\n")
            return False
        if guard:
            descriptors.close()
            self._guards.add(guard)
            return False
        try:
            os.setpgid(0, 0)
            worker = os.fork()
            if worker:
                _guard(worker, descriptors)
            os.setpgid(0, 0)
            if ignores_sigint:
                _process.ignore_sigint()
        except BaseException as error:
            os.write(descriptors.stderr, f"krt: no worker can be forked: {error}\n".encode())
            os._exit(_FAILED)
        return True

    def _reap(self) -> None:
        """Waits for the guards that have ended, which the engine knows by their sockets."""
        ended = {guard for guard in self._guards if os.waitpid(guard, os.WNOHANG)[0]}
        self._guards -= ended

    def _become_worker(
        self, descriptors: _Descriptors, loops: list[asyncio.AbstractEventLoop]
    ) -> socket.socket:
        self._requests.close()
        os.dup2(descriptors.stdout, 1)
        os.dup2(descriptors.stderr, 2)
        sock = socket.socket(fileno=os.dup(descriptors.socket))
        descriptors.close()
        if self._lifeline is not None:
            self._lifeline.hold()
        for loop in loops:
            _event_loop.separate(loop)
        # The module of Python's own numbers does this itself.
        numpy = sys.modules.get("numpy.random")
        if numpy is not None:
            numpy.seed()
        return sock


def _guard(worker: int, descriptors: _Descriptors) -> NoReturn:
    """Turns this process into the guard of a worker, its child."""
    os.dup2(descriptors.control, 0)
    os.dup2(descriptors.stdout, 1)
    os.dup2(descriptors.stderr, 2)
    program = descriptors.program
    # User code may have made others inheritable.
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) != program:
            try:
                os.close(int(name))
            except OSError:
                # It was of the list itself.
                continue
    os.execve(program, ["krt", "worker", "--forked", str(worker)], {})  # noqa: S606


def find_obstacle(wires: Wires, loops: list[asyncio.AbstractEventLoop]) -> str | None:
    """Returns why this process cannot be forked, and what to do about it."""
    gevent = sys.modules.get("gevent.monkey")
    if gevent is not None and gevent.is_module_patched("threading"):
        return f"gevent has replaced its threads; hint: take out gevent's patches, {_OR_NOT}"
    if wires.calls.is_waiting():
        return f"a call of `ctx` has not ended; hint: await it in `init`, {_OR_NOT}"
    return _devices() or _loops(loops) or _threads()


def _loops(loops: list[asyncio.AbstractEventLoop]) -> str | None:
    found = next(filter(None, map(_event_loop.obstacle, loops)), None)
    return f"{found}; hint: open it in the handler, {_OR_NOT}" if found else None


def _devices() -> str | None:
    """Looks for a context of a GPU, which no fork can use."""
    torch = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)
    is_initialised = cuda is not None and cuda.is_initialized()
    if is_initialised or any(path.startswith(_DEVICES) for path in _open_files()):
        return (
            "CUDA or ROCm has started, and a fork cannot use it; "
            f"hint: use the GPU in the handler only, {_OR_NOT}"
        )
    if any("/libcuda.so" in path for path in _libraries()):
        return (
            "CUDA's driver is loaded, and a fork cannot use it; "
            f"hint: load it in the handler only, {_OR_NOT}"
        )
    return None


def _threads() -> str | None:
    """Looks for threads: a fork has the one that forks alone."""
    deadline = monotonic() + _THREADS
    while True:
        running = {int(name) for name in os.listdir(_TASKS)} - {os.getpid()}
        if not running:
            return None
        if monotonic() > deadline:
            break
        sleep(0.001)
    threads = [thread for thread in threading.enumerate() if _is_one_of(thread, running)]
    names = ", ".join(f"`{thread.name}`" for thread in threads)
    if names:
        word = "threads" if len(threads) > 1 else "a thread"
        runs = "run" if len(threads) > 1 else "runs"
        return (
            f"{word} of user code {runs}, which a fork would lack: {names}; "
            f"hint: end them in `init`, start them in the handler, {_OR_NOT}"
        )
    number = f"{len(running)} threads" if len(running) > 1 else "a thread"
    runs = "run" if len(running) > 1 else "runs"
    variables = _variables()
    hint = (
        f"set {' and '.join(f'{name}=1' for name in variables)} before its import"
        if variables
        else "find out which library starts them"
    )
    return f"{number} of a library {runs}, which a fork would lack; hint: {hint}, {_OR_NOT}"


def _is_one_of(thread: threading.Thread, running: set[int]) -> bool:
    """Whether a thread runs. Python 3.7 does not know its number."""
    if thread is threading.main_thread() or isinstance(thread, threading._DummyThread):
        return False
    return not hasattr(thread, "native_id") or thread.native_id in running


def _variables() -> list[str]:
    """Returns the variables with the number of threads of the libraries that are loaded."""
    files = [os.path.basename(path) for path in _libraries()]
    found = (variable for name, variable in _POOLS if any(name in file for file in files))
    return list(dict.fromkeys(found))


def _libraries() -> set[str]:
    """Returns the files in memory."""
    with open("/proc/self/maps", errors="replace") as maps:
        fields = (line.split(None, 5) for line in maps)
        return {found[5].rstrip("\n") for found in fields if len(found) == 6}


def _open_files() -> list[str]:
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{name}"))
        except OSError:
            # It was of the list itself.
            continue
    return found
