"""OpenAI's models, and every server that speaks its protocol."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from llmflowlab.errors import NotConfigured, ProviderError
from llmflowlab.program import program_name
from llmflowlab.providers.arrival import field, name, tokens, whole
from llmflowlab.providers.base import ModelInfo, Readiness, require_requests_allowed
from llmflowlab.providers.embedding_names import named_for_embedding
from llmflowlab.providers.event_loop import blocking
from llmflowlab.providers.openai.shared import ChatCompletions
from llmflowlab.providers.refused_requests import Advice
from llmflowlab.providers.vendor_sdk import known_window, read_address, read_key, shown
from llmflowlab.settings import Settings

if TYPE_CHECKING:
    from openai import AsyncOpenAI

__all__ = ["OpenAIProvider"]

_DEFAULT_ADDRESS = "https://api.openai.com/v1"
_PLACEHOLDER = "no-key"
"""Sent where another server is addressed and no key is set; the SDK insists on one."""

_NO_CHAT = re.compile(
    r"whisper|tts|dall-e|image|audio|realtime|transcribe|moderation|babbage|davinci|sora"
    r"|instruct|codex|computer-use|deep-research"
)
_WINDOWS = ("max_model_len", "context_length", "context_window", "max_context_length")
"""Where servers other than OpenAI's say how long a model's window is."""


class OpenAIProvider(ChatCompletions):
    """One model of OpenAI, or of the server at `OPENAI_BASE_URL`.

    `OPENAI_ORG_ID` and `OPENAI_PROJECT_ID` are passed on. A server of one's own needs no key; without
    one a placeholder is sent.
    """

    name = "openai"
    display_name = "OpenAI"
    supplier = "OpenAI"
    default_model: ClassVar[str | None] = "gpt-4.1-mini"
    key_variables = ("OPENAI_API_KEY",)

    def __init__(self, model: str, settings: Settings) -> None:
        address = read_address(settings, "OPENAI_BASE_URL", provider=self.name)
        self._key = read_key(settings, "OPENAI_API_KEY", provider=self.name)
        if self._key is None and address is None:
            raise NotConfigured(
                "OpenAI has no key: set OPENAI_API_KEY (https://platform.openai.com/api-keys gives "
                "one), or OPENAI_BASE_URL for a server of your own.",
                provider=self.name,
            )
        super().__init__(model, settings, address=address or _DEFAULT_ADDRESS)
        host = urlsplit(self._address).hostname or ""
        # Regional addresses too: eu.api.openai.com.
        self._official = host == "api.openai.com" or host.endswith(".api.openai.com")
        self._azure = host.endswith(".azure.com")
        self._window: int | None = None

    @classmethod
    def readiness(cls, settings: Settings, timeout: float) -> Readiness:
        try:
            address = read_address(settings, "OPENAI_BASE_URL", provider=cls.name)
            key = read_key(settings, "OPENAI_API_KEY", provider=cls.name)
        except NotConfigured as exc:
            return Readiness(False, exc.message)
        if address is None:
            return Readiness(bool(key), "OPENAI_API_KEY is set" if key else "set OPENAI_API_KEY")
        said = "OPENAI_API_KEY is set" if key else "without a key"
        return Readiness(True, f"{shown(address)}, {said}")

    def list_models(self) -> list[ModelInfo]:
        require_requests_allowed(self.display_name)
        client = self._sdk_over(self._client())
        with self._mapped():
            listed = client.models.list(timeout=self.settings.connect_timeout)
            cards = list(blocking(listed).data)
            # A stable sort: the default first, then the newest.
            cards.sort(
                key=lambda card: (card.id != self.default_model, -(whole(card.created) or 0))
            )
            pattern = _NO_CHAT if self._official else re.compile("whisper")
            return [
                ModelInfo(model, self._window_of(card), _owner(card))
                for card in cards
                if (model := name(card.id))
                and not (named_for_embedding(model) or pattern.search(model.lower()))
            ]

    def context_window(self) -> int | None:
        if self._window is None:
            self._window = known_window("openai", self.model) if self._official else None
        if self._window is None and not self._official:
            try:
                models = self.list_models()
            except ProviderError:
                return None
            self._window = next((m.context_window for m in models if m.name == self.model), None)
        return self._window

    def _window_of(self, card: Any) -> int | None:
        if self._official:
            return known_window("openai", card.id)
        return next((value for key in _WINDOWS if (value := tokens(field(card, key)))), None)

    @cached_property
    def _advice(self) -> Advice:
        where = shown(self._address)
        if self._official:
            key = "Check OPENAI_API_KEY at https://platform.openai.com/api-keys."
            address = "Check OPENAI_BASE_URL where it is set."
        else:
            key = f"Check that OPENAI_API_KEY is a key for {where}."
            address = f"Check OPENAI_BASE_URL ({where}); most servers want /v1 at the end of their address."
            if self._key is None:
                key = f"The server at {where} wants a key: set OPENAI_API_KEY."
        return Advice(
            key=key,
            address=address,
            model=f"OpenAI has no model {self.model!r} for this key; `{program_name()} models` lists "
            "those it has."
            if self._official
            else f"The server at {where} has no model {self.model!r}; `{program_name()} models` lists "
            "those it has.",
            quota="See https://platform.openai.com/settings/organization/billing.",
        )

    @property
    def _token_limit(self) -> str:
        # OpenAI's newer models refuse the old name, many other servers do not know the new one.
        return "max_completion_tokens" if self._official or self._azure else "max_tokens"

    @property
    def _chat_url(self) -> str:
        return f"{self._address}/chat/completions"

    @property
    def _headers(self) -> dict[str, str]:
        named = {
            "Authorization": f"Bearer {self._key or _PLACEHOLDER}",
            "OpenAI-Organization": self.settings.get("OPENAI_ORG_ID"),
            "OpenAI-Project": self.settings.get("OPENAI_PROJECT_ID"),
        }
        return {header: value for header, value in named.items() if value}

    def _build(self, http: Any) -> AsyncOpenAI:
        from openai import AsyncOpenAI

        return AsyncOpenAI(
            api_key=self._key or _PLACEHOLDER,
            base_url=self._address,
            organization=self.settings.get("OPENAI_ORG_ID"),
            project=self.settings.get("OPENAI_PROJECT_ID"),
            max_retries=0,
            http_client=http,
        )


def _owner(card: Any) -> str:
    owner = name(field(card, "owned_by"))
    return owner if owner is not None and owner not in {"system", "openai"} else ""
