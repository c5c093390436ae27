"""What leads from one of MLflow's pages to another, in the tags and words that MLflow itself writes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from llmflowlab.candidate import Candidate

__all__ = [
    "LINKS_TO_PROMPTS",
    "LOGGED_MODELS",
    "NOTE",
    "candidate_note",
    "linked_prompt",
    "note_of",
    "prompt_tag",
]

NOTE = "mlflow.note.content"
"""Tag of a run or a logged model that MLflow's pages show as its description."""
LOGGED_MODELS = "logged models"
LINKS_TO_PROMPTS = "links from traces to prompts"
_NOTE_LENGTH = 5000
"""Characters that every store of MLflow takes in a tag."""
_SHOWN = 500
"""Characters of a system prompt in a description."""
_LINKED_PROMPTS = "mlflow.linkedPrompts"


def note_of(text: str) -> dict[str, str]:
    """Return the tag that holds a description in Markdown; what is too long ends at a line's end."""
    if len(text) > _NOTE_LENGTH:
        kept = text[: _NOTE_LENGTH - 2]
        text = kept[: kept.rfind("\n") + 1] + "…"
    return {NOTE: text}


def candidate_note(candidate: Candidate) -> str:
    """Return who answers, as a description: MLflow's pages cut the names of runs short."""
    given = candidate.parameters.given().items()
    parts = [
        f"`{candidate.model}` ({candidate.supplier})",
        *([f"prompt `{candidate.prompt}`"] if candidate.prompt else []),
        *([candidate.variant] if candidate.variant else []),
        *(f"{name.replace('_', ' ')} {value}" for name, value in given),
    ]
    note = " · ".join(parts)
    if candidate.system:
        told = " ".join(candidate.system.split())
        note += f"\n\n> {told if len(told) <= _SHOWN else told[: _SHOWN - 1] + '…'}"
    return note


def prompt_tag(prompt: str | None) -> dict[str, str]:
    """Return the tag by which a run, a logged model or a trace names its prompt of the registry.

    Args:
        prompt: `NAME@VERSION`; None where there is none.
    """
    if prompt is None:
        return {}
    name, _, version = prompt.rpartition("@")
    return {_LINKED_PROMPTS: json.dumps([{"name": name, "version": version}])}


@dataclass(frozen=True, slots=True)
class _PromptName:
    name: str
    version: int


def linked_prompt(prompt: str) -> Any:
    """Return what MLflow's stores need of a prompt's version to link it: its name and number."""
    name, _, version = prompt.rpartition("@")
    return _PromptName(name, int(version))
