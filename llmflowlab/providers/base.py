"""What every provider is: identity, one streaming method, a list of models, readiness.

A provider turns a `Request` into `StreamEvent`s and its SDK's failures into `llmflowlab.errors`.
Timing, deadlines, retries, logging and persistence live with the caller (`asking`), what every stream
has in common with `receiving.py`, so a new provider is one folder and one line in `factory.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from llmflowlab.errors import ConfigurationError
from llmflowlab.messages import Message, Parameters, Request, Role
from llmflowlab.settings import Settings

if TYPE_CHECKING:
    from llmflowlab.providers.limits import RateLimits

__all__ = [
    "Embeddings",
    "FinishReason",
    "Finished",
    "Message",
    "ModelInfo",
    "Parameters",
    "Provider",
    "PullProgress",
    "Readiness",
    "ReasoningDelta",
    "Request",
    "Rethought",
    "Role",
    "StreamEvent",
    "TextDelta",
    "Usage",
    "UsageReport",
    "allow_requests",
    "require_requests_allowed",
]

FinishReason: TypeAlias = Literal["stop", "length", "safety", "tool_calls", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one call as the provider counted them; None means it did not say."""

    prompt_tokens: int | None = None
    """All input tokens, cached ones included."""
    completion_tokens: int | None = None
    """All generated tokens, reasoning included."""
    cached_tokens: int | None = None
    """The part of `prompt_tokens` read from the provider's cache."""
    reasoning_tokens: int | None = None
    """The part of `completion_tokens` spent on hidden reasoning."""

    def __add__(self, other: Usage) -> Usage:
        def plus(a: int | None, b: int | None) -> int | None:
            return None if a is None and b is None else (a or 0) + (b or 0)

        return Usage(
            prompt_tokens=plus(self.prompt_tokens, other.prompt_tokens),
            completion_tokens=plus(self.completion_tokens, other.completion_tokens),
            cached_tokens=plus(self.cached_tokens, other.cached_tokens),
            reasoning_tokens=plus(self.reasoning_tokens, other.reasoning_tokens),
        )


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Texts as vectors, in the order they were given."""

    vectors: tuple[tuple[float, ...], ...]
    usage: Usage = Usage()
    model_version: str | None = None


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """A piece of the model's visible reasoning; never part of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Rethought:
    """All that came as the answer so far was thinking; the answer begins now.

    Of some models the tag that ends their thinking arrives without the one that begins it.
    """

    mark: str
    """The tag, as the model wrote it."""


@dataclass(frozen=True, slots=True)
class UsageReport:
    """The call's usage so far; a later report replaces an earlier one (vendors count cumulatively)."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class Finished:
    """The last event of a stream that ended as the provider meant it to."""

    reason: FinishReason
    model_version: str | None = None
    """The model that the provider says it served."""
    windows: tuple[int, ...] = ()
    """Windows, in tokens, one of which the prompt was read in, of a server that shortens what does not
    fit without a word; none of all others, and where the prompt is sure to have fitted."""
    load_seconds: float = 0.0
    """Seconds that went into loading the model before it read the prompt, of a server that says so."""
    fingerprint: str | None = None
    """The set-up that the provider says it served the model with."""
    token_chances: tuple[tuple[str, float], ...] = ()
    """How likely each first token was, as far as the provider was asked and told; no more than 1 together."""


StreamEvent: TypeAlias = TextDelta | ReasoningDelta | Rethought | UsageReport | Finished


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model a provider can reach."""

    name: str
    """As it stands behind the colon of a model reference."""
    context_window: int | None = None
    """Tokens, where the provider says so."""
    detail: str = ""
    """A few words for the list: size, family, a display name."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a provider can be used now, and what to do where it cannot.

    `text` is one line: what is ready ("http://localhost:11434, 3 models") or the remedy
    ("set GEMINI_API_KEY").
    """

    ready: bool
    text: str
    to_pull: str | None = None
    """What `pull` would download to make it ready, with its size; None where that is not what it lacks."""


@dataclass(frozen=True, slots=True)
class PullProgress:
    """Progress of a model download: `completed` and `total` in bytes, None while unknown."""

    status: str
    completed: int | None = None
    total: int | None = None


class Provider(ABC):
    """One model of one provider, ready to be called.

    Building one is cheap and never touches the network; the SDK is imported at the first call
    (or by `prepare`). Safe to call from several threads at once.

    Args:
        model: The model's name at the provider; never empty.
        settings: The configuration; keys and addresses come from `settings.get`.

    Raises:
        NotConfigured: The key, address or package is missing.
    """

    name: ClassVar[str]
    """As in a model reference: `gemini`."""
    display_name: ClassVar[str]
    """As in run names and on screen: `Gemini`."""
    supplier: ClassVar[str]
    """As in the run parameter `supplier`: `Google`."""
    default_model: ClassVar[str | None] = None
    """The model a bare provider name means; None where only the user can know."""
    default_model_variable: ClassVar[str | None] = None
    """A variable of the vendor's own that names that model."""
    free: ClassVar[bool] = False
    """Whether calls cost nothing by nature (local models, the guide)."""
    reports_usage: ClassVar[bool] = True
    """Whether token counts come from a model; the guide's are counted by us instead."""
    is_language_model: ClassVar[bool] = True
    """Whether it can serve as a judge."""
    requirements: ClassVar[tuple[str, ...]] = ()
    """Distributions that must be installed where it is used, beside the lab's own."""
    key_variables: ClassVar[tuple[str, ...]] = ()
    """Names of the variable that holds its key, the first to be looked at first; empty without a key."""
    examples: ClassVar[tuple[str, str, str]] = (
        "What is overfitting, in two sentences?",
        "Write a haiku about a language model.",
        "List three risks of judging answers by a model.",
    )
    """Things to ask it, for who does not know how to begin."""
    can_embed: ClassVar[bool] = False
    """Whether `embed` is to be had."""
    can_pull: ClassVar[bool] = False
    """Whether `pull` downloads a model."""
    most_at_once: ClassVar[int | None] = None
    """Calls that it works on at the same time; None where that is to be found out."""

    def __init__(self, model: str, settings: Settings) -> None:
        self.model = model
        self.settings = settings
        self.limits: RateLimits | None = None
        """What the last answer's headers said of rate limits; None where nothing."""
        self.notices: deque[str] = deque(maxlen=100)
        """What a person should know of how requests were sent, each said once by who takes it out."""

    @classmethod
    def of(cls, model: str, settings: Settings) -> Provider:
        """Return the provider of a model: of another class, where a family's models are reached in several ways."""
        return cls(model, settings)

    @property
    def reference(self) -> str:
        """The model reference, as in `gemini:gemini-2.5-flash`."""
        return f"{self.name}:{self.model}"

    @property
    def priced_as(self) -> tuple[str, str]:
        """Provider and model whose prices hold; another pair only where a model wraps one."""
        return self.name, self.model

    @property
    def weights(self) -> Mapping[str, str] | None:
        """The model's file and its SHA-256, where the reference does not tell which weights it means."""
        return None

    @property
    def process(self) -> str | None:
        """Which process of this machine computes its answers: this one (empty), or one of that name.

        None where they come from elsewhere, or nobody can tell.
        """
        return None

    @classmethod
    @abstractmethod
    def readiness(cls, settings: Settings, timeout: float) -> Readiness:
        """Say within `timeout` seconds whether this provider can be used; never raises.

        Runs while the menu opens: imports no SDK and asks the network only where nothing else can
        tell (Ollama).
        """

    @abstractmethod
    def stream(self, request: Request) -> Iterator[StreamEvent]:
        """Send the request and yield events as they come, ending with `Finished`.

        Callers read it through `receiving.events_of`, which keeps thinking apart and texts storable;
        a family need not.

        A safety stop is `Finished("safety")` when text came before it and `RefusedBySafety` when
        none did. Closing the iterator closes the connection.

        Raises:
            ProviderError: Any failure, mapped; never an exception of the SDK.
        """

    @abstractmethod
    def list_models(self) -> list[ModelInfo]:
        """List the chat models the provider can reach, best known first.

        Raises:
            ProviderError: Any failure, mapped.
        """

    def context_window(self) -> int | None:
        """Return the model's window in tokens, or None where nobody says; may ask the network."""
        return None

    def told(self) -> list[str]:
        """Take out what a person should know of how requests were sent."""
        found: list[str] = []
        while self.notices:
            found.append(self.notices.popleft())
        return found

    def settle(self) -> None:
        """Fix for good what the reference means, where that can change; `factory.build` calls it.

        Raises:
            InputError: It means nothing.
            TrackingError: The place where it stands cannot be asked.
        """

    def prepare(self) -> None:
        """Import the SDK and build the client, so that the first call need not wait for it."""

    @property
    def prepared(self) -> bool:
        """Whether that is surely done."""
        return False

    def embed(self, texts: Sequence[str]) -> Embeddings:
        """Turn texts, none of them empty, into vectors in one call.

        Raises:
            ConfigurationError: This provider has no embeddings.
            ProviderError: Any failure, mapped.
        """
        raise ConfigurationError(f"{self.display_name} makes no embeddings here.")

    def pull(self) -> Iterator[PullProgress]:
        """Download the model, where the provider can.

        Raises:
            ConfigurationError: This provider downloads nothing.
        """
        raise ConfigurationError(f"{self.display_name} has no models to download.")

    def close(self) -> None:
        """Release connections; the provider must not be used after."""


_requests_allowed = True


def allow_requests(allowed: bool) -> None:
    """Switch all providers' traffic on or off; the tests switch it off so that none reaches out."""
    global _requests_allowed
    _requests_allowed = allowed


def require_requests_allowed(provider: str) -> None:
    """Raise where traffic is switched off; every provider calls this before it sends.

    Raises:
        ConfigurationError: `allow_requests(False)` is in force.
    """
    if not _requests_allowed:
        raise ConfigurationError(f"Requests to {provider} are switched off in this process.")
