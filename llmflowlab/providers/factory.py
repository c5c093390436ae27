"""The model factory: from a model reference to a provider that can be called.

A reference is `provider:model` (`gemini:gemini-2.5-flash`), MLflow's `openai:/gpt-4.1-mini`, or a
bare provider name, which means that provider's default model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module

from llmflowlab.errors import InputError, NotConfigured
from llmflowlab.program import program_name
from llmflowlab.providers.base import Provider
from llmflowlab.settings import Settings

__all__ = [
    "PROVIDERS",
    "ModelReference",
    "ProviderEntry",
    "build",
    "default_model",
    "is_free",
    "parse_reference",
    "provider_class",
]


@dataclass(frozen=True, slots=True)
class ProviderEntry:
    """Where a provider is, and how it is called."""

    at: str
    """Module and class, as in `llmflowlab.providers.gemini.provider:GeminiProvider`."""
    display_name: str
    """As the class's own."""
    aliases: tuple[str, ...] = ()
    """Other names that a model reference may begin with."""


_HERE = "llmflowlab.providers."

PROVIDERS: Mapping[str, ProviderEntry] = {
    "gemini": ProviderEntry(_HERE + "gemini.provider:GeminiProvider", "Gemini", ("google",)),
    "ollama": ProviderEntry(_HERE + "ollama.provider:OllamaProvider", "Ollama"),
    "openai": ProviderEntry(_HERE + "openai.provider:OpenAIProvider", "OpenAI"),
    "azure": ProviderEntry(_HERE + "openai.azure:AzureProvider", "Azure"),
    "anthropic": ProviderEntry(
        _HERE + "anthropic.provider:AnthropicProvider", "Claude", ("claude",)
    ),
    "local": ProviderEntry(_HERE + "local.provider:LocalProvider", "Local"),
    "guide": ProviderEntry(_HERE + "guide.provider:GuideProvider", "Guide"),
    "mlflow": ProviderEntry("llmflowlab.serving.mlflow_provider:MlflowProvider", "MLflow"),
}
"""All families, in the order in which they are shown: to add one, write its folder and its line here.

What stands here must be known before any of them is imported: the menu draws the names. All else is said
by the provider's class.
"""

_ALIASES = {alias: name for name, found in PROVIDERS.items() for alias in found.aliases}


@dataclass(frozen=True, slots=True)
class ModelReference:
    """A parsed model reference."""

    provider: str
    model: str | None
    """None where only the provider was named."""

    def __str__(self) -> str:
        return self.provider if self.model is None else f"{self.provider}:{self.model}"


def parse_reference(text: str) -> ModelReference:
    """Read a model reference.

    Raises:
        InputError: It names no provider the lab knows.
    """
    cleaned = text.strip()
    head, colon, model = cleaned.partition(":")
    name = _ALIASES.get(head.strip().lower(), head.strip().lower())
    if name not in PROVIDERS:
        raise InputError(
            f"{text!r} names no model: write provider:model, the provider one of "
            f"{', '.join(PROVIDERS)} (for example gemini:gemini-2.5-flash)."
        )
    # MLflow writes one slash after the colon; an Ollama model may hold slashes of its own.
    model = model.strip().removeprefix("/").strip()
    if colon and not model:
        raise InputError(f"{text!r} names no model after the colon; write for example {name}:NAME.")
    return ModelReference(name, model or None)


def provider_class(name: str) -> type[Provider]:
    """Return a provider's class by its name.

    Raises:
        InputError: No such provider.
    """
    if name not in PROVIDERS:
        raise InputError(f"{name!r} is no provider; choose from {', '.join(PROVIDERS)}.")
    module, _, attribute = PROVIDERS[name].at.partition(":")
    found: type[Provider] = getattr(import_module(module), attribute)
    return found


def is_free(name: str) -> bool:
    """Tell whether a provider's calls cost nothing by nature; False of one the lab does not know."""
    return name in PROVIDERS and provider_class(name).free


Factory = Callable[[str, Settings], Provider]


def build(reference: str | ModelReference, settings: Settings, *, settled: bool = True) -> Provider:
    """Build the provider a reference names.

    Args:
        reference: The model.
        settings: The configuration.
        settled: Whether it must be there; one that is to be fetched is not yet.

    Raises:
        InputError: The reference is malformed, or a bare name has no default model.
        NotConfigured: The provider lacks its key, address or package.
        TrackingError: The registry that a reference to a registered version stands in cannot be asked.
    """
    parsed = parse_reference(reference) if isinstance(reference, str) else reference
    cls = provider_class(parsed.provider)
    model = parsed.model or default_model(cls, settings)
    if model is None and cls.default_model_variable is not None:
        raise NotConfigured(
            f"{cls.display_name} has no default model: set {cls.default_model_variable}, or write "
            f"{parsed.provider}:MODEL.",
            provider=cls.name,
        )
    if model is None:
        raise InputError(
            f"{cls.display_name} has no default model; write {parsed.provider}:MODEL "
            f"(`{program_name()} models` lists them)."
        )
    provider = cls.of(model, settings)
    if settled:
        provider.settle()
    return provider


def default_model(cls: type[Provider], settings: Settings) -> str | None:
    """Return the model a bare provider name means.

    It is what `LLMFLOWLAB_<NAME>_MODEL` names, else what the vendor's own variable names, else the
    class's own.
    """
    variables = (f"LLMFLOWLAB_{cls.name.upper()}_MODEL", cls.default_model_variable)
    named = (settings.get(variable) for variable in variables if variable)
    return next((name for name in named if name), cls.default_model)
