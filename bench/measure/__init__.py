"""The driver of the benchmarks.

- `targets`: the figures and their targets.
- `options`: the command line.
- `environment`: the virtual environment and the generated modules.
- `servers`: starts and stops the measured servers.
- `calls`: single gRPC calls, each with the expected answer.
- `load`: many calls with h2load.
- `processes`: figures from /proc.
- `rows`: the measurements.
- `rounds`: computes figures from the loads of several rounds.
- `run`, `report`: runs the requested rows and prints the figures.
- `peers`: installs and starts the other model servers, and `krt` with the same models.
- `web`: single calls over HTTP with JSON.
- `peer_rows`, `peer_report`: the measurements of `--peers`, and their tables.
"""


class BenchError(Exception):
    """An error that makes a measurement impossible; the text gives the remedy."""
