"""The files of the starting set, read as its page says, without the room that reads them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

__all__ = ["FILES", "POLICY", "front_matter", "messages"]

FOLDER = Path(__file__).parents[2] / "llmflowlab" / "prompts" / "starting_set"
FILES = {file.stem: file for file in sorted(FOLDER.glob("support_*.md"))}


def _parts(name: str) -> tuple[str, str]:
    empty, matter, body = FILES[name].read_text(encoding="utf-8").split("---\n", 2)
    assert empty == ""
    return matter, body.strip()


def front_matter(name: str) -> dict[str, Any]:
    found = yaml.safe_load(_parts(name)[0])
    assert isinstance(found, dict)
    return found


def messages(name: str) -> list[tuple[str, str]]:
    """Role and text of each message, includes not resolved; a text alone is a user's."""
    body = _parts(name)[1]
    before, *rest = re.split(r"^\[(system|user|assistant)\]$", body, flags=re.MULTILINE)
    if not rest:
        return [("user", body)]
    assert before == ""
    return [(role, text.strip()) for role, text in zip(rest[::2], rest[1::2], strict=True)]


POLICY = _parts("support_policy")[1]
