"""Runs pytest beside a busy loop on every core: `python -m tests.busy [ARGUMENT …]`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str]) -> int:
    """Return pytest's exit code; the loops end with it."""
    loops = [
        # Each ends by itself where this process is killed: its standard input ends then.
        subprocess.Popen([sys.executable, "-c", _LOOP], stdin=subprocess.PIPE)
        for _ in range(os.cpu_count() or 1)
    ]
    try:
        return subprocess.call([sys.executable, "-m", "pytest", *arguments])
    finally:
        for loop in loops:
            loop.kill()
            loop.communicate()


_LOOP = """
import os, sys, threading
threading.Thread(target=lambda: os._exit(len(sys.stdin.read())), daemon=True).start()
while True:
    pass
"""

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
