"""A process ends with its own code whatever its threads are at."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import llmflowlab

PROGRAM = """
import atexit, sys, threading
from llmflowlab.process_end import run_to_the_end

class Kept:
    def __del__(self):
        print("taken apart", file=sys.__stderr__)

def busy(begun, ended):
    begun.set()
    ended.wait()

def main():
    sys.modules["kept"] = Kept()
    atexit.register(print, "told")
    begun, ended = threading.Event(), threading.Event()
    threading.Thread(target=busy, args=(begun, ended), daemon=DAEMON).start()
    begun.wait()
    if not DAEMON:
        threading.Timer(0, ended.set).start()
    print("said", end=" ")
    RETURN

run_to_the_end(main)
"""


@pytest.mark.parametrize("daemon", [True, False])
@pytest.mark.parametrize(
    ("returned", "code"), [("return 3", 3), ("return None", 0), ("sys.exit(2)", 2)]
)
def test_what_was_written_and_asked_for_is_done(daemon: bool, returned: str, code: int) -> None:
    program = PROGRAM.replace("DAEMON", str(daemon)).replace("RETURN", returned)
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(llmflowlab.__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (code, "said told\n")
    # Nobody takes the modules apart that a thread may be using; 5 of 60 menus ended by a signal so.
    left_alone = daemon and "exit" not in returned
    assert done.stderr == ("" if left_alone else "taken apart\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full disk")
def test_what_cannot_be_written_is_still_an_error() -> None:
    program = PROGRAM.replace("DAEMON", "True").replace("RETURN", "return 0")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=Path(llmflowlab.__file__).parents[1],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 120
    assert "No space left" in done.stderr
