"""Prompts while the registry is away: each is remembered as it was when it was last loaded."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from llmflowlab.errors import TrackingError
from llmflowlab.files import exclusive, write_atomically
from llmflowlab.prompts.prompt_registry import RegisteredPrompt, load_prompt
from llmflowlab.prompts.prompt_template import PromptTemplate
from llmflowlab.settings import Settings
from llmflowlab.text.digests import digest_of
from llmflowlab.tracking.store import open_store, safe_uri

__all__ = ["find_prompt"]

_FILE = "prompts.json"


def find_prompt(settings: Settings, reference: str) -> tuple[RegisteredPrompt, str | None]:
    """Return a prompt as the registry has it, else as it was last known, and what to say of that.

    Raises:
        InputError: There is no such prompt or version, or it cannot be used.
        TrackingError: The registry cannot be asked, and the prompt was never loaded here.
    """
    file = settings.state_dir / _FILE
    key = digest_of([settings.tracking_uri, reference])
    try:
        found = load_prompt(open_store(settings), reference)
    except TrackingError as exc:
        known = _read(file).get(key)
        if known is None:
            raise
        prompt = _from_json(known)
        return prompt, (
            f"The prompt registry at {safe_uri(settings.tracking_uri)} cannot be asked; going on with "
            f"{prompt.reference}, the version of {reference} that was known last. ({exc.message})"
        )
    _remember(settings, file, key, asdict(found))
    return found, None


def _remember(settings: Settings, file: Path, key: str, values: dict[str, Any]) -> None:
    """Keep it; a home that takes nothing is said by whoever needs it more."""
    if _read(file).get(key) == json.loads(json.dumps(values)):
        return
    try:
        with exclusive(settings, _FILE):
            kept = {**_read(file), key: values}
            write_atomically(file, json.dumps(kept, ensure_ascii=False).encode())
    except (OSError, TrackingError):
        return


def _read(file: Path) -> dict[str, Any]:
    try:
        kept = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def _from_json(values: dict[str, Any]) -> RegisteredPrompt:
    def template(name: str) -> PromptTemplate:
        return PromptTemplate(tuple((role, text) for role, text in values[name]["parts"]))

    return RegisteredPrompt(
        **{
            **values,
            "written": template("written"),
            "template": template("template"),
            "included": tuple(values["included"]),
            "aliases": tuple(values["aliases"]),
        }
    )
