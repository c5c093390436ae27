"""Says in words what an evaluation shows, so that a person can act on it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from llmflowlab.evaluation.conclude.comparison_words import describe_comparison, in_points
from llmflowlab.evaluation.conclude.recommendation import why_nobody
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.conclude.verdicts import Recommendation, Sequential
from llmflowlab.evaluation.scorers.ranking import main_scorer
from llmflowlab.evaluation.scores import COVERAGE_FLOOR
from llmflowlab.program import program_name
from llmflowlab.statistics import Interval
from llmflowlab.text.amounts import seconds
from llmflowlab.text.money import dollars

__all__ = ["cautions", "conclude", "findings", "headline"]


def headline(result: EvaluationResult) -> list[str]:
    """Return what must be known before all else: who is recommended or why nobody, and reservations."""
    scorer = main_scorer(result.plan.scorers)
    if len(result.candidates) == 1:
        first = _one(result, scorer)
    elif result.recommendation is not None:
        first = result.recommendation.reason
    else:
        first = f"Nobody is recommended: {_why_nobody(result, scorer)}."
    by_prompt = [verdict.sentence() for verdict in result.prompts]
    return [first, *_reservations(result), *by_prompt]


def findings(result: EvaluationResult) -> list[str]:
    """Return what else is shown, as sentences, the most important first; nothing of one candidate."""
    if len(result.candidates) == 1:
        return []
    scorer = main_scorer(result.plan.scorers)
    ranked = [c for c in result.comparisons if c.scorer == scorer and c.sequential is None]
    sentences = [describe_comparison(comparison) for comparison in ranked]
    sentences += [
        describe_comparison(comparison)
        for comparison in result.comparisons
        if comparison.scorer != scorer
        and comparison.verdict in {"a_better", "b_better", "same_within_margin"}
    ]
    sentences += _fastest_and_cheapest(result)
    if result.recommendation is not None:
        sentences.append(_front(result, result.recommendation))
    return sentences


def conclude(result: EvaluationResult) -> list[str]:
    """Return the conclusion as sentences, the most important first."""
    return [*headline(result), *findings(result)]


def _reservations(result: EvaluationResult) -> list[str]:
    sentences: list[str] = []
    if result.interrupted:
        sentences.append(
            "Interrupted: the figures cover what was answered until then. "
            f"Go on with: {program_name()} evaluate --resume {result.plan.evaluation_id}"
        )
    sentences += cautions(result)
    if result.sequential is not None:
        sentences.append(_sequential(result, result.sequential))
    return sentences


def cautions(result: EvaluationResult) -> list[str]:
    """Return what speaks against the judges, and whose means speak of a part of the answers alone."""
    judges = [
        sentence for quality in result.judging.values() for sentence in quality.reservations()
    ]
    return judges + _coverage_warnings(result)


def _why_nobody(result: EvaluationResult, scorer: str) -> str:
    if result.unfinished is not None:
        return result.unfinished
    if result.table.traits[scorer].figure is not None:
        return f"{scorer} is one figure of all answers together"
    return why_nobody(result.candidates, result.table, scorer)


def _front(result: EvaluationResult, recommendation: Recommendation) -> str:
    entries = []
    for entry in recommendation.front:
        figures = [_with_interval(entry.mean, entry.interval, lambda x: f"{x:.0%}")]
        if entry.cost_usd is not None:
            figures.append(
                _with_interval(
                    float(entry.cost_usd), entry.cost_interval, lambda x: dollars(Decimal(str(x)))
                )
            )
        if entry.latency is not None:
            figures.append(
                _with_interval(entry.latency, entry.latency_interval, lambda x: seconds(x) or "")
            )
        label = result.candidates[entry.candidate].spec.label
        entries.append(f"{label} {', '.join(figures)}")
    return (
        f"Beaten by nobody in {recommendation.scorer}, cost and speed at once (of an answer on "
        f"average, with 95 % intervals): {'; '.join(entries)}."
    )


def _with_interval(value: float, interval: Interval | None, write: Callable[[float], str]) -> str:
    if interval is None or interval.low == interval.high:
        return write(value)
    return f"{write(value)} [{write(interval.low)} to {write(interval.high)}]"


def _sequential(result: EvaluationResult, found: Sequential) -> str:
    a, b = (candidate.spec.label for candidate in result.candidates)
    if (doubt := result.table.doubts.get(found.scorer)) is not None:
        return f"{found.scorer}: not decided between {a} and {b}: {doubt}."
    low, high = 100 * found.interval.low, 100 * found.interval.high
    rows = f"{found.looked_at} of {found.of} rows"
    between = f"{low:+.0f} to {high:+.0f} points, whenever one looks"
    if found.verdict is None:
        return (
            f"{found.scorer}: not decided between {a} and {b} on {rows} ({between}); differences below "
            f"{in_points(found.margin)} were not to matter."
        )
    if found.verdict == "equivalent":
        said = f"{a} and {b} are no more than {in_points(found.margin)} apart"
    else:
        better, worse = (b, a) if found.verdict == "b_better" else (a, b)
        said = f"{better} is better than {worse}"
        if found.verdict == "a_better":
            between = f"{-high:+.0f} to {-low:+.0f} points, whenever one looks"
    saved = f", which saved about {dollars(found.saved_usd)}" if found.saved_usd else ""
    left = "All answers were there by then."
    if found.not_asked:
        left = f"{found.not_asked:,} answers were not asked for{saved}."
    return f"{found.scorer}: decided after {rows}: {said} ({between}). {left}"


def _one(result: EvaluationResult, scorer: str) -> str:
    (candidate,) = result.candidates
    score = candidate.scores[scorer]
    name = candidate.spec.label
    if (doubt := result.table.doubts.get(scorer)) is not None:
        return f"{name}: {scorer} says nothing of it, as {doubt}; take another judge, or score without one."
    if score.mean is None or score.interval is None:
        return f"{name}: no row could be scored by {scorer}, so nothing can be said of it."
    return (
        f"{name}: {scorer} {score.mean:.0%} (95 % CI {score.interval.low:.0%} to "
        f"{score.interval.high:.0%}) on {score.scored} scored rows. "
        "Evaluate a second model on the same rows to know whether that is good."
    )


def _coverage_warnings(result: EvaluationResult) -> list[str]:
    warnings = []
    for candidate in result.ordered:
        low = [
            f"{name} {score.coverage:.0%}"
            for name, score in candidate.scores.items()
            # A guideline judge speaks of the rows that have guidelines: no gap in that.
            if score.covered is not None and score.covered < COVERAGE_FLOOR
        ]
        if low:
            warnings.append(
                f"Careful: not every answer of {candidate.spec.label} was scored "
                f"(coverage: {', '.join(low)}); its means speak only of the rest."
                + (f" Most often: {candidate.why_failed}" if candidate.why_failed else "")
            )
    return warnings


def _fastest_and_cheapest(result: EvaluationResult) -> list[str]:
    sentences = []
    candidates = result.candidates
    # A candidate that was always cut is quick, but nobody waits for what it did not say.
    timed = {
        i: c.latency.mean
        for i, c in enumerate(candidates)
        if c.latency.mean is not None and c.whole
    }
    if len(timed) == len(candidates):
        fastest = min(timed, key=lambda index: timed[index])
        alike = _not_told_apart(result, "latency", fastest)
        sentences.append(
            f"Fastest: {candidates[fastest].spec.label}, {seconds(timed[fastest])} an answer on average{alike}."
        )
    priced = {i: each for i, c in enumerate(candidates) if (each := c.cost_per_answer) is not None}
    if len(priced) == len(candidates):
        lowest = min(priced.values())
        cheapest = [index for index, cost in priced.items() if cost == lowest]
        whole = candidates[cheapest[0]].cost_usd
        cost = "free" if lowest == 0 or whole is None else f"{dollars(whole)} for these rows"
        alike = _not_told_apart(result, "cost_usd", cheapest[0]) if len(cheapest) == 1 else ""
        names = " and ".join(candidates[index].spec.label for index in cheapest)
        sentences.append(f"Cheapest: {names}, {cost}{alike}.")
    else:
        asked = [c for c in candidates if c.spec.column is None]
        given = [c.spec.label for c in candidates if c.spec.column is not None]
        unknown = [c.spec.label for c in asked if c.cost_usd is None]
        nothing = [c.spec.label for c in asked if c.cost_usd is not None and not c.whole]
        why = [f"no price is known for {', '.join(unknown)}"] if unknown else []
        why += [f"there is no whole answer of {', '.join(nothing)}"] if nothing else []
        why += [f"nobody knows what {', '.join(given)} once cost"] if given else []
        sentences.append(f"Cheapest: cannot be said; {', and '.join(why)}.")
    return sentences


def _not_told_apart(result: EvaluationResult, measure: str, best: int) -> str:
    """Return in words from whom the best could not be told apart; nothing if from nobody."""
    others = [
        comparison.b if comparison.pair[0] == best else comparison.a
        for comparison in result.measures
        if comparison.scorer == measure
        and best in comparison.pair
        and comparison.verdict == "no_difference_shown"
    ]
    return f", but not shown to differ from {', '.join(others)}" if others else ""
