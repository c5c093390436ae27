"""Which prompt is better on which model: the evaluation's own comparisons, read within each model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llmflowlab.candidate import Candidate
from llmflowlab.evaluation.conclude.comparison_words import in_points
from llmflowlab.evaluation.conclude.verdicts import Comparison, bounds
from llmflowlab.evaluation.run.plan import EvaluationPlan
from llmflowlab.evaluation.scorers.ranking import main_scorer
from llmflowlab.statistics.intervals import Interval

__all__ = ["PromptVerdict", "prompt_name", "prompt_verdicts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptVerdict:
    """What the main scorer shows of the prompts that one model was given with the same parameters."""

    model: str
    """With its parameters, where the evaluation has several sets of them."""
    scorer: str
    members: tuple[int, ...]
    """Places of the candidates in the plan, best first by their means."""
    specs: tuple[Candidate, ...]
    """The candidates, in that order."""
    mean: float | None
    """Of the first."""
    against: tuple[Comparison, ...]
    """The first of them with each of the others, in their order."""

    @property
    def first(self) -> Candidate:
        return self.specs[0]

    @property
    def better(self) -> bool:
        """Whether the first is shown to be better than another."""
        return any(_is_better(comparison, self.first) for comparison in self.against)

    def sentence(self) -> str:
        """Say which prompt is better than which, on this model."""
        best = prompt_name(self.first)
        better = [
            f"{prompt_name(other)} ({_difference(comparison)})"
            for other, comparison in self._pairs()
            if _is_better(comparison, self.first)
        ]
        rest: dict[str, list[str]] = {}
        for other, comparison in self._pairs():
            if not _is_better(comparison, self.first):
                rest.setdefault(_otherwise(comparison), []).append(prompt_name(other))
        said = [f"better than {', '.join(better)}"] if better else []
        said += [how.format(", ".join(names)) for how, names in rest.items()]
        shown = "" if self.mean is None else f" ({self.scorer} {self.mean:.0%})"
        return f"On {self.model}, {best}{shown} is {'; it is '.join(said)}."

    def to_json(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "scorer": self.scorer,
            "prompt": prompt_name(self.first),
            "against": [
                {
                    "prompt": prompt_name(other),
                    "better": _is_better(comparison, self.first),
                    **_signed(comparison, self.first),
                    "p_adjusted": comparison.p_adjusted,
                    "withheld": comparison.withheld,
                    "a": comparison.a,
                    "b": comparison.b,
                }
                for other, comparison in self._pairs()
            ],
            "said": self.sentence(),
        }

    def _pairs(self) -> Sequence[tuple[Candidate, Comparison]]:
        return list(zip(self.specs[1:], self.against, strict=True))


def prompt_verdicts(
    plan: EvaluationPlan,
    order: Sequence[int],
    means: Sequence[float | None],
    comparisons: Sequence[Comparison],
) -> list[PromptVerdict]:
    """Return one for each model that was given several prompts.

    Args:
        plan: Of the evaluation.
        order: The candidates' places in it, best first by the main scorer.
        means: Of the main scorer, in the plan's order.
        comparisons: Of every two candidates.
    """
    scorer = main_scorer(plan.scorers)
    parameters = {spec.parameters for spec in plan.candidates}
    groups: dict[tuple[str, Any], list[int]] = {}
    for index in order:
        spec = plan.candidates[index]
        if spec.column is None:
            groups.setdefault((spec.model, spec.parameters), []).append(index)
    found = []
    for (model, own), members in groups.items():
        specs = tuple(plan.candidates[index] for index in members)
        pairs = {frozenset(c.pair): c for c in comparisons if c.scorer == scorer}
        against = [pairs.get(frozenset((members[0], other))) for other in members[1:]]
        if len(set(map(prompt_name, specs))) < len(members) or len(members) < 2 or None in against:
            continue
        told = ", ".join(f"{name} {value}" for name, value in own.given().items())
        found.append(
            PromptVerdict(
                model=f"{model} ({told or 'default parameters'})" if len(parameters) > 1 else model,
                scorer=scorer,
                members=tuple(members),
                specs=specs,
                mean=means[members[0]],
                against=tuple(filter(None, against)),
            )
        )
    return found


def prompt_name(spec: Candidate) -> str:
    """Return what tells a candidate's prompt from others of its model."""
    return spec.prompt or spec.variant or ("its system prompt" if spec.system else "no prompt")


def _is_better(comparison: Comparison, spec: Candidate) -> bool:
    return comparison.verdict == ("a_better" if comparison.a == spec.label else "b_better")


def _otherwise(comparison: Comparison) -> str:
    if comparison.withheld is not None:
        return f"without a verdict against {{}}: {comparison.withheld}"
    if comparison.verdict == "same_within_margin":
        return "the same, within the margin, as {}"
    return "not shown to differ from {}"


def _signed(comparison: Comparison, spec: Candidate) -> dict[str, float | None]:
    """Return the mean of the first minus the other's, in points of 1, and its interval."""
    test = comparison.test
    if test is None:
        return {"difference": None, **bounds(None)}
    if comparison.a != spec.label:
        return {"difference": test.difference, **bounds(test.interval)}
    ends = Interval(-test.interval.high, -test.interval.low)
    return {"difference": -test.difference, **bounds(ends)}


def _difference(comparison: Comparison) -> str:
    test = comparison.test
    assert test is not None, "who is better was tested"
    ends = sorted((abs(test.interval.low), abs(test.interval.high)))
    corrected = f", corrected for {comparison.family} comparisons" if comparison.family > 1 else ""
    sign = "−" if comparison.lower_is_better else "+"
    return (
        f"{sign}{in_points(abs(test.difference))}, 95 % CI {100 * ends[0]:.0f} to {100 * ends[1]:.0f}"
        f"{corrected}"
    )
