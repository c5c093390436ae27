"""What Gemini sends back: chunks turned into events, its errors into ours."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from llmflowlab.errors import (
    AuthenticationFailed,
    BadAnswer,
    BadRequest,
    ContextTooLong,
    Overloaded,
    ProviderError,
    RateLimited,
    RefusedBySafety,
    StreamInterrupted,
    TimedOut,
    UnknownModel,
)
from llmflowlab.program import program_name
from llmflowlab.providers.arrival import field, name, pieces, the_answer, tokens, usage
from llmflowlab.providers.base import (
    Finished,
    FinishReason,
    Provider,
    StreamEvent,
    TextDelta,
    Usage,
    UsageReport,
)
from llmflowlab.providers.refused_access import access_refused, is_used_up
from llmflowlab.providers.transport import because, retry_after_seconds, says

if TYPE_CHECKING:
    from google.genai import types
    from google.genai.errors import APIError

__all__ = ["FINISH_REASONS", "GeminiStream", "error_from_api"]

FINISH_REASONS: dict[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    **dict.fromkeys(
        (
            "SAFETY",
            "RECITATION",
            "BLOCKLIST",
            "PROHIBITED_CONTENT",
            "SPII",
            "MODEL_ARMOR",
            "IMAGE_SAFETY",
            "IMAGE_PROHIBITED_CONTENT",
            "IMAGE_RECITATION",
        ),
        "safety",
    ),
    **dict.fromkeys(("UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"), "tool_calls"),
    **dict.fromkeys(
        (
            "LANGUAGE",
            "OTHER",
            "MALFORMED_FUNCTION_CALL",
            "MALFORMED_RESPONSE",
            "MISSING_THOUGHT_SIGNATURE",
            "IMAGE_OTHER",
            "NO_IMAGE",
            "ESCALATION",
            "PUP_LIMITED_DISABLED",
            "CONTINUATION",
        ),
        "other",
    ),
}
"""Every finish reason of the SDK but "unspecified"; one it does not know yet counts as "other"."""


class GeminiStream:
    """One answer as it is read, chunk by chunk."""

    def __init__(self, provider: Provider) -> None:
        self.begun = False
        """Whether a piece of text or reasoning came."""
        self._provider = provider
        self._text_came = False
        self._uncounted = False
        self._counts, self._usage = _Counts(), Usage()
        self._reason: str | None = None
        self._model_version: str | None = None

    def take(self, chunk: types.GenerateContentResponse) -> Iterator[StreamEvent]:
        """Yield the events of one chunk.

        Raises:
            RefusedBySafety: The prompt was blocked.
        """
        self._model_version = name(chunk.model_version) or self._model_version
        candidate: types.Candidate | None = the_answer(chunk.candidates)
        content = candidate.content if candidate else None
        for part in (content.parts if content else None) or []:
            for piece in pieces(part.text, thinking=bool(part.thought)):
                self.begun = True
                if isinstance(piece, TextDelta):
                    self._text_came = self._uncounted = True
                yield piece
        sent = chunk.usage_metadata
        counted = self._counts.take(sent)
        if sent is not None and tokens(sent.candidates_token_count) is not None:
            self._uncounted = False
        if self._uncounted:
            # A count of the thoughts, or of the text before, is no count of the text that came.
            counted = replace(counted, completion_tokens=None)
        if counted != self._usage:
            self._usage = counted
            yield UsageReport(counted)
        feedback = chunk.prompt_feedback
        if feedback and _name(feedback.block_reason):
            self._block(str(_name(feedback.block_reason)))
        if candidate:
            self._reason = _name(candidate.finish_reason) or self._reason

    def finish(self) -> Finished:
        """Return the last event.

        Raises:
            RefusedBySafety: A filter stopped the answer before any text of it.
            BadAnswer: The model produced something malformed, or nothing at all.
            StreamInterrupted: The stream ended without a finish reason.
        """
        provider = self._provider
        if self._reason is None:
            kind = StreamInterrupted if self.begun else BadAnswer
            raise kind(
                "Gemini ended its answer without saying that it was finished.",
                provider=provider.name,
                model=provider.model,
            )
        reason = FINISH_REASONS.get(self._reason, "other")
        if reason == "safety" and not self._text_came:
            raise RefusedBySafety(
                f"Gemini's filter stopped the answer ({self._reason}); put the question differently.",
                provider=provider.name,
                model=provider.model,
            )
        if self._reason.startswith("MALFORMED") and not self._text_came:
            raise BadAnswer(
                f"Gemini produced no readable answer ({self._reason}); try again.",
                provider=provider.name,
                model=provider.model,
            )
        return Finished(reason, self._model_version)

    def _block(self, reason: str) -> None:
        if self.begun:
            self._reason = "SAFETY"
            return
        raise RefusedBySafety(
            f"Gemini's filter refused the prompt ({reason}); put it differently.",
            provider=self._provider.name,
            model=self._provider.model,
        )


def _name(value: Any) -> str | None:
    """Return an enum value's name, None for the absent and the unspecified."""
    name: str | None = getattr(value, "name", None)
    return None if name is None or name.endswith("UNSPECIFIED") else name


class _Counts:
    """The usage so far; counts are cumulative, but not every chunk carries each of them."""

    _SENT = (
        "prompt_token_count",
        "candidates_token_count",
        "thoughts_token_count",
        "cached_content_token_count",
    )

    def __init__(self) -> None:
        self._seen: dict[str, int | None] = {}
        """None for what was sent and cannot be read."""

    def take(self, sent: object) -> Usage:
        found = {key: field(sent, key) for key in self._SENT}
        self._seen.update({key: tokens(count) for key, count in found.items() if count is not None})
        prompt, answer, thoughts, cached = map(self._seen.get, self._SENT)
        unread = any(self._seen.get(key, 0) is None for key in self._SENT[1:3])
        known = not unread and (answer is not None or thoughts is not None)
        completion = (answer or 0) + (thoughts or 0) if known else None
        return usage(prompt, completion, cached, thoughts)


def error_from_api(exc: APIError, provider: Provider) -> ProviderError:
    """Map an error that Gemini itself answered."""
    details = _details(exc.details)
    reasons = {str(detail.get("reason")) for detail in details if detail.get("reason")}
    text = str(exc.message or "")
    ending = because(text, provider.settings)
    code = exc.code if isinstance(exc.code, int) else None
    wait = _retry_delay(details)
    headers = getattr(exc.response, "headers", None)
    if wait is None and isinstance(headers, Mapping):
        wait = retry_after_seconds(headers)

    def error(kind: type[ProviderError], message: str) -> ProviderError:
        return kind(
            message,
            provider=provider.name,
            model=provider.model,
            status=code,
            retry_after=wait if kind.retryable else None,
        )

    if (
        code in {401, 403}
        or any(reason.startswith("API_KEY_") for reason in reasons)
        or "location is not supported" in text
    ):
        what, remedy = access_refused(
            text, reasons, key="Check GEMINI_API_KEY at https://aistudio.google.com/apikey."
        )
        return error(AuthenticationFailed, f"Gemini {what}{ending} {remedy}")
    if code == 404 and exc.status == "NOT_FOUND":
        return error(
            UnknownModel,
            f"Gemini has no model {provider.model!r} for this key; "
            f"`{program_name()} models` lists those it has.{says('Gemini', text, provider.settings)}",
        )
    if code == 404:
        return error(
            BadAnswer,
            f"What answers at Gemini's address does not speak its protocol (HTTP 404){ending} "
            "Check GOOGLE_GEMINI_BASE_URL.",
        )
    if code == 408:
        return TimedOut(
            f"Gemini gave up on the request (HTTP 408){ending}",
            provider=provider.name,
            model=provider.model,
        )
    if code == 429:
        # Google asks to wait some seconds for these too, which brings nothing back.
        daily = "PerDay" in str(details)
        if daily or is_used_up(text, wait=wait):
            used = "the day's quota is used up" if daily else "this key has no quota for it"
            return error(BadRequest, f"Gemini says that {used} (HTTP 429){ending}")
        return error(RateLimited, f"Gemini says that its limit is reached (HTTP 429){ending}")
    if code == 413 or re.search(r"token count\b.*\bexceeds", text):
        return error(ContextTooLong, f"The conversation is too long for {provider.model}{ending}")
    if code is not None and 400 <= code < 500:
        return error(BadRequest, f"Gemini refused the request (HTTP {code}){ending}")
    if code is not None and 500 <= code < 600:
        return error(
            Overloaded, f"Gemini is overloaded or failing for the moment (HTTP {code}){ending}"
        )
    return error(BadAnswer, f"Gemini sent an error that cannot be read{ending}")


def _details(body: Any) -> list[Mapping[str, Any]]:
    """Return the `details` of a Google error body, with or without its `error` wrapper."""
    if isinstance(body, Mapping):
        inner = body.get("error", body)
        found = inner.get("details") if isinstance(inner, Mapping) else None
        if isinstance(found, list):
            return [detail for detail in found if isinstance(detail, Mapping)]
    return []


def _retry_delay(details: list[Mapping[str, Any]]) -> float | None:
    """Return RetryInfo's wait in seconds; Google writes it as "34.074824224s"."""
    for detail in details:
        if str(detail.get("@type", "")).endswith("RetryInfo"):
            match = re.fullmatch(r"(\d+(?:\.\d+)?)s", str(detail.get("retryDelay", "")))
            if match:
                return float(match.group(1))
    return None
