"""`report.html`: one page with everything, that asks the network for nothing.

Written with the standard library alone, because it stands between the last answer and the result.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from llmflowlab.evaluation.conclude.clusters_in_words import clusters_in_words, rows_in_words
from llmflowlab.evaluation.conclude.conclusions import findings, headline
from llmflowlab.evaluation.conclude.leaderboards import BEST_ASSUMES, chance
from llmflowlab.evaluation.conclude.machine_words import machine_lines
from llmflowlab.evaluation.conclude.people_estimates import ASSUMES, COLUMNS
from llmflowlab.evaluation.conclude.remedies import remedies
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.reports.page_data import embedded, page_data
from llmflowlab.evaluation.reports.page_plots import plot_sections
from llmflowlab.evaluation.reports.plain_page import hash_of, page_part, page_style, section
from llmflowlab.evaluation.reports.tables_html import percent, seconds, table, usd
from llmflowlab.evaluation.reports.whole import whole_file
from llmflowlab.evaluation.scorers.ranking import main_scorer
from llmflowlab.text.amounts import FEW_EXPLAINED, marked_few

__all__ = ["report_page", "write_report_html"]


def write_report_html(result: EvaluationResult, figures: dict[str, Any], file: Path) -> None:
    """Write the page, whole or not at all.

    Raises:
        TrackingError: The file cannot be written.
    """
    with whole_file(file) as out:
        out.write(report_page(result, figures))


def report_page(result: EvaluationResult, figures: dict[str, Any]) -> str:
    """Return the page.

    Its policy forbids every request and every script but its own, which it names by their hash: even
    an answer that found a way into the markup could not run.

    Args:
        result: The evaluation.
        figures: What `figures_of` says of it.
    """
    plan = result.plan
    plots, names = plot_sections(figures)
    style, script = page_style(), page_part("page.js")
    values = {
        "TITLE": escape(f"{plan.dataset.name}: evaluation {plan.evaluation_id}"),
        "HEADING": escape(f"Evaluation of {plan.dataset.name}"),
        "SUBTITLE": escape(_subtitle(result)),
        "STYLE": style,
        "STYLE_HASH": hash_of(style),
        "SCRIPT": script,
        "SCRIPT_HASH": hash_of(script),
        "NAVIGATION": "".join(f'<a href="#{id_}">{escape(title)}</a> ' for id_, title in names),
        "SECTIONS": "\n".join([_conclusion(result), _scores(result), plots]),
        "FOOTER": escape(_footer(result)),
        "DATA": embedded(page_data(result)),
    }
    # In one pass, so that an answer that looks like a placeholder stays what it is.
    return re.sub(r"@@([A-Z_]+)@@", lambda found: values[found[1]], page_part("page.html"))


def _subtitle(result: EvaluationResult) -> str:
    plan = result.plan
    parts = [f"{len(plan.dataset.rows):,} questions", _many(len(plan.candidates), "candidate")]
    if plan.trials > 1:
        parts.append(f"{plan.trials} repetitions")
    parts.append(f"evaluation {plan.evaluation_id}")
    if plan.judge_label:
        parts.append(f"judged by {plan.judge_label}")
    return " · ".join(parts)


def _many(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _footer(result: EvaluationResult) -> str:
    runs = [f"{c.spec.label}: {c.run_id}" for c in result.candidates if c.run_id]
    parts = [f"Data digest {result.plan.dataset.digest[:16]}"]
    if runs:
        parts.append("MLflow runs " + ", ".join(runs))
    return " · ".join(parts)


_FEW_SENTENCES = 6


def _conclusion(result: EvaluationResult) -> str:
    first, *reservations = headline(result)
    found = [*findings(result), *(e.sentence() for e in result.exams if e.doubt is None)]
    parts = [f'<p class="lead">{escape(first)}</p>']
    parts += [f"<p>{escape(sentence)}</p>" for sentence in reservations]
    if result.gates:
        parts.append(
            table(
                "Gates",
                ("gate", "candidate", "value", "result", "reason"),
                [
                    (
                        str(gate.get("gate", "")),
                        _text(gate.get("candidate")),
                        _number(gate.get("value")),
                        "passed" if gate.get("passed") else "FAILED",
                        _text(gate.get("reason")),
                    )
                    for gate in result.gates
                ],
                numbers={2},
                looks={"passed": "pass", "FAILED": "fail"},
            )
        )
    if found:
        unfolded = " open" if len(found) <= _FEW_SENTENCES else ""
        sentences = "".join(f"<li>{escape(sentence)}</li>" for sentence in found)
        parts.append(
            f"<details{unfolded}><summary>What else is shown</summary><ul>{sentences}</ul></details>"
        )
    return section("conclusion", "Conclusion", parts)


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else "unknown"


def _scores(result: EvaluationResult) -> str:
    main = main_scorer(result.plan.scorers)
    others = [scorer for scorer in result.plan.scorers if scorer != main]
    over = clusters_in_words(result.plan)
    parts = [] if over is None else [f"<p>{escape(over)}</p>"]
    parts.append(_leaderboard(result, main, effort=True))
    if any(entry.probability_best is not None for b in result.leaderboard.values() for entry in b):
        parts.append(f'<p class="quiet">{escape(BEST_ASSUMES)}</p>')
    said = [*remedies(result.ordered), *machine_lines(result.ordered)]
    parts += [f"<p>{escape(sentence)}</p>" for sentence in said]
    if result.people:
        labels = [candidate.label for candidate in result.plan.candidates]
        cells = [estimate.cells(labels) for estimate in result.people]
        parts.append(table("People", COLUMNS, cells, numbers=set(range(2, 8)), names={0}))
        parts.append(f'<p class="quiet">{escape(ASSUMES)}</p>')
    if others:
        tables = "".join(_leaderboard(result, scorer, effort=False) for scorer in others)
        parts.append(f"<details><summary>The other scorers</summary>{tables}</details>")
    if result.comparisons:
        parts.append(
            f"<details><summary>Every comparison</summary>{_comparisons(result)}</details>"
        )
    return section("scores", "Scores", parts)


def _leaderboard(result: EvaluationResult, scorer: str, *, effort: bool) -> str:
    """Return a scorer's table, in the order of all tables; what answers took stands in one of them."""
    ranks = {entry.candidate: entry for entry in result.leaderboard.get(scorer, ())}
    several = bool(ranks) and len(result.candidates) > 1
    likely = any(entry.probability_best is not None for entry in ranks.values())
    rows = []
    for index in result.order:
        candidate, entry = result.candidates[index], ranks.get(index)
        score = candidate.scores[scorer]
        p95 = marked_few(seconds(candidate.latency.p95), candidate.latency.answers)
        took = (
            seconds(candidate.latency.p50),
            "unknown" if candidate.latency.p95 is None else str(p95),
            usd(None if candidate.cost_usd is None else float(candidate.cost_usd)),
            usd(None if candidate.cost_per_1000 is None else float(candidate.cost_per_1000)),
            "unknown" if (pace := candidate.tokens_per_second) is None else f"{pace:,.0f}",
        )
        rows.append(
            (
                *((str(entry.rank), entry.group) if entry else ("", "")),
                candidate.spec.label,
                percent(score.mean),
                "" if score.interval is None else _span(score.interval.low, score.interval.high),
                chance(entry.probability_best if entry else None) or "",
                f"{score.scored}/{candidate.rows}",
                *took,
            )
        )
    columns = (
        *("rank", "tier", "candidate", "mean", "95 % interval", "best", "scored"),
        *("median time", "95 % within", "cost", "per 1,000", "tokens/s"),
    )
    hidden = {*(() if several else (0, 1)), *(() if likely else (5,))}
    hidden |= set() if effort else {7, 8, 9, 10, 11}
    kept = [n for n in range(len(columns)) if n not in hidden]
    board = table(
        scorer
        + (": candidates that share a tier's letter cannot be told apart" if several else ""),
        [columns[n] for n in kept],
        [[row[n] for n in kept] for row in rows],
        numbers={place for place, n in enumerate(kept) if n not in {1, 2}},
        names={kept.index(2)},
    )
    few = effort and any(" few" in row[8] for row in rows)
    explained = f'<p class="quiet">{escape(FEW_EXPLAINED)}</p>' if few else ""
    doubt = f"<p>{escape(result.in_doubt[scorer])}</p>" if scorer in result.in_doubt else ""
    return board + doubt + explained + _unscored(result, scorer)


def _span(low: float, high: float) -> str:
    return f"{low:.1%} to {high:.1%}"


def _unscored(result: EvaluationResult, scorer: str) -> str:
    notes = []
    for candidate in result.ordered:
        reasons = candidate.scores[scorer].not_scored
        if reasons:
            said = ", ".join(f"{n} {reason.replace('_', ' ')}" for reason, n in reasons.items())
            notes.append(f"<li>{escape(f'{candidate.spec.label}: {said}')}</li>")
    return (
        f'<p class="quiet">Not scored:</p><ul class="quiet">{"".join(notes)}</ul>' if notes else ""
    )


def _comparisons(result: EvaluationResult) -> str:
    parts = [_compared("Scores, with Holm's correction", result.comparisons, in_points=True)]
    if result.measures:
        parts.append(_compared("Time, tokens and cost", result.measures, in_points=False))
    return "".join(parts)


def _compared(caption: str, comparisons: Sequence[Any], *, in_points: bool) -> str:

    def scale(value: float) -> str:
        return f"{value * 100:+.1f}" if in_points else f"{value:+.3g}"

    rows = []
    for comparison in comparisons:
        test = comparison.test
        rows.append(
            (
                comparison.scorer,
                comparison.a,
                comparison.b,
                rows_in_words(test) if test else "none",
                scale(test.difference) if test else "unknown",
                f"{scale(test.interval.low)} to {scale(test.interval.high)}" if test else "",
                "" if comparison.p_adjusted is None else _p(comparison.p_adjusted),
                comparison.verdict.replace("_", " "),
                _effect(comparison),
                *([_same(comparison)] if in_points else []),
            )
        )
    unit = "difference in points" if in_points else "difference"
    return table(
        caption,
        (
            *("by", "a", "b", "over", f"{unit}, b − a", "95 % interval", "adjusted p", "verdict"),
            "effect size",
            *(["adjusted p of differing by the margin"] if in_points else []),
        ),
        rows,
        numbers={3, 4, 5, 6, 8, 9},
        names={1, 2},
    )


_EFFECTS = {"cohens_g": "g", "cohens_d_z": "d_z"}


def _effect(comparison: Any) -> str:
    found = comparison.effect
    return "" if found is None else f"{_EFFECTS[found.name]} = {found.value:+.2f}"


def _p(value: float) -> str:
    return "<0.0001" if value < 0.0001 else f"{value:.3g}"


def _same(comparison: Any) -> str:
    found = comparison.equivalence
    if found is None or found.p_adjusted is None:
        return ""
    return f"{_p(found.p_adjusted)} (±{100 * found.margin:g})"
