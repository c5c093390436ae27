"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from llmflowlab.errors import TrackingError

__all__ = ["whole_file", "write_document"]


@contextmanager
def whole_file(file: Path, encoding: str = "utf-8") -> Iterator[TextIO]:
    """Open a file for writing text; it appears under its name when the block has ended well.

    Raises:
        TrackingError: It cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=file.name, suffix=".part")
        try:
            # Half of a surrogate pair, which UTF-8 has no form for, must not cost the whole file.
            with os.fdopen(handle, "w", encoding=encoding, errors="replace", newline="") as out:
                yield out
                out.flush()
                os.fsync(out.fileno())
            Path(name).replace(file)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as exc:
        raise TrackingError(
            f"{file} cannot be written ({exc.strerror}). Name another folder with --output; the "
            "answers themselves are kept."
        ) from exc


def write_document(text: str, file: Path) -> None:
    """Write a JSON document, whole or not at all."""
    with whole_file(file) as out:
        out.write(text + "\n")
