"""The rows of a report as the JSON that its page carries."""

from __future__ import annotations

import json
from typing import Any

from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.evaluation.scorers.ranking import main_scorer

__all__ = ["embedded", "page_data"]


def embedded(value: Any) -> str:
    """Return JSON that nothing can end early inside a <script> element.

    `<`, `>` and `&` stand only inside JSON's strings, where an escape means the same; so neither
    `</script>` nor `<!--` can come out of an answer. U+2028 and U+2029 are escaped for readers that
    take them for line ends.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in ("<", ">", "&", "\u2028", "\u2029"):
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def page_data(result: EvaluationResult) -> dict[str, Any]:
    """Return candidates, the order in which they are shown, scorers and every row with all its answers.

    An answer is `[text, error, seconds, tokens, cost_usd, trace id, scores]`, or null where it was
    not reached; a score is its value, or `[reason, rationale]` / `[value, rationale]` where there is
    more to say.
    """
    plan = result.plan
    return {
        "candidates": [candidate.spec.label for candidate in result.candidates],
        "scorers": list(plan.scorers),
        "order": result.order,
        "main": list(plan.scorers).index(main_scorer(plan.scorers)),
        "trials": plan.trials,
        "rows": [
            {
                "id": row.id,
                "q": row.question,
                "e": row.expected,
                "x": row.context,
                "c": row.category,
                "l": row.language,
                "a": [
                    [
                        _answer(result, Cell(candidate, row.index, trial))
                        for trial in range(plan.trials)
                    ]
                    for candidate in range(len(plan.candidates))
                ],
            }
            for row in plan.dataset.rows
        ],
    }


def _answer(result: EvaluationResult, cell: Cell) -> list[Any] | None:
    answer = result.answers.get(cell)
    if answer is None:
        return None
    known = answer.prompt_tokens is not None and answer.completion_tokens is not None
    return [
        answer.text,
        None if answer.answered else answer.error or answer.reason or answer.state,
        None if answer.latency is None else round(answer.latency, 3),
        (answer.prompt_tokens or 0) + (answer.completion_tokens or 0) if known else None,
        None if answer.spent is None else float(answer.spent),
        result.plan.trace_id(cell),
        [_score(result, cell, scorer) for scorer in result.plan.scorers],
    ]


def _score(result: EvaluationResult, cell: Cell, scorer: str) -> Any:
    score = result.scores.get(cell, {}).get(scorer)
    if score is None:
        return ["not_reached", None]
    if score.value is not None and not score.rationale:
        return round(score.value, 4)
    value: Any = score.not_scored if score.value is None else round(score.value, 4)
    return [value, score.rationale]
