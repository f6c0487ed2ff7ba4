"""Starts the worker: `python PATH/krt/__main__.py`, or `python -m krt`."""

import importlib
import importlib.util
import os
import sys
from types import ModuleType

_LATE = ("ssl", "asyncio.sslproto")


def _make_importable() -> None:
    """Puts the parent folder of this package first on `sys.path`. It replaces the package's own
    folder, which Python puts there for a script and which would expose our private modules to user
    code.
    """
    package = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if entry != package]
    folder = os.path.dirname(package)
    if folder not in sys.path:
        sys.path.insert(0, folder)


class _StandIn(ModuleType):
    """Loads the module of the same name on the first attribute access."""

    def __getattr__(self, name: str) -> object:
        return getattr(importlib.import_module(self.__name__), name)


def _import_asyncio() -> None:
    """Imports asyncio without loading `ssl`, which only TLS needs: `ssl` is a fifth of the memory
    of an idle worker.

    asyncio's modules keep the stand-ins. A later `import ssl` loads the real module.
    """
    if "asyncio" in sys.modules or "ssl" in sys.modules or not importlib.util.find_spec("_ssl"):
        return
    sys.modules.update((name, _StandIn(name)) for name in _LATE)
    try:
        asyncio = importlib.import_module("asyncio")
        asyncio.__dict__.setdefault("sslproto", sys.modules["asyncio.sslproto"])
    finally:
        for name in _LATE:
            del sys.modules[name]


if __name__ == "__main__":
    _make_importable()
    _import_asyncio()
    from krt._start import main

    main()
