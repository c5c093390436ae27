"""The screen line by line: for pipes, dumb terminals and screen readers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from llmflowlab.cli.ui.colour import Palette
from llmflowlab.cli.ui.live_table import LineDisplay
from llmflowlab.cli.ui.screen import Choice, EndOfInput, StatusSource, Table, Tone, line_numbers
from llmflowlab.settings import Settings
from llmflowlab.text.sanitize import neutralise

__all__ = ["PlainScreen", "table_lines"]

T = TypeVar("T")

_STATUS_PATIENCE = 2.0
"""Seconds at the most to wait for a status, which cannot be updated once it is printed."""
_WIDTH = 100


class PlainScreen:
    """Numbered choices, taken by number or name; the end of input raises `EndOfInput`."""

    plain = True

    def __init__(self, settings: Settings) -> None:
        self._out = Palette(settings, sys.stdout)
        self._err = Palette(settings, sys.stderr)

    def say(self, text: str = "", *, tone: Tone = "plain") -> None:
        sys.stdout.write(self._out.paint(text, tone) + "\n")
        sys.stdout.flush()

    def note(self, text: str) -> None:
        self._error_line(text, "quiet")

    def warn(self, text: str) -> None:
        self._error_line(text, "warning")

    def _error_line(self, text: str, tone: Tone) -> None:
        sys.stdout.flush()
        sys.stderr.write(self._err.paint(text, tone) + "\n")
        sys.stderr.flush()

    def trickle(self, piece: str) -> None:
        sys.stderr.write(self._err.paint(piece, "quiet"))
        sys.stderr.flush()

    def table(self, table: Table) -> None:
        for line in table_lines(table):
            self.say(line)

    def select(
        self,
        message: str,
        choices: Sequence[Choice[T]],
        *,
        default: T | None = None,
        status: StatusSource | None = None,
        numbered: bool = False,
    ) -> T:
        if status is not None:
            self._show_status(status)
        open_choices = self._list(message, choices, zero_last=numbered)
        numbers = line_numbers(len(open_choices), zero_last=numbered)
        while True:
            typed = self.read_line("> ").strip()
            if not typed and default is not None:
                return default
            found = _find(typed, open_choices, numbers)
            if found is not None:
                return found.value
            self.warn(
                f"{typed!r} is none of these; type a number from {min(numbers)} to {max(numbers)} "
                "or a name."
            )

    def _show_status(self, status: StatusSource) -> None:
        if not status.settled:
            status.wait(_STATUS_PATIENCE)
        for tone, line in status.lines(_WIDTH):
            self.say(line, tone=tone)
        self.say()

    def _list(
        self,
        message: str,
        choices: Sequence[Choice[T]],
        marked: Sequence[T] = (),
        *,
        zero_last: bool = False,
    ) -> list[Choice[T]]:
        self.say(message)
        open_choices = [choice for choice in choices if choice.disabled is None]
        group = ""
        numbers = line_numbers(len(open_choices), zero_last=zero_last)
        for number, choice in zip(numbers, open_choices, strict=True):
            if choice.group != group:
                group = choice.group
                self.say(f" {group}:")
            self.say(f"  {number} {choice.title}{' *' if choice.value in marked else ''}")
        for choice in choices:
            if choice.disabled is not None:
                self.say(f"  - {choice.title}: {choice.disabled}", tone="quiet")
        return open_choices

    def checkbox(
        self, message: str, choices: Sequence[Choice[T]], *, default: Sequence[T] = ()
    ) -> list[T]:
        hint = "numbers or names, separated by commas"
        taken = "; Enter: those with *" if default else ""
        open_choices = self._list(f"{message} ({hint}{taken})", choices, default)
        while True:
            typed = self.read_line("> ").strip()
            if not typed:
                return list(default)
            parts = [part.strip() for part in typed.split(",") if part.strip()]
            numbers = line_numbers(len(open_choices), zero_last=False)
            found = [(part, _find(part, open_choices, numbers)) for part in parts]
            wrong = [part for part, choice in found if choice is None]
            if not wrong:
                values = [choice.value for _, choice in found if choice is not None]
                return [v for i, v in enumerate(values) if v not in values[:i]]
            self.warn(f"{wrong[0]!r} is none of these; type {hint}.")

    def text(
        self,
        message: str,
        *,
        default: str = "",
        check: Callable[[str], str | None] | None = None,
    ) -> str:
        suffix = f" [{default}]" if default else ""
        while True:
            typed = self.read_line(f"{message}{suffix}: ").strip() or default
            wrong = check(typed) if check else None
            if wrong is None:
                return typed
            self.warn(wrong)

    def confirm(self, message: str, *, default: bool = False) -> bool:
        hint = "Y/n" if default else "y/N"
        while True:
            typed = self.read_line(f"{message} ({hint}) ").strip().lower()
            if not typed:
                return default
            if typed in {"y", "yes"}:
                return True
            if typed in {"n", "no"}:
                return False
            self.warn(f"{typed!r} is neither yes nor no; type y or n.")

    def read_line(self, prompt: str) -> str:
        """Show a prompt and return the next line of standard input without its end.

        Raises:
            EndOfInput: There is none.
        """
        sys.stdout.write(neutralise(prompt))
        sys.stdout.flush()
        line = sys.stdin.readline()
        if prompt and not sys.stdin.isatty():
            # Nobody pressed Enter, so nothing else ends the prompt's line.
            sys.stdout.write("\n")
            sys.stdout.flush()
        if not line:
            raise EndOfInput
        return line.rstrip("\r\n")

    @contextmanager
    def progress(self, title: str) -> Iterator[PlainProgress]:
        self.note(f"{title} ...")
        yield PlainProgress(self)

    @contextmanager
    def live(self) -> Iterator[LineDisplay]:
        yield LineDisplay(self.note)


class PlainProgress:
    """Prints a line whenever the text changes or another tenth is done."""

    def __init__(self, screen: PlainScreen) -> None:
        self._screen = screen
        self._shown: tuple[str, int | None] | None = None

    def update(self, text: str, completed: float | None = None, total: float | None = None) -> None:
        tenth = None
        if completed is not None and total:
            tenth = int(10 * completed / total)
        if (text, tenth) == self._shown:
            return
        self._shown = (text, tenth)
        self._screen.note(text if tenth is None else f"{text}: {tenth * 10} %")


def _find(typed: str, choices: Sequence[Choice[T]], numbers: Sequence[int]) -> Choice[T] | None:
    """Return the choice meant by a number, a name, or the only beginning of a name that fits."""
    if typed.isdecimal() and int(typed) in numbers:
        return choices[numbers.index(int(typed))]
    wanted = typed.casefold()
    if not wanted:
        return None
    for number, choice in zip(numbers, choices, strict=True):
        names = {choice.title, f"{number} {choice.title}", *choice.names}
        if wanted in {name.casefold() for name in names}:
            return choice
    beginning = [
        choice
        for choice in choices
        if any(name.casefold().startswith(wanted) for name in (choice.title, *choice.names))
    ]
    return beginning[0] if len(beginning) == 1 else None


def table_lines(table: Table) -> list[str]:
    """Set a table in columns of plain text; winners carry an asterisk."""
    cells = [
        [
            ("unknown" if cell is None else cell) + (" *" if (r, c) in table.marked else "")
            for c, cell in enumerate(row)
        ]
        for r, row in enumerate(table.rows)
    ]
    widths = [max(map(len, column)) for column in zip(table.columns, *cells, strict=True)]

    def line(values: Sequence[str]) -> str:
        parts = [
            value.rjust(width) if index in table.numbers else value.ljust(width)
            for index, (value, width) in enumerate(zip(values, widths, strict=True))
        ]
        return "  ".join(parts).rstrip()

    lines = [table.title] if table.title else []
    lines += [line(table.columns), line(["-" * width for width in widths])]
    return [*lines, *(line(row) for row in cells), *table.remarks("*")]
