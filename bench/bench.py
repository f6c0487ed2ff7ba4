#!/usr/bin/env python3
"""Measures `krt` against its references and checks its targets.

README.md, beside this file, describes the measurements.
"""

import sys

from measure import BenchError, environment, options


def main() -> None:
    """Parses the arguments, enters the environment, measures."""
    settings = options.parse()
    try:
        environment.enter()
        from measure import run  # needs the packages of the environment

        run.run(settings)
    except BenchError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
