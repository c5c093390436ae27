"""Models that MLflow serves: a registered version loaded in this process, or a server's `/invocations`.

`mlflow:NAME@ALIAS` and `mlflow:NAME/VERSION` are looked up in the lab's own store;
`mlflow:http://host:port` is asked over HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from llmflowlab.messages import Request
from llmflowlab.providers.base import Provider, StreamEvent
from llmflowlab.serving.mlflow_local import LocalModel
from llmflowlab.serving.mlflow_models import AnswerInPieces, MlflowModels, asked, messages
from llmflowlab.serving.mlflow_remote import SERVED_BY, MlflowServer
from llmflowlab.settings import Settings

__all__ = ["SERVED_BY", "MlflowProvider"]


class MlflowProvider(MlflowModels):
    """One registered version.

    The reference names the version for good: an alias is looked up when the provider is built
    (`settle`), so that an answer is never taken for another version's.
    """

    def __init__(self, model: str, settings: Settings) -> None:
        super().__init__(model.strip(), settings)
        self._local = LocalModel(self)

    @classmethod
    def of(cls, model: str, settings: Settings) -> Provider:
        there = model.strip().startswith(("http://", "https://"))
        return (MlflowServer if there else cls)(model, settings)

    def settle(self) -> None:
        """Put the version in place of an alias.

        Raises:
            InputError: There is no such version.
            TrackingError: The store failed.
        """
        self.model = self._local.look()

    @property
    def reference(self) -> str:
        """The reference with the version in place of an alias."""
        self.settle()
        return f"{self.name}:{self.model}"

    @property
    def priced_as(self) -> tuple[str, str]:
        """The candidate inside, where it is a single one and known."""
        return self._local.inner or (self.name, self.model)

    def prepare(self) -> None:
        """Look the version up and load it."""
        self.settle()
        self._local.load()

    def stream(self, request: Request) -> Iterator[StreamEvent]:
        self.settle()
        answer = AnswerInPieces(self)
        with closing(self._local.pieces(messages(request), asked(request))) as found:
            for piece in found:
                yield from answer.take(piece)
        yield answer.finish()
