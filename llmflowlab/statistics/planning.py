"""How many questions it takes to see a difference, and which difference a number of them can show.

The sizes are for the tests that the lab itself makes: McNemar's exact test for yes/no scores, the
randomisation test of the mean, whose power is that of Student's, for degrees.
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "MOST_ROWS",
    "fewest_rows",
    "mcnemar_power",
    "roughly_visible",
    "rows_for_degrees",
    "rows_for_yes_no",
    "visible_degrees",
    "visible_yes_no",
    "yes_no_power",
]

MOST_ROWS = 10_000_000


def mcnemar_power(n: int, discordance: float, difference: float, *, alpha: float = 0.05) -> float:
    """Return the chance that McNemar's exact test finds a true difference on the right side.

    The number of rows on which the two disagree is Binomial(n, ψ); of these the better one has
    Binomial(d, (ψ + δ) / 2ψ). The power is summed over both, exactly up to the far tails.

    Args:
        n: Rows.
        discordance: ψ, share of rows that only one of the two has right.
        difference: δ, mean of one minus mean of the other; at most ψ.
        alpha: Two-sided level.
    """
    import numpy as np
    from scipy.special import bdtr

    if not 0 < difference <= discordance <= 1:
        raise ValueError("a difference lies above 0 and within the share of rows that differ")
    spread = 8 * math.sqrt(n * discordance * (1 - discordance)) + 1
    low, high = max(0, int(n * discordance - spread)), min(n, int(n * discordance + spread))
    share = (discordance + difference) / (2 * discordance)
    pairs = np.arange(low, high + 1)
    k = _critical(alpha, 1 << high.bit_length())[low : high + 1]
    found = np.where(k >= 0, bdtr(np.maximum(k, 0), pairs, 1 - share), 0.0)
    # The chance of just so many discordant rows, from that of so many at most.
    upto = bdtr(np.arange(low - 1, high + 1).clip(0), n, discordance)
    upto[0] = upto[0] if low else 0.0
    return float((np.diff(upto) * found).sum())


def yes_no_power(n: int, discordance: float, difference: float, *, alpha: float = 0.05) -> float:
    """Return `mcnemar_power`, of many rows by Connor's approximation."""
    if n <= _EXACT_UP_TO:
        return mcnemar_power(n, discordance, difference, alpha=alpha)
    z = NormalDist().inv_cdf(1 - alpha / 2)
    spread = max(discordance - difference**2, 1e-12)
    # The exact test is conservative by about one discordant pair.
    root = math.sqrt(n - 1 / difference) if n > 1 / difference else 0.0
    return NormalDist().cdf((difference * root - z * math.sqrt(discordance)) / math.sqrt(spread))


@lru_cache(maxsize=32)
def _critical(alpha: float, most: int) -> np.ndarray:
    """Return for 0 to `most` discordant rows the largest k with 2·P(X ≤ k) ≤ α; −1 where none has."""
    import numpy as np
    from scipy.special import bdtr

    pairs = np.arange(most + 1)
    # About half of them less 1.96 standard errors; then up or down to the edge.
    z = NormalDist().inv_cdf(1 - alpha / 2)
    k = np.maximum(np.floor((pairs - z * np.sqrt(pairs)) / 2) - 2, -1)
    while True:
        more = 2 * bdtr(np.minimum(k + 1, pairs), pairs, 0.5) <= alpha
        if not more.any():
            break
        k = k + more
    while True:
        less = (k >= 0) & (2 * bdtr(np.maximum(k, 0), pairs, 0.5) > alpha)
        if not less.any():
            return np.asarray(k)
        k = k - less


def rows_for_yes_no(
    discordance: float, difference: float, *, power: float = 0.8, alpha: float = 0.05
) -> int:
    """Return how many rows show a difference between yes/no scores with the power asked for.

    Args:
        discordance: Share of rows on which the two will disagree.
        difference: What is to be seen, in points of 1, above 0.
        power: Chance of seeing it.
        alpha: Two-sided level of the test.
    """
    discordance = min(1.0, max(discordance, difference))
    guess = _normal_rows(discordance, difference, power, alpha)
    if guess > _EXACT_UP_TO:
        # The exact test is conservative by about one discordant pair.
        return min(guess + math.ceil(1 / difference), MOST_ROWS)
    low, high = 1, max(8, guess)
    while mcnemar_power(high, discordance, difference, alpha=alpha) < power:
        low, high = high, 2 * high
    # The power saws up and down a little with n; the edge found here is one of its teeth.
    while high - low > 1:
        middle = (low + high) // 2
        if mcnemar_power(middle, discordance, difference, alpha=alpha) >= power:
            high = middle
        else:
            low = middle
    return high


_EXACT_UP_TO = 20_000


def _normal_rows(discordance: float, difference: float, power: float, alpha: float) -> int:
    """Return Connor's approximation (1987, Biometrics 43:207–211)."""
    normal = NormalDist()
    z_a, z_b = normal.inv_cdf(1 - alpha / 2), normal.inv_cdf(power)
    spread = max(discordance - difference**2, 0.0)
    root = z_a * math.sqrt(discordance) + z_b * math.sqrt(spread)
    return min(math.ceil((root / difference) ** 2), MOST_ROWS)


def rows_for_degrees(
    deviation: float, difference: float, *, power: float = 0.8, alpha: float = 0.05
) -> int:
    """Return how many rows show a mean difference between degrees.

    n = ((z₁₋α/₂ + z_power)·σ / δ)², and two rows for the estimate of σ; never fewer than show anything
    at all.

    Args:
        deviation: σ, standard deviation of the row-wise differences.
        difference: What is to be seen, in points of 1, above 0.
        power: Chance of seeing it.
        alpha: Two-sided level of the test.
    """
    if difference <= 0 or deviation < 0:
        raise ValueError("a difference to be seen lies above 0")
    normal = NormalDist()
    z = normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(power)
    rows = math.ceil((z * deviation / difference) ** 2) + 2
    return min(max(rows, fewest_rows(alpha)), MOST_ROWS)


def fewest_rows(alpha: float) -> int:
    """Return with how many rows a difference is first shown.

    All pointing one way, for the randomisation test; and with ten for the bootstrap, without which the
    interval is that of the worst case.
    """
    return max(10, math.ceil(math.log2(2 / alpha)))


def visible_yes_no(
    n: int, discordance: float, *, power: float = 0.8, alpha: float = 0.05
) -> float | None:
    """Return the smallest difference that n rows show; None if not even the largest.

    Where the two disagree on fewer rows than a difference takes, they are taken to disagree on just
    those, all in favour of one: the inverse of `rows_for_yes_no`.

    Args:
        n: Rows.
        discordance: Share of rows on which the two disagree.
        power: Chance of seeing it.
        alpha: Two-sided level of the test.
    """
    if n < 1 or not 0 <= discordance <= 1:
        return None
    if mcnemar_power(n, 1.0, 1.0, alpha=alpha) < power:
        return None
    low, high = 0.0, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        spread = max(discordance, middle)
        if mcnemar_power(n, spread, middle, alpha=alpha) >= power:
            high = middle
        else:
            low = middle
    return high


def visible_degrees(
    n: int, deviation: float, *, power: float = 0.8, alpha: float = 0.05
) -> float | None:
    """Return the smallest mean difference between degrees that n rows show; None for too few."""
    if n < fewest_rows(alpha) or deviation <= 0:
        return None
    return roughly_visible(n - 2, deviation, power=power, alpha=alpha)


def roughly_visible(n: int, deviation: float, *, power: float = 0.8, alpha: float = 0.05) -> float:
    """Return the smallest mean difference that n rows show, by the normal approximation.

    Needs no scipy. The deviation of yes/no scores is at most the root of their discordance.
    """
    normal = NormalDist()
    z = normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(power)
    return z * deviation / math.sqrt(n)
