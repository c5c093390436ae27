"""How long a test waits for what must happen."""

from __future__ import annotations

import threading

__all__ = ["PATIENCE", "hold"]

PATIENCE = 120.0
"""Seconds for one event. Whoever waits is woken by the event: so many pass only where it never comes, however
busy the machine is."""


def hold(until: threading.Event | threading.Barrier) -> None:
    """Wait, as a step of a script or a job."""
    until.wait(PATIENCE)
