"""Google's Gemini models, over the google-genai SDK and the Gemini Developer API.

Everything is handed to the SDK: key, address, API version and deadlines come from our settings, never
from what the SDK would read of the environment by itself (a Vertex AI switch, say).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Coroutine, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from llmflowlab.errors import InputError, NotConfigured, ProviderError
from llmflowlab.loading import load
from llmflowlab.messages import Request
from llmflowlab.providers.base import (
    ModelInfo,
    Readiness,
    StreamEvent,
    require_requests_allowed,
)
from llmflowlab.providers.connections import client_arguments, guards, unbuildable
from llmflowlab.providers.event_loop import OnLoop, blocking
from llmflowlab.providers.gemini.replies import GeminiStream, error_from_api
from llmflowlab.providers.gemini.wire import reduced
from llmflowlab.providers.transport import failure, read_timeout
from llmflowlab.providers.vendor_sdk import quieten, read_address, read_key, shown
from llmflowlab.providers.wire import reduced_lines
from llmflowlab.settings import Settings

if TYPE_CHECKING:
    from google.genai import types
    from google.genai.models import AsyncModels

__all__ = ["GeminiProvider"]

T = TypeVar("T")

_DEFAULT_ADDRESS = "https://generativelanguage.googleapis.com"


@dataclass(frozen=True, slots=True)
class _Client:
    """The SDK's client, whose HTTP client is ours to close."""

    models: AsyncModels
    close: Callable[[], Coroutine[Any, Any, None]]


class GeminiProvider(OnLoop[_Client]):
    """One Gemini model.

    `GOOGLE_API_KEY` beats `GEMINI_API_KEY`, as in the SDK; `GOOGLE_GEMINI_BASE_URL` names another
    address; `GOOGLE_GENAI_API_VERSION` another API version than v1beta (the only one that knows the
    `*-latest` names).
    """

    name = "gemini"
    display_name = "Gemini"
    supplier = "Google"
    default_model: ClassVar[str | None] = "gemini-2.5-flash"
    requirements = ("google-genai",)
    key_variables = ("GOOGLE_API_KEY", "GEMINI_API_KEY")

    def __init__(self, model: str, settings: Settings) -> None:
        cleaned = model.strip().removeprefix("models/")
        # The name becomes part of a URL's path.
        if not re.fullmatch(r"[A-Za-z0-9][\w.@/-]*", cleaned, re.ASCII) or ".." in cleaned:
            raise InputError(
                f"{model!r} is no name of a Gemini model; write for example gemini:gemini-2.5-flash."
            )
        super().__init__(cleaned, settings)
        self._key = _key(settings)
        self._address = _address(settings)
        self._window: int | None = None

    @classmethod
    def readiness(cls, settings: Settings, timeout: float) -> Readiness:
        try:
            _key(settings)
            address = _address(settings)
        except NotConfigured as exc:
            missing = not _key_variable(settings)
            return Readiness(False, "set GEMINI_API_KEY" if missing else exc.message)
        host = "" if address == _DEFAULT_ADDRESS else f", {shown(address)}"
        return Readiness(True, f"{_key_variable(settings)} is set{host}")

    async def astream(self, request: Request) -> AsyncGenerator[StreamEvent, None]:
        require_requests_allowed(self.display_name)
        client = self._client()
        contents, config = _contents(request), _config(request)
        answer = GeminiStream(self)
        with self._mapped(answer):
            chunks: Any = await client.models.generate_content_stream(
                model=self.model, contents=contents, config=config
            )
            async with aclosing(chunks):
                async for chunk in chunks:
                    for event in answer.take(chunk):
                        yield event
        yield answer.finish()

    def list_models(self) -> list[ModelInfo]:
        require_requests_allowed(self.display_name)
        client = self._client()
        from google.genai import types

        with self._mapped():
            config = types.ListModelsConfig(page_size=1000, http_options=self._short())
            found = [
                ModelInfo(
                    (model.name or "").removeprefix("models/"),
                    model.input_token_limit,
                    model.display_name or "",
                )
                for model in blocking(_all(client.models.list(config=config)))
                if model.name and "generateContent" in (model.supported_actions or [])
            ]
        # A stable sort: the default first, Gemini before other families, else as Google lists them.
        return sorted(
            found,
            key=lambda info: (info.name != self.default_model, "gemini" not in info.name),
        )

    def context_window(self) -> int | None:
        if self._window is None:
            require_requests_allowed(self.display_name)
            client = self._client()
            from google.genai import types

            try:
                with self._mapped():
                    config = types.GetModelConfig(http_options=self._short())
                    found = blocking(client.models.get(model=self.model, config=config))
            except ProviderError:
                return None
            self._window = found.input_token_limit
        return self._window

    def _make_client(self) -> _Client:
        try:
            load("google.genai", "google.genai.types", "google.genai.errors", "httpx2")
            import httpx2
            from google import genai
            from google.genai import types
        except ImportError as exc:
            raise NotConfigured(
                "The package google-genai is missing; run `pip install -r requirements.txt`.",
                provider=self.name,
            ) from exc
        _quieten()
        version = self.settings.get("GOOGLE_GENAI_API_VERSION") or "v1beta"
        hooks = guards(
            self,
            reduced_lines(":streamGenerateContent", reduced),
            sent=[_with_deadlines(self.settings)],
        )
        with unbuildable(provider=self):
            line = client_arguments(
                httpx2, self.settings, self._address, provider=self.name, on_loop=True
            )
            http = httpx2.AsyncClient(**line, follow_redirects=True, event_hooks=hooks)
            client = genai.Client(
                api_key=self._key,
                vertexai=False,
                http_options=types.HttpOptions(
                    base_url=self._address,
                    api_version="v1beta" if version == "beta" else version,
                    # Without it the SDK takes aiohttp where that is installed, and asks again by itself.
                    httpx_async_client=http,
                    # Made all the same, and never used: it shall look for no proxies.
                    client_args={"trust_env": False, "verify": line["verify"]},
                ),
            )
        return _Client(client.aio.models, http.aclose)

    def _short(self) -> types.HttpOptions:
        """Return the deadline of a request that generates nothing; the SDK counts in milliseconds."""
        from google.genai import types

        return types.HttpOptions(timeout=int(self.settings.connect_timeout * 1000))

    @contextmanager
    def _mapped(self, answer: GeminiStream | None = None) -> Iterator[None]:
        """Turn what the SDK raises into our errors."""
        from google.genai.errors import APIError

        address = shown(self._address)
        unreachable = f"Gemini cannot be reached at {address}; check the network and the address."
        try:
            yield
        except APIError as exc:
            raise error_from_api(exc, self) from exc
        except Exception as exc:
            begun = answer is not None and answer.begun
            mapped = failure(exc, provider=self, begun=begun, unreachable=unreachable)
            if mapped is None:
                raise
            raise mapped from exc


def _with_deadlines(settings: Settings) -> Callable[[Any], None]:
    """Return a hook that gives a request its deadlines where the SDK set none.

    `HttpOptions.timeout` is one number for all and would be sent to Google as well, as a limit on the
    whole answer; a timeout of the HTTP client's own would not outlive the SDK's.
    """
    read = read_timeout(settings)
    ours = {"connect": settings.connect_timeout, "read": read, "write": read}

    def hook(request: Any) -> None:
        given = request.extensions.get("timeout") or {}
        found = {kind: given.get(kind) or seconds for kind, seconds in ours.items()}
        request.extensions = {**request.extensions, "timeout": {"pool": None, **found}}

    return hook


async def _all(found: Awaitable[AsyncIterable[T]]) -> list[T]:
    return [each async for each in await found]


def _contents(request: Request) -> list[types.Content]:
    from google.genai import types

    roles = {"user": "user", "assistant": "model"}
    return [
        types.Content(role=roles[message.role], parts=[types.Part(text=message.content)])
        for message in request.messages
    ]


def _config(request: Request) -> types.GenerateContentConfig:
    from google.genai import types

    parameters, schema = request.parameters, request.response_schema
    return types.GenerateContentConfig(
        system_instruction=request.system or None,
        temperature=parameters.temperature,
        top_p=parameters.top_p,
        max_output_tokens=parameters.max_tokens,
        seed=parameters.seed,
        response_mime_type=None if schema is None else "application/json",
        response_json_schema=None if schema is None else dict(schema),
        # Without tools it does nothing but copy the request.
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )


def _quieten() -> None:
    """Keep the SDK from writing to the screen: the lab says itself what there is to say."""
    quieten("google_genai")
    # A value newer than the SDK's enums; `Reading` takes it as it comes.
    warnings.filterwarnings("ignore", r".* is not a valid \w+", module=r"google\.genai\._common")


def _key_variable(settings: Settings) -> str | None:
    return next((name for name in GeminiProvider.key_variables if settings.get(name)), None)


def _key(settings: Settings) -> str:
    variable = _key_variable(settings)
    key = None if variable is None else read_key(settings, variable, provider="gemini")
    if key is None:
        raise NotConfigured(
            "Gemini has no key: set GEMINI_API_KEY (https://aistudio.google.com/apikey gives one).",
            provider="gemini",
        )
    return key


def _address(settings: Settings) -> str:
    return read_address(settings, "GOOGLE_GEMINI_BASE_URL", provider="gemini") or _DEFAULT_ADDRESS
