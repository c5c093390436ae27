"""The local half of the provider `mlflow`: a registered version, loaded into this process."""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any

from llmflowlab.errors import (
    BadAnswer,
    BadRequest,
    InputError,
    LabError,
    ProviderError,
    TrackingError,
    UnknownModel,
)
from llmflowlab.providers.base import Provider
from llmflowlab.providers.transport import because

if TYPE_CHECKING:
    from llmflowlab.serving.served_model import Piece, ServedModel
    from llmflowlab.tracking.registry import Version

__all__ = ["LocalModel"]


class LocalModel:
    """One version of the lab's own store.

    Args:
        provider: Whose half this is; its model is `NAME/VERSION` or `NAME@ALIAS`.

    Raises:
        InputError: It names no version.
    """

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._lock = threading.RLock()
        self._version: Version | None = None
        self._served: ServedModel | None = None
        self.inner: tuple[str, str] | None = None
        """Provider and model inside, where it is a single one and known."""
        if "@" not in provider.model and "/" not in provider.model and provider.model != "any":
            raise InputError(
                f"{provider.model!r} names no version: write mlflow:NAME@ALIAS, mlflow:NAME/VERSION "
                "or mlflow:http://host:port."
            )

    def look(self) -> str:
        """Look the version up, once, and return its name.

        Raises:
            InputError: There is none.
            TrackingError: The store failed.
        """
        with self._lock:
            if self._version is None:
                from llmflowlab.serving.served_model import resolve

                self._version = resolve(self._provider.settings, self._provider.model)
                inner, _, model = (self._version.model or "").partition(":")
                if inner and model:
                    self.inner = (inner, model)
            return self._version.reference

    def load(self) -> ServedModel:
        """Return the version, loaded.

        Raises:
            LabError: It is not there, or one of our agents could not be set up.
        """
        with self._lock:
            if self._served is None:
                from llmflowlab.serving.served_model import load_version

                self.look()
                assert self._version is not None
                self._served = load_version(self._provider.settings, self._version)
                config = self._served.config
                if config.get("provider") and config.get("model"):
                    self.inner = (str(config["provider"]), str(config["model"]))
            return self._served

    def pieces(
        self, messages: list[dict[str, str]], asked: Mapping[str, Any]
    ) -> Generator[Piece, None, None]:
        """Yield the answer.

        Raises:
            LabError: Any failure, mapped.
        """
        provider = self._provider
        try:
            served = self.load()
        except (InputError, TrackingError) as exc:
            raise UnknownModel(exc.message, provider=provider.name, model=provider.model) from exc
        try:
            yield from served.answer(messages, asked)
        except ProviderError as exc:
            # It was tried again as often as its settings say, inside.
            exc.retryable = False  # type: ignore[misc]  # of this one failure, not of its class
            raise
        except InputError as exc:
            raise BadRequest(exc.message, provider=provider.name, model=provider.model) from exc
        except LabError:
            raise
        except Exception as exc:
            # Somebody else's code: whatever it raises is a failure of that model.
            raise BadAnswer(
                f"The served model failed ({type(exc).__name__}){because(exc, provider.settings)}",
                provider=provider.name,
                model=provider.model,
            ) from exc
