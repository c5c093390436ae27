"""What Ollama sends back: its answers' ends, its models' papers and its errors, read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llmflowlab.errors import (
    AuthenticationFailed,
    BadAnswer,
    BadRequest,
    ContextTooLong,
    Overloaded,
    ProviderError,
    RateLimited,
    UnknownModel,
)
from llmflowlab.providers.arrival import name, tokens, usage, whole
from llmflowlab.providers.base import FinishReason, Provider, Usage
from llmflowlab.providers.embedding_names import named_for_embedding
from llmflowlab.providers.ollama.address import Address
from llmflowlab.providers.refused_access import access_refused, is_lasting, is_used_up
from llmflowlab.providers.transport import UNREADABLE, because, retry_after_seconds, says

if TYPE_CHECKING:
    from ollama import ChatResponse, ListResponse, ResponseError

__all__ = [
    "counted",
    "detail",
    "error_from_response",
    "finish_reason",
    "load_seconds",
    "made_for",
    "only_embeds",
    "parameter",
]

_FINISH_REASONS: dict[str, FinishReason] = {"stop": "stop", "length": "length"}


def finish_reason(chunk: ChatResponse, *, called: bool) -> FinishReason:
    """Return why an answer ended; early servers gave no reason, and none says that a tool was called."""
    reason = _FINISH_REASONS.get(name(chunk.done_reason) or "stop", "other")
    return "tool_calls" if called and reason == "stop" else reason


def counted(chunk: ChatResponse) -> Usage:
    # Ollama leaves a count out where it had nothing to do, as for a prompt that was still in memory.
    return usage(tokens(chunk.prompt_eval_count) or None, chunk.eval_count)


def load_seconds(chunk: ChatResponse) -> float:
    """Return the seconds of loading the model; some milliseconds where it was in memory."""
    return (whole(chunk.load_duration) or 0) / 1e9


def detail(model: ListResponse.Model) -> str:
    details = model.details
    words = [details.parameter_size, details.family, details.quantization_level] if details else []
    text = " ".join(word for word in words if word)
    size = f"{model.size / 1e9:.1f} GB" if model.size else ""
    return ", ".join(part for part in (text, size) if part)


def only_embeds(model: ListResponse.Model) -> bool:
    family = (model.details.family if model.details else None) or ""
    return family.endswith("bert") or named_for_embedding(model.model or "")


def made_for(info: Mapping[str, Any]) -> int | None:
    """Return the window the model was made for; the key begins with its architecture."""
    for key, value in info.items():
        if key.endswith(".context_length") and (window := tokens(value)):
            return window
    return None


def parameter(text: str | None, name: str) -> int | None:
    """Return a number from a model's own parameters, which stand one on a line."""
    match = re.search(rf"^{name}\s+(\d+)\s*$", text or "", re.MULTILINE)
    return int(match.group(1)) if match else None


def error_from_response(exc: ResponseError, provider: Provider, address: Address) -> ProviderError:
    """Map an error that Ollama itself answered; in mid-stream it has no HTTP status."""
    text, code = str(exc.error), exc.status_code
    ending = because(text, provider.settings)
    status = code if code > 0 else None

    def error(kind: type[ProviderError], message: str) -> ProviderError:
        return kind(
            message,
            provider=provider.name,
            model=provider.model,
            status=status,
            retry_after=_asked_wait(exc) if kind.retryable else None,
        )

    if (code == 404 and "model" in text) or "file does not exist" in text:
        return error(
            UnknownModel,
            f"Ollama has no model {provider.model!r}; run `ollama pull {provider.model}`."
            f"{says('Ollama', text, provider.settings)}",
        )
    if code == 404:
        return error(
            BadAnswer,
            f"What answers at {address.shown} does not speak Ollama's protocol "
            f"(HTTP 404){ending} Check OLLAMA_HOST.",
        )
    if code in {401, 403}:
        what, remedy = access_refused(text, (), key="Set OLLAMA_API_KEY.")
        if page := _sign_in(exc, provider):
            what = "wants you to sign in"
            remedy = f"Run `ollama signin` where the server is, or open {page}"
        return error(AuthenticationFailed, f"Ollama {what}{ending} {remedy}")
    if code == 413 or re.search(r"(context|input) length", text):
        return error(ContextTooLong, f"The conversation is too long for {provider.model}{ending}")
    if code == 429 and is_used_up(text, wait=_asked_wait(exc)):
        return error(BadRequest, f"Ollama says that the quota is used up (HTTP 429){ending}")
    if code == 429:
        return error(
            RateLimited,
            f"Ollama refuses more requests for now (HTTP 429){ending}",
        )
    if 400 <= code < 500 or is_lasting(text):
        return error(BadRequest, f"Ollama refused the request{ending}")
    return error(
        Overloaded,
        f"Ollama is overloaded or failing for the moment{ending}",
    )


def _sign_in(exc: ResponseError, provider: Provider) -> str | None:
    """Return the page on which this machine is made known to ollama.com; None where none is named."""
    response = getattr(exc.__context__, "response", None)
    try:
        page = str(response.json()["signin_url"]) if response is not None else ""
    except (*UNREADABLE, RuntimeError):
        return None
    secrets = provider.settings.get("OLLAMA_API_KEY") or "\0"
    # It holds the machine's public key, which looks like a secret and is none.
    usable = re.fullmatch(r"https://[\w.-]+/[\w./?&=%+~-]{0,900}", page, re.ASCII)
    return page if usable and secrets not in page else None


def _asked_wait(exc: ResponseError) -> float | None:
    # The SDK drops the headers; what it was raised in place of still has them.
    response = getattr(exc.__context__, "response", None)
    return None if response is None else retry_after_seconds(response.headers)
