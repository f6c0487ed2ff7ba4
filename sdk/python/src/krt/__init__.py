"""The Python SDK of krt: what a node's `init` and `handler` are given, typed.

A node needs to import nothing of it. Import `Context` to annotate, `krt.errors` to tell errors
apart, and `krt.testing` to try a handler without an engine.
"""

from ._context import Context
from ._database import Database
from ._documents import ObjectId
from ._measurement import Measurements
from ._prediction import Predictions
from ._version import VERSION as __version__

__all__ = ["Context", "Database", "Measurements", "ObjectId", "Predictions", "__version__"]
