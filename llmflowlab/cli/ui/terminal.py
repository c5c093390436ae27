"""The screen in a terminal: questionary's menus, rich's tables, colours."""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeVar, cast

import questionary
from prompt_toolkit.application import Application
from prompt_toolkit.filters import is_done
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent, merge_key_bindings
from prompt_toolkit.layout import ConditionalContainer, HSplit, Layout, Window
from prompt_toolkit.layout.controls import FormattedTextControl
from questionary.prompts.common import InquirerControl

from llmflowlab.cli.formatting import shortened
from llmflowlab.cli.ui.colour import Palette
from llmflowlab.cli.ui.keys import in_foreground
from llmflowlab.cli.ui.leaving import with_ways_out
from llmflowlab.cli.ui.live_table import LineDisplay, table_display
from llmflowlab.cli.ui.screen import (
    Choice,
    EndOfInput,
    LiveDisplay,
    Progress,
    StatusSource,
    Table,
    Tone,
    line_numbers,
)
from llmflowlab.cli.ui.wrapping import wrapped
from llmflowlab.settings import Settings
from llmflowlab.text.sanitize import neutralise

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["TerminalScreen"]

T = TypeVar("T")

_FILTER_FROM = 12
"""Menus at least this long can be narrowed by typing."""

_READABLE = 12
"""Columns of a terminal that a text in a table needs at least; it goes on in the next line."""

_STYLE = questionary.Style(
    [
        ("qmark", "fg:ansicyan bold"),
        ("question", "bold"),
        ("answer", "fg:ansicyan"),
        ("pointer", "fg:ansicyan bold"),
        ("highlighted", "fg:ansicyan bold"),
        ("disabled", "fg:ansibrightblack"),
        ("separator", "bold"),
        ("hint", "fg:ansibrightblack"),
        ("status-plain", ""),
        ("status-quiet", "fg:ansibrightblack"),
        ("status-good", "fg:ansigreen"),
        ("status-warning", "fg:ansiyellow"),
        ("status-heading", "fg:ansicyan bold"),
    ]
)


class TerminalScreen:
    """Menus with arrow keys."""

    plain = False

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._out = Palette(settings, sys.stdout)
        self._err = Palette(settings, sys.stderr)

    def console(self, *, stderr: bool = False) -> Console:
        """Return a rich console on standard output or error."""
        from rich.console import Console

        no_color = True if self._settings.get("NO_COLOR") else None
        return Console(stderr=stderr, highlight=False, no_color=no_color)

    def say(self, text: str = "", *, tone: Tone = "plain") -> None:
        sys.stdout.write(self._out.paint(wrapped(text), tone) + "\n")
        sys.stdout.flush()

    def note(self, text: str) -> None:
        self._error_line(text, "quiet")

    def warn(self, text: str) -> None:
        self._error_line(text, "warning")

    def _error_line(self, text: str, tone: Tone) -> None:
        sys.stdout.flush()
        sys.stderr.write(self._err.paint(wrapped(text), tone) + "\n")
        sys.stderr.flush()

    def trickle(self, piece: str) -> None:
        sys.stderr.write(self._err.paint(piece, "quiet"))
        sys.stderr.flush()

    def table(self, table: Table) -> None:
        width = shutil.get_terminal_size().columns
        if _least_width(table) > width:
            self._stacked(table)
            return
        from rich import box
        from rich.table import Table as RichTable
        from rich.text import Text

        drawn = RichTable(
            title=Text(table.title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False
        )
        for index, column in enumerate(table.columns):
            number = index in table.numbers
            drawn.add_column(
                Text(column),
                justify="right" if number else "left",
                no_wrap=number,
                overflow="fold",
            )
        for r, row in enumerate(table.rows):
            drawn.add_row(
                *(_cell(cell, marked=(r, c) in table.marked) for c, cell in enumerate(row))
            )
        self.console().print(drawn)
        self._remarks(table)

    def _stacked(self, table: Table) -> None:
        """Print a table that is too wide as blocks, a row each: its numbers are never cut."""
        self.say(table.title, tone="heading")
        for r, row in enumerate(table.rows):
            for c, (column, cell) in enumerate(zip(table.columns, row, strict=True)):
                mark = " ★" if (r, c) in table.marked else ""
                indent = "  " if c else ""
                self.say(f"{indent}{column}: {'unknown' if cell is None else cell}{mark}")
        self._remarks(table)

    def _remarks(self, table: Table) -> None:
        for remark in table.remarks("★"):
            self.say(remark, tone="quiet")

    def select(
        self,
        message: str,
        choices: Sequence[Choice[T]],
        *,
        default: T | None = None,
        status: StatusSource | None = None,
        numbered: bool = False,
    ) -> T:
        numbers = line_numbers(len(choices), zero_last=True)
        offered = [
            _offered(choice, f"{number} {choice.title}" if numbered else choice.title)
            for number, choice in zip(numbers, choices, strict=True)
        ]
        long = len(offered) >= _FILTER_FROM
        chosen = next(
            (o for o, c in zip(offered, choices, strict=True) if c.value == default), None
        )
        question = questionary.select(
            neutralise(message),
            offered,
            default=chosen if default is not None else None,
            qmark="›",
            pointer="❯",
            style=_STYLE,
            instruction="(type to narrow the list)" if long else " ",
            use_search_filter=long,
            use_jk_keys=not long,
        )
        if numbered:
            _add_number_keys(question, numbers)
        with _live_status(question, status):
            (answer,) = self._ask(question)
        return cast("Choice[T]", answer).value

    def checkbox(
        self, message: str, choices: Sequence[Choice[T]], *, default: Sequence[T] = ()
    ) -> list[T]:
        offered: list[questionary.Choice] = []
        for group, members in groupby(choices, key=lambda choice: choice.group):
            if group:
                offered.append(questionary.Separator(f"{group}:"))
            for choice in members:
                taken = choice.value in default and choice.disabled is None
                offered.append(_offered(choice, choice.title, checked=taken))
        question = questionary.checkbox(
            neutralise(message),
            offered,
            qmark="›",
            pointer="❯",
            style=_STYLE,
            instruction="(space marks, Enter goes on)",
        )
        return [cast("Choice[T]", choice).value for (choice,) in self._ask(question)]

    def text(
        self,
        message: str,
        *,
        default: str = "",
        check: Callable[[str], str | None] | None = None,
    ) -> str:
        def validate(typed: str) -> bool | str:
            wrong = check(typed.strip()) if check else None
            return True if wrong is None else wrapped(neutralise(wrong))

        question = questionary.text(
            neutralise(message),
            default=neutralise(default, keep=""),
            qmark="›",
            style=_STYLE,
            validate=validate,
        )
        return str(self._ask(question)).strip()

    def confirm(self, message: str, *, default: bool = False) -> bool:
        question = questionary.confirm(
            neutralise(message), default=default, qmark="›", style=_STYLE
        )
        return bool(self._ask(question))

    def _ask(self, question: questionary.Question) -> Any:
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            return with_ways_out(question).unsafe_ask()
        except EOFError as exc:
            raise EndOfInput from exc

    @contextmanager
    def progress(self, title: str) -> Iterator[Progress]:
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn
        from rich.progress import Progress as RichProgress

        bar = RichProgress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            console=self.console(stderr=True),
            transient=True,
        )
        with bar:
            task = bar.add_task(neutralise(title), total=None)

            class Shown:
                def update(
                    self, text: str, completed: float | None = None, total: float | None = None
                ) -> None:
                    bar.update(
                        task, description=neutralise(text), completed=completed or 0, total=total
                    )

            yield Shown()

    @contextmanager
    def live(self) -> Iterator[LiveDisplay]:
        console = self.console(stderr=True)
        if not console.is_terminal or not in_foreground():
            yield LineDisplay(self.note)
            return
        with table_display(console) as display:
            yield display


def _offered(choice: Choice[Any], title: str, *, checked: bool = False) -> questionary.Choice:
    """Make a line of a menu that fits into the window, so that it is not cut without a sign."""
    width = max(shutil.get_terminal_size().columns - 8, 20)
    shown = shortened(title, width)
    reason = choice.disabled and shortened(choice.disabled, max(width - len(shown), 10))
    # questionary takes a value of None for "same as the title".
    return questionary.Choice(shown, value=(choice,), disabled=reason, checked=checked)


def _least_width(table: Table) -> int:
    """Return the columns of a terminal in which no number of the table is cut and texts stay readable."""
    total = 0
    for c, column in enumerate(table.columns):
        cells = (
            len(row[c] or "unknown") + 2 * ((r, c) in table.marked)
            for r, row in enumerate(table.rows)
        )
        widest = max(len(column), *cells) if table.rows else len(column)
        total += widest if c in table.numbers else min(widest, _READABLE)
    return total + 3 * len(table.columns)


def _cell(cell: str | None, *, marked: bool) -> Any:
    from rich.text import Text

    if cell is None:
        return Text("unknown", style="dim")
    return Text(f"{cell} ★", style="bold green") if marked else Text(cell)


def _add_number_keys(question: questionary.Question, numbers: Sequence[int]) -> None:
    """Let the keys of one digit take the menu's lines."""
    control = _menu_control(question)
    bindings = KeyBindings()

    def bind(index: int, key: str) -> None:
        @bindings.add(key, eager=True)
        def take(event: KeyPressEvent) -> None:
            control.pointed_at = index
            if control.is_selection_valid():
                control.is_answered = True
                event.app.exit(result=control.get_pointed_at().value)

    for index, number in enumerate(numbers):
        if number < 10:
            bind(index, str(number))
    own = question.application.key_bindings
    question.application.key_bindings = merge_key_bindings([own, bindings] if own else [bindings])


def _menu_control(question: questionary.Question) -> InquirerControl:
    controls = question.application.layout.find_all_controls()
    return next(control for control in controls if isinstance(control, InquirerControl))


@contextmanager
def _live_status(question: questionary.Question, status: StatusSource | None) -> Iterator[None]:
    """Show a status above the menu and redraw it from a thread as it changes."""
    if status is None:
        yield
        return
    application = question.application
    before = application.layout

    def fragments() -> StyleAndTextTuples:
        lines = status.lines(application.output.get_size().columns - 1)
        return [(f"class:status-{tone}", neutralise(line) + "\n") for tone, line in lines]

    above = ConditionalContainer(
        Window(FormattedTextControl(fragments), dont_extend_height=True), filter=~is_done
    )
    application.layout = Layout(
        HSplit([above, before.container]), focused_element=before.current_window
    )
    closed, drawn = threading.Event(), threading.Event()
    application.after_render += lambda _: drawn.set()

    def redraw() -> None:
        # What looks imports a lot; the menu is drawn with the processor to itself.
        drawn.wait()
        while not closed.is_set() and not status.settled:
            status.wait(0.2)
            _invalidate(application)
            # Once a look is late, `wait` returns at once; what it finds is shown all the same.
            closed.wait(0.2)
        _invalidate(application)

    threading.Thread(target=redraw, name="menu-status", daemon=True).start()
    try:
        yield
    finally:
        closed.set()
        drawn.set()


def _invalidate(application: Application[Any]) -> None:
    """Have a prompt drawn anew, from another thread."""
    # It may be answered between its look at its loop and its use of it; then nothing is drawn any more.
    with suppress(RuntimeError, AttributeError):
        application.invalidate()
