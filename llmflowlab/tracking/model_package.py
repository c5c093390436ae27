"""What is logged as a registered chat model: code, never a pickle, and never a key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["CHAT_EXAMPLE", "ModelPackage"]

CHAT_EXAMPLE: Mapping[str, Any] = {
    "messages": [{"role": "user", "content": "In one sentence: what can you help with?"}],
    "max_tokens": 256,
}
"""Input example of chat models; the ceiling leaves room for a model that thinks first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPackage:
    """The code behind every chat model; `llmflowlab.agents.package` makes it."""

    code_path: Path
    """The file that defines the model (models from code)."""
    package_path: Path | None
    """The package it imports, which travels with the model; None where `requirements` name it."""
    left_out: frozenset[str] = frozenset()
    """Folders of the package that the model does not need."""
    requirements: tuple[str, ...] = ()
    """Distributions every model needs; pinned to what is installed when the model is logged."""
    provider_requirements: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Distributions one provider needs beside them."""
