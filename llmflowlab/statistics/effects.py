"""How large a paired difference is, in units that do not depend on the scorer's."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import ArrayLike

from llmflowlab.statistics.paired import differences_of

__all__ = ["EffectSize", "effect_size"]


@dataclass(frozen=True, slots=True)
class EffectSize:
    """A standardised difference of B minus A; 0 where there is none."""

    name: Literal["cohens_g", "cohens_d_z"]
    value: float

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "value": self.value}


def effect_size(a: ArrayLike, b: ArrayLike, *, binary: bool) -> EffectSize | None:
    """Return the effect size that goes with the paired test; None where it is undefined.

    Yes/no: Cohen's g, the share of the rows on which the two disagree that B has right, minus 1/2
    (Cohen 1988, Statistical Power Analysis, p. 147); undefined where they never disagree. Others:
    Cohen's d_z, the mean of the differences over their standard deviation (ibid., p. 48), times
    Hedges' correction for few rows, Γ(ν/2) / (√(ν/2)·Γ((ν − 1)/2)) with ν = n − 1 (Hedges 1981,
    J. Educ. Stat. 6:107-128, equation 6e); undefined for fewer than three rows or without any spread.

    Args:
        a: One candidate's values.
        b: The other's, of the same rows.
        binary: Whether all are 0 or 1.
    """
    differences = differences_of(a, b)
    if binary:
        only_a, only_b = int((differences < 0).sum()), int((differences > 0).sum())
        if only_a + only_b == 0:
            return None
        return EffectSize("cohens_g", only_b / (only_a + only_b) - 0.5)
    n = int(differences.size)
    if n < 3 or (spread := float(differences.std(ddof=1))) <= 1e-12 * float(abs(differences).max()):
        return None
    half = (n - 1) / 2
    correction = math.exp(math.lgamma(half) - math.lgamma(half - 0.5)) / math.sqrt(half)
    return EffectSize("cohens_d_z", correction * math.fsum(differences) / n / spread)
