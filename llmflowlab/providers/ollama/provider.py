"""Models on an Ollama server, local or not, over the ollama SDK."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from llmflowlab.errors import (
    BadAnswer,
    BadRequest,
    ConnectionFailed,
    InputError,
    NotConfigured,
    ProviderError,
    StreamInterrupted,
)
from llmflowlab.messages import Request
from llmflowlab.providers.arrival import name, pieces, usage, vectors
from llmflowlab.providers.base import (
    Embeddings,
    Finished,
    ModelInfo,
    PullProgress,
    Readiness,
    StreamEvent,
    UsageReport,
    require_requests_allowed,
)
from llmflowlab.providers.connections import client_arguments, guards, unbuildable
from llmflowlab.providers.event_loop import OnLoop, blocking, iterated
from llmflowlab.providers.ollama.address import headers, look, read_address
from llmflowlab.providers.ollama.replies import (
    counted,
    detail,
    error_from_response,
    finish_reason,
    load_seconds,
    made_for,
    only_embeds,
    parameter,
)
from llmflowlab.providers.ollama.wire import import_sdk, reduced
from llmflowlab.providers.transport import failure, vendor_text
from llmflowlab.providers.wire import reduced_lines
from llmflowlab.settings import Settings
from llmflowlab.text.token_estimate import estimate_tokens

if TYPE_CHECKING:
    from ollama import AsyncClient

__all__ = ["OllamaProvider"]

DEFAULT_WINDOW = 4096
"""Tokens Ollama gives a model's context unless told otherwise; what is longer it cuts off silently."""

_SMALLEST_WINDOW = 2048
"""What fits into this fits everywhere: no server gives less unless told to."""
_PER_MESSAGE = 8
"""Tokens a message costs beside its text."""
_ROOM_FOR_ANSWER = 1024
"""Tokens kept free for an answer whose length is not limited."""

_PULL_SILENCE = 900.0
"""Seconds without a word during a download: checking a large file's digest says nothing for minutes."""


class OllamaProvider(OnLoop["AsyncClient"]):
    """One model of the Ollama server at `OLLAMA_HOST`.

    `LLMFLOWLAB_OLLAMA_NUM_CTX` sets the size of the context, in tokens, for every call.
    """

    name = "ollama"
    display_name = "Ollama"
    supplier = "Ollama"
    default_model: ClassVar[str | None] = "llama3.2"
    free = True
    requirements = ("ollama",)
    key_variables = ("OLLAMA_API_KEY",)
    can_embed = True
    can_pull = True

    def __init__(self, model: str, settings: Settings) -> None:
        super().__init__(model.strip(), settings)
        self._address = read_address(settings)
        self._num_ctx = _num_ctx(settings)
        self._window: int | None = None
        self._most: int | None = None
        """The window the model was made for, once the server was asked."""
        self._own_window: int | None = None
        """What the server gave before more was asked for."""
        self._raised: int | None = None
        """The window that calls ask for because one of them needed it."""

    @classmethod
    def readiness(cls, settings: Settings, timeout: float) -> Readiness:
        return look(settings, timeout)

    @property
    def process(self) -> str | None:
        return "ollama" if self._address.is_local else None

    async def astream(self, request: Request) -> AsyncGenerator[StreamEvent, None]:
        require_requests_allowed(self.display_name)
        client = self._client()
        begun, finished, called = _Begun(), False, False
        need = _need(request)
        await self._make_room(need)
        num_ctx = self._num_ctx or self._raised
        with self._mapped(begun):
            chunks: Any = await client.chat(
                self.model,
                _messages(request),
                stream=True,
                options=self._options(request, num_ctx) or None,
                format=None if request.response_schema is None else dict(request.response_schema),
            )
            async with aclosing(chunks):
                async for chunk in chunks:
                    if finished:
                        continue
                    said = chunk.message
                    called = called or bool(said.tool_calls)
                    for piece in (*pieces(said.thinking, thinking=True), *pieces(said.content)):
                        begun.value = True
                        yield piece
                    if chunk.done:
                        finished = True
                        yield UsageReport(counted(chunk))
                        yield Finished(
                            finish_reason(chunk, called=called),
                            name(chunk.model),
                            windows=await self._windows(need),
                            load_seconds=load_seconds(chunk),
                        )
        if not finished:
            raise self._error(
                StreamInterrupted if begun.value else BadAnswer,
                "Ollama ended its answer without saying that it was finished.",
            )

    async def aembed(self, texts: Sequence[str]) -> Embeddings:
        require_requests_allowed(self.display_name)
        client = self._client()
        with self._mapped():
            found = await client.embed(self.model, list(texts))
            rows = vectors(found.embeddings, len(texts))
        return Embeddings(rows, usage(found.prompt_eval_count, 0), name(found.model))

    def list_models(self) -> list[ModelInfo]:
        require_requests_allowed(self.display_name)
        client = self._client()
        with self._mapped():
            return [
                ModelInfo(found.removesuffix(":latest"), None, detail(model))
                for model in blocking(client.list()).models
                if (found := name(model.model)) and not only_embeds(model)
            ]

    def context_window(self) -> int | None:
        """Return the window that calls get in effect, which is most often less than the model's.

        It is `LLMFLOWLAB_OLLAMA_NUM_CTX`, else what the model's own parameters say, else what the
        server loaded it with, else Ollama's default; never more than the model was made for.
        """
        return self._window if self._window is not None else blocking(self._find_window())

    async def _find_window(self) -> int | None:
        if self._window is not None:
            return self._window
        require_requests_allowed(self.display_name)
        client = self._client()
        try:
            with self._mapped():
                shown = await client.show(self.model)
                loaded = None if self._num_ctx else await self._loaded_window(client)
        except ProviderError:
            return None
        most = self._most = made_for(shown.modelinfo or {})
        known = self._num_ctx or parameter(shown.parameters, "num_ctx") or loaded
        window = min(known or DEFAULT_WINDOW, most or known or DEFAULT_WINDOW)
        # Until the model is loaded the default is a guess, so it is asked again.
        if known is not None:
            self._window = window
        return window

    def pull(self) -> Iterator[PullProgress]:
        """Download the model, saying how far it is.

        Raises:
            ProviderError: Ollama's library lacks the model, or the download broke off.
        """
        return iterated(self._apull())

    async def _apull(self) -> AsyncGenerator[PullProgress, None]:
        require_requests_allowed(self.display_name)
        status: str | None = None
        async with self._make_client(_PULL_SILENCE) as client:
            with self._mapped():
                async for progress in await client.pull(self.model, stream=True):
                    status = progress.status
                    said = vendor_text(status or "", self.settings)
                    yield PullProgress(said, progress.completed, progress.total)
        if status != "success":
            raise self._error(
                ConnectionFailed,
                f"The download of {self.model} broke off; start it again, and it goes on from there.",
            )

    def _make_client(self, silence: float | None = None) -> AsyncClient:
        try:
            import_sdk()
            import httpx
            from ollama import AsyncClient
        except ImportError as exc:
            raise NotConfigured(
                "The package ollama is missing; run `pip install -r requirements.txt`.",
                provider=self.name,
            ) from exc
        pulls = silence is not None
        with unbuildable(provider=self):
            line = client_arguments(
                httpx, self.settings, self._address.url, provider=self.name, on_loop=True
            )
            if pulls:
                line["timeout"] = httpx.Timeout(silence, connect=self.settings.connect_timeout)
            return AsyncClient(
                host=self._address.url,
                headers=headers(self.settings),
                event_hooks=guards(self, reduced_lines("/api/chat", reduced), bounded=not pulls),
                **line,
            )

    async def _make_room(self, need: int) -> None:
        """Have the server give the model a larger window where a request would not fit into it.

        A server that has the model in memory with another window loads it anew, so that the window
        grows in powers of two and is never made smaller again.
        """
        if self._num_ctx is not None or need <= max(_SMALLEST_WINDOW, self._raised or 0):
            return
        window = await self._find_window()
        if window is None or need <= window or (self._most or 0) <= window:
            return
        wanted = min(1 << (need - 1).bit_length(), self._most or window)
        self._own_window = self._own_window or window
        self._raised = max(wanted, self._raised or 0)
        self._window = self._raised

    async def _windows(self, need: int) -> tuple[int, ...]:
        """Return the windows that a prompt may have been shortened to; none where it fitted."""
        if need <= _SMALLEST_WINDOW:
            return ()
        # A server may not have given what was asked for.
        found = {await self._find_window(), self._own_window}
        return tuple(sorted(window for window in found if window is not None))

    def _options(self, request: Request, num_ctx: int | None) -> dict[str, Any]:
        parameters = request.parameters
        options = {
            "temperature": parameters.temperature,
            "top_p": parameters.top_p,
            "num_predict": parameters.max_tokens,
            "seed": parameters.seed,
            "num_ctx": num_ctx,
        }
        return {name: value for name, value in options.items() if value is not None}

    async def _loaded_window(self, client: AsyncClient) -> int | None:
        names = {self.model, f"{self.model}:latest"}
        running = (await client.ps()).models
        return next((model.context_length for model in running if model.model in names), None)

    def _error(self, kind: type[ProviderError], message: str, **more: Any) -> ProviderError:
        return kind(message, provider=self.name, model=self.model, **more)

    @contextmanager
    def _mapped(self, begun: _Begun | None = None) -> Iterator[None]:
        """Turn what the SDK raises into our errors."""
        from ollama import RequestError, ResponseError

        came = begun or _Begun()
        unreachable = (
            f"Nothing answers at {self._address.shown}; start Ollama (`ollama serve`), "
            "install it or set OLLAMA_HOST."
        )
        try:
            yield
        except ResponseError as exc:
            raise error_from_response(exc, self, self._address) from exc
        except RequestError as exc:
            raise self._error(BadRequest, f"Ollama's SDK refused the request: {exc}.") from exc
        except Exception as exc:
            mapped = failure(exc, provider=self, begun=came.value, unreachable=unreachable)
            if mapped is None:
                raise
            raise mapped from exc


class _Begun:
    """Whether something of an answer came, told from inside a stream to the mapping around it."""

    value = False


def _need(request: Request) -> int:
    """Return the tokens of a window that a request is sure to fit into, by an estimate."""
    texts = [request.system or "", *(message.content for message in request.messages)]
    prompt = sum(estimate_tokens(text) + _PER_MESSAGE for text in texts)
    return prompt + prompt // 4 + (request.parameters.max_tokens or _ROOM_FOR_ANSWER)


def _messages(request: Request) -> list[dict[str, str]]:
    messages = [{"role": message.role, "content": message.content} for message in request.messages]
    return (
        [{"role": "system", "content": request.system}, *messages] if request.system else messages
    )


def _num_ctx(settings: Settings) -> int | None:
    text = settings.get("LLMFLOWLAB_OLLAMA_NUM_CTX")
    if text is None:
        return None
    if not re.fullmatch(r"[1-9]\d{0,8}", text.strip(), re.ASCII):
        raise InputError(
            f"LLMFLOWLAB_OLLAMA_NUM_CTX is {text!r}; set it to a whole number of tokens above 0."
        )
    return int(text)
