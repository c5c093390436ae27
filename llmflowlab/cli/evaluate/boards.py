"""Tables of who leads and how parts of the dataset fare."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from llmflowlab.cli.formatting import dollars
from llmflowlab.cli.ui.screen import Table
from llmflowlab.evaluation.conclude.clusters_in_words import clusters_in_words
from llmflowlab.evaluation.conclude.leaderboards import BEST_ASSUMES, chance
from llmflowlab.evaluation.conclude.results import SMALL_GROUP, EvaluationResult, GroupSummary
from llmflowlab.evaluation.scorers.ranking import main_scorer

__all__ = ["group_tables", "leaderboard_table", "repeats_table"]


def leaderboard_table(result: EvaluationResult) -> Table | None:
    """Return the candidates in tiers by the scorer that ranks them; None for a single one."""
    scorer = main_scorer(result.plan.scorers)
    board = result.leaderboard.get(scorer, ())
    if len(result.candidates) < 2 or not board:
        return None
    likely = any(entry.probability_best is not None for entry in board)
    rows = []
    for entry in board:
        candidate = result.candidates[entry.candidate]
        seconds = candidate.latency.mean
        rows.append(
            (
                str(entry.rank),
                candidate.spec.label,
                None if entry.mean is None else f"{entry.mean:.1%}",
                None
                if entry.interval is None
                else f"{entry.interval.low:.0%} to {entry.interval.high:.0%}",
                *([chance(entry.probability_best)] if likely else []),
                None if seconds is None else f"{seconds:.2f}",
                dollars(candidate.cost_usd),
            )
        )
    notes = [over] if (over := clusters_in_words(result.plan)) is not None else []
    if len({entry.rank for entry in board}) < len(board):
        notes.append("Those who share a rank could not be told apart.")
    return Table(
        title=f"Leaderboard by {scorer}",
        columns=(
            *("rank", "model", "mean", "95 % interval"),
            *(["best"] if likely else []),
            *("mean s", "cost"),
        ),
        rows=tuple(rows),
        numbers=frozenset({0, 2, 3, 4, 5, 6}),
        notes=(*notes, BEST_ASSUMES) if likely else tuple(notes),
    )


def repeats_table(result: EvaluationResult) -> Table | None:
    """Return what repeated trials tell of each candidate; None where each row was asked once."""
    rows = []
    for candidate in result.ordered:
        for scorer, score in candidate.scores.items():
            found = score.repeats
            if found is None:
                continue
            most = max(found.pass_k, default=None)
            rows.append(
                (
                    candidate.spec.label,
                    scorer,
                    "" if found.flip_rate is None else f"{found.flip_rate:.0%}",
                    "" if most is None else f"{found.pass_k[most]:.0%}",
                    _deviation(found.question_variance),
                    _deviation(found.run_variance),
                )
            )
    if not rows:
        return None
    return Table(
        title=f"{result.plan.trials} trials of each question",
        columns=("model", "scorer", "flips", "all pass", "sd questions", "sd runs"),
        rows=tuple(rows),
        numbers=frozenset({2, 3, 4, 5}),
        notes=(
            "flips: questions whose verdict was not the same each time; sd runs: how far one "
            "question's scores scatter from run to run.",
        ),
    )


def _deviation(variance: float | None) -> str | None:
    return None if variance is None else f"{float(Decimal(str(variance)).sqrt()):.2f}"


def group_tables(result: EvaluationResult) -> list[Table]:
    """Return for each way to divide the rows a matrix: its parts, and how each candidate fares in them."""
    scorer = main_scorer(result.plan.scorers)
    return [
        _matrix(result, scorer, by, [g for g in result.groups if (g.by, g.scorer) == (by, scorer)])
        for by in dict.fromkeys(group.by for group in result.groups)
    ]


def _matrix(
    result: EvaluationResult, scorer: str, by: str, groups: Sequence[GroupSummary]
) -> Table:
    # Of a part by prompt all candidates that share it are put together.
    members: list[int | None] = [None]
    if any(group.candidate is not None for group in groups):
        members = [*result.order]
    found = {(group.value, group.candidate): group for group in groups}
    rows, small, partial = [], False, False
    for value in dict.fromkeys(group.value for group in groups):
        part = [found[value, member] for member in members]
        few = any(group.small for group in part)
        small, partial = small or few, partial or any(g.scored < g.rows for g in part)
        asked = " few" if few else ""
        rows.append((value[:40], f"{part[0].rows}{asked}", *(_share(group) for group in part)))
    labels = ["all" if i is None else result.candidates[i].spec.label for i in members]
    notes = []
    if small:
        notes.append(
            f"few: fewer than {SMALL_GROUP} questions; differences between such groups are mostly "
            "chance."
        )
    if partial:
        notes.append("In brackets: how many of the answers were scored, where not all were.")
    return Table(
        title=f"{scorer} by {by}",
        columns=(by, "answers", *labels),
        rows=tuple(rows),
        numbers=frozenset(range(1, len(labels) + 2)),
        notes=tuple(notes),
    )


def _share(group: GroupSummary) -> str | None:
    """Return the mean with its interval."""
    if group.mean is None or group.interval is None:
        return None if group.mean is None else f"{group.mean:.0%}"
    of = "" if group.scored == group.rows else f" ({group.scored})"
    low, high = 100 * group.interval.low, 100 * group.interval.high
    return f"{group.mean:.0%} [{low:.0f}–{high:.0f}]{of}"
