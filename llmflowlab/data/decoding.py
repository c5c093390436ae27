"""The text of a file in whatever encoding people save it."""

from __future__ import annotations

import codecs

from llmflowlab.errors import DatasetError

__all__ = ["decode"]

_BOMS = (
    # UTF-32's little-endian mark begins with UTF-16's.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# What spreadsheets and editors save as; a wider choice makes short files be taken for rarities.
_PLAUSIBLE = [
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257"),
    *("shift_jis", "euc_jp", "gb18030", "big5", "euc_kr", "koi8_r", "mac_roman"),
]
_GUESSED_BYTES = 200_000


def decode(content: bytes, *, file: str) -> tuple[str, tuple[str, ...]]:
    """Return a file's text and a warning where its encoding had to be guessed.

    Raises:
        DatasetError: It is no text in any encoding that is tried.
    """
    marked = next((encoding for bom, encoding in _BOMS if content.startswith(bom)), None)
    encoding = marked or _unmarked_utf16(content) or "utf-8"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as exc:
        if encoding != "utf-8":
            reason = f"is not valid {encoding.upper()} (byte {exc.start}); save it as UTF-8."
            raise DatasetError(reason, file=file) from exc
        _refuse_damaged_utf8(content, exc.start, file)
    else:
        guessed = marked is None and encoding != "utf-8"
        return text, (_guess_warning(file, encoding),) if guessed else ()
    guess = _guess(_around_non_ascii(content))
    try:
        if guess is not None:
            return content.decode(guess), (_guess_warning(file, guess),)
    except UnicodeDecodeError:
        # The part that was looked at fits this encoding, the whole does not.
        pass
    raise DatasetError("is no text in a known encoding; save it as UTF-8.", file=file)


def _refuse_damaged_utf8(content: bytes, at: int, file: str) -> None:
    # Other encodings seldom look like UTF-8 at all; mostly-UTF-8 read as one of them is garbage.
    text = content.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    if sum(not char.isascii() for char in text) - broken >= 3 * broken:
        line = content.count(b"\n", 0, at) + 1
        raise DatasetError("has a byte that is not UTF-8; save it again.", file=file, line=line)


def _guess(content: bytes) -> str | None:
    # Imported here: nearly every file is UTF-8.
    from charset_normalizer import from_bytes

    best: tuple[float, float, int] | None = None
    for match in from_bytes(content, cp_isolation=_PLAUSIBLE):
        # Equal texts are one match; where several fit equally well, the commonest encoding wins.
        names = {match.encoding, *match.could_be_from_charset}
        common = next(i for i, name in enumerate(_PLAUSIBLE) if name in names)
        fit = (round(match.chaos, 2), -round(match.coherence, 1), common)
        best = fit if best is None else min(best, fit)
    return None if best is None else _PLAUSIBLE[best[2]]


def _unmarked_utf16(content: bytes) -> str | None:
    # Latin text in UTF-16 has a NUL in every other byte, which is valid but senseless UTF-8.
    start = content[:4096]
    even, odd = start[::2].count(0), start[1::2].count(0)
    if odd > len(start) // 5 and even == 0:
        return "utf-16-le"
    if even > len(start) // 5 and odd == 0:
        return "utf-16-be"
    return None


def _around_non_ascii(content: bytes) -> bytes:
    """Return the part of a large file that tells its encoding, in bounded time."""
    if len(content) <= _GUESSED_BYTES:
        return content
    lines = [line for line in content.split(b"\n") if not line.isascii()]
    return b"\n".join(lines)[:_GUESSED_BYTES]


def _guess_warning(file: str, encoding: str) -> str:
    return (
        f"{file} is not UTF-8; it was read as {encoding}. Save it as UTF-8 if letters look wrong."
    )
