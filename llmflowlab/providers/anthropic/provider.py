"""Anthropic's Claude models, over the anthropic SDK, which is an extra: `pip install anthropic`."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager
from functools import cached_property
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

from llmflowlab.errors import ContextTooLong, NotConfigured, ProviderError
from llmflowlab.loading import load
from llmflowlab.messages import Request
from llmflowlab.program import program_name
from llmflowlab.providers.adapting import adapted
from llmflowlab.providers.anthropic.replies import (
    STOP_REASONS,
    Counts,
    arguments,
    counts_as_sent,
    deltas,
    refusal,
)
from llmflowlab.providers.arrival import field, name, tokens
from llmflowlab.providers.base import (
    Finished,
    ModelInfo,
    Readiness,
    StreamEvent,
    require_requests_allowed,
)
from llmflowlab.providers.connections import unbuildable
from llmflowlab.providers.event_loop import OnLoop, blocking
from llmflowlab.providers.limits import limits_of
from llmflowlab.providers.reading import Reading
from llmflowlab.providers.refused_requests import Advice
from llmflowlab.providers.vendor_errors import mapped_errors
from llmflowlab.providers.vendor_sdk import (
    http_client,
    known_window,
    quieten,
    read_address,
    read_key,
    shown,
)
from llmflowlab.providers.wire import reduced_lines
from llmflowlab.settings import Settings

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic

__all__ = ["AnthropicProvider"]

_DEFAULT_ADDRESS = "https://api.anthropic.com"
_INSTALL = "pip install anthropic"
_RESOURCES = ("anthropic.resources.messages", "anthropic.resources.models")
"""What the SDK itself would import at a first call."""


class AnthropicProvider(OnLoop["AsyncAnthropic"]):
    """One Claude model.

    Anthropic demands a limit on the answer; where none is set it is 4096 tokens. It knows no seed, and
    one that is set is left out. `ANTHROPIC_BASE_URL` names another address.
    """

    name = "anthropic"
    display_name = "Claude"
    supplier = "Anthropic"
    default_model: ClassVar[str | None] = "claude-haiku-4-5"
    requirements = ("anthropic",)
    key_variables = ("ANTHROPIC_API_KEY",)

    def __init__(self, model: str, settings: Settings) -> None:
        super().__init__(model.strip(), settings)
        key = read_key(settings, "ANTHROPIC_API_KEY", provider=self.name)
        if key is None:
            raise NotConfigured(
                "Claude has no key: set ANTHROPIC_API_KEY (https://platform.claude.com/settings/keys "
                "gives one).",
                provider=self.name,
            )
        if not _installed():
            raise NotConfigured(
                f"The package anthropic is missing; run `{_INSTALL}`.", provider=self.name
            )
        self._key = key
        self._address = _address(settings)
        self._window: int | None = None

    @classmethod
    def readiness(cls, settings: Settings, timeout: float) -> Readiness:
        try:
            key = read_key(settings, "ANTHROPIC_API_KEY", provider=cls.name)
            address = _address(settings)
        except NotConfigured as exc:
            return Readiness(False, exc.message)
        remedies = [] if key else ["set ANTHROPIC_API_KEY"]
        if not _installed():
            remedies.append(_INSTALL)
        if remedies:
            return Readiness(False, "; ".join(remedies))
        host = "" if address == _DEFAULT_ADDRESS else f", {shown(address)}"
        return Readiness(True, f"ANTHROPIC_API_KEY is set{host}")

    def prepare(self) -> None:
        # Looked at too: the client makes its resources only when they are first used.
        _ = self._client().messages

    async def astream(self, request: Request) -> AsyncGenerator[StreamEvent, None]:
        require_requests_allowed(self.display_name)
        client = self._client()
        reading = Reading(self, STOP_REASONS)
        counts, finished = Counts(), False
        with self._mapped(reading):
            events = await adapted(
                lambda body: client.messages.create(model=self.model, stream=True, **body),
                arguments(request),
                provider=self,
                address=self._address,
                refused=self._sdk().APIStatusError,
                refusal=refusal,
            )
            self.limits = limits_of(events)
            async with events:
                async for event in events:
                    for found in (*counts.take(event), *deltas(event, reading)):
                        yield found
                    if field(event, "type") == "message_stop" and not finished:
                        finished = True
                        yield self._finish(reading)
        if not finished:
            # A stop reason is not yet the end: the stream broke off after it.
            reading.reason = None
            yield self._finish(reading)

    def _finish(self, reading: Reading) -> Finished:
        if reading.reason == "model_context_window_exceeded" and not reading.begun:
            raise ContextTooLong(
                f"The conversation leaves no room for an answer in the window of {self.model}.",
                provider=self.name,
                model=self.model,
            )
        return reading.finish(self._advice.address)

    def list_models(self) -> list[ModelInfo]:
        require_requests_allowed(self.display_name)
        client = self._client()
        with self._mapped():
            listed = client.models.list(limit=1000, timeout=self.settings.connect_timeout)
            cards = list(blocking(listed).data)
            # A stable sort: the default first, else as Anthropic lists them, the newest first.
            cards.sort(key=lambda card: card.id != self.default_model)
            return [
                ModelInfo(
                    model, _window_of(card) or self._known(model), name(card.display_name) or ""
                )
                for card in cards
                if (model := name(card.id)) and field(card, "lifecycle") != "retired"
            ]

    def context_window(self) -> int | None:
        if self._window is None:
            self._window = self._known(self.model)
        if self._window is None:
            require_requests_allowed(self.display_name)
            client = self._client()
            try:
                with self._mapped():
                    card = blocking(
                        client.models.retrieve(self.model, timeout=self.settings.connect_timeout)
                    )
            except ProviderError:
                return None
            self._window = _window_of(card)
        return self._window

    @staticmethod
    def _known(model: str) -> int | None:
        return known_window("anthropic", model)

    @cached_property
    def _advice(self) -> Advice:
        return Advice(
            key="Check ANTHROPIC_API_KEY at https://platform.claude.com/settings/keys.",
            address="Check ANTHROPIC_BASE_URL where it is set.",
            model=f"Claude has no model {self.model!r} for this key; `{program_name()} models` lists "
            "those it has.",
            quota="See https://platform.claude.com/settings/billing.",
        )

    def _make_client(self) -> AsyncAnthropic:
        try:
            load("anthropic", *_RESOURCES)
            import anthropic
        except ImportError as exc:
            raise NotConfigured(
                f"The package anthropic cannot be imported; run `{_INSTALL}`.", provider=self.name
            ) from exc
        quieten("anthropic")
        with unbuildable(anthropic.AnthropicError, provider=self):
            return anthropic.AsyncAnthropic(
                api_key=self._key,
                base_url=self._address,
                max_retries=0,
                http_client=http_client(
                    anthropic.DefaultAsyncHttpxClient,
                    self,
                    self._address,
                    reduced_lines("/messages", counts_as_sent, mark=b'"usage"'),
                ),
            )

    @staticmethod
    def _sdk() -> Any:
        return load("anthropic", *_RESOURCES)

    def _mapped(self, reading: Reading | None = None) -> AbstractContextManager[None]:
        """Turn what the SDK raises into our errors."""
        anthropic = self._sdk()
        return mapped_errors(
            anthropic,
            anthropic.AnthropicError,
            provider=self,
            address=self._address,
            advice=self._advice,
            refusal=refusal,
            reading=reading,
        )


def _installed() -> bool:
    """Whether the SDK is there; looked up without importing it, which takes half a second."""
    return find_spec("anthropic") is not None


def _address(settings: Settings) -> str:
    given = read_address(settings, "ANTHROPIC_BASE_URL", provider=AnthropicProvider.name)
    # The SDK adds /v1 itself.
    return (given or _DEFAULT_ADDRESS).removesuffix("/v1")


def _window_of(card: Any) -> int | None:
    return tokens(field(card, "max_input_tokens")) or None
