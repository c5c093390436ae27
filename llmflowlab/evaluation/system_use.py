"""What a model that runs on this machine took of it while it answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

__all__ = ["SystemUse"]

_MEGA = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemUse:
    """Of the process that computes a candidate's answers, from the first one asked for to the last.

    None is unknown, never 0: the machine does not tell, or another candidate's model ran in the same
    process at the same time.
    """

    answers: int
    """That were had meanwhile."""
    seconds: float
    """By the clock."""
    cpu_seconds: float | None = None
    """Of all its threads together."""
    peak_memory_bytes: int | None = None
    """The most that was resident at any of the looks."""
    gpu_utilization: float | None = None
    """Of the devices it is on, the mean of all looks; from 0 to 1."""
    gpu_memory_bytes: int | None = None
    """The most that it held there."""
    gpu_energy_joules: float | None = None
    """Of those devices, whatever else they did."""

    @property
    def cpu_seconds_per_answer(self) -> float | None:
        """Processor seconds for one answer; None where unknown."""
        if self.cpu_seconds is None or not self.answers:
            return None
        return self.cpu_seconds / self.answers

    @property
    def gpu_joules_per_answer(self) -> float | None:
        """Energy of the GPUs for one answer; None where unknown."""
        if self.gpu_energy_joules is None or not self.answers:
            return None
        return self.gpu_energy_joules / self.answers

    def __add__(self, other: SystemUse) -> SystemUse:
        """Return what two starts of an evaluation took together."""
        seconds = self.seconds + other.seconds
        gpu = _plus(
            _times(self.gpu_utilization, self.seconds),
            _times(other.gpu_utilization, other.seconds),
        )
        return SystemUse(
            answers=self.answers + other.answers,
            seconds=seconds,
            cpu_seconds=_plus(self.cpu_seconds, other.cpu_seconds),
            peak_memory_bytes=_most(self.peak_memory_bytes, other.peak_memory_bytes),
            gpu_utilization=None if gpu is None or not seconds else gpu / seconds,
            gpu_memory_bytes=_most(self.gpu_memory_bytes, other.gpu_memory_bytes),
            gpu_energy_joules=_plus(self.gpu_energy_joules, other.gpu_energy_joules),
        )

    def metrics(self) -> dict[str, float | None]:
        """Return it as MLflow's metrics, which has names of this kind for whole machines."""
        memory, gpu_memory = self.peak_memory_bytes, self.gpu_memory_bytes
        used = self.gpu_utilization
        return {
            "system/process_cpu_seconds": self.cpu_seconds,
            "system/process_cpu_seconds_per_answer": self.cpu_seconds_per_answer,
            "system/process_peak_memory_megabytes": None if memory is None else memory / _MEGA,
            "system/gpu_utilization_percentage": None if used is None else 100 * used,
            "system/gpu_peak_memory_megabytes": None if gpu_memory is None else gpu_memory / _MEGA,
            "system/gpu_energy_joules": self.gpu_energy_joules,
        }

    def to_json(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "cpu_seconds_per_answer": self.cpu_seconds_per_answer,
            "gpu_joules_per_answer": self.gpu_joules_per_answer,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> SystemUse:
        """Build it from what `to_json` returned; keys of a later version are left out."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})


def _plus(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other


def _times(one: float | None, other: float) -> float | None:
    return None if one is None else one * other


def _most(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else max(one, other)
