"""Azure OpenAI: deployments of OpenAI's models."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode, urlsplit

from llmflowlab.errors import InputError, NotConfigured
from llmflowlab.providers.base import ModelInfo, Readiness
from llmflowlab.providers.openai.shared import ChatCompletions
from llmflowlab.providers.refused_requests import Advice
from llmflowlab.providers.vendor_sdk import known_window, read_address, read_key, shown
from llmflowlab.settings import Settings

if TYPE_CHECKING:
    from openai import AsyncOpenAI

__all__ = ["AzureProvider"]

_DEFAULT_VERSION = "2025-04-01-preview"
"""The last version with a date; it knows every model that is served under deployments."""
_NEW_LIMIT_SINCE = "2024-12-01"
"""Older versions, the stable 2024-10-21 among them, know `max_tokens` only."""


class AzureProvider(ChatCompletions):
    """One deployment at `AZURE_OPENAI_ENDPOINT`; the model's name is the deployment's.

    `AZURE_OPENAI_DEPLOYMENT` names the one that a bare `azure` means, `OPENAI_API_VERSION` the version
    of Azure's API.
    """

    name = "azure"
    display_name = "Azure"
    supplier = "Microsoft"
    default_model_variable: ClassVar[str | None] = "AZURE_OPENAI_DEPLOYMENT"
    key_variables = ("AZURE_OPENAI_API_KEY",)

    def __init__(self, model: str, settings: Settings) -> None:
        # The name becomes part of a URL's path.
        if not re.fullmatch(r"[\w.-]+", model.strip(), re.ASCII):
            raise InputError(
                f"{model!r} is no name of an Azure deployment; write azure:DEPLOYMENT, with letters, "
                "digits, dots, dashes and underscores only."
            )
        missing = _missing(settings)
        if missing:
            raise NotConfigured(
                f"Azure OpenAI is not set up: set {' and '.join(missing)} (the resource's page in the "
                "Azure portal shows them under Keys and Endpoint).",
                provider=self.name,
            )
        super().__init__(model, settings, address=_endpoint(settings))
        self._key = read_key(settings, "AZURE_OPENAI_API_KEY", provider=self.name)
        self._version = (settings.get("OPENAI_API_VERSION") or _DEFAULT_VERSION).strip()

    @classmethod
    def readiness(cls, settings: Settings, timeout: float) -> Readiness:
        try:
            missing = _missing(settings)
            if missing:
                return Readiness(False, f"set {' and '.join(missing)}")
            return Readiness(True, f"AZURE_OPENAI_API_KEY is set, {shown(_endpoint(settings))}")
        except NotConfigured as exc:
            return Readiness(False, exc.message)

    def list_models(self) -> list[ModelInfo]:
        """List the deployment that `AZURE_OPENAI_DEPLOYMENT` names.

        A key is not allowed to list a resource's deployments (Azure's management API does that, with
        a sign-in), so that nothing is listed where the variable is not set.
        """
        named = self.settings.get("AZURE_OPENAI_DEPLOYMENT")
        return [ModelInfo(named.strip(), known_window("azure", named.strip()))] if named else []

    def context_window(self) -> int | None:
        """Return the window of the model that the deployment is named after, where it is."""
        return known_window("azure", self.model)

    @cached_property
    def _advice(self) -> Advice:
        return Advice(
            key="Check AZURE_OPENAI_API_KEY, and that it belongs to AZURE_OPENAI_ENDPOINT.",
            address="Check AZURE_OPENAI_ENDPOINT (https://NAME.openai.azure.com) and "
            "OPENAI_API_VERSION.",
            model=f"Azure has no deployment {self.model!r} at {shown(self._address)}; write the "
            "deployment's own name, not the model's.",
            quota="See the resource's quota in the Azure portal.",
        )

    @property
    def _token_limit(self) -> str:
        # A version is a date, perhaps with "-preview" after it: as text it sorts by age.
        return "max_completion_tokens" if self._version >= _NEW_LIMIT_SINCE else "max_tokens"

    @property
    def _chat_url(self) -> str:
        path = f"openai/deployments/{self.model}/chat/completions"
        return f"{self._address}/{path}?{urlencode({'api-version': self._version})}"

    @property
    def _headers(self) -> dict[str, str]:
        assert self._key is not None, "without a key it is not built"
        return {"api-key": self._key}

    def _build(self, http: Any) -> AsyncOpenAI:
        from openai import AsyncAzureOpenAI

        return AsyncAzureOpenAI(
            api_key=self._key,
            azure_endpoint=self._address,
            api_version=self._version,
            max_retries=0,
            http_client=http,
        )


def _missing(settings: Settings) -> list[str]:
    address = read_address(settings, "AZURE_OPENAI_ENDPOINT", provider=AzureProvider.name)
    key = read_key(settings, "AZURE_OPENAI_API_KEY", provider=AzureProvider.name)
    variables = (("AZURE_OPENAI_ENDPOINT", address), ("AZURE_OPENAI_API_KEY", key))
    return [variable for variable, value in variables if value is None]


def _endpoint(settings: Settings) -> str:
    """Return the resource's address; the portal also shows it with a path, which the SDK adds itself."""
    address = read_address(settings, "AZURE_OPENAI_ENDPOINT", provider=AzureProvider.name) or ""
    path = urlsplit(address).path
    start = re.search(r"/openai(/|$)", path)
    return address if start is None else address[: len(address) - len(path) + start.start()]
