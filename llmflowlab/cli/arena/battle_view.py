"""Two answers beside each other while they come: side by side in a wide terminal, else one under the other."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from llmflowlab.asking.calling import WaitNotice
from llmflowlab.cli.chat.blocks import PieceCleaner
from llmflowlab.cli.chat.stream import markdown_lines, wait_text
from llmflowlab.cli.ui.keys import KeyReader, keys_of_terminal
from llmflowlab.cli.ui.screen import EndOfInput, GoBack, Screen
from llmflowlab.cli.ui.terminal import TerminalScreen
from llmflowlab.lab.fight import PLACES, BattleView, Place
from llmflowlab.providers.base import ReasoningDelta, Rethought, StreamEvent, TextDelta

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.live import Live
    from rich.panel import Panel

__all__ = ["battle_view", "show_answers"]

_REPAINT_SECONDS = 0.08
_SIDE_BY_SIDE = 100
"""Columns from which two answers stand beside each other."""
_TITLES: dict[Place, str] = {"left": "← left", "right": "right →"}
_ESCAPE, _END = "\x1b", "\x04"


def battle_view(screen: Screen) -> BattleView:
    """Return what shows a battle on this screen."""
    return _BattlePanels(screen) if isinstance(screen, TerminalScreen) else _BattleLines(screen)


def show_answers(screen: Screen, left: str, right: str) -> None:
    """Show two finished answers again."""
    view = battle_view(screen)
    for place, text in zip(PLACES, (left, right), strict=True):
        view.event(place, TextDelta(text))
        view.ended(place)
    view.close()


class _Answers:
    """What has come so far, unable to control the terminal."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self.text: dict[Place, str] = {"left": "", "right": ""}
        self.state: dict[Place, str] = {"left": "waits", "right": "waits"}
        self._cleaners = {place: PieceCleaner() for place in PLACES}

    def begin(self, number: int, prompt: str) -> None:
        self.screen.say(f"Battle {number}", tone="heading")
        self.screen.say(prompt)

    def take(self, place: Place, event: StreamEvent) -> str:
        """Take a piece in; returns what is to be shown of it."""
        if isinstance(event, TextDelta):
            piece = self._cleaners[place].clean(event.text)
            self.text[place] += piece
            self.state[place] = "answers"
            return piece
        if isinstance(event, ReasoningDelta):
            self.state[place] = "thinks"
        elif isinstance(event, Rethought):
            # What came before was thinking, which is no part of what is compared.
            self.text[place] = ""
        return ""

    def wait(self, place: Place, notice: WaitNotice) -> None:
        self.screen.note(wait_text(notice, f"The {place} model"))


class _BattleLines(_Answers):
    """Line by line: the left answer as it comes, the right one after it."""

    def __init__(self, screen: Screen) -> None:
        super().__init__(screen)
        self._over: set[Place] = set()
        self._line = dict.fromkeys(PLACES, "")

    def event(self, place: Place, event: StreamEvent) -> None:
        self._line[place] += self.take(place, event)

    def ended(self, place: Place) -> None:
        self._over.add(place)
        if place == "left" or "left" in self._over:
            self._show(place)
        if place == "left" and "right" in self._over:
            self._show("right")

    def _show(self, place: Place) -> None:
        self.screen.say(f"{_TITLES[place]}:", tone="heading")
        self.screen.say(self.text[place] or "(no answer)")

    def tick(self) -> None:
        pass

    def close(self) -> None:
        pass


class _BattlePanels(_Answers):
    """In a terminal: the ends of both answers while they come, and then the whole of both."""

    def __init__(self, screen: TerminalScreen) -> None:
        super().__init__(screen)
        self._console = screen.console()
        self._painted = 0.0
        self._open = ExitStack()
        self._live: Live | None = None
        self._keys: KeyReader = lambda: ""

    def begin(self, number: int, prompt: str) -> None:
        from rich.live import Live

        super().begin(number, prompt)
        self._keys = self._open.enter_context(keys_of_terminal())
        self._live = Live(
            self._both(),
            console=self._console,
            auto_refresh=False,
            transient=True,
            vertical_overflow="crop",
        )
        self._open.enter_context(self._live)
        # rich hides it, and a program that is killed could not bring it back.
        self._console.show_cursor(True)

    def event(self, place: Place, event: StreamEvent) -> None:
        self.take(place, event)
        self._paint()

    def ended(self, place: Place) -> None:
        self.state[place] = "ended"
        self._paint(now=True)

    def tick(self) -> None:
        self._paint()

    def _paint(self, *, now: bool = False) -> None:
        if self._live is None or not (now or time.monotonic() - self._painted > _REPAINT_SECONDS):
            return
        pressed = self._keys()
        if _END in pressed:
            raise EndOfInput
        if _ESCAPE in pressed:
            raise GoBack
        self._live.update(self._both(), refresh=True)
        self._painted = time.monotonic()

    def close(self) -> None:
        self._open.close()
        self._live = None
        self._console.print(self._both(whole=True))

    def _both(self, *, whole: bool = False) -> RenderableType:
        from rich.console import Group
        from rich.table import Table

        wide = self._console.width >= _SIDE_BY_SIDE
        room = max(self._console.height - 4, 6) // (1 if wide else 2) - 2
        panels = [self._panel(place, None if whole else max(room, 1)) for place in PLACES]
        if not wide:
            return Group(*panels)
        grid = Table.grid(expand=True)
        grid.add_column(ratio=1)
        grid.add_column(ratio=1)
        grid.add_row(*panels)
        return grid

    def _panel(self, place: Place, lines: int | None) -> Panel:
        from rich.panel import Panel
        from rich.text import Text

        title = Text(_TITLES[place], style="bold")
        if lines is not None and self.state[place] != "ended":
            title.append(f" {self.state[place]} …", style="dim")
        return Panel(_Lines(self.text[place], lines), title=title, title_align="left")


class _Lines:
    """An answer as Markdown; only its last lines where there is no room for all."""

    def __init__(self, text: str, most: int | None) -> None:
        self._text, self._most = text, most

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.segment import Segment

        lines = markdown_lines(self._text, console, options.update(height=None))
        for line in lines if self._most is None else lines[-self._most :]:
            yield from line
            yield Segment.line()
