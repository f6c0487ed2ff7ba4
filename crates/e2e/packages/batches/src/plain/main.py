"""Works with plain data, as a plain function."""

import os
import time
from pathlib import Path

SCRATCH = Path(os.environ["E2E_SCRATCH"])


def handler(ctx, data):
    for item in data:
        if item["text"] == "hold":
            (SCRATCH / "hold.begun").touch()
            while not (SCRATCH / "hold").exists():
                time.sleep(0.01)
    return [{"text": item["text"], "size": len(data)} for item in data]
