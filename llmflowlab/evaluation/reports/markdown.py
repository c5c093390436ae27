"""An evaluation as a Markdown summary, for the comment a CI run leaves (GitHub flavoured)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from llmflowlab.evaluation.conclude.clusters_in_words import clusters_in_words
from llmflowlab.evaluation.conclude.conclusions import findings, headline
from llmflowlab.evaluation.conclude.leaderboards import BEST_ASSUMES, chance
from llmflowlab.evaluation.conclude.machine_words import machine_lines
from llmflowlab.evaluation.conclude.people_estimates import ASSUMES, COLUMNS
from llmflowlab.evaluation.conclude.remedies import not_scored, remedies
from llmflowlab.evaluation.conclude.results import EvaluationResult, ScoreSummary
from llmflowlab.evaluation.scorers.ranking import main_scorer
from llmflowlab.text.amounts import FEW_EXPLAINED, marked_few
from llmflowlab.text.money import dollars

__all__ = ["escaped", "markdown_summary"]

_MARKS = re.compile(r"([\\`*_{}\[\]()<>#+!|~&$])")
_MENTION = re.compile(r"@(?=\w)")


def escaped(text: str) -> str:
    """Return the text on one line, so that nothing in it is Markdown, HTML, a mention or a cell's end."""
    plain = _MARKS.sub(r"\\\1", " ".join(text.split()))
    # A zero-width space: a model's answer or a file's name must not call people.
    plain = _MENTION.sub("@\u200b", plain)
    return plain.replace("://", ":\u200b//")


def markdown_summary(result: EvaluationResult) -> str:
    """Return the summary: who is recommended, gates with reasons, candidates, changes, comparisons."""
    plan = result.plan
    lines = [f"## Evaluation of {escaped(plan.dataset.name)}", ""]
    judge = f", judge {escaped(plan.judge_label)}" if plan.judge_label else ""
    lines += [
        f"{len(plan.dataset.rows):,} questions{_times(plan.trials)}{judge} · "
        f"evaluation {escaped(plan.evaluation_id)}",
        "",
    ]
    if (over := clusters_in_words(plan)) is not None:
        lines += [escaped(over), ""]
    if result.interrupted:
        lines += ["**Interrupted**: the figures cover what was answered until then.", ""]
    first, *reservations = headline(result)
    lines += [f"**{escaped(first)}**", "", *(f"- {escaped(said)}" for said in reservations)]
    lines += ["", *_gates(result.gates)] if reservations else _gates(result.gates)
    lines += _scores(result)
    lines += _people(result)
    lines += _changes(result.gates)
    said = [escaped(sentence) for sentence in findings(result)]
    said += [escaped(exam.sentence()) for exam in result.exams if exam.doubt is None]
    said += [f"**Not recorded**: {escaped(problem)}" for problem in result.problems]
    if said:
        lines += ["### Comparisons", "", *(f"- {sentence}" for sentence in said)]
    return "\n".join(lines) + "\n"


def _times(trials: int) -> str:
    return f", {trials} trials each" if trials > 1 else ""


def _gates(gates: Sequence[Mapping[str, Any]]) -> list[str]:
    if not gates:
        return []
    failed = sum(not gate["passed"] for gate in gates)
    head = f"❌ {failed} of {len(gates)} gates not met" if failed else "✅ All gates met"
    rows = [
        [
            "✅ met" if gate["passed"] else "❌ **not met**",
            escaped(str(gate["gate"])),
            escaped(str(gate["reason"])),
        ]
        for gate in gates
    ]
    return [f"### {head}", "", *_table(["", "gate", "why"], rows), ""]


def _scores(result: EvaluationResult) -> list[str]:
    main = main_scorer(result.plan.scorers)
    board = {entry.candidate: entry.probability_best for entry in result.leaderboard.get(main, ())}
    likely = any(each is not None for each in board.values())
    header = [
        "candidate",
        *map(escaped, result.plan.scorers),
        *([f"best by {escaped(main)}"] * likely),
    ]
    header += ["answered", "p95 s", "cost", "per 1,000", "tokens/s"]
    rows = []
    for index, candidate in zip(result.order, result.ordered, strict=True):
        p95, pace = candidate.latency.p95, candidate.tokens_per_second
        rows.append(
            [
                escaped(candidate.spec.label),
                *(_score(candidate.scores[name]) for name in result.plan.scorers),
                *([escaped(chance(board.get(index)) or "unknown")] * likely),
                f"{candidate.answered}/{candidate.rows}",
                marked_few(None if p95 is None else f"{p95:.2f}", candidate.latency.answers)
                or "unknown",
                _cost(candidate.cost_usd),
                _cost(candidate.cost_per_1000),
                "unknown" if pace is None else f"{pace:,.0f}",
            ]
        )
    notes = [BEST_ASSUMES] if likely else []
    if any("few" in row[-4] for row in rows):
        notes.append(FEW_EXPLAINED)
    notes += [
        *not_scored(result.ordered),
        *remedies(result.ordered),
        *machine_lines(result.ordered),
    ]
    said = [*(f"- {escaped(note)}" for note in notes), ""] if notes else []
    return ["### Candidates", "", *_table(header, rows), "", *said]


def _people(result: EvaluationResult) -> list[str]:
    if not result.people:
        return []
    labels = [candidate.label for candidate in result.plan.candidates]
    rows = [list(map(escaped, estimate.cells(labels))) for estimate in result.people]
    return ["### People", "", *_table(list(COLUMNS), rows), "", f"- {escaped(ASSUMES)}", ""]


def _cost(cost: Decimal | None) -> str:
    return "unknown" if cost is None else escaped(dollars(cost) or "")


def _score(score: ScoreSummary) -> str:
    if score.mean is None:
        return "not scored"
    text = f"{score.mean:.1%}"
    if score.interval is not None:
        text += f" ({score.interval.low:.0%} to {score.interval.high:.0%})"
    if score.coverage < 1:
        text += f", {score.coverage:.0%} scored"
    return text


def _changes(gates: Sequence[Mapping[str, Any]]) -> list[str]:
    compared = [gate for gate in gates if gate.get("kind") == "comparison"]
    if not compared:
        return []
    rows = [
        [
            escaped(str(gate["candidate"])),
            escaped(f"{gate['baseline']}, {gate['baseline_evaluation']}"),
            escaped(str(gate["scorer"])),
            _change(gate["value"]),
            _change(gate["lower_bound"]),
            f"{gate['n']} ({gate['better']} better, {gate['worse']} worse)",
        ]
        for gate in compared
    ]
    header = ["candidate", "against", "scorer", "change", "lower bound", "rows in common"]
    return ["### Changes", "", *_table(header, rows), ""]


def _change(value: float | None) -> str:
    return "unknown" if value is None else f"{100 * value:+.1f} points"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(header)} |",
        f"|{' --- |' * len(header)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
