"""What a GGUF file says of itself, read from its first kilobytes.

The form is that of ggml's page "GGUF" (docs/gguf.md), versions 2 and 3. Reading ends at the first key
of the tokenizer: its lists are long, and what is asked here stands before them.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

__all__ = ["NotGguf", "Paper", "read_paper"]

_MAGIC = b"GGUF"
_VERSIONS = frozenset({2, 3})
_TEXT, _LIST = 8, 9
_FORMATS = dict(zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True))
_MOST_KEYS = 10_000
_LONGEST = 1 << 20
_FILE_TYPES = {
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    7: "Q8_0",
    8: "Q5_0",
    9: "Q5_1",
    10: "Q2_K",
}
_FILE_TYPES |= {11: "Q3_K_S", 12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S"}
_FILE_TYPES |= {17: "Q5_K_M", 18: "Q6_K", 32: "BF16"}
"""The commonest of llama.cpp's `llama_ftype`."""


class NotGguf(ValueError):
    """The file is no GGUF file, or one that is broken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """A model as its file describes it; None means that it does not say."""

    architecture: str | None
    size: str | None
    """Parameters, as in `135M`."""
    quantization: str | None
    """As in `Q4_1`."""
    trained_window: int | None
    """Tokens."""
    embeds: bool
    """Whether it makes vectors of texts and no answers."""


def read_paper(file: Path) -> Paper:
    """Read a file's description.

    Raises:
        NotGguf: It is no GGUF file.
        OSError: It cannot be read.
    """
    with file.open("rb") as opened:
        try:
            found = _keys(opened)
        except (struct.error, UnicodeDecodeError, KeyError, OverflowError) as exc:
            raise NotGguf(f"{file.name} is broken") from exc
    family = _text(found.get("general.architecture"))
    window = found.get(f"{family}.context_length")
    return Paper(
        architecture=family,
        size=_text(found.get("general.size_label")),
        quantization=_FILE_TYPES.get(found.get("general.file_type", -1)),
        trained_window=window if isinstance(window, int) and window > 0 else None,
        # Files of embedding models say how the vectors of tokens become one; 0 means not at all.
        embeds=bool(found.get(f"{family}.pooling_type")),
    )


def _keys(file: BinaryIO) -> Mapping[str, Any]:
    if file.read(4) != _MAGIC or _number(file, "I") not in _VERSIONS:
        raise NotGguf("it does not begin as GGUF files do")
    _tensors, keys = _number(file, "Q"), _number(file, "Q")
    found: dict[str, Any] = {}
    for _ in range(min(keys, _MOST_KEYS)):
        name = _string(file)
        if name.startswith("tokenizer."):
            break
        found[name] = _value(file, _number(file, "I"))
    return found


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == _TEXT:
        return _string(file)
    if kind == _LIST:
        inner, count = _number(file, "I"), _number(file, "Q")
        if count > _LONGEST:
            raise NotGguf("a list in it is too long")
        return [_value(file, inner) for _ in range(count)]
    return _number(file, _FORMATS[kind])


def _string(file: BinaryIO) -> str:
    length = _number(file, "Q")
    if length > _LONGEST:
        raise NotGguf("a text in it is too long")
    return file.read(length).decode("utf-8", errors="replace")


def _number(file: BinaryIO, kind: str) -> Any:
    form = f"<{kind}"
    return struct.unpack(form, file.read(struct.calcsize(form)))[0]


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
