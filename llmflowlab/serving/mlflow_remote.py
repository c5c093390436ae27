"""The remote half of the provider `mlflow`: a server's `/invocations`, asked over HTTP."""

from __future__ import annotations

import json
import threading
import weakref
from collections.abc import Generator, Iterator, Mapping
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
from llmflowlab.program import program_name
from llmflowlab.providers.base import Provider, require_requests_allowed
from llmflowlab.providers.connections import client_arguments, guards, unbuildable
from llmflowlab.providers.transport import because, failure, retry_after_seconds
from llmflowlab.providers.vendor_sdk import shown

if TYPE_CHECKING:
    import httpx

    from llmflowlab.serving.served_model import Piece

__all__ = ["SERVED_BY", "RemoteModel"]

SERVED_BY = "x-llmflowlab-model"
"""Header in which `registry serve` names the version behind an answer."""

_KINDS: Mapping[int, type[ProviderError]] = {
    401: AuthenticationFailed,
    403: AuthenticationFailed,
    404: UnknownModel,
    429: RateLimited,
    504: TimedOut,
}


class RemoteModel:
    """One server.

    Args:
        provider: Whose half this is; its model is an address, perhaps with `#` and what is served there.

    Raises:
        InputError: It is no address.
    """

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._lock = threading.RLock()
        self._http: httpx.Client | None = None
        self.address = provider.model.partition("#")[0].rstrip("/").removesuffix("/invocations")
        self.served = urlsplit(provider.model).fragment
        """What is served there, as far as it was found out: a version, or the moment of the look."""
        _check(self.address)

    def look(self) -> None:
        """Find out what is served; it can change, so that without its word nothing is reused later.

        Raises:
            ProviderError: The server cannot be reached.
        """
        with self._lock:
            if self.served:
                return
            require_requests_allowed(self._provider.display_name)
            client = self._client()
            try:
                answered = client.get(f"{self.address}/ping")
            except Exception as exc:
                raise self._mapped(exc, begun=False) from exc
            named = answered.headers.get(SERVED_BY)
            self.served = str(named or datetime.now().strftime("%Y%m%d-%H%M%S"))

    def pieces(
        self, messages: list[dict[str, str]], asked: Mapping[str, Any]
    ) -> Generator[Piece, None, None]:
        """Yield the answer.

        Raises:
            ProviderError: Any failure, mapped.
        """
        from llmflowlab.serving.served_model import chat_payload, read_chat

        require_requests_allowed(self._provider.display_name)
        payload = {**chat_payload(messages, asked), "stream": True}
        begun = False
        client = self._client()
        try:
            with client.stream("POST", f"{self.address}/invocations", json=payload) as response:
                if response.status_code != 200:
                    response.read()
                    raise self._refused(response)
                self._check_version(response.headers.get(SERVED_BY))
                for document in _documents(response):
                    if isinstance(document, dict) and "error_code" in document:
                        raise self._broke(document)
                    piece = read_chat(document)
                    begun = begun or bool(piece.text)
                    yield piece
        except LabError:
            raise
        except Exception as exc:
            raise self._mapped(exc, begun=begun) from exc

    def close(self) -> None:
        with self._lock:
            if self._http is not None:
                self._http.close()
                self._http = None

    def _client(self) -> httpx.Client:
        with self._lock:
            if self._http is None:
                load("httpx")
                import httpx

                provider = self._provider
                with unbuildable(provider=provider):
                    self._http = httpx.Client(
                        **client_arguments(
                            httpx, provider.settings, self.address, provider=provider.name
                        ),
                        event_hooks=guards(provider),
                    )
                # Not everybody who builds a provider closes it.
                weakref.finalize(self, self._http.close)
            return self._http

    def _mapped(self, exc: Exception, *, begun: bool) -> Exception:
        unreachable = (
            f"Nothing answers at {shown(self.address)}; start it with "
            f"`{program_name()} registry serve NAME@ALIAS`."
        )
        return failure(exc, provider=self._provider, begun=begun, unreachable=unreachable) or exc

    def _check_version(self, served: str | None) -> None:
        if served is not None and "/" in self.served and served != self.served:
            raise UnknownModel(
                f"{shown(self.address)} serves {served} by now, not {self.served}; begin again with "
                "it.",
                provider=self._provider.name,
                model=self._provider.model,
            )

    def _refused(self, response: httpx.Response) -> ProviderError:
        status, provider = response.status_code, self._provider
        kind = _KINDS.get(status, Overloaded if status >= 500 else BadRequest)
        message = f"The model at {shown(self.address)} refused (HTTP {status})"
        message += because(_error_text(response), provider.settings)
        if kind is TimedOut:
            return TimedOut(message, provider=provider.name, model=provider.model)
        return kind(
            message,
            provider=provider.name,
            model=provider.model,
            status=status,
            retry_after=retry_after_seconds(response.headers),
        )

    def _broke(self, document: Mapping[str, Any]) -> ProviderError:
        provider = self._provider
        said = because(document.get("message") or "", provider.settings)
        return ConnectionFailed(
            f"The model at {shown(self.address)} failed{said}",
            provider=provider.name,
            model=provider.model,
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


def _documents(response: httpx.Response) -> Iterator[Any]:
    if not response.headers.get("content-type", "").startswith("text/event-stream"):
        yield json.loads(response.read())
        return
    for line in response.iter_lines():
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
