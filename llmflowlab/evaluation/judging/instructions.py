"""Judges described by a text file: the support desk's seven, and the user's own.

A file begins with lines `key: value` (`version`, `scale`, `title`), then an empty line, then the
instructions, in which `{{question}}`, `{{answer}}`, `{{expected}}`, `{{context}}` and
`{{guidelines}}` stand for the row's own. A file of nothing but instructions is a yes/no judge.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from llmflowlab.errors import InputError
from llmflowlab.evaluation.judging.rendering import placeholders
from llmflowlab.evaluation.judging.verdict_form import Scale

__all__ = ["Instructions", "parse_instructions", "read_instructions", "shipped"]

FIELDS = ("question", "answer", "expected", "context", "guidelines")
"""What instructions may ask for, under these names."""
_SCALES: dict[str, Scale] = {"yes/no": "yes_no", "yes_no": "yes_no", "1-5": "grade"}
_HEAD = re.compile(r"(version|scale|title):\s*(.*)", re.IGNORECASE)
_MOST = 100_000
"""Characters of an instruction file; more is a mistaken file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instructions:
    """What a judge is told."""

    text: str
    scale: Scale = "yes_no"
    version: str = "1"
    title: str = ""
    """What it asks, in a few words."""

    @property
    def needs(self) -> set[str]:
        return placeholders(self.text)


def parse_instructions(text: str, *, source: str) -> Instructions:
    """Read instructions.

    Args:
        text: Content of the file.
        source: Its name, for messages.

    Raises:
        InputError: A line, scale or placeholder is not known, or no answer is asked about.
    """
    head: dict[str, str] = {}
    lines = text.removeprefix("\ufeff").splitlines()
    while lines and (match := _HEAD.fullmatch(lines[0].strip())):
        head[match.group(1).lower()] = match.group(2).strip()
        lines.pop(0)
    body = "\n".join(lines).strip()
    scale = head.get("scale", "yes/no").lower()
    if scale not in _SCALES:
        raise InputError(f"{source}: the scale {scale!r} is not known; write yes/no or 1-5.")
    found = Instructions(
        text=body,
        scale=_SCALES[scale],
        version=head.get("version", "1"),
        title=head.get("title", ""),
    )
    if unknown := sorted(found.needs - set(FIELDS)):
        raise InputError(
            f"{source}: {{{{{unknown[0]}}}}} is no field of a row; there are "
            f"{', '.join('{{' + name + '}}' for name in FIELDS)}."
        )
    if "answer" not in found.needs:
        raise InputError(
            f"{source}: the instructions never show the answer; write {{{{answer}}}} where it belongs."
        )
    return found


def read_instructions(path: Path) -> Instructions:
    """Read a user's own judge.

    Raises:
        InputError: The file cannot be read, or not as instructions.
    """
    try:
        text = path.expanduser().read_text(encoding="utf-8")
    except UnicodeDecodeError as exc:
        raise InputError(f"{path.name} is no UTF-8 text; save it as UTF-8.") from exc
    except OSError as exc:
        raise InputError(f"{path} cannot be read ({exc.strerror}); name an existing file.") from exc
    if len(text) > _MOST:
        raise InputError(f"{path.name} is too long for instructions ({len(text):,} characters).")
    return parse_instructions(text, source=path.name)


@cache
def shipped(name: str) -> Instructions:
    """Return the instructions of a judge that comes with the lab."""
    file = resources.files(__package__).joinpath("instructions", f"{name}.txt")
    return parse_instructions(file.read_text(encoding="utf-8"), source=file.name)
