"""Starts a process of its own, and then never comes back."""

import os
import subprocess
import sys
from pathlib import Path

SCRATCH = Path(os.environ["E2E_SCRATCH"])


async def handler(ctx, data):
    subprocess.Popen([sys.executable, "-c", "while True: pass"])
    (SCRATCH / "begun").touch()
    while True:
        pass
