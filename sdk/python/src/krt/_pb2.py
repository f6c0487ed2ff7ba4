"""`*_pb2` modules: made from the package's `.proto` files where they are missing, and rescued where
the installed protobuf cannot load the file that is there.

Two finders stand at the two ends of `sys.meta_path`. The last one is asked when nobody else has a
module, and makes it from the descriptors that the engine sent. The first one lets Python find a
`*_pb2` file and run it; only if that fails it makes the module from the descriptor that stands in
the file, or else from the engine's.

The finders do not inherit from `importlib.abc`, which imports more than the whole host does.
"""

from __future__ import annotations

import logging
import sys
from base64 import b64decode
from collections.abc import Sequence
from functools import cached_property
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import TYPE_CHECKING

from ._proto_names import ProtoNames

if TYPE_CHECKING:
    from importlib.abc import Loader

    from ._protos import Protos
else:
    Loader = object

_SUFFIX = "_pb2"
_logger = logging.getLogger("krt.pb2")


def install(descriptors: str) -> None:
    """Makes the package's `.proto` files importable; they are read when the first is needed."""
    source = _Source(descriptors)
    sys.meta_path.insert(0, _Rescuer(source))
    sys.meta_path.append(_Maker(source))


class _Source:
    """The engine's descriptors. Only their files' names are read before a module is made."""

    def __init__(self, descriptors: str) -> None:
        self._descriptors = b64decode(descriptors)
        self.names = ProtoNames(self._descriptors)

    @cached_property
    def protos(self) -> Protos:
        """The package's `.proto` files."""
        from ._protos import Protos

        return Protos(self._descriptors)


class _Maker:
    """Finds what nobody else has: modules of `.proto` files, and the packages around them."""

    def __init__(self, source: _Source) -> None:
        self._source = source

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Finds a module of the package's."""
        if fullname.endswith(_SUFFIX):
            name = self._source.names.file_of(fullname)
            return None if name is None else ModuleSpec(fullname, _Made(self._source, name))
        if self._source.names.is_folder(fullname):
            spec = ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = []
            return spec
        return None


class _Made(Loader):
    """Makes a module from the engine's descriptors."""

    def __init__(self, source: _Source, file: str) -> None:
        self._source = source
        self._file = file

    def create_module(self, spec: ModuleSpec) -> None:
        """Leaves it to Python."""

    def exec_module(self, module: ModuleType) -> None:
        """Fills it."""
        self._source.protos.fill(module, self._file)


class _Rescuer:
    """Finds `*_pb2` files as Python does, and stands ready when one does not run."""

    def __init__(self, source: _Source) -> None:
        self._source = source

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Finds a file that protoc generated."""
        if not fullname.endswith(_SUFFIX) or fullname.startswith("google.protobuf."):
            return None
        spec = PathFinder.find_spec(fullname, path)
        if spec is None or not isinstance(spec.loader, SourceFileLoader):
            return None
        spec.loader = _Rescued(fullname, spec.loader.path, self._source)
        return spec


class _Rescued(SourceFileLoader):
    """Runs a generated file, or makes the module from what is written in it."""

    def __init__(self, fullname: str, path: str, source: _Source) -> None:
        super().__init__(fullname, path)
        self._source = source

    def exec_module(self, module: ModuleType) -> None:
        """Runs the file; a module that its own imports lack is nothing to rescue."""
        try:
            super().exec_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or not error.name.startswith("google.protobuf"):
                raise
            self._rescue(module, error)
        except Exception as error:
            self._rescue(module, error)

    def _rescue(self, module: ModuleType, error: Exception) -> None:
        reason = str(error).partition("\n")[0]
        try:
            self._fill(module)
        except Exception as second:
            raise ImportError(
                f"the installed protobuf cannot load `{self.path}` ({reason}), and it cannot be "
                f"made anew: {second}",
                name=self.name,
                path=self.path,
            ) from error
        _logger.debug("made `%s` anew, since it does not load: %s", self.path, reason)

    def _fill(self, module: ModuleType) -> None:
        from . import _gencode

        with open(self.path, "rb") as file:
            generated = _gencode.read(file.read())
        _clear(module)
        if generated is None:
            name = self._source.names.file_of(self.name)
            if name is None:
                raise LookupError("it holds no descriptor, and the package has no such `.proto`")
            self._source.protos.fill(module, name)
            return
        for line in generated.imports:
            exec(line, module.__dict__)  # noqa: S102  # the file's own imports, nothing else
        self._source.protos.fill_from(module, generated.descriptor)


def _clear(module: ModuleType) -> None:
    """Takes away what the file set before it failed."""
    for name in list(vars(module)):
        if not (name.startswith("__") and name.endswith("__")):
            delattr(module, name)
