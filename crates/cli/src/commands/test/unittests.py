"""Runs the unittest tests of the given files, in any folder.

Exits with 0 if all succeed, 1 if any fails, 5 if there are no tests, and 6 if all are plain
functions, which unittest does not run.
"""

import importlib
import importlib.util
import os
import sys
import traceback
import unittest


def load(path):
    """Imports a file under its name in its package, or under a unique name."""
    top = os.path.dirname(path)
    while os.path.exists(os.path.join(top, "__init__.py")):
        top = os.path.dirname(top)
    name = os.path.relpath(path, top)[: -len(".py")].replace(os.sep, ".")
    if top not in sys.path:
        sys.path.insert(0, top)
    module = importlib.import_module(name)
    if os.path.realpath(getattr(module, "__file__", "")) == os.path.realpath(path):
        return module
    # Another file has the same name.
    spec = importlib.util.spec_from_file_location(f"{name}_{abs(hash(path)):x}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def main(paths):
    try:
        # Provides the package's *_pb2 modules from the start, as in a node.
        importlib.import_module("krt.testing")
    except ImportError:
        traceback.print_exc()
    loader, suite = unittest.TestLoader(), unittest.TestSuite()
    broken, functions = False, False
    for path in paths:
        try:
            module = load(path)
        except unittest.SkipTest as skipped:
            print(f"{path} is skipped: {skipped}", file=sys.stderr)
            continue
        except Exception:
            broken = True
            print(f"cannot import {path}", file=sys.stderr)
            traceback.print_exc()
            continue
        suite.addTests(loader.loadTestsFromModule(module))
        members = vars(module).items()
        functions |= any(name.startswith("test") and callable(value) for name, value in members)
    if suite.countTestCases() == 0 and not broken:
        return 6 if functions else 5
    result = unittest.TextTestRunner().run(suite)
    return 0 if result.wasSuccessful() and not broken else 1


sys.exit(main(sys.argv[1:]))
