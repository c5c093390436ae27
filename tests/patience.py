"""How long a test waits for what must happen."""

from __future__ import annotations

__all__ = ["PATIENCE"]

PATIENCE = 120.0
"""Seconds for one event. Whoever waits is woken by the event: so many pass only where it never comes, however
busy the machine is."""
