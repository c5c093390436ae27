"""A version behind a server of ours, as a provider: asked in the way it understands, priced as what is in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmflowlab.messages import Request
from llmflowlab.providers.factory import is_free
from llmflowlab.serving.mlflow_models import asked, messages
from llmflowlab.serving.mlflow_remote import MlflowServer
from llmflowlab.serving.served_model import Kind, Piece, payload_of, read_answer
from llmflowlab.serving.server import ModelServer
from llmflowlab.settings import Settings

__all__ = ["VersionProvider"]


class VersionProvider(MlflowServer):
    """One version, in its server.

    Args:
        server: The server, which answers already.
        settings: The configuration.
        kind: How the version is asked.
        streams: Whether it answers piece by piece.
        config: Its `model_config`.
    """

    recorded = True

    def __init__(
        self,
        server: ModelServer,
        settings: Settings,
        kind: Kind,
        *,
        streams: bool,
        config: Mapping[str, Any],
    ) -> None:
        super().__init__(f"{server.address}#{server.version.reference}", settings)
        self.server = server
        self._kind = kind
        self._streams = streams
        # Of this one version, not of the class.
        self.free = bool(config.get("provider")) and is_free(str(config["provider"]))  # type: ignore[misc]  # a ClassVar
        self._inner = (
            (str(config["provider"]), str(config["model"]))
            if config.get("provider") and config.get("model")
            else None
        )

    @property
    def priced_as(self) -> tuple[str, str]:
        return self._inner or (self.name, self.model)

    def _payload(self, request: Request) -> dict[str, Any]:
        payload = payload_of(self._kind, messages(request), asked(request))
        return {**payload, "stream": True} if self._streams else payload

    def _read(self, document: Any) -> Piece:
        return read_answer(self._kind, document)
