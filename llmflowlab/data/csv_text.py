"""Delimited text as people really save it: any usual encoding, delimiter and quoting."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator

from llmflowlab.data.columns import is_usual_name
from llmflowlab.errors import DatasetError

__all__ = ["decode", "read_csv"]

_DELIMITERS = (",", ";", "\t", "|")
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
_SNIFFED_RECORDS = 50
_SNIFFED_CHARS = 200_000
_GUESSED_BYTES = 200_000
_LONGEST_CELL = 2**31 - 1


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


def read_csv(
    content: bytes, *, file: str, tab: bool
) -> tuple[tuple[str, ...], list[tuple[int, dict[str, str]]], tuple[str, ...]]:
    """Read delimited text.

    Args:
        content: The file's bytes.
        file: Its name, for messages.
        tab: Whether its ending says that tabs delimit.

    Returns:
        Columns; rows as the physical line they begin on and their cells; warnings.

    Raises:
        DatasetError: The text, its header or a row is broken.
    """
    text, warnings = decode(content, file=file)
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        reason = "holds a NUL character; save the file as text again."
        raise DatasetError(reason, file=file, line=line)
    skipped = 0
    said = re.match(r'"?sep=(.)"?\r?\n', text, re.IGNORECASE)
    if said:
        # Excel's own way of naming the delimiter.
        text, skipped = text[said.end() :], 1
    quote = "'" if text.lstrip().startswith("'") and '"' not in text.split("\n", 1)[0] else '"'
    delimiter = said[1] if said else "\t" if tab else _delimiter(text, quote)
    csv.field_size_limit(_LONGEST_CELL)
    records = _records(text, delimiter, quote, file, skipped)
    header_line, header = next(records, (1, []))
    if not header:
        raise DatasetError("is empty; add a header line and at least one question.", file=file)
    columns = _columns(header, file, header_line)
    rows = [(line, _cells(cells, columns, len(header), file, line)) for line, cells in records]
    return columns, rows, warnings


def _records(
    text: str, delimiter: str, quote: str, file: str, skipped: int
) -> Iterator[tuple[int, list[str]]]:
    """Yield each record that is not blank with the physical line it begins on."""
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        quotechar=quote,
        skipinitialspace=True,
        strict=True,
    )
    while True:
        line = reader.line_num + 1 + skipped
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as exc:
            reason = f"the quoting is broken ({exc}); a {quote} inside a quoted text is doubled."
            raise DatasetError(reason, file=file, line=line) from exc
        if any(cell.strip() for cell in cells):
            yield line, cells


def _columns(header: list[str], file: str, line: int) -> tuple[str, ...]:
    names = [name.strip() for name in header]
    while names and not names[-1]:
        names.pop()
    named = tuple(name or f"column {i}" for i, name in enumerate(names, start=1))
    for name in named:
        if named.count(name) > 1:
            reason = f"the column {name!r} stands {named.count(name)} times; rename one."
            raise DatasetError(reason, file=file, line=line)
    return named


def _cells(
    cells: list[str], columns: tuple[str, ...], width: int, file: str, line: int
) -> dict[str, str]:
    beyond = any(cell.strip() for cell in cells[len(columns) :])
    if beyond or not len(columns) <= len(cells) <= width:
        raise DatasetError(
            f"found {len(cells)} cells, expected {len(columns)} as in the header; texts that hold "
            "the delimiter must be quoted.",
            file=file,
            line=line,
        )
    return dict(zip(columns, cells, strict=False))


def _delimiter(text: str, quote: str) -> str:
    """Return the delimiter under which the header makes most sense and the rows are most even."""

    def fit(delimiter: str) -> tuple[int, int, float]:
        reader = csv.reader(
            io.StringIO(text[:_SNIFFED_CHARS], newline=""),
            delimiter=delimiter,
            quotechar=quote,
            skipinitialspace=True,
        )
        counts: list[int] = []
        header: list[str] = []
        try:
            for cells in reader:
                if not any(cell.strip() for cell in cells):
                    continue
                header = header or cells
                counts.append(len(cells))
                if len(counts) == _SNIFFED_RECORDS:
                    break
        except csv.Error:
            return (0, 0, 0.0)
        width = len(header)
        even = sum(count == width for count in counts) / max(1, len(counts))
        return (sum(map(is_usual_name, header)), int(width > 1), even)

    # The first of equals wins: the comma.
    return max(_DELIMITERS, key=fit)


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
