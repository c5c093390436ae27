"""What travels with every agent: the lab's own code, and what it needs pinned to what is installed."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Literal, TypeAlias

import llmflowlab
from llmflowlab.providers.factory import PROVIDERS, provider_class
from llmflowlab.tracking.model_package import ModelPackage

__all__ = ["AgentKind", "package"]

AgentKind: TypeAlias = Literal["chat", "panel", "json", "responses"]

_FILES: dict[AgentKind, str] = {
    "chat": "chat_agent.py",
    "panel": "panel_agent.py",
    "json": "json_agent.py",
    "responses": "responses_agent.py",
}
_NEEDED = ("mlflow", "python-dotenv")
# Screens, evaluation and the lab's memory are no part of a model.
_LEFT_OUT = frozenset(
    {"cli", "service", "lab", "people", "history", "evaluation", "statistics", "data"}
)


def package(kind: AgentKind = "chat") -> ModelPackage:
    """Return an agent's code and what it needs; imports no SDK.

    The package itself travels with the model, unless it was installed from an index, as any other
    requirement that a serving machine can install by name.
    """
    here = Path(__file__).resolve().parent
    root = Path(llmflowlab.__file__).resolve().parent
    named = _installed_requirement(root)
    return ModelPackage(
        code_path=here / _FILES[kind],
        package_path=None if named else root,
        left_out=_LEFT_OUT,
        requirements=(*_NEEDED, *([named] if named else [])),
        provider_requirements={
            **{name: provider_class(name).requirements for name in PROVIDERS},
            "guardrails": ("phonenumbers", "regex"),
        },
    )


def _installed_requirement(root: Path) -> str | None:
    """Return the distribution's name where an index has it; None for a checkout or a local file."""
    try:
        found = distribution("llmflowlab")
    except PackageNotFoundError:
        return None
    # Written by installers for everything that did not come from an index, editable installs too.
    local = found.read_text("direct_url.json") is not None
    return None if local or Path(str(found.locate_file("llmflowlab"))) != root else "llmflowlab"
