"""Looks for a model's border prompts among the built-in candidates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from llmflowlab.errors import ProviderError
from llmflowlab.monitoring.border_prompts import CANDIDATES, first_word
from llmflowlab.monitoring.canary_asking import CanaryAsking
from llmflowlab.monitoring.canary_plan import BorderPrompt

__all__ = ["MOST_CALLS", "BudgetEnded", "find_choices"]

_FIRST, _SECOND = 6, 12
"""Samples of each candidate, and then of each that may do."""
_BORDER = (0.2, 0.8)
_BATCH = 20
"""Candidates that are tried at a time: a search that has found enough ends."""
MOST_CALLS = len(CANDIDATES) * (_FIRST + _SECOND)
"""Calls of a search that finds none."""


class BudgetEnded(Exception):
    """The budget did not allow the search to end."""


def find_choices(
    asking: CanaryAsking,
    wanted: int,
    *,
    tick: Callable[[int], None] = lambda found: None,
) -> tuple[BorderPrompt, ...]:
    """Return up to `wanted` prompts whose usual first word comes neither seldom nor nearly always.

    What is counted here chooses the prompts, and no baseline counts it again: chosen for looking split, they
    are a little less so.

    Args:
        asking: The model.
        wanted: How many are enough.
        tick: Told how many were found.

    Raises:
        BudgetEnded: The money did not last.
        ProviderError: No call at all brought an answer.
    """
    found: list[BorderPrompt] = []
    for begin in range(0, len(CANDIDATES), _BATCH):
        tick(min(len(found), wanted))
        if len(found) >= wanted:
            break
        heard = _heard(asking, CANDIDATES[begin : begin + _BATCH], _FIRST)
        split = [prompt for prompt, words in heard.items() if 1 < _top(words)[1] < len(words)]
        again = _heard(asking, split, _SECOND) if split else {}
        for prompt, words in again.items():
            everything = heard[prompt] + words
            word, times = _top(everything)
            if word and _BORDER[0] <= times / len(everything) <= _BORDER[1]:
                found.append(BorderPrompt(prompt=prompt, word=word))
    return tuple(found[:wanted])


def _heard(asking: CanaryAsking, prompts: Sequence[str], times: int) -> dict[str, list[str]]:
    heard = asking.words([prompt for prompt in prompts for _ in range(times)])
    records = [each.record for each in heard]
    if any(record.state == "budget_exhausted" for record in records):
        raise BudgetEnded
    if not any(record.answered for record in records):
        raise ProviderError(
            f"The model answers nothing: {records[0].error or records[0].reason}",
            provider=asking.provider,
        )
    return {
        prompt: [
            first_word(record.text)
            for record in records[i * times : (i + 1) * times]
            if record.answered
        ]
        for i, prompt in enumerate(prompts)
    }


def _top(words: Sequence[str]) -> tuple[str, int]:
    common = Counter(words).most_common(1)
    return common[0] if common else ("", 0)
