"""What a file is that is taken for a benchmark and is none."""

from __future__ import annotations

import re

__all__ = ["what_else"]

_EXPORT = "export it as CSV, JSON Lines or Parquet first"
_UNPACK = "unpack it first"

_SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (b"version https://git-lfs.github.com/spec/", "a Git LFS pointer", "run git lfs pull"),
    (b"/annex/objects/", "a git-annex pointer", "run git annex get"),
    (b"\xd0\xcf\x11\xe0", "an old Excel file", "save it as .xlsx or CSV first"),
    (b"\x1f\x8b", "a gzip archive", _UNPACK),
    (b"BZh", "a bzip2 archive", _UNPACK),
    (b"\xfd7zXZ\x00", "an xz archive", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", _UNPACK),
    (b"7z\xbc\xaf", "a 7-Zip archive", _UNPACK),
    (b"Rar!", "a RAR archive", _UNPACK),
    (b"%PDF", "a PDF", _EXPORT),
    (b"{\\rtf", "an RTF document", _EXPORT),
    (b"SQLite format 3\x00", "an SQLite database", _EXPORT),
    (b"ARROW1\x00", "an Arrow file", "write it as Parquet first"),
    (b"\x93NUMPY", "a NumPy array", _EXPORT),
    (b"\x89HDF", "an HDF5 file", _EXPORT),
    (b"\x89PNG", "an image", _EXPORT),
    (b"\xff\xd8\xff", "an image", _EXPORT),
    (b"GIF8", "an image", _EXPORT),
    (b"\x80\x04\x95", "a Python pickle", _EXPORT),
    (b"\x80\x05\x95", "a Python pickle", _EXPORT),
)
_PAGE = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<!--.*?-->\s*)?<(?:!doctype\s+html|html|head|body)\b", re.I | re.S
)
_XML = re.compile(rb"(?:\xef\xbb\xbf)?\s*<\?xml\b", re.I)


_OBJECT = re.compile(rb"""(?:\xef\xbb\xbf)?\s*(?:\[\s*)?\{\s*"[^"\n]{1,100}"\s*:""")
_MARKDOWN = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*[^\n]*\|[^\n]*\r?\n\s*\|?\s*:?-{3,}:?\s*\|[\s|:-]*(?:\n|$)"
)
_DELIMITED = re.compile(
    rb"""(?:\xef\xbb\xbf)?\s*[^\s\[{"'\d-][^\n\[\]{}:]*[,;\t|][^\n\[\]{}:]*\r?\n"""
)


def what_else(content: bytes, *, delimited: bool = False, json: bool = False) -> str | None:
    """Return what the content is and what to do, as the end of a sentence; None if it may be rows.

    Args:
        content: The file's bytes.
        delimited: Whether the file's ending promises delimited text.
        json: Whether it promises JSON.
    """
    start = content[:4096]
    for signature, what, remedy in _SIGNATURES:
        if start.startswith(signature):
            return f"{what}: {remedy}"
    if _PAGE.match(start):
        return "a web page, not the file: download the file itself (its raw link)"
    if _XML.match(start):
        return f"an XML document: {_EXPORT}"
    if delimited and _OBJECT.match(start):
        return "JSON: let its name end in .json or .jsonl"
    if delimited and _MARKDOWN.match(start):
        return f"a Markdown table: {_EXPORT}"
    if json and _DELIMITED.match(start):
        return "delimited text, not JSON: let its name end in .csv or .tsv"
    return None
