"""The driver of the benchmarks.

- `targets`: what is measured, and what it must reach.
- `options`: the command line.
- `environment`: the virtual environment and the generated modules.
- `servers`: starts and stops what is measured.
- `calls`: single gRPC calls, each with the answer that is right.
- `load`: many calls, by h2load.
- `processes`: what /proc knows.
- `rows`: the measurements.
- `rounds`: from the loads of several rounds to figures.
- `run`, `report`: runs the rows that were asked for and prints the figures.
"""


class BenchError(Exception):
    """Something that makes a measurement impossible; the text says what to do."""
