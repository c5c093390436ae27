"""Waits that end, whatever interrupts them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from llmflowlab.asking.waiting import THREADS, run
from tests.cli.pseudo_terminal import MAIN
from tests.patience import PATIENCE

_WAIT = """
import signal, time
from llmflowlab.asking.waiting import THREADS, run

inbox = THREADS.inbox()
# A handler that is still at work when the wait's time is over, as Ctrl-C's is on a busy machine.
signal.signal(signal.SIGALRM, lambda *_: time.sleep(0.3))
signal.setitimer(signal.ITIMER_REAL, 0.02)
print(run(inbox.get(0.1, polled=True)))
inbox.put("rung")
print(run(inbox.get(60.0, polled=False)))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no interval timers there")
def test_a_wait_that_a_signal_outlasts_ends_all_the_same() -> None:
    # The chat once hung for good: Ctrl-C while a silent server was waited for, at the end of a slice.
    done = subprocess.run(
        [sys.executable, "-c", _WAIT],
        cwd=MAIN.parent,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.stdout.split(), done.stderr) == (["None", "rung"], "")


def test_an_inbox_gives_all_that_came_in_its_order() -> None:
    inbox = THREADS.inbox()
    for number in range(3):
        inbox.put(number)
    found = [run(inbox.get(1.0, polled=False)) for _ in range(3)]
    assert found == [0, 1, 2]
    assert run(inbox.get(0.0, polled=True)) is None
