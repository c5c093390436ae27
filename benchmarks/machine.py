"""Where and on what was measured, and whether others took part."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import llmflowlab

BUSY = 0.25
"""Share of the processors above which the use by others is said to spoil figures."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """How busy a machine was with other things."""

    cores: int
    load_before: float
    """Of the last minute, before anything was started."""
    others: float | None
    """Processors that others used meanwhile, on average; None where the system does not say."""

    @property
    def busy(self) -> bool:
        """Whether figures are upper bounds only."""
        return max(self.load_before, self.others or 0.0) > BUSY * self.cores

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "busy": self.busy}

    def __str__(self) -> str:
        meanwhile = "" if self.others is None else f", others used {self.others:.1f} meanwhile"
        state = "busy: times are upper bounds" if self.busy else "quiet"
        return f"{self.cores} cores, load {self.load_before:.1f} before{meanwhile} ({state})"


class Watch:
    """Watches from its making on what others use."""

    def __init__(self) -> None:
        self._load = os.getloadavg()[0]
        self._began = self._now()

    def conditions(self) -> Conditions:
        """Return how it was until now."""
        (clock, own, everybody), (clock_now, own_now, everybody_now) = self._began, self._now()
        others = None
        if everybody is not None and everybody_now is not None and clock_now > clock:
            foreign = (everybody_now - everybody) - (own_now - own)
            others = max(0.0, foreign / (clock_now - clock))
        return Conditions(os.cpu_count() or 1, self._load, others)

    @staticmethod
    def _now() -> tuple[float, float, float | None]:
        return time.perf_counter(), sum(os.times()[:4]), _spent_by_everybody()


def _spent_by_everybody() -> float | None:
    """Return the seconds that all processors have worked since the system began; None where it does not say."""
    try:
        first = Path("/proc/stat").read_text("ascii").partition("\n")[0]
    except OSError:
        return None
    # proc_stat(5): user, nice, system, idle, iowait, irq, softirq, steal.
    user, nice, system, _, _, *interrupts = map(int, first.split()[1:8])
    return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")


def versions() -> dict[str, str]:
    """Return what is measured, and what it stands on."""
    own = {"LLMFlowLab": llmflowlab.__version__, "Python": platform.python_version()}
    return own | {name: version(name) for name in ("mlflow", "openai", "aiohttp")}
