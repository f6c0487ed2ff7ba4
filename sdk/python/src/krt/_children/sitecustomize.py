"""Gives the Python processes that a node starts the node's imports.

The worker puts this folder on `PYTHONPATH` (see `_process`), so Python runs this file in each child
process, with any Python version. The syntax is therefore Python 2. In an interpreter other than the
node's, the file only runs the `sitecustomize` that it hides.
"""

import os
import sys

_FOLDER = os.path.dirname(os.path.abspath(__file__))
_NODE = "krt_node_"


class _Finder(object):
    """Finds `*_pb2` modules with the SDK, imported on first use: most processes need none."""

    def __init__(self, made, folder):
        self._made = made
        self._folder = folder
        self._installed = False

    def find_spec(self, name, path=None, target=None):
        """Finds a message module, or the node's file under the module name that the worker used."""
        if name.startswith(_NODE):
            return _file(name, os.path.join(self._folder, name[len(_NODE) :] + ".py"))
        if self._installed or not name.endswith("_pb2") or name.startswith("google.protobuf."):
            return None
        self._installed = True
        from krt import _pb2

        return _pb2.install_in_child(self._made).find_spec(name, path, target)


def _file(name, path):
    from importlib.util import spec_from_file_location

    return spec_from_file_location(name, path) if os.path.isfile(path) else None


def _inherit():
    """Appends the same paths as the worker, if the interpreter is the same."""
    if os.environ.get("KRT_CHILD_PYTHON") != "%x:%s" % (sys.hexversion >> 16, sys.prefix):
        return
    path = os.environ.get("KRT_CHILD_PATH", "").split(os.pathsep)
    sys.path.extend(entry for entry in path if entry not in sys.path)
    sys.meta_path.insert(0, _Finder(os.environ.get("KRT_CHILD_MODULES"), path[-1]))


def _run_hidden():
    """Runs the `sitecustomize` that this one hides."""
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != _FOLDER]
    own = sys.modules.pop(__name__)
    try:
        __import__("sitecustomize")
    except ImportError as error:
        if getattr(error, "name", "sitecustomize") != "sitecustomize":
            raise
    finally:
        sys.modules.setdefault(__name__, own)


_run_hidden()
_inherit()
