"""Models that MLflow serves: a registered version loaded in this process, or a server's `/invocations`.

`mlflow:NAME@ALIAS` and `mlflow:NAME/VERSION` are looked up in the lab's own store;
`mlflow:http://host:port` is asked over HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING

from llmflowlab.errors import BadAnswer, ConnectionFailed, TrackingError
from llmflowlab.messages import Request
from llmflowlab.providers.base import (
    Finished,
    FinishReason,
    ModelInfo,
    Provider,
    Readiness,
    ReasoningDelta,
    StreamEvent,
    TextDelta,
    UsageReport,
)
from llmflowlab.serving.mlflow_local import LocalModel
from llmflowlab.serving.mlflow_remote import SERVED_BY, RemoteModel
from llmflowlab.settings import Settings
from llmflowlab.tracking.registry_file import count_registered, store_is_empty

if TYPE_CHECKING:
    from llmflowlab.tracking.registry import RegisteredModel

__all__ = ["SERVED_BY", "MlflowProvider"]

_REASONS: Mapping[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "content_filter": "safety",
    "safety": "safety",
    "tool_calls": "tool_calls",
}


class MlflowProvider(Provider):
    """One registered version, or one server.

    The reference names the version for good: an alias is looked up when the provider is built
    (`settle`), and a server is named with what it serves, or with the moment where it does not say. So
    an answer is never taken for another version's.
    """

    name = "mlflow"
    display_name = "MLflow"
    supplier = "MLflow"

    def __init__(self, model: str, settings: Settings) -> None:
        super().__init__(model.strip(), settings)
        self._remote: RemoteModel | None = None
        self._local: LocalModel | None = None
        if self.model.startswith(("http://", "https://")):
            self._remote = RemoteModel(self)
        else:
            self._local = LocalModel(self)

    @classmethod
    def readiness(cls, settings: Settings, timeout: float) -> Readiness:
        """Look into the database where it is a file here; a server is not asked."""
        count = count_registered(settings)
        if count is None:
            return Readiness(True, "registered models of the tracking server")
        if not count:
            return Readiness(False, "no model is registered yet; the first chat registers one")
        return Readiness(True, f"{count} registered model{'' if count == 1 else 's'}")

    def settle(self) -> None:
        """Put the version in place of an alias.

        Raises:
            InputError: There is no such version.
            TrackingError: The store failed.
        """
        if self._local is not None:
            self.model = self._local.look()

    @property
    def reference(self) -> str:
        """The reference with the version in place of an alias; of a server, with what it serves.

        Raises:
            ProviderError: The server is asked for the first time here, and cannot be reached.
        """
        self._look()
        return f"{self.name}:{self.model}"

    @property
    def priced_as(self) -> tuple[str, str]:
        """The candidate inside, where it is a single one and known."""
        inner = self._local.inner if self._local is not None else None
        return inner or (self.name, self.model)

    def prepare(self) -> None:
        """Look the version up and load it."""
        self._look()
        if self._local is not None:
            self._local.load()

    def stream(self, request: Request) -> Iterator[StreamEvent]:
        self._look()
        messages = [{"role": "system", "content": request.system}] if request.system else []
        messages += [{"role": each.role, "content": each.content} for each in request.messages]
        parameters = request.parameters
        asked = {
            "temperature": parameters.temperature,
            "top_p": parameters.top_p,
            "max_tokens": parameters.max_tokens,
            "seed": parameters.seed,
            "custom_inputs": dict(request.custom_inputs) if request.custom_inputs else None,
        }
        chosen = {name: value for name, value in asked.items() if value is not None}
        half = self._remote or self._local
        assert half is not None
        reason, served, begun = "stop", None, False
        with closing(half.pieces(messages, chosen)) as found:
            for piece in found:
                served = piece.model or served
                reason = piece.finish_reason or reason
                begun = begun or bool(piece.text or piece.thinking)
                if piece.thinking:
                    yield ReasoningDelta(piece.thinking)
                if piece.text:
                    yield TextDelta(piece.text)
                if piece.usage is not None:
                    yield UsageReport(piece.usage)
        if not begun and reason == "stop":
            raise BadAnswer(
                f"{self.display_name} sent an empty answer.", provider=self.name, model=self.model
            )
        yield Finished(_REASONS.get(reason, "other"), model_version=served)

    def list_models(self) -> list[ModelInfo]:
        """List every version that has an alias, and the newest of each registered model."""
        if store_is_empty(self.settings):
            return []
        from llmflowlab.tracking.registry import list_models
        from llmflowlab.tracking.store import open_store

        try:
            return [
                info for model in list_models(open_store(self.settings)) for info in _infos(model)
            ]
        except TrackingError as exc:
            raise ConnectionFailed(exc.message, provider=self.name) from exc

    def close(self) -> None:
        if self._remote is not None:
            self._remote.close()

    def _look(self) -> None:
        if self._remote is not None:
            self._remote.look()
            self.model = f"{self._remote.address}#{self._remote.served}"
        else:
            self.settle()


def _infos(model: RegisteredModel) -> Iterator[ModelInfo]:
    for position, version in enumerate(model.versions):
        names = [f"{model.name}@{alias}" for alias in version.aliases]
        if position == 0 and not names:
            names = [version.reference]
        words = [f"version {version.version}", version.model or "", version.stage or ""]
        detail = ", ".join(word for word in words if word)
        yield from (ModelInfo(name, detail=detail) for name in names)
