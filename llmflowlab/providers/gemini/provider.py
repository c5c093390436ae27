"""Google's Gemini models, over the google-genai SDK and the Gemini Developer API.

Everything is handed to the SDK: key, address, API version and deadlines come from our settings, never
from what the SDK would read of the environment by itself (a Vertex AI switch, say).
"""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from llmflowlab.errors import InputError, NotConfigured, ProviderError
from llmflowlab.loading import load
from llmflowlab.messages import Request
from llmflowlab.providers.base import (
    ModelInfo,
    Provider,
    Readiness,
    StreamEvent,
    require_requests_allowed,
)
from llmflowlab.providers.connections import client_arguments, guards, unbuildable
from llmflowlab.providers.gemini.replies import GeminiStream, error_from_api
from llmflowlab.providers.gemini.wire import reduced
from llmflowlab.providers.transport import closed_at_once, failure, read_timeout
from llmflowlab.providers.vendor_sdk import quieten, read_address, read_key, shown
from llmflowlab.providers.wire import reduced_lines
from llmflowlab.settings import Settings

if TYPE_CHECKING:
    from google.genai import Client, types

__all__ = ["GeminiProvider"]

_DEFAULT_ADDRESS = "https://generativelanguage.googleapis.com"


class GeminiProvider(Provider):
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
        self._client_made: Client | None = None
        self._client_lock = threading.Lock()
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

    def prepare(self) -> None:
        self._client()

    def stream(self, request: Request) -> Iterator[StreamEvent]:
        require_requests_allowed(self.display_name)
        client = self._client()
        contents, config = _contents(request), _config(request)
        answer = GeminiStream(self)
        with self._mapped(answer):
            chunks = client.models.generate_content_stream(
                model=self.model, contents=contents, config=config
            )
            with closed_at_once(chunks):
                for chunk in chunks:
                    yield from answer.take(chunk)
        yield answer.finish()

    def list_models(self) -> list[ModelInfo]:
        require_requests_allowed(self.display_name)
        client = self._client()
        from google.genai import types

        with self._mapped():
            found = [
                ModelInfo(
                    (model.name or "").removeprefix("models/"),
                    model.input_token_limit,
                    model.display_name or "",
                )
                for model in client.models.list(
                    config=types.ListModelsConfig(page_size=1000, http_options=self._short())
                )
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
                    found = client.models.get(
                        model=self.model, config=types.GetModelConfig(http_options=self._short())
                    )
            except ProviderError:
                return None
            self._window = found.input_token_limit
        return self._window

    def close(self) -> None:
        with self._client_lock:
            if self._client_made is not None:
                self._client_made.close()

    def _client(self) -> Client:
        with self._client_lock:
            if self._client_made is None:
                self._client_made = self._make_client()
            return self._client_made

    def _make_client(self) -> Client:
        try:
            load("google.genai", "google.genai.types", "google.genai.errors", "httpx2")
            import httpx2
            from google import genai
        except ImportError as exc:
            raise NotConfigured(
                "The package google-genai is missing; run `pip install -r requirements.txt`.",
                provider=self.name,
            ) from exc
        _quieten()
        version = self.settings.get("GOOGLE_GENAI_API_VERSION") or "v1beta"
        hooks = guards(self, reduced_lines(":streamGenerateContent", reduced))
        hooks["request"].append(self._set_deadlines)
        with unbuildable(provider=self):
            line = client_arguments(httpx2, self.settings, self._address, provider=self.name)
            # Set by the hook: a timeout of the client's own would not outlive the SDK's.
            del line["timeout"]
            return genai.Client(
                api_key=self._key,
                vertexai=False,
                http_options={
                    "base_url": self._address,
                    "api_version": "v1beta" if version == "beta" else version,
                    "client_args": {**line, "event_hooks": hooks},
                    # Made all the same, and never used: it shall look for no proxies.
                    "async_client_args": {"trust_env": False},
                },
            )

    def _set_deadlines(self, request: Any) -> None:
        """Give a request its deadlines where the SDK set none.

        `HttpOptions.timeout` is one number for all and would be sent to Google as well, as a limit on
        the whole answer.
        """
        given = request.extensions.get("timeout") or {}
        read = read_timeout(self.settings)
        ours = {"connect": self.settings.connect_timeout, "read": read, "write": read, "pool": None}
        request.extensions = {
            **request.extensions,
            "timeout": {
                "pool": None,
                **{kind: given.get(kind) or seconds for kind, seconds in ours.items()},
            },
        }

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
