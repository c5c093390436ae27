"""Brings a model to where its provider looks for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from llmflowlab.lab.lab import Lab
from llmflowlab.providers.base import PullProgress
from llmflowlab.providers.factory import PROVIDERS

__all__ = ["fetch_model", "to_fetch"]


def to_fetch(name: str | None) -> str:
    """Return the reference of what a person wants fetched: a file's name means provider `local`."""
    if name is None:
        return "local"
    return name if ":" in name or name in PROVIDERS else f"local:{name}"


def fetch_model(lab: Lab, reference: str) -> Iterator[PullProgress]:
    """Download a model where its provider can, saying how far it is.

    Raises:
        InputError: The reference is malformed, or names nothing that can be had.
        ConfigurationError: Its provider downloads nothing, or what it needs is not set up.
        ProviderError: The download failed.
    """
    with closing(lab.provider(reference, settled=False)) as provider:
        yield from provider.pull()
        lab.look_again(provider.name)
