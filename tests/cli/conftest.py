from __future__ import annotations

import io
import sys

import pytest

from tests.cli.fakes import Typing

# A pseudo-terminal is POSIX's; Windows has none that pexpect could open.
collect_ignore = (
    [
        "test_hostile_text.py",
        "test_live_terminal.py",
        "test_pseudo_terminal.py",
        "test_review_terminal.py",
    ]
    if sys.platform == "win32"
    else []
)


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Typing:
    """Sets what is read from standard input, which ends after it."""

    def give(text: str) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO(text))

    return give
