"""A small table that is kept up to date: redrawn in place in a terminal, line by line elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from llmflowlab.cli.ui.keys import KeyReader, keys_of_terminal
from llmflowlab.cli.ui.screen import Table

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live

__all__ = ["LineDisplay", "TableDisplay", "layout", "table_display"]

_NARROWEST = 8
"""Characters of the first column that stay, however narrow the window."""
_GAP = "  "


class LineDisplay:
    """Prints lines, each once; for everything that is no terminal.

    Args:
        print_line: Where they go.
    """

    every = 5.0

    def __init__(self, print_line: Callable[[str], None]) -> None:
        self._print = print_line
        self._shown: set[str] = set()

    def show(self, table: Table, lines: Sequence[str]) -> None:
        for line in lines:
            if line not in self._shown:
                self._print(line)
        self._shown = set(lines)

    def keys(self) -> str:
        return ""


class TableDisplay:
    """Redraws a table on standard error; made by `table_display`."""

    every = 0.25

    def __init__(self, live: Live, console: Console, read: KeyReader) -> None:
        self._live = live
        self._console = console
        self._read = read

    def show(self, table: Table, lines: Sequence[str]) -> None:
        from rich.console import Group
        from rich.text import Text

        width, height = self._console.size
        drawn = layout(table, width - 1)
        room = max(height - 4 - len(table.notes), 1)
        if len(table.rows) > room:
            drawn = [*drawn[: room + 1], f"and {len(table.rows) - room + 1} more"]
        styles = ["bold cyan", "bold", *[""] * (len(drawn) - 2), *["dim"] * len(table.notes)]
        texts = [
            Text(text, style=style, no_wrap=True, overflow="ellipsis")
            for text, style in zip([*drawn, *table.notes], styles, strict=True)
        ]
        self._live.update(Group(*texts), refresh=True)

    def keys(self) -> str:
        return self._read()


@contextmanager
def table_display(console: Console) -> Iterator[TableDisplay]:
    """Show a table while the block runs; it is wiped away afterwards."""
    from rich.live import Live

    live = Live(console=console, auto_refresh=False, transient=True, vertical_overflow="crop")
    with keys_of_terminal() as read, live:
        # rich hides it, and a program that is killed could not bring it back.
        console.show_cursor(True)
        yield TableDisplay(live, console, read)


def layout(table: Table, width: int) -> list[str]:
    """Set a table, its title and its columns' names in lines of at most `width` characters.

    The first column gives way: its texts lose their middle. Where that is not enough, columns are left
    out from the last one on: numbers are never cut.
    """
    cells = [["unknown" if cell is None else cell for cell in row] for row in table.rows]
    widths = [max(map(len, column)) for column in zip(table.columns, *cells, strict=True)]
    while (others := sum(widths[1:]) + len(_GAP) * (len(widths) - 1)) > width - _NARROWEST:
        if len(widths) == 2:
            break
        widths.pop()
    widths[0] = max(min(widths[0], width - others), min(widths[0], _NARROWEST))

    def line(values: Sequence[str]) -> str:
        parts = [
            value.rjust(size) if index in table.numbers else value.ljust(size)
            for index, (value, size) in enumerate(zip(values, widths, strict=False))
        ]
        return _GAP.join(parts).rstrip()[:width]

    return [
        table.title[:width],
        line(table.columns),
        *(line([_squeezed(row[0], widths[0]), *row[1:]]) for row in cells),
    ]


def _squeezed(text: str, width: int) -> str:
    """Cut the middle out of a text: models of one provider differ in their ends."""
    if len(text) <= width:
        return text
    head = (width - 1) // 3
    return f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}"
