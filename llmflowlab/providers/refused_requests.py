"""What OpenAI, Azure, Anthropic and servers like them answer to a request that they refuse."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from llmflowlab.errors import (
    AuthenticationFailed,
    BadAnswer,
    BadRequest,
    ContextTooLong,
    Overloaded,
    ProviderError,
    RateLimited,
    RefusedBySafety,
    UnknownModel,
)
from llmflowlab.providers.base import Provider
from llmflowlab.providers.transport import because, retry_after_seconds

__all__ = ["Advice", "Refusal", "asked_wait", "error_from_refusal"]

_QUOTA = {"insufficient_quota", "billing_error", "billing_hard_limit_reached", "QuotaExceeded"}
_SAFETY = {
    "content_filter",
    "content_policy_violation",
    "invalid_prompt",
    "ResponsibleAIPolicyViolation",
}
_CONTEXT = {
    "context_length_exceeded",
    "exceed_context_size_error",
    "request_too_large",
    "string_above_max_length",
}
_MODEL = {"model_not_found", "DeploymentNotFound"}
_KEY = {"invalid_api_key", "authentication_error", "permission_error", "401", "403"}
_RATE = {"rate_limit_exceeded", "rate_limit_error", "429"}
_BUSY = {"server_error", "api_error", "overloaded_error", "timeout_error", "internal_error"}

_CONTEXT_WORDS = re.compile(
    r"context (length|window|size)|prompt is too long|too many (input )?tokens"
    r"|input is too long|maximum number of tokens"
)
_KNOBS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_completion_tokens": "max_tokens",
    "max_tokens": "max_tokens",
    "seed": "seed",
    "response_format": "the response schema",
    "output_config": "the response schema",
}
"""What vendors call the lab's parameters, and what the lab calls them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A vendor's error, whichever SDK raised it."""

    status: int | None = None
    """HTTP status; None for an error inside a stream."""
    codes: frozenset[str] = frozenset()
    """The vendor's own short names for what happened."""
    text: str = ""
    """Its words, not yet redacted."""
    param: str | None = None
    """The parameter that it names as the culprit."""
    headers: Mapping[str, str] = field(default_factory=dict)
    readable: bool = True
    """Whether it was in the vendor's form; a gateway's page is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What a person can do, in whole sentences that end in a full stop."""

    key: str
    address: str
    model: str
    quota: str


def error_from_refusal(refusal: Refusal, provider: Provider, advice: Advice) -> ProviderError:
    """Turn a vendor's error into ours."""
    name = provider.display_name
    ending = because(refusal.text, provider.settings)
    status, codes = refusal.status, refusal.codes
    at = "" if status is None else f" (HTTP {status})"
    lower = refusal.text.lower()

    def error(kind: type[ProviderError], message: str) -> ProviderError:
        return kind(
            message,
            provider=provider.name,
            model=provider.model,
            status=status,
            retry_after=asked_wait(refusal.headers) if kind.retryable else None,
        )

    if codes & _QUOTA or "credit balance is too low" in lower:
        # A 429 at OpenAI, but waiting brings nothing back.
        return error(BadRequest, f"{name} says that the quota is used up{ending} {advice.quota}")
    if codes & _SAFETY or "content filtering policy" in lower:
        return error(RefusedBySafety, f"{name}'s filter refused the prompt{ending}")
    if codes & _CONTEXT or status == 413 or (status != 429 and _CONTEXT_WORDS.search(lower)):
        return error(ContextTooLong, f"The conversation is too long for {provider.model}{ending}")
    if codes & _MODEL or (status == 404 and refusal.readable and "model" in lower):
        return error(UnknownModel, advice.model)
    if status == 404:
        return error(
            BadAnswer,
            f"What answers at {name}'s address has nothing under it (HTTP 404){ending} "
            f"{advice.address}",
        )
    if status in {401, 403} or codes & _KEY:
        return error(AuthenticationFailed, f"{name} refused the key{ending} {advice.key}")
    if status == 429 or codes & _RATE:
        return error(RateLimited, f"{name} says that its limit is reached{at}{ending}")
    if status in {408, 409} or (status is not None and status >= 500) or codes & _BUSY:
        return error(Overloaded, f"{name} is overloaded or failing for the moment{at}{ending}")
    return _bad_request(refusal, provider, ending)


def _bad_request(refusal: Refusal, provider: Provider, ending: str) -> ProviderError:
    name, status = provider.display_name, refusal.status
    at = "" if status is None else f" (HTTP {status})"
    knob = _knob(refusal)
    if status is not None and not 400 <= status < 500:
        kind: type[ProviderError] = BadAnswer
        message = f"{name} sent something that cannot be read as an answer{at}."
    elif knob is not None:
        kind = BadRequest
        message = f"{name} refused {knob} as it is set{at}{ending} Change it or leave it out."
    else:
        kind, message = BadRequest, f"{name} refused the request{at}{ending}"
    return kind(message, provider=provider.name, model=provider.model, status=status)


def _knob(refusal: Refusal) -> str | None:
    named = (refusal.param or "").partition(".")[0]
    if named in _KNOBS:
        return _KNOBS[named]
    return next(
        (
            ours
            for theirs, ours in _KNOBS.items()
            if re.search(rf"\b{theirs}\b", refusal.text, re.ASCII)
        ),
        None,
    )


def asked_wait(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a vendor asks to wait; OpenAI and Azure may say it in milliseconds."""
    exact = headers.get("retry-after-ms", "")
    if re.fullmatch(r"\d{1,9}(\.\d+)?", exact, re.ASCII):
        return float(exact) / 1000
    return retry_after_seconds(headers)
