"""Tables of who leads and how parts of the dataset fare."""

from __future__ import annotations

from decimal import Decimal

from llmflowlab.cli.formatting import dollars
from llmflowlab.cli.ui.screen import Table
from llmflowlab.evaluation.conclude.clusters_in_words import clusters_in_words
from llmflowlab.evaluation.conclude.leaderboards import BEST_ASSUMES, chance
from llmflowlab.evaluation.conclude.results import SMALL_GROUP, EvaluationResult
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
    for candidate in result.candidates:
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
    """Return for each way to divide the rows how the candidates fare in each part."""
    scorer = main_scorer(result.plan.scorers)
    tables = []
    for by in dict.fromkeys(group.by for group in result.groups):
        groups = [g for g in result.groups if g.by == by and g.scorer == scorer]
        rows = [
            (
                group.value[:40],
                "all" if group.candidate is None else result.candidates[group.candidate].spec.label,
                None if group.mean is None else f"{group.mean:.0%}",
                None
                if group.interval is None
                else f"{group.interval.low:.0%} to {group.interval.high:.0%}",
                f"{group.scored}/{group.rows}" + (" few" if group.small else ""),
            )
            for group in groups
        ]
        few = any(group.small for group in groups)
        tables.append(
            Table(
                title=f"{scorer} by {by}",
                columns=(by, "model", "mean", "95 % interval", "scored"),
                rows=tuple(rows),
                numbers=frozenset({2, 3, 4}),
                notes=(
                    f"few: fewer than {SMALL_GROUP} questions; differences between such groups are "
                    "mostly chance.",
                )
                if few
                else (),
            )
        )
    return tables
