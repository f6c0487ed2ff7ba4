"""Loads the user's file, finds `init` and `handler` in it, and shows errors from there on."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import os
import sys
import traceback
from collections.abc import Awaitable
from importlib.machinery import PathFinder, SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType, TracebackType
from typing import Any, Callable

Handler = Callable[[Any, Any], Awaitable[Any]]
"""What the host awaits for each message."""

_OWN_FOLDER = os.path.dirname(os.path.abspath(__file__)) + os.sep


class UserCodeError(Exception):
    """The user's file does not have what it must have."""


def load(path: str) -> ModuleType:
    """Runs the file; its folder is searched last for imports."""
    folder, file = os.path.split(path)
    if not os.path.isfile(path):
        raise UserCodeError(f"there is no file `{path}`; hint: see `src` of the node in krt.yml")
    sys.path.append(folder)
    stem = os.path.splitext(file)[0]
    name = stem if _is_import_of(stem, path) else f"krt_node_{stem}"
    spec = spec_from_file_location(name, path, loader=SourceFileLoader(name, path))
    assert spec is not None, "a loader was given"
    assert spec.loader is not None, "a loader was given"
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _is_import_of(name: str, path: str) -> bool:
    """Whether `import name` in user code would load this very file: then it must not load twice."""
    if name in sys.modules or name in sys.builtin_module_names:
        return False
    spec = PathFinder.find_spec(name)
    return spec is not None and spec.origin == path


def find_init(module: ModuleType) -> Callable[[Any], Any] | None:
    """The file's `init`, if it has one."""
    init = getattr(module, "init", None)
    if init is not None and not callable(init):
        raise UserCodeError(f"`init` of `{module.__file__}` is {init!r:.80}, not a function")
    return init


def find_handler(module: ModuleType) -> Callable[[Any, Any], Any]:
    """The file's `handler`."""
    handler = getattr(module, "handler", None)
    if handler is None:
        raise UserCodeError(
            f"`{module.__file__}` has no `handler`; hint: define `async def handler(ctx, data)`"
        )
    if not callable(handler):
        raise UserCodeError(f"`handler` of `{module.__file__}` is {handler!r:.80}, not a function")
    return handler  # type: ignore[no-any-return]


def is_async(function: Callable[..., Any]) -> bool:
    """Whether a call gives something to await: also of an object or a `functools.partial`."""
    while isinstance(function, functools.partial):
        function = function.func
    call = type(function).__call__
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


def off_loop(function: Callable[[Any, Any], Any], concurrency: int) -> Handler:
    """Makes a plain function awaitable: it runs in a thread, with the caller's context."""
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(concurrency, thread_name_prefix="krt-handler")

    async def handler(context: Any, data: Any) -> Any:
        run = contextvars.copy_context().run
        loop = asyncio.get_running_loop()
        answer, error = await loop.run_in_executor(pool, run, _attempt, function, context, data)
        if error is not None:
            try:
                raise error
            finally:
                # Its traceback holds this frame: without the variable that is no circle.
                del error
        return await answer if inspect.isawaitable(answer) else answer

    return handler


def _attempt(function: Callable[..., Any], *arguments: Any) -> tuple[Any, BaseException | None]:
    """Calls; an error is returned, since a future does not take each kind of them."""
    try:
        return function(*arguments), None
    except BaseException as error:
        return None, error


def describe(error: BaseException) -> str:
    """What the client is told: the error's own text."""
    if isinstance(error, SystemExit):
        return f"the handler called sys.exit({error.code!r})"
    try:
        return str(error) or type(error).__name__
    except Exception:
        return type(error).__name__


def trace(error: BaseException) -> str:
    """The traceback from the user's first frame on."""
    frames = error.__traceback__
    while frames is not None and _is_ours(frames):
        frames = frames.tb_next
    return "".join(traceback.format_exception(type(error), error, frames)).rstrip()


def _is_ours(frames: TracebackType) -> bool:
    file = frames.tb_frame.f_code.co_filename
    return file.startswith((_OWN_FOLDER, "<frozen importlib"))
