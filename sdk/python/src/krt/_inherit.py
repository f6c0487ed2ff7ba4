"""What the child processes of a node inherit: its folder, the SDK, and its `*_pb2` modules.

Environment variables carry it, because they reach every process: children of `multiprocessing`, of
loky and of `subprocess`. `_children/sitecustomize.py` reads them there.
"""

from __future__ import annotations

import os
import sys

_CHILDREN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_children")
_SDK = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def bequeath(folder: str, made: str | None) -> None:
    """Sets the variables. `folder` is the node's, `made` the folder of krt's `*_pb2` modules."""
    path = [_SDK, *([made] if made else []), folder]
    os.environ["KRT_CHILD_PYTHON"] = f"{sys.hexversion >> 16:x}:{sys.prefix}"
    os.environ["KRT_CHILD_PATH"] = os.pathsep.join(path)
    if made:
        os.environ["KRT_CHILD_MODULES"] = made
    own = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([_CHILDREN, own] if own else [_CHILDREN])
