"""What people would say of all rows: their words on some, and a judge's scores on all.

Prediction-powered inference (Angelopoulos et al. 2023, Science 382:669-674; PPI++: Angelopoulos, Duchi &
Zrnic 2024, arXiv:2311.01453) corrects the mean of a judge's scores by how far people differ from it where
both spoke; the power λ that it gives to the judge is tuned. For a judge that says yes or no the tuned
estimate is the post-stratified one (Cochran 1977, Sampling Techniques, section 5A.9): people's mean
within each group of rows that the judge scores alike, weighted by the groups' shares of all rows. That
is what is done here, for any score, as its intervals hold where the authors' normal ones do not, with
few rows and judges that are nearly always right (`docs/statistics.md`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from llmflowlab.statistics.clusters import totals
from llmflowlab.statistics.intervals import Interval, mean_interval
from llmflowlab.statistics.paired import difference_interval, tango_interval

__all__ = ["FEWEST", "Combined", "combined_difference", "combined_mean"]

FEWEST = 10
"""Rows that people judged, below which nothing is estimated."""

_SEED = 20_240_607
_DRAWS = 4_000
_MOST_GROUPS = 5
_ROWS_A_GROUP = 6
_CELLS = 2_000_000
"""Draws times clusters that are held at once."""
_EVIDENCE = 1.28
"""Standard deviations by which a judge must explain more than chance does, to be given any part."""
_DECIMALS = 12
_NOTHING = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Combined:
    """An estimate of what people would say on average, of all rows."""

    value: float
    interval: Interval
    """95 %."""
    people: float
    """Mean of what they did say."""
    labelled: int
    """Questions on which they did."""
    of: int
    """All questions with an answer that could be judged."""
    power: float
    """Share of the variance of people's words that the judge explains; 0 where it was given no part."""
    effective: float
    """As many words of people alone would give an interval of this width."""

    def half_width(self, more: int = 0) -> float:
        """Return half the interval's width once people have judged so many more questions."""
        rows = min(self.labelled + more, self.of)
        spread = (1 - self.power) / rows + self.power / self.of
        now = (1 - self.power) / self.labelled + self.power / self.of
        return (self.interval.high - self.interval.low) / 2 * math.sqrt(spread / now)

    def more_for(self, half_width: float) -> int | None:
        """Return how many more questions people must judge for that width; None: all are too few."""
        now = (1 - self.power) / self.labelled + self.power / self.of
        wanted = now * (half_width / self.half_width()) ** 2 - self.power / self.of
        rows = math.ceil((1 - self.power) / wanted - _NOTHING) if wanted > 0 else self.of + 1
        return max(0, rows - self.labelled) if rows <= self.of else None


def combined_mean(
    said: Sequence[float | None],
    judged: Sequence[float | None],
    *,
    binary: bool,
    clusters: np.ndarray | None = None,
    strata: np.ndarray | None = None,
) -> Combined | None:
    """Estimate people's mean of all questions; None where they judged fewer than ten.

    The questions that people judged must be a random sample of all.

    Args:
        said: What people said of each question, in [0, 1]; None where they did not.
        judged: The judge's scores of the same questions; None where there is none.
        binary: Whether people say yes or no, once a question.
        clusters: For each question the cluster it belongs to; None: each stands alone.
        strata: For each question the stratum it was drawn from, where not all were as likely to be
            judged; the estimate is then made within these, whatever the judge is worth.
    """

    def alone(values: np.ndarray, groups: np.ndarray | None) -> Interval:
        interval = mean_interval(values.tolist(), binary=binary and groups is None, clusters=groups)
        assert interval is not None, "there are values"
        return interval

    return _combined(said, judged, clusters, strata, (0.0, 1.0), binary, alone)


def combined_difference(
    said: Sequence[float | None],
    judged: Sequence[float | None],
    *,
    binary: bool,
    clusters: np.ndarray | None = None,
    strata: np.ndarray | None = None,
) -> Combined | None:
    """Estimate the mean difference of two candidates for people; None below ten questions.

    Args:
        said: The second's value less the first's on each question, in [-1, 1]; None where people did
            not judge both.
        judged: The same of the judge's scores.
        binary: Whether people say yes or no, once a question.
        clusters: For each question the cluster it belongs to; None: each stands alone.
        strata: For each question the stratum it was drawn from, where not all were as likely to be
            judged; the estimate is then made within these, whatever the judge is worth.
    """

    def alone(values: np.ndarray, groups: np.ndarray | None) -> Interval:
        if binary and groups is None:
            return tango_interval(int((values < 0).sum()), int((values > 0).sum()), values.size)
        return difference_interval(*totals(values, groups))

    return _combined(said, judged, clusters, strata, (-1.0, 1.0), False, alone)


def _combined(
    said: Sequence[float | None],
    judged: Sequence[float | None],
    clusters: np.ndarray | None,
    strata: np.ndarray | None,
    ends: tuple[float, float],
    binary: bool,
    alone: Callable[[np.ndarray, np.ndarray | None], Interval],
) -> Combined | None:
    """Estimate the mean of values between two ends; `alone` makes the interval of people's words."""
    words = np.array([np.nan if value is None else value for value in said], dtype=float)
    labelled = ~np.isnan(words)
    values = np.round(words[labelled], _DECIMALS) + 0.0
    own = None if clusters is None else np.unique(clusters, return_inverse=True)[1].reshape(-1)
    units = values.size if own is None else np.unique(own[labelled]).size
    if units < FEWEST:
        return None
    people = float(values.mean())
    interval = alone(values, None if own is None else own[labelled])
    group = _with_words(_alike(judged, values.size) if strata is None else strata, labelled)
    power = _explained(values, group[labelled], units, drawn=strata is not None)
    if labelled.all():
        # Nothing is left for anybody to guess.
        power = None
    if power is None:
        value, effective = people, float(values.size)
    else:
        draws = _draws(values, group, labelled, own, ends, binary=binary)
        low, high = (float(end) for end in np.quantile(draws, [0.025, 0.975]))
        within = np.bincount(group[labelled], values) / np.bincount(group[labelled])
        value = float(np.bincount(group) @ within / group.size)
        if not power:
            # Groups that explain nothing make no interval narrower than the words alone do.
            low = min(low, value - (people - interval.low))
            high = max(high, value + (interval.high - people))
        # Where all words are one, the words that nobody said pull every draw away from it.
        low, high = max(ends[0], min(low, value)), min(ends[1], max(high, value))
        worth = ((interval.high - interval.low) / (high - low)) ** 2
        effective = min(values.size * max(worth, 1.0) if power else values.size, words.size)
        interval = Interval(low, high)
    return Combined(
        value=value,
        interval=interval,
        people=people,
        labelled=values.size,
        of=words.size,
        power=power or 0.0,
        effective=effective,
    )


def _alike(judged: Sequence[float | None], labelled: int) -> np.ndarray:
    """Return each question's group of like scores: the fewer words there are, the fewer groups.

    Where the judge has no score, its mean stands for it: any guess made without people's words will do.
    """
    known = [value for value in judged if value is not None]
    middle = math.fsum(known) / len(known) if known else 0.0
    scores = np.round([middle if value is None else value for value in judged], _DECIMALS)
    most = min(_MOST_GROUPS, max(2, labelled // _ROWS_A_GROUP))
    group = np.unique(scores, return_inverse=True)[1].reshape(-1)
    if group.max() >= most:
        edges = np.unique(np.quantile(group, np.arange(1, most) / most, method="lower"))
        group = np.searchsorted(edges, group, side="left")
    return np.asarray(group)


def _with_words(group: np.ndarray, labelled: np.ndarray) -> np.ndarray:
    """Return groups, numbered from 0, of each of which people judged some; others join the nearest."""
    found = np.unique(group[labelled])
    return np.asarray(np.abs(np.subtract.outer(group, found)).argmin(axis=1))


def _explained(values: np.ndarray, group: np.ndarray, units: int, *, drawn: bool) -> float | None:
    """Return the share of variance between the groups, adjusted for their number.

    None where it is no more than chance gives often: n·R² is χ² where the judge knows nothing. Of
    groups that were drawn from it is never None, for the mean of all words is then biased.
    """
    sizes = np.bincount(group)
    steps, total = sizes.size - 1, float(values.var())
    if not steps or total < _NOTHING:
        return 0.0 if drawn and steps else None
    means = np.bincount(group, values) / sizes
    share = float(sizes @ (means - values.mean()) ** 2) / values.size / total
    if not drawn and units * share <= steps + _EVIDENCE * math.sqrt(2 * steps):
        return None
    adjusted = 1 - (1 - share) * (values.size - 1) / max(1, values.size - sizes.size)
    return round(max(0.0, adjusted), _DECIMALS)


def _draws(
    values: np.ndarray,
    group: np.ndarray,
    labelled: np.ndarray,
    own: np.ndarray | None,
    ends: tuple[float, float],
    *,
    binary: bool,
) -> np.ndarray:
    """Return draws of the mean by the Bayesian bootstrap within groups (Rubin 1981).

    A word of which nothing is known is added, half of it at either end of the scale: between yes and
    no to each group, which is Jeffreys' interval there; else spread over the groups. So a judge with
    whom people have not yet differed is not taken to be always right.
    """
    generator = np.random.default_rng(_SEED)
    count = int(group.max()) + 1
    unseen = 0.5 if binary else 0.5 / count
    clusters = 0 if own is None else int(own.max()) + 1
    said = group[labelled]
    # By value and group, so that the order of questions changes nothing.
    cells, place, times = np.unique(
        np.column_stack((said, values)), axis=0, return_inverse=True, return_counts=True
    )
    found = []
    step = max(1, _CELLS // max(clusters, 1))
    for start in range(0, _DRAWS, step):
        size = min(step, _DRAWS - start)
        if own is None:
            shares = generator.standard_gamma(np.bincount(group), (size, count))
            weights = generator.standard_gamma(times, (size, times.size))
        else:
            drawn = generator.standard_exponential((size, clusters))
            table = np.zeros((clusters, count))
            np.add.at(table, (own, group), 1)
            seen = np.zeros((clusters, times.size))
            np.add.at(seen, (own[labelled], place.reshape(-1)), 1)
            shares, weights = drawn @ table, drawn @ seen
        doubt = generator.standard_gamma(unseen, (2, size, count))
        within = np.eye(count)[cells[:, 0].astype(int)]
        sums = (weights * cells[:, 1]) @ within + ends[0] * doubt[0] + ends[1] * doubt[1]
        means = sums / (weights @ within + doubt.sum(axis=0))
        found.append((shares * means).sum(axis=1) / shares.sum(axis=1))
    return np.concatenate(found)
