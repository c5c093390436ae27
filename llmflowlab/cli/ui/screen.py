"""The contract of a screen and the values it shows.

Every mode is written against `Screen`, so that the same flow runs with arrow keys in a terminal and
line by line in a pipe. Texts may come from anywhere: none of them controls the terminal, for what is
shown as a value loses that power here, and every line in `Palette.paint`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Generic, Literal, Protocol, TypeAlias, TypeVar

from llmflowlab.text.sanitize import neutralise

__all__ = [
    "Choice",
    "EndOfInput",
    "GoBack",
    "LiveDisplay",
    "Progress",
    "Screen",
    "StatusSource",
    "Table",
    "Tone",
    "line_numbers",
]


T = TypeVar("T")

Tone: TypeAlias = Literal["plain", "quiet", "good", "warning", "heading"]


class EndOfInput(Exception):
    """Standard input ended, or Ctrl-D was pressed: everything in progress is finished and the lab leaves with code 0."""


class GoBack(KeyboardInterrupt):
    """Esc in a question: one step back, where Ctrl-C gives all of them up."""


@dataclass(frozen=True)
class Choice(Generic[T]):
    """One line of a menu."""

    title: str
    value: T
    names: tuple[str, ...] = ()
    """Further names by which it can be taken when it is typed."""
    disabled: str | None = None
    """Why it cannot be taken; shown beside it."""
    group: str = ""
    """In a checkbox: the heading that it stands under with its neighbours of the same."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "title", neutralise(self.title, keep=""))
        if self.disabled is not None:
            object.__setattr__(self, "disabled", neutralise(self.disabled, keep=""))


def line_numbers(count: int, *, zero_last: bool) -> list[int]:
    """Return the numbers of a menu's lines, from 1 on.

    Args:
        count: How many there are.
        zero_last: The last of more than nine is 0: a key, wherever further lines come to stand.
    """
    numbers = list(range(1, count + 1))
    return [*numbers[:-1], 0] if zero_last and count > 9 else numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of finished texts; a `None` cell means unknown."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | None, ...], ...]
    numbers: frozenset[int] = frozenset()
    """Indices of the columns that are set flush right."""
    marked: frozenset[tuple[int, int]] = frozenset()
    """Cells (row, column) that stand out: the winners."""
    mark_means: str = ""
    """What it says of a cell that it stands out; told under the table where one does."""
    notes: tuple[str, ...] = field(default=())
    """Lines under the table."""

    def __post_init__(self) -> None:
        for name in ("title", "mark_means"):
            object.__setattr__(self, name, neutralise(getattr(self, name)))
        for name in ("columns", "notes"):
            object.__setattr__(self, name, tuple(map(neutralise, getattr(self, name))))
        cells = tuple(
            tuple(None if cell is None else neutralise(cell) for cell in row) for row in self.rows
        )
        object.__setattr__(self, "rows", cells)

    def remarks(self, mark: str) -> tuple[str, ...]:
        """Return the lines under the table, with what the mark of a winner means."""
        explained = self.marked and self.mark_means
        return (*([f"{mark} {self.mark_means}"] if explained else []), *self.notes)


class StatusSource(Protocol):
    """Lines that change while a menu is open."""

    def lines(self, width: int) -> list[tuple[Tone, str]]:
        """Return the lines as they are now, none wider than `width` columns."""
        ...

    @property
    def settled(self) -> bool:
        """Whether the lines will not change any more."""
        ...

    def wait(self, seconds: float) -> None:
        """Return once something may have changed, after `seconds` at the latest."""
        ...


class Progress(Protocol):
    """A running display of something that takes its time."""

    def update(self, text: str, completed: float | None = None, total: float | None = None) -> None:
        """Show what is happening and, where it is known, how far it is."""
        ...


class LiveDisplay(Protocol):
    """A table that is kept up to date on standard error, and the keys pressed meanwhile."""

    every: float
    """Seconds between two showings that make sense here."""

    def show(self, table: Table, lines: Sequence[str]) -> None:
        """Show the table, or, where nothing can be redrawn, those lines that are new."""
        ...

    def keys(self) -> str:
        """Return the keys pressed since the last call; none where nobody sits before it."""
        ...


class Screen(Protocol):
    """Asks questions and shows values.

    Questions raise `GoBack` on Esc, `KeyboardInterrupt` on Ctrl-C, and `EndOfInput` on Ctrl-D and when
    standard input has ended.
    Answers go to standard output; notes and warnings go to standard error.
    """

    plain: bool

    def say(self, text: str = "", *, tone: Tone = "plain") -> None:
        """Print a line on standard output."""
        ...

    def note(self, text: str) -> None:
        """Print a quiet line on standard error."""
        ...

    def warn(self, text: str) -> None:
        """Print a line that asks for attention on standard error."""
        ...

    def trickle(self, piece: str) -> None:
        """Write a piece of a quiet text on standard error, without ending the line."""
        ...

    def table(self, table: Table) -> None:
        """Print a table on standard output."""
        ...

    def select(
        self,
        message: str,
        choices: Sequence[Choice[T]],
        *,
        default: T | None = None,
        status: StatusSource | None = None,
        numbered: bool = False,
    ) -> T:
        """Ask for one of the choices.

        Args:
            message: The question.
            choices: At least one that is not disabled.
            default: The value pointed at first, and taken by an empty line.
            status: Lines above the menu, kept up to date while it is open.
            numbered: Show numbers in a terminal too, and take their keys; the last of more than nine
                is 0.
        """
        ...

    def checkbox(
        self, message: str, choices: Sequence[Choice[T]], *, default: Sequence[T] = ()
    ) -> list[T]:
        """Ask for any number of the choices."""
        ...

    def text(
        self,
        message: str,
        *,
        default: str = "",
        check: Callable[[str], str | None] | None = None,
    ) -> str:
        """Ask for a line of text; `check` returns what is wrong with it, or None."""
        ...

    def confirm(self, message: str, *, default: bool = False) -> bool:
        """Ask yes or no."""
        ...

    def progress(self, title: str) -> AbstractContextManager[Progress]:
        """Show progress on standard error while the block runs."""
        ...

    def live(self) -> AbstractContextManager[LiveDisplay]:
        """Show a table that changes while the block runs."""
        ...
