"""The numbers of a turn: what it took, and its language."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from llmflowlab.asking.paid import Paid
from llmflowlab.text.language import LanguageDetector
from llmflowlab.tracking.records import TurnRecord

__all__ = ["measured"]


def measured(record: TurnRecord, paid: Paid, detector: LanguageDetector) -> TurnRecord:
    """Fill in what the call took, and what the text room knows of an answer."""
    spent, wasted, answer = paid.spent, paid.wasted, paid.answer
    found: dict[str, Any] = {
        "prompt_tokens": paid.prompt_tokens,
        "completion_tokens": paid.completion_tokens,
        "cached_tokens": paid.cached_tokens,
        "reasoning_tokens": paid.reasoning_tokens,
        "tokens_estimated": paid.tokens_estimated,
        "cost_usd": None if spent is None else str(spent),
        "wasted_usd": str(wasted) if wasted else None,
        "tries": max(paid.tries, 1),
        "waited": paid.waited,
    }
    if answer is not None:
        language = detector.detect(answer.text or record.prompt)
        found |= {
            "answer": answer.text,
            "reasoning": answer.reasoning,
            "model_version": answer.model_version,
            "language": language.code,
            "language_confidence": language.confidence,
            "inference_time": answer.inference_time,
            "time_to_first_token": answer.time_to_first_token,
            "tries": paid.tries,
            "finish_reason": answer.finish_reason,
        }
    return replace(record, **found)
