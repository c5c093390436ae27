"""What OpenAI, Azure, Anthropic and servers like them answer to a request that they refuse."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

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
from llmflowlab.providers.refused_access import (
    access_refused,
    is_lasting,
    is_too_large,
    is_used_up,
    must_be_verified,
)
from llmflowlab.providers.transport import because, retry_after_seconds, says

__all__ = ["Advice", "Refusal", "asked_wait", "error_from_refusal", "words_of"]

_QUOTA = {"insufficient_quota", "billing_error", "billing_hard_limit_reached", "QuotaExceeded"}
_OTHER_DOOR = re.compile(
    r"only supported in v1/|not a chat model|not supported (in|with) the v1/chat|does not support chat"
)
"""A model that is there, but is not to be had by chat completions."""
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

    if codes & _QUOTA or (
        (status or 400) < 500 and is_used_up(refusal.text, wait=asked_wait(refusal.headers))
    ):
        # A 429 at OpenAI, but waiting brings nothing back.
        return error(BadRequest, f"{name} says that the quota is used up{ending} {advice.quota}")
    if codes & _SAFETY or "content filtering policy" in lower:
        return error(RefusedBySafety, f"{name}'s filter refused the prompt{ending}")
    if not codes & _CONTEXT and is_too_large(lower):
        return error(
            BadRequest,
            f"One request alone is larger than {name}'s whole limit{at}{ending} Shorten it.",
        )
    if codes & _CONTEXT or status == 413 or (status != 429 and _CONTEXT_WORDS.search(lower)):
        return error(ContextTooLong, f"The conversation is too long for {provider.model}{ending}")
    shut = status in {401, 403} or bool(codes & _KEY)
    if must_be_verified(lower) or (shut and not codes & _MODEL):
        what, remedy = access_refused(refusal.text, codes, key=advice.key)
        if status == 403 and not refusal.readable:
            what, remedy = "is behind a gateway that refuses access", advice.address
        return error(AuthenticationFailed, f"{name} {what}{ending} {remedy}")
    return _of_the_model(refusal, error, provider, advice) or _of_the_moment(
        refusal, error, provider
    )


_Made: TypeAlias = Callable[[type[ProviderError], str], ProviderError]


def _of_the_model(
    refusal: Refusal, error: _Made, provider: Provider, advice: Advice
) -> ProviderError | None:
    name, lower = provider.display_name, refusal.text.lower()
    ending = because(refusal.text, provider.settings)
    if _OTHER_DOOR.search(lower):
        return error(
            BadRequest,
            f"{provider.model} cannot be asked over chat completions{ending} Choose another model.",
        )
    if refusal.codes & _MODEL or (refusal.status == 404 and refusal.readable and "model" in lower):
        return error(UnknownModel, advice.model + says(name, refusal.text, provider.settings))
    if refusal.status == 404:
        return error(
            BadAnswer,
            f"What answers at {name}'s address has nothing under it (HTTP 404){ending} "
            f"{advice.address}",
        )
    return None


def _of_the_moment(refusal: Refusal, error: _Made, provider: Provider) -> ProviderError:
    name, status = provider.display_name, refusal.status
    ending = because(refusal.text, provider.settings)
    at = "" if status is None else f" (HTTP {status})"
    if status == 429 or refusal.codes & _RATE:
        return error(RateLimited, f"{name} says that its limit is reached{at}{ending}")
    if is_lasting(refusal.text):
        return error(BadRequest, f"{name} cannot answer{at}{ending} No further try mends that.")
    if status in {408, 409} or (status is not None and status >= 500) or refusal.codes & _BUSY:
        return error(Overloaded, f"{name} is overloaded or failing for the moment{at}{ending}")
    return _bad_request(refusal, provider, ending)


def _bad_request(refusal: Refusal, provider: Provider, ending: str) -> ProviderError:
    name, status = provider.display_name, refusal.status
    at = "" if status is None else f" (HTTP {status})"
    knob = _knob(refusal)
    if status is not None and not 400 <= status < 500:
        kind: type[ProviderError] = BadAnswer
        message = f"{name} sent something that cannot be read as an answer{at}{ending}"
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


def words_of(body: object) -> str:
    """Return what the body of an error says, in whichever of the usual forms; "" where it is in none."""
    if isinstance(body, str):
        return body
    if not isinstance(body, Mapping):
        return ""
    found = (body.get(key) for key in ("message", "detail", "error", "error_description"))
    said = next((each for each in found if each), "")
    return words_of(said) if isinstance(said, Mapping) else str(said)


def asked_wait(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a vendor asks to wait; OpenAI and Azure may say it in milliseconds."""
    exact = headers.get("retry-after-ms", "")
    if re.fullmatch(r"\d{1,9}(\.\d+)?", exact, re.ASCII):
        return float(exact) / 1000
    return retry_after_seconds(headers)
