"""Every error the lab raises on purpose, and the exit code each one ends a command with.

LabError                          1
├── InputError                    2   the person or script gave something unusable
│   └── DatasetError              2   a benchmark file has a bad row or no usable columns
├── ConfigurationError            3   something must be set, started or installed first
│   ├── NotConfigured             3   a provider has no key, address or package
│   └── HomeUnwritable            3   the home folder cannot be written; a TrackingError as well
├── ProviderError                 4   a model's provider failed
│   ├── ConnectionFailed              nothing answered, or the line broke before the answer began
│   ├── AuthenticationFailed          the key was refused
│   ├── UnknownModel                  the provider does not have this model
│   ├── RateLimited                   too many requests; may say how long to wait
│   ├── Overloaded                    the provider is busy or broken for the moment (5xx)
│   ├── TimedOut                      a deadline passed (connecting, first token, between tokens)
│   ├── RefusedBySafety               the provider's filter stopped the prompt or the answer
│   ├── ContextTooLong                the conversation does not fit the model's window
│   ├── BadRequest                    the provider refused the request as malformed
│   ├── BadAnswer                     the provider answered something that cannot be read
│   └── StreamInterrupted             the answer broke off in the middle
├── TrackingError                 4   MLflow's store failed or cannot be reached
├── GateNotMet                    5   a quality gate was not met
└── Interrupted                 130   the person pressed Ctrl-C

`retryable` says whether the same call may succeed a little later; nothing is decided by reading messages.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar, Literal

__all__ = [
    "AuthenticationFailed",
    "BadAnswer",
    "BadRequest",
    "Blocked",
    "ConfigurationError",
    "ConnectionFailed",
    "ContextTooLong",
    "DatasetError",
    "ExitCode",
    "GateNotMet",
    "HomeUnwritable",
    "InputError",
    "Interrupted",
    "LabError",
    "NotConfigured",
    "Overloaded",
    "ProviderError",
    "RateLimited",
    "RefusedBySafety",
    "StreamInterrupted",
    "TimedOut",
    "TrackingError",
    "UnknownModel",
]


class ExitCode(IntEnum):
    """What a command's exit status means; scripts rely on these numbers."""

    DONE = 0
    UNEXPECTED = 1
    BAD_INPUT = 2
    NOT_CONFIGURED = 3
    PROVIDER_FAILED = 4
    GATE_NOT_MET = 5
    INTERRUPTED = 130


class LabError(Exception):
    """Base of all errors that end in one clear sentence for the person.

    Args:
        message: What is wrong, and what to do next, in one or two sentences; never holds a secret.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.UNEXPECTED

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InputError(LabError):
    """The person or script gave something that cannot be used."""

    exit_code = ExitCode.BAD_INPUT


class DatasetError(InputError):
    """A benchmark file cannot be used; names the file and, where known, the physical line."""

    def __init__(self, message: str, *, file: str, line: int | None = None) -> None:
        where = file if line is None else f"{file}, line {line}"
        super().__init__(f"{where}: {message}")
        self.file = file
        self.line = line


class ConfigurationError(LabError):
    """Something must be set, started or installed before this can work."""

    exit_code = ExitCode.NOT_CONFIGURED


class NotConfigured(ConfigurationError):
    """A provider lacks its key, its address or its package; the message names the next step."""

    def __init__(self, message: str, *, provider: str) -> None:
        super().__init__(message)
        self.provider = provider


class ProviderError(LabError):
    """A model's provider failed.

    Args:
        message: What happened, in words a person can act on.
        provider: The provider's name, as in `gemini`.
        model: The model asked for, where one was.
        status: The HTTP status, where there was one.
        retry_after: Seconds the provider asked to wait, where it said so.
    """

    exit_code = ExitCode.PROVIDER_FAILED
    retryable: ClassVar[bool] = False
    reason: ClassVar[str] = "provider_error"
    """Short name used in tables, tags and JSON."""

    def __init__(
        self,
        message: str,
        *,
        provider: str,
        model: str | None = None,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.provider = provider
        self.model = model
        self.status = status
        self.retry_after = retry_after
        self.tries = 1
        """Requests sent in all; this and what follows are filled in by `providers.calling.call`."""
        self.waited = 0.0
        """Seconds spent waiting between tries."""
        self.prompt_tokens: int | None = None
        """Tokens that the failed tries reported; None where they said nothing."""
        self.completion_tokens: int | None = None


class ConnectionFailed(ProviderError):
    """Nothing answered at the provider's address, or the line broke before the answer began.

    Args:
        message: As in `ProviderError`.
        provider: As in `ProviderError`.
        model: As in `ProviderError`.
        sent: Whether there was a line: then the provider may have answered, and been paid for it.
    """

    retryable = True
    reason = "cannot_connect"

    def __init__(
        self, message: str, *, provider: str, model: str | None = None, sent: bool = False
    ) -> None:
        super().__init__(message, provider=provider, model=model)
        self.sent = sent


class AuthenticationFailed(ProviderError):
    """The provider refused the key."""

    reason = "authentication"


class UnknownModel(ProviderError):
    """The provider does not have the model that was asked for."""

    reason = "unknown_model"


class RateLimited(ProviderError):
    """Too many requests or tokens; `retry_after` holds the wait the provider asked for."""

    retryable = True
    reason = "rate_limited"


class Overloaded(ProviderError):
    """The provider is busy or broken for the moment (HTTP 500, 502, 503, 504, 529)."""

    retryable = True
    reason = "overloaded"


class TimedOut(ProviderError):
    """A deadline passed.

    Only a call that had not begun to answer may be tried again, so a timeout between tokens is
    reported as `StreamInterrupted` by the caller.
    """

    retryable = True
    reason = "timed_out"

    def __init__(
        self,
        message: str,
        *,
        provider: str,
        model: str | None = None,
        stage: Literal["connect", "first_token", "between_tokens"] = "first_token",
    ) -> None:
        super().__init__(message, provider=provider, model=model)
        self.stage = stage


class RefusedBySafety(ProviderError):
    """The provider's filter stopped the prompt or the answer."""

    reason = "refused_by_safety"


class ContextTooLong(ProviderError):
    """The conversation does not fit into the model's context window."""

    reason = "context_too_long"


class BadRequest(ProviderError):
    """The provider refused the request itself (an unsupported parameter, say)."""

    reason = "bad_request"


class BadAnswer(ProviderError):
    """The provider answered with something that cannot be read as an answer."""

    reason = "bad_answer"


class StreamInterrupted(ProviderError):
    """The answer broke off after it had begun; what came is kept and marked incomplete."""

    reason = "stream_interrupted"


class TrackingError(LabError):
    """MLflow's store failed, refused or cannot be reached."""

    exit_code = ExitCode.PROVIDER_FAILED


class HomeUnwritable(ConfigurationError, TrackingError):
    """The home folder cannot be made or written; whoever can go on without it does, as without a store."""


class Blocked(LabError):
    """The guardrails let a prompt, or an answer, not pass; the message is a refusal that says so.

    Args:
        message: As in `LabError`.
        direction: `in` where nothing was sent, `out` where the answer is withheld.
        category: What kind of thing was found: `injection`, `secrets`.
        rule: What found it.
    """

    exit_code = ExitCode.BAD_INPUT

    def __init__(self, message: str, *, direction: str, category: str, rule: str) -> None:
        super().__init__(message)
        self.direction = direction
        self.category = category
        self.rule = rule

    @property
    def reason(self) -> Literal["blocked_in", "blocked_out"]:
        """Short name used in tables, tags and JSON."""
        return "blocked_in" if self.direction == "in" else "blocked_out"


class GateNotMet(LabError):
    """A quality gate was not met."""

    exit_code = ExitCode.GATE_NOT_MET


class Interrupted(LabError):
    """The person pressed Ctrl-C."""

    exit_code = ExitCode.INTERRUPTED

    def __init__(self, message: str = "interrupted") -> None:
        super().__init__(message)
