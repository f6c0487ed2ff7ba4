"""The Python SDK of krt: typed arguments for a node's `init` and `handler`.

A node does not have to import it. Import `Context` for annotations, `krt.errors` to catch specific
errors, and `krt.testing` to test a handler without an engine.
"""

from ._batches import BatchContext
from ._context import Context
from ._database import Database
from ._documents import ObjectId
from ._measurement import Measurements
from ._metadata import Metadata
from ._prediction import Predictions

__version__ = "0.1.0"

__all__ = [
    "BatchContext",
    "Context",
    "Database",
    "Measurements",
    "Metadata",
    "ObjectId",
    "Predictions",
    "__version__",
]
