"""What repeated trials tell: how much of the spread is the questions' and how much the model's mood."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Repeats", "pass_at_k", "pass_hat_k", "repeats", "variance_components"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeats:
    """One scorer over questions that were asked several times."""

    questions: int
    """Questions with two scored trials or more."""
    question_variance: float | None
    """Variance between questions' true means."""
    run_variance: float | None
    """Variance between the trials of one question."""
    flip_rate: float | None = None
    """Share of questions whose yes/no verdict was not the same in all trials; None for degrees."""
    pass_k: dict[int, float] = field(default_factory=dict)
    """k → chance that k trials of a question all pass; empty for degrees."""

    def to_json(self) -> dict[str, Any]:
        return {
            "questions": self.questions,
            "question_variance": self.question_variance,
            "run_variance": self.run_variance,
            "flip_rate": self.flip_rate,
            "pass_k": {str(k): value for k, value in self.pass_k.items()},
        }


def repeats(groups: Sequence[Sequence[float]], *, binary: bool) -> Repeats | None:
    """Return what the trials of each question say; None where no question has two.

    Args:
        groups: For each question its scores, 0 to 1.
        binary: Whether they are yes or no.
    """
    several = [list(group) for group in groups if len(group) > 1]
    if not several:
        return None
    between, within = variance_components(several)
    found = Repeats(questions=len(several), question_variance=between, run_variance=within)
    if not binary:
        return found
    flips = sum(1 for group in several if len(set(group)) > 1)
    most = min(len(group) for group in several)
    passed = {
        k: sum(pass_hat_k(len(group), round(sum(group)), k) for group in several) / len(several)
        for k in range(1, most + 1)
    }
    return Repeats(
        questions=len(several),
        question_variance=between,
        run_variance=within,
        flip_rate=flips / len(several),
        pass_k=passed,
    )


def variance_components(groups: Sequence[Sequence[float]]) -> tuple[float | None, float]:
    """Return the variance between groups and within them (one-way random effects).

    The analysis of variance estimators, for groups of unequal size too (Searle, Casella & McCulloch
    1992, Variance Components, section 3.6): σ²_within = MSE, σ²_between = max(0, (MSA − MSE) / n₀)
    with n₀ = (N − Σnᵢ²/N) / (a − 1).

    Args:
        groups: At least one group of two values or more.

    Returns:
        Between, None for a single group; and within.
    """
    a, total = len(groups), sum(len(group) for group in groups)
    grand = math.fsum(value for group in groups for value in group) / total
    means = [math.fsum(group) / len(group) for group in groups]
    squares = math.fsum(
        (value - mean) ** 2 for group, mean in zip(groups, means, strict=True) for value in group
    )
    within = squares / (total - a)
    if a < 2:
        return None, within
    among = math.fsum(
        len(group) * (mean - grand) ** 2 for group, mean in zip(groups, means, strict=True)
    ) / (a - 1)
    size = (total - sum(len(group) ** 2 for group in groups) / total) / (a - 1)
    return max(0.0, (among - within) / size), within


def pass_hat_k(trials: int, passed: int, k: int) -> float:
    """Return the unbiased estimate that k trials all pass, C(passed, k) / C(trials, k).

    Yao et al. 2024, tau-bench (arXiv:2406.12045), section 3.
    """
    return math.comb(passed, k) / math.comb(trials, k)


def pass_at_k(trials: int, passed: int, k: int) -> float:
    """Return the unbiased estimate that one of k trials passes, 1 − C(failed, k) / C(trials, k).

    Chen et al. 2021 (arXiv:2107.03374), equation 1.
    """
    return 1.0 - math.comb(trials - passed, k) / math.comb(trials, k)
