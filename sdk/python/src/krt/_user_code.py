"""Loads the user's file, finds `init` and `handler` in it, and trims tracebacks to it."""

from __future__ import annotations

import functools
import inspect
import os
import sys
import traceback
from importlib.machinery import PathFinder, SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType, TracebackType
from typing import Any, Awaitable, Callable

from ._streams import is_async_generator

Handler = Callable[[Any, Any], Awaitable[Any]]
"""The function that the worker awaits for each message."""

_OWN_FOLDER = os.path.dirname(os.path.abspath(__file__)) + os.sep


class UserCodeError(Exception):
    """A required function is missing from the user's file."""


def load(path: str) -> ModuleType:
    """Runs the file; its folder is last on the import path."""
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
    """Whether `import name` in user code would load this very file, which must not load twice."""
    if name in sys.modules or name in sys.builtin_module_names:
        return False
    spec = PathFinder.find_spec(name)
    return spec is not None and spec.origin == path


def find_init(module: ModuleType) -> Callable[[Any], Any] | None:
    """Returns the file's `init`, if it has one."""
    init = getattr(module, "init", None)
    if init is not None and not callable(init):
        raise UserCodeError(f"`init` of `{module.__file__}` is {init!r:.80}, not a function")
    return init


def find_handler(module: ModuleType) -> Callable[[Any, Any], Any]:
    """Returns the file's `handler`."""
    handler = getattr(module, "handler", None)
    if handler is None:
        raise UserCodeError(
            f"`{module.__file__}` has no `handler`; hint: define `async def handler(ctx, data)`"
        )
    if not callable(handler):
        raise UserCodeError(f"`handler` of `{module.__file__}` is {handler!r:.80}, not a function")
    return handler  # type: ignore[no-any-return]


def is_async(function: Callable[..., Any]) -> bool:
    """Whether a call returns an awaitable or an async generator.

    Also works for objects and `functools.partial`.
    """
    if is_async_generator(function):
        return True
    while isinstance(function, functools.partial):
        function = function.func
    call = type(function).__call__
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


def describe(error: BaseException) -> str:
    """Returns the error's own text, for the client."""
    if isinstance(error, SystemExit):
        return f"the handler called sys.exit({error.code!r})"
    try:
        return str(error) or type(error).__name__
    except Exception:
        return type(error).__name__


def trace(error: BaseException) -> str:
    """Returns the traceback from the first frame of user code on."""
    frames = error.__traceback__
    while frames is not None and _is_ours(frames):
        frames = frames.tb_next
    return "".join(traceback.format_exception(type(error), error, frames)).rstrip()


def _is_ours(frames: TracebackType) -> bool:
    file = frames.tb_frame.f_code.co_filename
    return file.startswith((_OWN_FOLDER, "<frozen importlib"))
