"""The models that the providers can reach, asked of all of them at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from llmflowlab.errors import LabError, TimedOut
from llmflowlab.lab.labels import LABELS
from llmflowlab.providers.base import ModelInfo
from llmflowlab.settings import Settings

__all__ = ["Listing", "list_models"]


@dataclass(frozen=True, slots=True)
class Listing:
    """What one provider answered."""

    provider: str
    models: tuple[ModelInfo, ...]
    default: str | None
    """The model that the provider's bare name means."""
    error: LabError | None = None


def list_models(settings: Settings, providers: Sequence[str], *, deadline: float) -> list[Listing]:
    """Ask each provider for its models, all at the same time.

    Args:
        settings: The configuration.
        providers: Their names.
        deadline: Seconds after which a provider that has not answered is given up.

    Returns:
        A listing for each provider, in the order given; what the lab foresees going wrong is in it.
    """
    found: dict[str, Listing] = {}
    unforeseen: list[BaseException] = []

    def ask(name: str) -> None:
        try:
            found[name] = _ask(name, settings)
        except BaseException as exc:  # noqa: BLE001
            # Not handled here: carried over to the caller's thread, and raised there.
            unforeseen.append(exc)

    threads = [
        threading.Thread(target=ask, args=(name,), name=f"models-{name}", daemon=True)
        for name in providers
    ]
    for thread in threads:
        thread.start()
    end = time.monotonic() + deadline
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    if unforeseen:
        raise unforeseen[0]
    return [found.get(name) or _late(name, deadline) for name in providers]


def _ask(name: str, settings: Settings) -> Listing:
    from llmflowlab.providers.factory import default_model, provider_class

    default: str | None = None
    try:
        cls = provider_class(name)
        default = default_model(cls, settings)
        # Listing needs no model, but every provider is one model's; any name serves.
        provider = cls(default or "any", settings)
        try:
            models = tuple(provider.list_models())
        finally:
            provider.close()
    except LabError as exc:
        return Listing(name, (), default, exc)
    return Listing(name, models, default)


def _late(name: str, deadline: float) -> Listing:
    error = TimedOut(
        f"{LABELS[name]} did not list its models within {deadline:g} s; try again later.",
        provider=name,
    )
    return Listing(name, (), None, error)
