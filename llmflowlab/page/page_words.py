"""What the page says beside the models' own words."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from llmflowlab.page.service_calls import CallRefused
from llmflowlab.text.answer_line import answer_line

__all__ = ["figures", "refusal_words", "refused_error"]

_WORDS = {
    "missing_key": "This service wants a key by now. Load the page again and sign in with yours.",
    "invalid_key": "Your key holds no longer. Load the page again and sign in with another one.",
    "unreachable": "The service does not answer ({message}). Ask whoever runs it, then try again.",
    "conversation_too_long": "This chat has its greatest length. Begin a new one.",
    "session_busy": "The answer before this one is still under way. Wait for it, or begin a new chat.",
}
"""Instead of the service's own sentences, which speak to programs."""
_BLOCKED = {
    "in": "Blocked by the guardrails: what you wrote was not sent to the model",
    "out": "Blocked by the guardrails: the model's answer is withheld",
}
_STATES = {
    "interrupted": "Stopped",
    "incomplete": "Not whole",
    "failed": "No answer",
}
_CUT = {"length": "Cut at its greatest length", "safety": "Cut by the provider's filter"}


def refusal_words(refusal: CallRefused) -> str:
    """Return a refusal as a person is told it."""
    said = _WORDS.get(refusal.code, "{message}").format(message=refusal.message)
    if refusal.retry_after is None or refusal.code in _WORDS:
        return said
    return f"{said} A later try makes sense in {_wait(refusal.retry_after)}."


def refused_error(data: Mapping[str, Any]) -> CallRefused:
    """Return the refusal that a stream's event `error` holds."""
    error = data.get("error") or {}
    return CallRefused(str(error.get("code")), str(error.get("message")))


def figures(answer: Mapping[str, Any], *, inference_time: float) -> dict[str, str]:
    """Return the line below an answer: what became of it, and what it took.

    Args:
        answer: As `/chat` or a session's turn has it.
        inference_time: Seconds.

    Returns:
        `line`, and `state`: `complete` or what else became of it.
    """
    usage = answer["usage"]
    cost = answer["cost_usd"]
    parts = answer_line(
        prompt_tokens=usage["prompt_tokens"],
        completion_tokens=usage["completion_tokens"],
        estimated=usage["estimated"],
        cost=None if cost is None else Decimal(cost),
        inference_time=inference_time,
    )
    state = str(answer["state"])
    blocked = answer["blocked"] if "blocked" in answer else answer["guardrails"]["blocked"]
    became = _STATES.get(state)
    if state == "blocked":
        if usage["prompt_tokens"] is usage["completion_tokens"] is None:
            # Nothing was asked.
            parts = []
        became = _BLOCKED.get(blocked, "Blocked by the guardrails")
    elif state == "complete":
        became = _CUT.get(answer["finish_reason"] or "")
    said = [became, *parts] if became else parts
    if answer["model"]:
        said.append(str(answer["model"]))
    return {"line": " · ".join(said), "state": "cut" if became and state == "complete" else state}


def _wait(seconds: float) -> str:
    for unit, name in ((3600, "hour"), (60, "minute")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}s"
    return f"{seconds:.0f} seconds" if seconds > 1 else "a second"
