"""What is logged as a registered chat model: code, never a pickle, and never a key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llmflowlab.tracking.records import Candidate

__all__ = ["CHAT_EXAMPLE", "ModelPackage", "candidate_digest", "model_config"]

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


def model_config(candidate: Candidate) -> dict[str, Any]:
    """Return what tells one candidate's model from another's."""
    parameters = {
        "temperature": candidate.temperature,
        "top_p": candidate.top_p,
        "max_tokens": candidate.max_tokens,
        "seed": candidate.seed,
    }
    config = {
        "provider": candidate.provider,
        "model": candidate.model_id,
        "system_prompt": candidate.system_prompt,
        "parameters": {name: value for name, value in parameters.items() if value is not None},
    }
    if candidate.prompt_version is not None:
        config["prompt"] = candidate.prompt_version
    # Named although it is the default: MLflow lets whoever loads a model change only what is there.
    return {**config, "tracing": True}


def candidate_digest(candidate: Candidate) -> str:
    """Return a digest that is the same for two sessions exactly when their models are."""
    config = {k: v for k, v in model_config(candidate).items() if k != "tracing"}
    text = json.dumps(config, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", errors="replace")).hexdigest()
