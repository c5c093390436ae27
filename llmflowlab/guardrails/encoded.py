"""Runs of base64 and hex, decoded once, within bounds."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

__all__ = ["decoded_runs"]

_RUN = re.compile(
    r"(?<![\w+/=-])(?:[A-Za-z0-9+/]{16,4096}|[A-Za-z0-9_-]{16,4096})={0,2}(?![\w+/=-])"
)
_LEAST = 16
_PAIRS = 10
_HEX_CUE = re.compile(r"[ :](?<=[0-9a-fA-F]{2}.)[0-9a-fA-F]{2}[ :][0-9a-fA-F]{2}[ :]")
_HEX = re.compile(r"(?:\\x[0-9a-fA-F]{2}){8,2048}|(?:[0-9a-fA-F]{2}[ :]){11,1024}[0-9a-fA-F]{2}")


def decoded_runs(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield what runs of letters stand for, where that is a text, and where they stand."""
    words = text.split()
    lengths = [*map(len, words)]
    end = 0
    for word in [word for word in words if len(word) >= _LEAST]:
        start = text.index(word, end)
        end = start + len(word)
        for match in _RUN.finditer(text, start, end):
            plain = _decoded(match[0].rstrip("="))
            if plain is not None:
                yield plain, match.start(), match.end()
    # Of twelve pairs ten are words, or at either side of a colon.
    pairs = lengths.count(2) + 2 * text.count(":")
    if "\\x" in text or (pairs >= _PAIRS and _HEX_CUE.search(text)):
        for match in _HEX.finditer(text):
            plain = _text(bytes.fromhex(re.sub(r"\\x|[ :]", "", match[0])))
            if plain is not None:
                yield plain, match.start(), match.end()


def _decoded(run: str) -> str | None:
    """Return what a run stands for; None where that is no text."""
    if len(run) % 2 == 0 and re.fullmatch(r"[0-9a-fA-F]+", run):
        plain = _text(bytes.fromhex(run))
        if plain is not None:
            return plain
    return _from_base64(run)


def _from_base64(run: str) -> str | None:
    padded = run.replace("-", "+").replace("_", "/") + "=" * (-len(run) % 4)
    try:
        return _text(base64.b64decode(padded, validate=True))
    except (binascii.Error, ValueError):
        return None


def _text(data: bytes) -> str | None:
    """Return bytes as a text; None where they are none."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    # Bytes that happen to be a text are hardly ever words.
    odd = sum(not (char.isalnum() or char.isspace() or char.isprintable()) for char in text)
    return None if odd else text
