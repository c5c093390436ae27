"""Counting tokens where the provider did not: with tiktoken once it is loaded, else by estimate.

tiktoken downloads an encoding at first use and sets no timeout. So nothing here ever waits for it:
`preload` loads in a daemon thread, and until it is done, or for ever where it fails, counts are
estimates and say so.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from llmflowlab.loading import load
from llmflowlab.text.token_estimate import estimate_tokens

if TYPE_CHECKING:
    import tiktoken

__all__ = ["TokenCount", "TokenCounter", "TokenSource"]

TokenSource: TypeAlias = Literal["provider", "tiktoken", "estimate"]

_DEFAULT_ENCODING = "o200k_base"

# Longer texts are estimated: encoding them could take longer than a person should wait.
_LONGEST_ENCODED = 200_000

# What chat formats put around messages: three tokens and the role for each, three to begin the
# answer (OpenAI cookbook, "How to count tokens with tiktoken", num_tokens_from_messages).
_TOKENS_PER_MESSAGE = 4
_TOKENS_PER_REPLY = 3


@dataclass(frozen=True, slots=True)
class TokenCount:
    """A number of tokens and who counted them."""

    value: int
    source: TokenSource

    @property
    def estimated(self) -> bool:
        """Whether the count is ours rather than the provider's."""
        return self.source != "provider"


@dataclass(slots=True)
class _Load:
    """One encoding on its way."""

    done: threading.Event = field(default_factory=threading.Event)
    started: bool = False
    encoding: tiktoken.Encoding | None = None
    failure: str | None = None


class TokenCounter:
    """Counts tokens at once, whatever the network does; safe to share between threads."""

    def __init__(self) -> None:
        self._loads: dict[str, _Load] = {}
        self._lock = threading.Lock()

    def preload(self, model: str | None = None, *, timeout: float = 30.0) -> None:
        """Start to load the encoding of a model in the background and return at once.

        An encoding is tried once per counter. A load that ends after `timeout` counts as failed.

        Args:
            model: The model's name at its provider; models that tiktoken does not know are counted
                with `o200k_base`, which is nearer to their own tokenizers than an estimate.
            timeout: Seconds.
        """
        # Not named yet: finding an encoding's name means importing tiktoken, which is the thread's task.
        threading.Thread(
            target=self._load, args=(model, timeout), name="tiktoken-load", daemon=True
        ).start()

    def wait(self, model: str | None = None, *, timeout: float) -> bool:
        """Wait up to `timeout` seconds for a preload to end; return whether tiktoken is ready."""
        deadline = time.monotonic() + timeout
        load = self._entry(_encoding_name(model))
        load.done.wait(max(0.0, deadline - time.monotonic()))
        return load.encoding is not None

    def failure(self, model: str | None = None) -> str | None:
        """Return why the model's encoding could not be loaded; None where it was, or was not tried."""
        load = self._loads.get(_encoding_name(model))
        return None if load is None else load.failure

    def count(self, text: str, *, model: str | None = None) -> TokenCount:
        """Count the tokens of a text; never waits and never raises.

        Args:
            text: Any text; special tokens in it are counted as plain text.
            model: The model's name at its provider.
        """
        encoding = self._ready(model)
        if encoding is not None and len(text) <= _LONGEST_ENCODED:
            return TokenCount(len(encoding.encode_ordinary(text)), "tiktoken")
        return TokenCount(estimate_tokens(text), "estimate")

    def count_messages(
        self, messages: Iterable[Mapping[str, str]], *, model: str | None = None
    ) -> TokenCount:
        """Count a conversation of `{"role", "content"}` messages, with what chat formats add to it."""
        contents = [message.get("content", "") for message in messages]
        if not contents:
            return TokenCount(0, "estimate")
        counts = [self.count(content, model=model) for content in contents]
        value = sum(count.value + _TOKENS_PER_MESSAGE for count in counts) + _TOKENS_PER_REPLY
        exact = all(count.source == "tiktoken" for count in counts)
        return TokenCount(value, "tiktoken" if exact else "estimate")

    def _ready(self, model: str | None) -> tiktoken.Encoding | None:
        # Without a finished load tiktoken is not imported, and must not be: that takes time.
        if not any(load.encoding is not None for load in self._loads.copy().values()):
            return None
        load = self._loads.get(_encoding_name(model))
        return None if load is None else load.encoding

    def _entry(self, name: str) -> _Load:
        with self._lock:
            return self._loads.setdefault(name, _Load())

    def _load(self, model: str | None, timeout: float) -> None:
        begun = time.monotonic()
        name = _encoding_name(model)
        load = self._entry(name)
        with self._lock:
            if load.started:
                return
            load.started = True
        try:
            encoding = _read_encoding(name)
        except Exception as exc:  # noqa: BLE001
            # Whatever a download can raise, a count must still be had: it is an estimate then.
            load.failure = f"tiktoken's encoding {name} could not be loaded ({type(exc).__name__})."
        else:
            if time.monotonic() - begun > timeout:
                load.failure = f"tiktoken's encoding {name} was not there within {timeout:g} s."
            else:
                load.encoding = encoding
        finally:
            load.done.set()


def _encoding_name(model: str | None) -> str:
    load("tiktoken", "tiktoken.model")
    from tiktoken.model import encoding_name_for_model

    try:
        return encoding_name_for_model(model or "")
    except KeyError:
        return _DEFAULT_ENCODING


def _read_encoding(name: str) -> tiktoken.Encoding:
    load("tiktoken", "tiktoken.model", "tiktoken_ext.openai_public")
    import tiktoken

    # Not `tiktoken.get_encoding`: that holds a lock over the download, so that a network which
    # swallows packets would stop every other user of tiktoken in this process as well.
    constructors = load("tiktoken_ext.openai_public").ENCODING_CONSTRUCTORS
    return tiktoken.Encoding(**constructors[name]())
