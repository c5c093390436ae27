"""Damage that one text shows by itself."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator

from llmflowlab.data.logic import SAYS_LITTLE

__all__ = ["damage", "leaks"]

_CONTROLS = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
_SUSPICIOUS = re.compile(r"[^\t\n\r -~]|&(?:[a-zA-Z]{2,8}|#\d+|#[xX][0-9a-fA-F]+);")
_CONTROL = re.compile(rf"[{_CONTROLS}]")
_INVISIBLE = re.compile("[\u200b\u2060\ufeff\u202a-\u202e\u2066-\u2069\u00ad]")
_ENTITY = re.compile(r"&(?:[a-zA-Z]{2,8}|#\d+|#[xX][0-9a-fA-F]+);")
_FOREIGN = re.compile(r"[^\x00-\x7f]{2,}")
_CHOICE = re.compile(r"\b(?:or|oder|ou|oppure)\b|(?:^|\s)\(?[A-Ea-e1-5][).:]\s", re.MULTILINE)
_QUOTED = re.compile(r"[\"“„«‘']([^\"”“»’']+)[\"”“»’']")


def damage(text: str) -> Iterator[str]:
    """Yield what is wrong with the characters of a text, each as the end of a sentence."""
    if not _SUSPICIOUS.search(text):
        return
    if "\ufffd" in text:
        yield "holds U+FFFD, the mark of a character that was lost"
    for run in _FOREIGN.findall(text):
        if (repaired := _misread(run)) is not None:
            yield f"holds {run!r}, which looks like {repaired!r} read in the wrong encoding"
            break
    found = _CONTROL.search(text)
    # Windows-1252 marks read as Latin-1 land among the control characters too.
    if found:
        yield f"holds the control character U+{ord(found[0]):04X}"
    found = _INVISIBLE.search(text)
    if found:
        yield f"holds the invisible character U+{ord(found[0]):04X}"
    for entity in _ENTITY.findall(text):
        if html.unescape(entity) != entity:
            yield f"holds {entity!r}, which is HTML for {html.unescape(entity)!r}"
            break


def _misread(run: str) -> str | None:
    """Return what a run of letters was before UTF-8 was read as something else."""
    for encoding in ("cp1252", "latin-1", "cp1251"):
        try:
            repaired = run.encode(encoding).decode("utf-8")
        except UnicodeError:
            continue
        if repaired != run and not any(unicodedata.category(c) in {"Cc", "Cn"} for c in repaired):
            return repaired
    return None


def leaks(question: str, answer: str, words: tuple[str, ...]) -> bool:
    """Say whether an answer that stands in its question gives something away.

    Not so for numbers, truth values and answers of up to three letters, which stand there by chance; for
    questions that offer a choice; and for texts in quotation marks, which are what the task is about.

    Args:
        question: As it stands.
        answer: As it stands.
        words: Those of the answer.
    """
    unspaced = any("\u3040" <= w <= "\u9fff" for w in words)
    letters = sum(sum(c.isalpha() for c in w) for w in words)
    if letters < (2 if unspaced else 4) or _CHOICE.search(question):
        return False
    if len(words) == 1 and words[0] in SAYS_LITTLE:
        return False
    return not any(answer.casefold() in quoted.casefold() for quoted in _QUOTED.findall(question))
