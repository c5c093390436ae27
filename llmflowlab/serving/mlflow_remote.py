"""A server of MLflow's, asked at its `/invocations`."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from llmflowlab.errors import (
    AuthenticationFailed,
    BadRequest,
    ConnectionFailed,
    InputError,
    LabError,
    Overloaded,
    ProviderError,
    RateLimited,
    TimedOut,
    UnknownModel,
)
from llmflowlab.loading import load
from llmflowlab.messages import Request
from llmflowlab.program import program_name
from llmflowlab.providers.base import StreamEvent, require_requests_allowed
from llmflowlab.providers.connections import client_arguments, guards, unbuildable
from llmflowlab.providers.event_loop import OnLoop, blocking
from llmflowlab.providers.transport import because, failure, retry_after_seconds
from llmflowlab.providers.vendor_sdk import shown
from llmflowlab.serving.mlflow_models import AnswerInPieces, MlflowModels, asked, messages
from llmflowlab.settings import Settings

if TYPE_CHECKING:
    import httpx

    from llmflowlab.serving.served_model import Piece

__all__ = ["SERVED_BY", "MlflowServer"]

SERVED_BY = "x-llmflowlab-model"
"""Header in which `registry serve` names the version behind an answer."""

_KINDS: Mapping[int, type[ProviderError]] = {
    401: AuthenticationFailed,
    403: AuthenticationFailed,
    404: UnknownModel,
    429: RateLimited,
    504: TimedOut,
}


class MlflowServer(OnLoop["httpx.AsyncClient"], MlflowModels):
    """One server; its model is an address, perhaps with `#` and what is served there.

    The reference names what is served, or the moment of the look where the server does not say, so that
    an answer is never taken for another version's.

    Raises:
        InputError: It is no address.
    """

    recorded = False
    """Whether the caller writes the call's trace, so that a server of ours writes none."""

    def __init__(self, model: str, settings: Settings) -> None:
        super().__init__(model.strip(), settings)
        self._address = self.model.partition("#")[0].rstrip("/").removesuffix("/invocations")
        self._served = urlsplit(self.model).fragment
        """What is served there, as far as it was found out: a version, or the moment of the look."""
        _check(self._address)

    @property
    def reference(self) -> str:
        """The reference with what is served.

        Raises:
            ProviderError: The server is asked for the first time here, and cannot be reached.
        """
        if not self._served:
            blocking(self._look())
        return f"{self.name}:{self.model}"

    def prepare(self) -> None:
        """Find out what is served."""
        super().prepare()
        _ = self.reference

    async def astream(self, request: Request) -> AsyncGenerator[StreamEvent, None]:
        await self._look()
        payload = self._payload(request)
        answer = AnswerInPieces(self)
        where = f"{self._address}/invocations"
        with self._mapped(answer):
            headers = {"x-llmflowlab-recorded": "1"} if self.recorded else {}
            sending = self._client().stream("POST", where, json=payload, headers=headers)
            async with sending as response:
                if response.status_code != 200:
                    await response.aread()
                    raise self._refused(response)
                self._check_version(response.headers.get(SERVED_BY))
                async for document in _documents(response):
                    if isinstance(document, dict) and "error_code" in document:
                        raise self._broke(document)
                    for event in answer.take(self._read(document)):
                        yield event
        yield answer.finish()

    def _payload(self, request: Request) -> dict[str, Any]:
        from llmflowlab.serving.served_model import chat_payload

        return {**chat_payload(messages(request), asked(request)), "stream": True}

    def _read(self, document: Any) -> Piece:
        from llmflowlab.serving.served_model import read_chat

        return read_chat(document)

    async def _look(self) -> None:
        """Find out what is served, once; it can change, so that without its word nothing is reused later."""
        if not self._served:
            require_requests_allowed(self.display_name)
            with self._mapped():
                answered = await self._client().get(f"{self._address}/ping")
            named = answered.headers.get(SERVED_BY)
            now = datetime.now().strftime("%Y%m%d-%H%M%S")
            # Another call may have looked meanwhile.
            self._served = self._served or str(named or now)
        self.model = f"{self._address}#{self._served}"

    def _make_client(self) -> httpx.AsyncClient:
        http = load("httpx")
        with unbuildable(provider=self):
            line = client_arguments(
                http, self.settings, self._address, provider=self.name, on_loop=True
            )
            client: httpx.AsyncClient = http.AsyncClient(**line, event_hooks=guards(self))
        return client

    @staticmethod
    async def _shut(client: httpx.AsyncClient) -> None:
        await client.aclose()

    @contextmanager
    def _mapped(self, answer: AnswerInPieces | None = None) -> Iterator[None]:
        unreachable = (
            f"Nothing answers at {shown(self._address)}; start it with "
            f"`{program_name()} registry serve NAME@ALIAS`."
        )
        try:
            yield
        except LabError:
            raise
        except Exception as exc:
            begun = answer is not None and answer.begun
            mapped = failure(exc, provider=self, begun=begun, unreachable=unreachable)
            if mapped is None:
                raise
            raise mapped from exc

    def _check_version(self, served: str | None) -> None:
        if served is not None and "/" in self._served and served != self._served:
            raise UnknownModel(
                f"{shown(self._address)} serves {served} by now, not {self._served}; begin again with "
                "it.",
                provider=self.name,
                model=self.model,
            )

    def _refused(self, response: httpx.Response) -> ProviderError:
        status = response.status_code
        kind = _KINDS.get(status, Overloaded if status >= 500 else BadRequest)
        message = f"The model at {shown(self._address)} refused (HTTP {status})"
        message += because(_error_text(response), self.settings)
        if kind is TimedOut:
            return TimedOut(message, provider=self.name, model=self.model)
        return kind(
            message,
            provider=self.name,
            model=self.model,
            status=status,
            retry_after=retry_after_seconds(response.headers),
        )

    def _broke(self, document: Mapping[str, Any]) -> ProviderError:
        said = because(document.get("message") or "", self.settings)
        return ConnectionFailed(
            f"The model at {shown(self._address)} failed{said}",
            provider=self.name,
            model=self.model,
            sent=True,
        )


def _check(address: str) -> None:
    try:
        parts = urlsplit(address)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise InputError(f"{address!r} is no address; write it as in mlflow:http://127.0.0.1:5001.")


async def _documents(response: httpx.Response) -> AsyncIterator[Any]:
    if not response.headers.get("content-type", "").startswith("text/event-stream"):
        yield json.loads(await response.aread())
        return
    async for line in response.aiter_lines():
        data = line.removeprefix("data:").strip()
        if line.startswith("data:") and data and data != "[DONE]":
            yield json.loads(data)


def _error_text(response: httpx.Response) -> str:
    try:
        document = response.json()
    except (ValueError, RecursionError):
        return response.text[:2000]
    text = document.get("message") or document.get("detail") if isinstance(document, dict) else ""
    # MLflow repeats the whole request before it says what was wrong.
    return str(text or "").rpartition("\nError: ")[2]
