"""Shows evaluations: what one will take, how far it is, what it found."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from llmflowlab.cli.evaluate.boards import (
    group_tables,
    leaderboard_table,
    repeats_table,
)
from llmflowlab.cli.formatting import dollars, number_or_none, plural
from llmflowlab.cli.people_table import people_table
from llmflowlab.cli.ui.screen import Screen, Table
from llmflowlab.evaluation.conclude.clusters_in_words import clusters_in_words
from llmflowlab.evaluation.conclude.conclusions import findings, headline
from llmflowlab.evaluation.conclude.machine_words import machine_lines
from llmflowlab.evaluation.conclude.remedies import not_scored, remedies
from llmflowlab.evaluation.conclude.results import EvaluationResult, ScoreSummary
from llmflowlab.evaluation.conclude.sizing import (
    ASSUMED_DISCORDANCE,
    Spread,
    comparisons_of,
    visible_roughly,
)
from llmflowlab.evaluation.run.estimate import Estimate
from llmflowlab.evaluation.run.plan import EvaluationPlan
from llmflowlab.program import program_name
from llmflowlab.text.amounts import FEW_EXPLAINED, marked_few

__all__ = [
    "describe_plan",
    "plan_document",
    "result_tables",
    "show_details",
    "show_gates",
    "show_result",
]

_MOST_ROWS = 8
_MOST_LINES = 2
"""So that the first screen of a result fits into 24 rows of 80 columns."""


def describe_plan(plan: EvaluationPlan, figures: Estimate) -> list[str]:
    """Return what is about to happen and what it costs, as lines."""
    rows = len(plan.dataset.rows)
    lines = [
        f"{plan.dataset.name}: {plural(rows, 'question')} × "
        f"{plural(len(plan.candidates), 'candidate')} = "
        f"{plural(plan.size, 'answer')}"
        + (f", {figures.reused:,} of them there already" if figures.reused else ""),
        *([plan.dataset.described] if plan.dataset.described else []),
        f"candidates: {', '.join(candidate.label for candidate in plan.candidates)}",
        *_given(plan),
        f"scorers: {', '.join(plan.scorers)}"
        + (f" (judge: {plan.judge_label})" if plan.judge else ""),
    ]
    if (over := clusters_in_words(plan)) is not None:
        lines.append(over)
    calls = f"calls: {figures.calls:,} to candidates"
    if figures.judge_calls:
        calls += f", up to {figures.judge_calls:,} to the judge"
    if figures.detector_calls:
        calls += f", up to {figures.detector_calls:,} to the guardrails' detector"
    lines.append(calls)
    if figures.cost is None:
        lines.append(
            f"cost: unknown; no price is known for {', '.join(figures.unpriced)} "
            "(add it to prices.json)"
        )
    elif figures.cost[1] == 0:
        lines.append("cost: free")
    else:
        low, high = figures.cost
        lines.append(f"cost: {dollars(low)} to {dollars(high)}, for {figures.assumption}")
    if len(plan.candidates) > 1:
        points = 100 * visible_roughly(
            Spread(binary=True, value=ASSUMED_DISCORDANCE, rows=0),
            rows,
            comparisons=comparisons_of(plan),
        )
        lines.append(
            f"These {rows:,} questions can show differences from about {points:.0f} points "
            f"(`{program_name()} plan` reckons it out)."
        )
    return lines


def _given(plan: EvaluationPlan) -> list[str]:
    """Say which answers stand in the file."""
    columns = plan.dataset.given
    if not columns:
        return []
    which = f"column{'' if len(columns) == 1 else 's'} {', '.join(columns)}"
    return [f"answers given: {which} of {plan.dataset.path.name}; nobody is asked for them"]


def plan_document(plan: EvaluationPlan, figures: Estimate) -> dict[str, Any]:
    """Return the same as the document of `evaluate --dry-run --json`; unknown is None."""
    low, high = figures.cost or (None, None)
    return {
        "dataset": {
            "name": plan.dataset.name,
            "rows": len(plan.dataset.rows),
            "digest": plan.dataset.digest,
            "columns": plan.dataset.reading,
        },
        "candidates": [candidate.model for candidate in plan.candidates],
        "given": list(plan.dataset.given),
        "scorers": list(plan.scorers),
        "judge": plan.judge_label,
        "trials": plan.trials,
        "cluster": plan.cluster_json(),
        "calls": {
            "candidates": figures.calls,
            "reused": figures.reused,
            "judge": figures.judge_calls,
            "detector": figures.detector_calls,
        },
        "tokens": {"low": figures.tokens[0], "high": figures.tokens[1]},
        "cost_usd": {"low": number_or_none(low), "high": number_or_none(high)},
        "unpriced": list(figures.unpriced),
        "assumption": figures.assumption,
    }


def result_tables(result: EvaluationResult, width: int = 80) -> list[Table]:
    """Return who leads, the scores, the costs, and how repetitions and parts of the rows differ."""
    optional = [leaderboard_table(result), repeats_table(result)]
    board, again = ([] if table is None else [table] for table in optional)
    labels = [candidate.label for candidate in result.plan.candidates]
    people = [people_table(result.people, labels)] if result.people else []
    scores = _score_table(result)
    return [*board, scores, *people, _effort_table(result), *again, *group_tables(result)]


def _score_table(result: EvaluationResult) -> Table:
    rows: list[tuple[str | None, ...]] = []
    marked: set[tuple[int, int]] = set()
    best = {scorer: _best(result, scorer) for scorer in result.plan.scorers}
    for candidate in result.ordered:
        for scorer in result.plan.scorers:
            score = candidate.scores[scorer]
            several = len(result.candidates) > 1
            if several and score.mean is not None and score.mean == best[scorer]:
                marked.add((len(rows), 2))
            rows.append(
                (
                    candidate.spec.label,
                    scorer,
                    None if score.mean is None else f"{score.mean:.1%}",
                    _interval(score),
                    f"{score.scored}/{candidate.rows}",
                )
            )
    notes = list(result.in_doubt.values())
    over = clusters_in_words(result.plan)
    if over is not None and len(result.candidates) == 1:
        notes.append(over)
    notes += [*not_scored(result.ordered), *remedies(result.ordered)]
    return Table(
        title="Scores",
        columns=("model", "scorer", "mean", "95 % interval", "scored"),
        rows=tuple(rows),
        numbers=frozenset({2, 3, 4}),
        marked=frozenset(marked),
        mark_means="the best mean by this scorer",
        notes=tuple(notes),
    )


def _best(result: EvaluationResult, scorer: str) -> float | None:
    """Return the best mean; None where there is none, or nothing is concluded from the scores."""
    if scorer in result.table.doubts:
        return None
    best = max if result.table.traits[scorer].higher_is_better else min
    means = [candidate.scores[scorer].mean for candidate in result.candidates]
    return best((mean for mean in means if mean is not None), default=None)


def _interval(score: ScoreSummary) -> str | None:
    if score.interval is None:
        return None
    return f"{score.interval.low:.1%} to {score.interval.high:.1%}"


def _effort_table(result: EvaluationResult) -> Table:
    rows = []
    for candidate in result.ordered:
        tokens = candidate.to_json()["tokens"]["total"]
        estimated = "~" if candidate.tokens_estimated else ""
        failed = ", ".join(f"{n} {reason}" for reason, n in candidate.failed.items())
        rows.append(
            (
                candidate.spec.label,
                f"{candidate.answered}/{candidate.rows}",
                failed or "0",
                _seconds(candidate.latency.mean),
                marked_few(_seconds(candidate.latency.p95), candidate.latency.answers),
                None if tokens is None else f"{estimated}{tokens:,}",
                dollars(candidate.cost_usd),
            )
        )
    notes = []
    if any(candidate.tokens_estimated for candidate in result.candidates):
        notes.append("~: counted here, as the provider reports no usage.")
    if any("few" in (row[4] or "") for row in rows):
        notes.append(FEW_EXPLAINED)
    return Table(
        title="Effort",
        columns=("model", "answered", "failed", "mean s", "p95 s", "tokens", "cost"),
        rows=tuple(rows),
        numbers=frozenset({1, 3, 4, 5, 6}),
        notes=tuple(notes),
    )


def _seconds(value: float | None) -> str | None:
    if value is None:
        return None
    return f"{value:.2f}" if value >= 0.01 else f"{value:.4f}"


def show_result(
    screen: Screen, result: EvaluationResult, *, details: bool = False, recorded: bool = True
) -> None:
    """Print in one screen who leads, what follows, the money, what is not scored and where all is.

    Args:
        screen: Where.
        result: What was found.
        details: Print the other tables and comparisons after it.
        recorded: Whether MLflow has everything, where no problem says otherwise.
    """
    screen.table(_first_table(result))
    screen.say("Conclusion", tone="heading")
    for sentence in headline(result):
        screen.say(sentence)
    screen.say(_money(result))
    for line in _not_scored(result, whole=details):
        screen.say(line)
    screen.say(f"Report: {result.files.get('report_html')}", tone="quiet")
    where = "" if recorded else ", on the way to MLflow"
    more = "" if details else "; --details shows all tables and comparisons"
    screen.say(f"Evaluation: {result.plan.evaluation_id}{where}{more}", tone="quiet")
    if len(result.candidates) > 1:
        screen.say(
            f"Quality against cost: {program_name()} compare {result.plan.evaluation_id}",
            tone="quiet",
        )
    for sentence in (*result.problems, *result.notes):
        screen.warn(sentence)
    if result.problems:
        screen.warn(
            "MLflow does not hold all of it yet; nothing is lost. "
            f"Deliver it with: {program_name()} evaluate --resume {result.plan.evaluation_id}"
        )
    if details:
        show_details(screen, result)


def show_details(screen: Screen, result: EvaluationResult) -> None:
    """Print every table, what is said of the judges, and all comparisons."""
    for exam in result.exams:
        screen.say(exam.sentence())
    board = leaderboard_table(result)
    for table in result_tables(result):
        if table != board or len(table.rows) > _MOST_ROWS:
            screen.table(table)
    for line in machine_lines(result.ordered):
        screen.say(line)
    usage = result.judge_usage
    if result.plan.judge is not None:
        calls = usage["calls"]
        screen.say(
            f"Judge {result.plan.judge_label}: {calls['sent']} judgements asked, "
            f"{calls['reused']} reused."
        )
    for quality in result.judging.values():
        if (said := quality.sentence()) is not None:
            screen.say(said)
    screen.say("All comparisons", tone="heading")
    for sentence in findings(result):
        screen.say(sentence)
    screen.say(f"Answers: {result.files.get('answers_csv')}", tone="quiet")


def _first_table(result: EvaluationResult) -> Table:
    """Return the leaderboard, or the scores of a single candidate, short enough for one screen."""
    said = {*not_scored(result.ordered), *remedies(result.ordered)}
    scores = _score_table(result)
    table = leaderboard_table(result) or replace(
        scores, notes=tuple(note for note in scores.notes if note not in said)
    )
    left = len(table.rows) - _MOST_ROWS
    if left <= 0:
        return table
    notes = (*table.notes, f"{left} more below them: --details.")
    return replace(table, rows=table.rows[:_MOST_ROWS], notes=notes)


def _money(result: EvaluationResult) -> str:
    costs = [candidate.cost_usd for candidate in result.candidates]
    known = [cost for cost in costs if cost is not None]
    candidates = dollars(sum(known, Decimal(0))) if len(known) == len(costs) else "unknown"
    said = f"Cost: candidates {candidates}"
    if result.plan.judge is not None:
        cost = result.judge_usage["cost_usd"]
        said += f", judge {'unknown' if cost is None else dollars(Decimal(str(cost)))}"
    reused = sum(candidate.reused for candidate in result.candidates)
    if reused:
        said += f"; {plural(reused, 'answer')} taken from earlier evaluations, not paid for again"
    return f"{said}."


def _not_scored(result: EvaluationResult, *, whole: bool) -> list[str]:
    """Return why answers are not scored and what can be done; all of it, or what fits beside the rest."""
    lines = [*not_scored(result.ordered), *remedies(result.ordered)]
    if not lines:
        return ["Every answer was scored."]
    if whole:
        return lines
    left = len(lines) - _MOST_LINES
    return [*lines[:_MOST_LINES], *([f"{left} more of this kind: --details."] if left > 0 else [])]


def show_gates(screen: Screen, result: EvaluationResult) -> None:
    """Print what each gate says."""
    if not result.gates:
        return
    screen.say("Gates", tone="heading")
    for gate in result.gates:
        screen.say(f"{'met' if gate['passed'] else 'NOT MET'}  {gate['gate']}: {gate['reason']}.")
