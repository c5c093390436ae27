"""Models that MLflow serves: a registered version loaded in this process, or a server's `/invocations`.

`mlflow:NAME@ALIAS` and `mlflow:NAME/VERSION` are looked up in the lab's own store;
`mlflow:http://host:port` is asked over HTTP. The store takes the place that an SDK has in other files.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import weakref
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from llmflowlab.errors import (
    AuthenticationFailed,
    BadAnswer,
    BadRequest,
    ConnectionFailed,
    InputError,
    LabError,
    Overloaded,
    ProviderError,
    RateLimited,
    TimedOut,
    TrackingError,
    UnknownModel,
)
from llmflowlab.loading import loading
from llmflowlab.messages import Request
from llmflowlab.providers.base import (
    Finished,
    FinishReason,
    ModelInfo,
    Provider,
    Readiness,
    StreamEvent,
    TextDelta,
    Usage,
    UsageReport,
    require_requests_allowed,
)
from llmflowlab.providers.transport import (
    because,
    http_errors,
    on_this_machine,
    read_timeout,
    retry_after_seconds,
    transport_error,
)
from llmflowlab.providers.vendor_sdk import shown
from llmflowlab.settings import Settings

if TYPE_CHECKING:
    import httpx

    from llmflowlab.serving.served_model import Piece, ServedModel

__all__ = ["SERVED_BY", "MlflowProvider"]

SERVED_BY = "x-llmflowlab-model"
"""Header in which `registry serve` names the version behind an answer."""

_REASONS: Mapping[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "content_filter": "safety",
    "safety": "safety",
}


class MlflowProvider(Provider):
    """One registered version, or one server.

    The reference names the version for good: an alias is looked up when it is first asked for, and a
    server is named with what it serves, or with the moment where it does not say. So an answer is
    never taken for another version's.
    """

    name = "mlflow"
    display_name = "MLflow"
    supplier = "MLflow"

    def __init__(self, model: str, settings: Settings) -> None:
        super().__init__(model.strip(), settings)
        self._lock = threading.RLock()
        self._served: ServedModel | None = None
        self._http: httpx.Client | None = None
        self._pinned = False
        self._inner: tuple[str, str] | None = None
        if self._remote:
            _check_address(self._address)
            self._pinned = bool(urlsplit(self.model).fragment)
        elif "@" not in self.model and "/" not in self.model and self.model != "any":
            raise InputError(
                f"{self.model!r} names no version: write mlflow:NAME@ALIAS, mlflow:NAME/VERSION or "
                "mlflow:http://host:port."
            )

    @classmethod
    def readiness(cls, settings: Settings, timeout: float) -> Readiness:
        """Look into the database where it is a file here; a server is not asked."""
        prefix = "sqlite:///"
        if not settings.tracking_uri.startswith(prefix):
            return Readiness(True, "registered models of the tracking server")
        file = Path(settings.tracking_uri.removeprefix(prefix).partition("?")[0])
        count = _registered(file)
        if not count:
            return Readiness(False, "no model is registered yet; the first chat registers one")
        return Readiness(True, f"{count} registered model{'' if count == 1 else 's'}")

    @property
    def reference(self) -> str:
        """The reference with the version in place of an alias.

        Raises:
            InputError: There is no such version.
            TrackingError: The store failed.
        """
        self._pin()
        return f"{self.name}:{self.model}"

    @property
    def priced_as(self) -> tuple[str, str]:
        """The candidate inside, where it is a single one and known."""
        if not self._remote:
            # Where the store cannot say, no price is known.
            with suppress(LabError):
                self._pin()
        return self._inner or (self.name, self.model)

    def prepare(self) -> None:
        """Look the version up and load it."""
        self._pin()
        if not self._remote:
            self._loaded()

    def stream(self, request: Request) -> Iterator[StreamEvent]:
        self._pin()
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
        pieces = self._over_http if self._remote else self._in_process
        reason, served, text = "stop", None, ""
        with closing(pieces(messages, chosen)) as found:
            for piece in found:
                served = piece.model or served
                reason = piece.finish_reason or reason
                if piece.text:
                    text += piece.text
                    yield TextDelta(piece.text)
                if piece.prompt_tokens is not None or piece.completion_tokens is not None:
                    yield UsageReport(
                        Usage(
                            prompt_tokens=piece.prompt_tokens,
                            completion_tokens=piece.completion_tokens,
                        )
                    )
        if not text and reason == "stop":
            raise BadAnswer(
                f"{self.display_name} sent an empty answer.", provider=self.name, model=self.model
            )
        yield Finished(_REASONS.get(reason, "other"), model_version=served)

    def list_models(self) -> list[ModelInfo]:
        """List every version that has an alias, and the newest of each registered model."""
        if _store_is_empty(self.settings):
            return []
        with self._store_failures():
            from llmflowlab.tracking.registry import list_models
            from llmflowlab.tracking.store import open_store

            found = []
            for model in list_models(open_store(self.settings)):
                for position, version in enumerate(model.versions):
                    names = [f"{model.name}@{alias}" for alias in version.aliases]
                    if position == 0 and not names:
                        names = [version.reference]
                    words = [f"version {version.version}", version.model or "", version.stage or ""]
                    detail = ", ".join(word for word in words if word)
                    found += [ModelInfo(name, detail=detail) for name in names]
            return found

    def close(self) -> None:
        with self._lock:
            if self._http is not None:
                self._http.close()
                self._http = None

    @property
    def _remote(self) -> bool:
        return self.model.startswith(("http://", "https://"))

    @property
    def _address(self) -> str:
        return self.model.partition("#")[0].rstrip("/").removesuffix("/invocations")

    def _pin(self) -> None:
        with self._lock:
            if self._pinned:
                return
            if self._remote:
                # What a server serves can change; without its word nothing may be reused later.
                named = self._served_there() or datetime.now().strftime("%Y%m%d-%H%M%S")
                self.model = f"{self._address}#{named}"
            else:
                from llmflowlab.serving.served_model import resolve

                version = resolve(self.settings, self.model)
                self.model = version.reference
                inner, _, model = (version.model or "").partition(":")
                if inner and model:
                    self._inner = (inner, model)
            self._pinned = True

    def _loaded(self) -> ServedModel:
        with self._lock:
            if self._served is None:
                from llmflowlab.serving.served_model import load_version, resolve

                self._served = load_version(self.settings, resolve(self.settings, self.model))
                config = self._served.config
                if config.get("provider") and config.get("model"):
                    self._inner = (str(config["provider"]), str(config["model"]))
            return self._served

    def _in_process(
        self, messages: list[dict[str, str]], asked: Mapping[str, Any]
    ) -> Generator[Piece, None, None]:
        try:
            served = self._loaded()
        except (InputError, TrackingError) as exc:
            raise UnknownModel(exc.message, provider=self.name, model=self.model) from exc
        try:
            yield from served.answer(messages, asked)
        except ProviderError as exc:
            # It was tried again as often as its settings say, inside.
            exc.retryable = False  # type: ignore[misc]  # of this one failure, not of its class
            raise
        except InputError as exc:
            raise BadRequest(exc.message, provider=self.name, model=self.model) from exc
        except LabError:
            raise
        except Exception as exc:
            # Somebody else's code: whatever it raises is a failure of that model.
            raise BadAnswer(
                f"The served model failed ({type(exc).__name__}){because(exc, self.settings)}",
                provider=self.name,
                model=self.model,
            ) from exc

    def _over_http(
        self, messages: list[dict[str, str]], asked: Mapping[str, Any]
    ) -> Generator[Piece, None, None]:
        from llmflowlab.serving.served_model import chat_payload, read_chat

        require_requests_allowed(self.display_name)
        payload = {**chat_payload(messages, asked), "stream": True}
        begun = False
        client = self._client()
        try:
            with client.stream("POST", f"{self._address}/invocations", json=payload) as response:
                if response.status_code != 200:
                    response.read()
                    raise self._refused(response)
                self._check_version(response.headers.get(SERVED_BY))
                kind = response.headers.get("content-type", "")
                documents = (
                    _sse(response.iter_lines())
                    if kind.startswith("text/event-stream")
                    else iter([json.loads(response.read())])
                )
                for document in documents:
                    if isinstance(document, dict) and "error_code" in document:
                        raise self._broke(document)
                    piece = read_chat(document)
                    begun = begun or bool(piece.text)
                    yield piece
        except http_errors() as exc:
            raise transport_error(
                exc, provider=self, begun=begun, unreachable=self._unreachable
            ) from exc
        except (ValueError, RecursionError) as exc:
            raise BadAnswer(
                f"{shown(self._address)} sent something that is no JSON.",
                provider=self.name,
                model=self.model,
            ) from exc

    @property
    def _unreachable(self) -> str:
        return (
            f"Nothing answers at {shown(self._address)}; start it with "
            "`python main.py registry serve NAME@ALIAS`."
        )

    def _served_there(self) -> str | None:
        """Return the version a server of ours says it serves; None where the server does not say."""
        require_requests_allowed(self.display_name)
        self._client()
        try:
            answered = self._client().get(f"{self._address}/ping")
        except http_errors() as exc:
            raise transport_error(
                exc, provider=self, begun=False, unreachable=self._unreachable
            ) from exc
        named = answered.headers.get(SERVED_BY)
        return None if named is None else str(named)

    def _check_version(self, served: str | None) -> None:
        pinned = urlsplit(self.model).fragment
        if served is not None and "/" in pinned and served != pinned:
            raise UnknownModel(
                f"{shown(self._address)} serves {served} by now, not {pinned}; begin again with it.",
                provider=self.name,
                model=self.model,
            )

    def _client(self) -> httpx.Client:
        with self._lock:
            if self._http is None:
                with loading("httpx"):
                    import httpx
                host = urlsplit(self._address).hostname or ""
                self._http = httpx.Client(
                    timeout=httpx.Timeout(
                        read_timeout(self.settings),
                        connect=self.settings.connect_timeout,
                        pool=None,
                    ),
                    limits=httpx.Limits(max_connections=None, max_keepalive_connections=100),
                    trust_env=not on_this_machine(host),
                )
                # Not everybody who builds a provider closes it.
                weakref.finalize(self, self._http.close)
            return self._http

    def _refused(self, response: httpx.Response) -> ProviderError:
        status, said = response.status_code, _error_text(response)
        kinds: dict[int, type[ProviderError]] = {
            401: AuthenticationFailed,
            403: AuthenticationFailed,
            404: UnknownModel,
            429: RateLimited,
            504: TimedOut,
        }
        kind = kinds.get(status, Overloaded if status >= 500 else BadRequest)
        message = f"The model at {shown(self._address)} refused (HTTP {status})"
        message += because(said, self.settings)
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
        )

    @contextmanager
    def _store_failures(self) -> Iterator[None]:
        try:
            yield
        except TrackingError as exc:
            raise ConnectionFailed(exc.message, provider=self.name) from exc


def _check_address(address: str) -> None:
    try:
        parts = urlsplit(address)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise InputError(f"{address!r} is no address; write it as in mlflow:http://127.0.0.1:5001.")


def _sse(lines: Iterator[str]) -> Iterator[Any]:
    for line in lines:
        data = line.removeprefix("data:").strip()
        if line.startswith("data:") and data and data != "[DONE]":
            yield json.loads(data)


def _error_text(response: httpx.Response) -> str:
    try:
        document = response.json()
    except ValueError:
        return response.text[:2000]
    text = document.get("message") or document.get("detail") if isinstance(document, dict) else ""
    # MLflow repeats the whole request before it says what was wrong.
    return str(text or "").rpartition("\nError: ")[2]


def _registered(file: Path) -> int:
    """Return how many models a database of MLflow's holds; 0 where it cannot tell."""
    if not file.is_file():
        return 0
    try:
        with closing(
            sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True, timeout=0.5)
        ) as db:
            return int(db.execute("SELECT COUNT(*) FROM registered_models").fetchone()[0])
    except sqlite3.Error:
        return 0


def _store_is_empty(settings: Settings) -> bool:
    """Whether there is no database yet, so that listing would make one."""
    prefix = "sqlite:///"
    uri = settings.tracking_uri
    return uri.startswith(prefix) and not Path(uri.removeprefix(prefix).partition("?")[0]).is_file()
