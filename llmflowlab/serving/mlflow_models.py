"""What MLflow's models have in common, in this process or behind a server: their names and their answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

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
from llmflowlab.settings import Settings
from llmflowlab.tracking.registry_file import count_registered, store_is_empty

if TYPE_CHECKING:
    from llmflowlab.serving.served_model import Piece
    from llmflowlab.tracking.registry import RegisteredModel

__all__ = ["AnswerInPieces", "MlflowModels", "asked", "messages"]

_REASONS: Mapping[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "content_filter": "safety",
    "safety": "safety",
    "tool_calls": "tool_calls",
}


class MlflowModels(Provider):
    """The identity of the provider `mlflow`."""

    name = "mlflow"
    display_name = "MLflow"
    supplier = "MLflow"

    @classmethod
    def readiness(cls, settings: Settings, timeout: float) -> Readiness:
        """Look into the database where it is a file here; a server is not asked."""
        count = count_registered(settings)
        if count is None:
            return Readiness(True, "registered models of the tracking server")
        if not count:
            return Readiness(False, "no model is registered yet; the first chat registers one")
        return Readiness(True, f"{count} registered model{'' if count == 1 else 's'}")

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


def messages(request: Request) -> list[dict[str, str]]:
    system = [{"role": "system", "content": request.system}] if request.system else []
    return system + [{"role": each.role, "content": each.content} for each in request.messages]


def asked(request: Request) -> dict[str, Any]:
    """Return what a request asks for beside its messages."""
    parameters = request.parameters
    given = {
        "temperature": parameters.temperature,
        "top_p": parameters.top_p,
        "max_tokens": parameters.max_tokens,
        "seed": parameters.seed,
        "custom_inputs": dict(request.custom_inputs) if request.custom_inputs else None,
    }
    return {name: value for name, value in given.items() if value is not None}


class AnswerInPieces:
    """One answer as it is read."""

    def __init__(self, provider: Provider) -> None:
        self.begun = False
        """Whether a piece of text or reasoning came."""
        self._provider = provider
        self._reason = "stop"
        self._served: str | None = None

    def take(self, piece: Piece) -> Iterator[StreamEvent]:
        self._served = piece.model or self._served
        self._reason = piece.finish_reason or self._reason
        self.begun = self.begun or bool(piece.text or piece.thinking)
        if piece.thinking:
            yield ReasoningDelta(piece.thinking)
        if piece.text:
            yield TextDelta(piece.text)
        if piece.usage is not None:
            yield UsageReport(piece.usage)

    def finish(self) -> Finished:
        """Return the last event.

        Raises:
            BadAnswer: The answer is empty.
        """
        if not self.begun and self._reason == "stop":
            raise BadAnswer(
                f"{self._provider.display_name} sent an empty answer.",
                provider=self._provider.name,
                model=self._provider.model,
            )
        return Finished(_REASONS.get(self._reason, "other"), model_version=self._served)


def _infos(model: RegisteredModel) -> Iterator[ModelInfo]:
    for position, version in enumerate(model.versions):
        names = [f"{model.name}@{alias}" for alias in version.aliases]
        if position == 0 and not names:
            names = [version.reference]
        words = [f"version {version.version}", version.model or "", version.stage or ""]
        detail = ", ".join(word for word in words if word)
        yield from (ModelInfo(name, detail=detail) for name in names)
