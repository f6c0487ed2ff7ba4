"""Starts the host: `python PATH/krt/__main__.py`, or `python -m krt`."""

import os
import sys


def _make_importable() -> None:
    """Puts the folder that holds this package first on `sys.path`, in the place of the package's
    own, which Python puts there for a script and where user code would find our private modules.
    """
    package = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if entry != package]
    folder = os.path.dirname(package)
    if folder not in sys.path:
        sys.path.insert(0, folder)


if __name__ == "__main__":
    _make_importable()
    from krt._start import main

    main()
