"""What a request is refused with: a status, a code for programs, a sentence for people, and when to come again.

One shape for every door, the one that clients of OpenAI's know:
`{"error": {"message", "type", "code", "param"}}`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from llmflowlab.errors import (
    AuthenticationFailed,
    BadRequest,
    Blocked,
    ConfigurationError,
    ContextTooLong,
    InputError,
    LabError,
    Overloaded,
    ProviderError,
    RateLimited,
    RefusedBySafety,
    TimedOut,
    TrackingError,
    UnknownModel,
)
from llmflowlab.providers.arrival import storable

__all__ = ["CODES", "HttpRefusal", "refusal_of"]

CODES: Mapping[str, tuple[int, str]] = {
    "bad_request": (400, "the request cannot be understood; the sentence says where"),
    "unsupported_parameter": (400, "a parameter that this service does not have"),
    "context_length_exceeded": (400, "the conversation does not fit into the model's window"),
    "missing_key": (401, "no key came in `Authorization: Bearer KEY`"),
    "invalid_key": (401, "there is no such key, or it was revoked"),
    "foreign_host": (403, "the Host header names another machine than this one"),
    "not_found": (404, "there is nothing at this address"),
    "model_not_found": (404, "this service has no such model"),
    "session_not_found": (404, "no session of this key has that id"),
    "trace_not_found": (404, "no answer given to this key has that trace id"),
    "method_not_allowed": (405, "another method is meant for this address"),
    "request_timeout": (408, "the request's body did not come in time"),
    "session_busy": (409, "an answer of this session is under way"),
    "body_too_large": (413, "the body is larger than the service takes"),
    "conversation_too_long": (413, "the session, or the list of messages, has its greatest length"),
    "rate_limited": (429, "this key asks too often"),
    "too_many_wrong_keys": (429, "too many wrong keys came from this address"),
    "budget_exhausted": (429, "what may be spent in a day is spent, or under way"),
    "internal_error": (500, "a fault of the service's own; its log has more"),
    "model_failed": (502, "the model's provider failed"),
    "model_unavailable": (503, "the model's provider cannot be used as the service is set up"),
    "overloaded": (503, "too many answers are under way and waited for"),
    "shutting_down": (503, "the service is ending"),
    "storage_failed": (503, "the service's database cannot be used"),
    "deadline_exceeded": (504, "the answer did not end in time"),
}
"""Every code with its status and what it says."""

_KIND = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


class HttpRefusal(Exception):
    """A request that is refused.

    Args:
        code: One of `CODES`.
        message: What is wrong, and what to do; no secret, no stack.
        param: The part of the body that is at fault.
        retry_after: Seconds after which it may be worth another try.
    """

    def __init__(
        self, code: str, message: str, *, param: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = CODES[code][0]
        self.message = message
        self.param = param
        self.retry_after = retry_after

    def body(self) -> dict[str, Any]:
        """Return it as JSON values."""
        kind = _KIND.get(
            self.status, "invalid_request_error" if self.status < 500 else "server_error"
        )
        return {
            "error": {
                "message": storable(self.message),
                "type": kind,
                "code": self.code,
                "param": None if self.param is None else storable(self.param),
            }
        }

    def headers(self) -> dict[str, str]:
        """Return the headers that go with it."""
        headers = {}
        if self.retry_after is not None:
            headers["Retry-After"] = str(max(1, math.ceil(self.retry_after)))
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return headers


def refusal_of(error: Exception) -> HttpRefusal:
    """Return what a failure of asking a model is for the client, in words that hold no secret."""
    match error:
        case HttpRefusal():
            return error
        case ContextTooLong():
            return HttpRefusal("context_length_exceeded", error.message, param="messages")
        case BadRequest() | RefusedBySafety() | InputError() | Blocked():
            return HttpRefusal("bad_request", error.message)
        case RateLimited() | Overloaded():
            return HttpRefusal("overloaded", error.message, retry_after=error.retry_after or 5.0)
        case TimedOut():
            return HttpRefusal("deadline_exceeded", error.message, retry_after=5.0)
        case AuthenticationFailed() | UnknownModel() | ConfigurationError():
            return HttpRefusal("model_unavailable", error.message, retry_after=60.0)
        case ProviderError():
            return HttpRefusal("model_failed", error.message, retry_after=5.0)
        case TrackingError():
            return HttpRefusal("storage_failed", error.message, retry_after=5.0)
        case LabError():
            return HttpRefusal("model_failed", error.message)
        case _:
            return HttpRefusal(
                "internal_error", "The service failed at this request; its log says more."
            )
