"""What models that run on this machine took of it, in sentences: the same for screen, page and summary."""

from __future__ import annotations

from collections.abc import Sequence

from llmflowlab.evaluation.conclude.results import CandidateResult
from llmflowlab.text.amounts import bytes_text, percent

__all__ = ["machine_lines", "machine_parts"]


def machine_lines(candidates: Sequence[CandidateResult]) -> list[str]:
    """Return a sentence for each that was measured; what is unknown is left out."""
    lines = []
    for candidate in candidates:
        parts = [part for part in machine_parts(candidate) if part[1] is not None]
        if candidate.system is not None and parts:
            said = ", ".join(f"{value} {name}" for name, value in parts)
            lines.append(f"{candidate.spec.label} on this machine: {said}.")
    return lines


def machine_parts(candidate: CandidateResult) -> list[tuple[str, str | None]]:
    """Return (what, how much) of a candidate that was measured; None is unknown."""
    use, speed = candidate.system, candidate.tokens_per_second
    if use is None:
        return []
    cpu, joules = use.cpu_seconds_per_answer, use.gpu_joules_per_answer
    memory, held = use.peak_memory_bytes, use.gpu_memory_bytes
    return [
        ("tokens/s", None if speed is None else f"{speed:,.0f}"),
        ("CPU s an answer", None if cpu is None else f"{cpu:.2f}"),
        ("peak memory", None if memory is None else bytes_text(memory)),
        ("GPU busy", percent(use.gpu_utilization)),
        ("GPU memory", None if held is None else bytes_text(held)),
        ("GPU J an answer", None if joules is None else f"{joules:,.0f}"),
    ]
