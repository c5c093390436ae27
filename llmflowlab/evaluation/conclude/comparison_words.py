"""Says of two candidates and one scorer what was shown, in one sentence."""

from __future__ import annotations

from llmflowlab.evaluation.conclude.clusters_in_words import rows_in_words
from llmflowlab.evaluation.conclude.verdicts import Comparison
from llmflowlab.statistics import PairedTest
from llmflowlab.statistics.planning import rows_for_degrees, rows_for_yes_no

__all__ = ["describe_comparison", "in_points"]

_WORTH_SEEING = 0.03
"""The difference, in points of 1, that plans aim at when none was measured."""


def describe_comparison(comparison: Comparison) -> str:
    """Return one sentence on two candidates and one scorer."""
    a, b, scorer, test = comparison.a, comparison.b, comparison.scorer, comparison.test
    if test is None:
        return f"{scorer}: {a} and {b} have no scored row in common; they cannot be compared."
    if comparison.withheld is not None:
        return f"{scorer}: no verdict between {a} and {b}: {comparison.withheld}."
    same = comparison.equivalence
    if comparison.verdict == "same_within_margin" and same is not None:
        return f"{scorer}: {a} and {b} are the same within ±{_margin(same.margin)}{_between(comparison)}."
    if comparison.contradicted is not None:
        return (
            f"{scorer}: no difference shown between {a} and {b} (of {test.n} scored rows "
            f"{in_points(abs(test.difference))}): {comparison.contradicted}."
        )
    if comparison.verdict == "no_difference_shown":
        aim = max(abs(test.difference), _WORTH_SEEING)
        needed = _rows_to_see(aim, comparison, test)
        sentence = f"{scorer}: no difference shown between {a} and {b} on {rows_in_words(test)}"
        if comparison.smallest_visible is not None:
            sentence += f", which could have shown {in_points(comparison.smallest_visible)} or more"
        if same is not None and same.asked:
            why = "" if same.caveat is None else f", as {same.caveat}"
            sentence += f", nor that they are the same within ±{_margin(same.margin)}{why}"
        if needed is not None and needed > test.n:
            return (
                f"{sentence}; about {needed - test.n:,} more rows would be needed to see "
                f"{in_points(aim)}."
            )
        return f"{sentence}."
    better, worse = (b, a) if comparison.verdict == "b_better" else (a, b)
    low, high = test.interval.low, test.interval.high
    if test.difference < 0:
        low, high = -high, -low
    sign = "−" if comparison.lower_is_better else "+"
    within = ""
    if same is not None and same.asked and same.shown:
        within = f", and by less than {_margin(same.margin)}"
    return (
        f"{scorer}: {better} is better than {worse} ({sign}{in_points(abs(test.difference))}, 95 % CI "
        f"{low * 100:.0f} to {high * 100:.0f}{_corrected(comparison)}, {rows_in_words(test)}){within}."
    )


def _between(comparison: Comparison) -> str:
    """Return in brackets where the difference lies that is smaller than the margin."""
    test, same = comparison.test, comparison.equivalence
    if test is None or same is None or same.bounds is None:
        return ""
    low, high = 100 * same.bounds.low, 100 * same.bounds.high
    return (
        f" (difference {100 * test.difference:+.1f}, each bound at 95 %{_corrected(comparison)}: "
        f"{low:+.1f} to {high:+.1f}, {rows_in_words(test)})"
    )


def _corrected(comparison: Comparison) -> str:
    return f" corrected for {comparison.family} comparisons" if comparison.family > 1 else ""


def _margin(margin: float) -> str:
    return f"{100 * margin:g} point{'' if margin == 0.01 else 's'}"


def _rows_to_see(aim: float, comparison: Comparison, test: PairedTest) -> int | None:
    if test.discordance is None and test.deviation <= 0:
        # Rows without any spread tell nothing to plan with.
        return None
    if test.discordance is None:
        return rows_for_degrees(test.deviation, aim, alpha=comparison.level)
    return rows_for_yes_no(test.discordance, aim, alpha=comparison.level)


def in_points(difference: float) -> str:
    """Write the size of a difference of two scores, in points of a hundred."""
    value = difference * 100
    text = f"{value:.0f}" if value >= 1 else f"{value:.1f}"
    return f"{text} point{'' if text == '1' else 's'}"
