"""What is known of each model as tables and sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from llmflowlab.cli.formatting import count, dollars, percent, plural, seconds
from llmflowlab.cli.ui.screen import Table
from llmflowlab.history.models import FEW_TURNS, Evaluated, ModelSummary, Quality
from llmflowlab.history.summary import ModelComparison
from llmflowlab.tracking.violations import in_words

if TYPE_CHECKING:
    from llmflowlab.history.head_to_head import ModelPairs
    from llmflowlab.lab.people_scores import PeopleScore

__all__ = ["answers", "comparison_table", "evaluated_table", "paired_lines"]

_PAIRS = 6
"""Comparisons shown; the document has all."""


def comparison_table(comparison: ModelComparison, sessions: int) -> Table:
    """Set the models side by side, winners marked."""
    winners = {
        2: comparison.fastest,
        3: comparison.most_tokens,
        4: comparison.cheapest,
        5: comparison.best,
    }
    rows, marked = [], set()
    for index, model in enumerate(comparison.models):
        rows.append(
            (
                model.reference,
                count(model.turns) if model.turns else "none",
                seconds(model.avg_time),
                count(model.generated),
                dollars(model.cost_per_turn),
                _quality(model),
            )
        )
        if len(comparison.models) > 1:
            marked |= {(index, column) for column, won in winners.items() if model.reference in won}
    notes = [
        f"From {plural(sessions, 'session')} of chat. Tokens: generated. Cost: per answered turn."
    ]
    notes += _quality_notes(comparison)
    few = [m.reference for m in comparison.models if 0 < m.answered_turns < FEW_TURNS]
    if few:
        notes.append(f"Fewer than {FEW_TURNS} answers, read with care: {', '.join(few)}.")
    table = Table(
        title="Models compared",
        columns=("model", "turns", "avg time", "tokens", "cost", "quality"),
        rows=tuple(rows),
        numbers=frozenset({1, 2, 3, 4, 5}),
        marked=frozenset(marked),
        mark_means="the best of its column",
        notes=tuple(notes),
    )
    found = [(model.reference, model.guardrail_violations) for model in comparison.models]
    return _with_violations(table, found)


def _with_violations(table: Table, found: Sequence[tuple[str, Mapping[str, int] | None]]) -> Table:
    """Add a column of what guardrails found, by the model of each row, where they found anything."""
    if not any(by for _, by in found):
        return table
    cells = ["no guardrails" if by is None else count(sum(by.values())) for _, by in found]
    return replace(
        table,
        columns=(*table.columns, "violations"),
        rows=tuple((*row, cell) for row, cell in zip(table.rows, cells, strict=True)),
        numbers=table.numbers | {len(table.columns)},
        notes=(
            *table.notes,
            *(f"Violations of guardrails, {name}: {in_words(by)}." for name, by in found if by),
        ),
    )


def evaluated_table(
    comparison: ModelComparison, people: Mapping[str, Sequence[PeopleScore]] | None = None
) -> Table | None:
    """Set side by side what answers took in evaluations; None where nobody was evaluated.

    Args:
        comparison: The models.
        people: What people think of them; beside the scores where anybody judged any.
    """
    found = [(m, m.evaluated) for m in comparison.models if m.evaluated is not None]
    if not found:
        return None
    won = {
        2: comparison.fastest_evaluated,
        4: comparison.cheapest_evaluated,
        5: comparison.best,
    }
    rows = [
        (
            model.reference,
            count(taken.answers),
            seconds(taken.avg_time),
            count(taken.tokens_per_answer),
            _dollars(taken),
            _quality(model),
            *((_by_people(people.get(model.reference, ())),) if people else ()),
        )
        for model, taken in found
    ]
    judged = ["People: what they said of the answers of the latest evaluation they judged."]
    marked = {
        (place, column)
        for place, (model, _) in enumerate(found)
        for column, who in won.items()
        if model.reference in who and len(found) > 1
    }
    table = Table(
        title="In evaluations",
        columns=(
            *("model", "answers", "avg time", "tokens", "cost", "quality"),
            *(("people",) if people else ()),
        ),
        rows=tuple(rows),
        numbers=frozenset({1, 2, 3, 4, 5}),
        marked=frozenset(marked),
        mark_means="the best of its column",
        notes=(
            "Of an answer on average, over all evaluations. Tokens: generated. Cost: of a whole answer.",
            *_quality_notes(comparison),
            *_spans(comparison),
            *(judged if people else ()),
        ),
    )
    return _with_violations(table, [(m.reference, e.guardrail_violations) for m, e in found])


def _by_people(scores: Sequence[PeopleScore]) -> str:
    told = [f"{s.question} {percent(s.mean)} ({s.n})" for s in scores if s.mean is not None]
    return ", ".join(told) or "not judged"


def _dollars(taken: Evaluated) -> str | None:
    cost = taken.cost_per_answer
    return None if cost is None else dollars(Decimal(str(cost)))


def paired_lines(paired: ModelPairs) -> list[str]:
    """Return what was concluded of each two models, or in one line why nothing was."""
    if paired.why_none is not None:
        return [f"No comparison of two models: {paired.why_none}."]
    by_evaluation: dict[str, list[str]] = {}
    for pair in paired.found[:_PAIRS]:
        where = f"{pair.dataset}, evaluation {pair.evaluation_id}:"
        by_evaluation.setdefault(where, []).append(f"- {pair.said}")
    lines = [line for where, said in by_evaluation.items() for line in (where, *said)]
    left = len(paired.found) - _PAIRS
    return [*lines, *([f"{left} more of this kind: --json."] if left > 0 else [])]


def _quality_notes(comparison: ModelComparison) -> list[str]:
    """Return by what qualities were measured, and which are in doubt."""
    notes = []
    scorers = sorted({m.quality.scorer for m in comparison.models if m.quality})
    if scorers:
        notes.append(f"Quality: mean of {', '.join(scorers)} in the latest evaluation.")
    doubts = [(m.reference, m.quality.doubt) for m in comparison.models if m.quality]
    notes += [f"In doubt, {name}: {doubt}." for name, doubt in doubts if doubt is not None]
    for model in comparison.models:
        people = model.quality.people if model.quality else {}
        for asked, said in people.items():
            if "combined" in said:
                span = f"{percent(said['combined_ci_low'])} to {percent(said['combined_ci_high'])}"
                notes.append(
                    f"People and judge together on {model.reference}, {asked}: "
                    f"{percent(said['combined'])} ({span})."
                )
    return notes


def _spans(comparison: ModelComparison) -> list[str]:
    """Return each quality with its interval and how much it is of: a mean alone says little of a few rows."""
    return [
        f"{model.reference}: {_with_span(found)}"
        + ("" if found.scored is None else f", {plural(found.scored, 'answer')} scored")
        + "."
        for model in comparison.models
        if (found := model.quality) is not None
    ]


def _with_span(found: Quality) -> str:
    """Write a mean with its interval, where it has one, its scorer and its questions."""
    span = ""
    if found.ci_low is not None and found.ci_high is not None:
        span = f" ({percent(found.ci_low)} to {percent(found.ci_high)})"
    return f"{percent(found.mean)}{span} {found.scorer} on {found.dataset}"


def _quality(model: ModelSummary) -> str | None:
    if model.quality is None:
        return "not evaluated"
    return f"{percent(model.quality.mean)}{' in doubt' if model.quality.doubt else ''}"


def answers(comparison: ModelComparison) -> list[str]:
    """Answer the questions people ask of a comparison, from known values only."""
    by_name = {model.reference: model for model in comparison.models}

    def answer(question: str, won: tuple[str, ...], value: str | None, missing: str) -> str:
        if not won:
            return f"{question}: unknown, {missing}"
        tie = " (tied)" if len(won) > 1 else ""
        alone = " (the only one known)" if len(by_name) == 1 else ""
        return f"{question}: {', '.join(won)}, {value}{tie}{alone}"

    def first(won: tuple[str, ...]) -> ModelSummary | None:
        return by_name[won[0]] if won else None

    fastest, most = first(comparison.fastest), first(comparison.most_tokens)
    cheapest, best = first(comparison.cheapest), first(comparison.best)
    quick, cheap = first(comparison.fastest_evaluated), first(comparison.cheapest_evaluated)
    lines = []
    if any(model.turns for model in comparison.models) or (quick is None and cheap is None):
        lines += [
            answer(
                "Lowest average latency",
                comparison.fastest,
                None if fastest is None else seconds(fastest.avg_time),
                "no answered turn is recorded",
            ),
            answer(
                "Most tokens generated",
                comparison.most_tokens,
                None if most is None else count(most.generated),
                "no tokens are recorded",
            ),
            answer(
                "Cheapest per answered turn",
                comparison.cheapest,
                None if cheapest is None else dollars(cheapest.cost_per_turn),
                "no cost is known",
            ),
        ]
    if quick is not None and quick.evaluated is not None:
        said = seconds(quick.evaluated.avg_time)
        lines.append(answer("Fastest in evaluations", comparison.fastest_evaluated, said, ""))
    if cheap is not None and cheap.evaluated is not None:
        said = _dollars(cheap.evaluated)
        lines.append(answer("Cheapest in evaluations", comparison.cheapest_evaluated, said, ""))
    judged = None
    if best is not None and best.quality is not None:
        judged = _with_span(best.quality)
    return [*lines, answer("Best answers", comparison.best, judged, _no_best(comparison))]


def _no_best(comparison: ModelComparison) -> str:
    if all(model.quality is None for model in comparison.models):
        return "nothing was evaluated yet"
    if not comparison.same_questions:
        return "the models were evaluated on different questions"
    if all(model.quality is None or model.quality.doubt for model in comparison.models):
        return "what was measured is in doubt"
    if any(model.quality is not None and model.quality.doubt for model in comparison.models):
        return "some of it is in doubt, and of the rest no answer was right"
    return "no answer was right"
