"""What can be improved, found in the numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from llmflowlab.history.models import FEW_TURNS, ModelSummary
from llmflowlab.program import program_name
from llmflowlab.text.amounts import plural, seconds

__all__ = ["advice"]

_SLOW_FIRST_TOKEN = 2.0
"""Seconds after which people take a chat for stuck."""
_LONG_TAIL = 3.0
"""A 95th percentile this many times the average is worth a look."""


def advice(models: Sequence[ModelSummary], *, same_questions: bool) -> Iterator[str]:
    """Yield a sentence for each thing that can be improved, most urgent first.

    Args:
        models: All that is known of them.
        same_questions: Whether their qualities can be compared.
    """
    for model in models:
        yield from _failures(model)
    yield from _evaluations(models, same_questions=same_questions)
    for model in models:
        yield from _speed(model)
        yield from _data(model)


def _failures(model: ModelSummary) -> Iterator[str]:
    if model.failed_turns:
        yield (
            f"{model.reference}: {model.failed_turns} of {plural(model.turns, 'turn')} failed; "
            f"`{program_name()} doctor` checks the provider."
        )


def _evaluations(models: Sequence[ModelSummary], *, same_questions: bool) -> Iterator[str]:
    judged = [model for model in models if model.quality is not None]
    if not judged:
        yield "Nothing was evaluated yet, so nobody knows which model answers best: run an evaluation."
        return
    missing = [model.reference for model in models if model.quality is None]
    if missing:
        yield f"Not evaluated yet: {', '.join(missing)}."
    if not same_questions:
        yield (
            "The models were evaluated on different questions or by different scorers; "
            "evaluate them together to compare them."
        )
    for model in judged:
        if model.quality and model.quality.doubt is not None:
            yield (
                f"{model.reference}: {model.quality.doubt}; look at the reasons before trusting the "
                "mean."
            )


def _speed(model: ModelSummary) -> Iterator[str]:
    if model.first_token is not None and model.first_token > _SLOW_FIRST_TOKEN:
        yield (
            f"{model.reference}: the first token takes {seconds(model.first_token)} on average; "
            "a shorter system prompt or a smaller model would answer sooner."
        )
    if model.avg_time and model.worst_p95 and model.worst_p95 > _LONG_TAIL * model.avg_time:
        yield (
            f"{model.reference}: the slowest answers take {seconds(model.worst_p95)}, "
            f"the average {seconds(model.avg_time)}; max_tokens bounds long answers."
        )


def _data(model: ModelSummary) -> Iterator[str]:
    if model.unpriced_sessions:
        yield (
            f"{model.reference}: no price is known for {plural(model.unpriced_sessions, 'session')}; "
            "put its price into prices.json."
        )
    answered = model.answered_turns
    if 0 < answered < FEW_TURNS:
        yield (
            f"{model.reference}: {plural(answered, 'answer')} only; "
            f"averages say little below {FEW_TURNS}."
        )
