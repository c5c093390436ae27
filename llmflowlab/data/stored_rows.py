"""Rows of a large benchmark, kept in a file instead of in memory."""

from __future__ import annotations

import pickle
import tempfile
import threading
import weakref
from array import array
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import overload

from llmflowlab.data.rows import Row

__all__ = ["StoredRows", "kept_rows"]

_FEW = 2_000
"""Rows that are kept in memory: a file costs more than it saves."""
_PAGE = 64
"""Rows that are read together."""
_HELD = 4
"""Pages in memory."""


def kept_rows(rows: Iterable[Row]) -> Sequence[Row]:
    """Return rows in memory where they are few, in a file where they are many or go on for long."""
    rest = iter(rows)
    first = tuple(islice(rest, _FEW + 1))
    if len(first) <= _FEW:
        return first
    try:
        return StoredRows(chain(first, rest))
    except OSError:
        # No room for a file: then memory must do.
        return rows if isinstance(rows, tuple) else (*first, *rest)


class StoredRows(Sequence[Row]):
    """Rows in a file without a name, which goes when nobody uses it; safe to read from many threads.

    Raises:
        OSError: The file cannot be written.
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed when it is let go
        weakref.finalize(self, self._file.close)
        self._starts = array("Q", [0])
        self._count = 0
        self._pages: OrderedDict[int, tuple[Row, ...]] = OrderedDict()
        self._lock = threading.Lock()
        rest = iter(rows)
        while page := tuple(islice(rest, _PAGE)):
            self._file.write(pickle.dumps(page, pickle.HIGHEST_PROTOCOL))
            self._starts.append(self._file.tell())
            self._count += len(page)
        self._file.flush()

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, place: int) -> Row: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[Row, ...]: ...

    def __getitem__(self, place: int | slice) -> Row | tuple[Row, ...]:
        if isinstance(place, slice):
            return tuple(self[i] for i in range(*place.indices(self._count)))
        at = place + self._count if place < 0 else place
        if not 0 <= at < self._count:
            raise IndexError(place)
        return self._page(at // _PAGE)[at % _PAGE]

    def __iter__(self) -> Iterator[Row]:
        for number in range(len(self._starts) - 1):
            yield from self._page(number)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or len(other) != self._count:
            return NotImplemented
        return all(own == its for own, its in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment] # as rows themselves

    def _page(self, number: int) -> tuple[Row, ...]:
        with self._lock:
            page = self._pages.pop(number, None)
            if page is None:
                start = self._starts[number]
                self._file.seek(start)
                # Our own bytes, from a file that nobody else can open.
                page = pickle.loads(self._file.read(self._starts[number + 1] - start))  # noqa: S301 - its own, unnamed file
            self._pages[number] = page
            if len(self._pages) > _HELD:
                self._pages.popitem(last=False)
            return page
