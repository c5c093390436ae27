"""Showing an answer while it comes: raw text line by line, or Markdown in a terminal.

In a terminal each block of Markdown is printed once, as soon as it is complete; only the unfinished
end is redrawn, and never more of it than the window holds, so long answers neither flicker nor lose
lines. The answer goes to standard output, reasoning and waits to standard error.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

from llmflowlab.asking.calling import WaitNotice
from llmflowlab.cli.chat.blocks import BlockSplitter, PieceCleaner
from llmflowlab.cli.chat.waiting_sign import WaitingSign
from llmflowlab.cli.formatting import count, plural
from llmflowlab.cli.ui.screen import Screen
from llmflowlab.lab.chat_events import (
    ChatNotice,
    ExchangesDropped,
    Guarded,
    PromptMoved,
    PromptShortened,
    RequestChanged,
)
from llmflowlab.providers.base import ReasoningDelta, Rethought, StreamEvent, TextDelta

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.live import Live
    from rich.segment import Segment

__all__ = ["MarkdownView", "PlainView", "SilentView", "wait_text"]

_REPAINT_SECONDS = 0.06
_RETHOUGHT = "What stands above was the model's thinking; its answer follows."


def wait_text(notice: WaitNotice, display_name: str) -> str:
    """Say why and how long a call waits before it is tried again."""
    what = {
        "rate_limited": "allows no more requests for the moment",
        "overloaded": "is busy",
        "cannot_connect": "cannot be reached",
        "timed_out": "did not answer in time",
    }.get(notice.error.reason, "failed")
    status = "" if notice.error.status is None else f" ({notice.error.status})"
    pause = f"{notice.seconds:.1f} s" if notice.seconds < 10 else f"{notice.seconds:.0f} s"
    return (
        f"{display_name} {what}{status}; trying again in {pause}, "
        f"try {notice.next_try} of {notice.max_tries} ... (Ctrl-C gives up)"
    )


def notice_text(notice: ChatNotice) -> str:
    """Say what is worth knowing of a turn beside its answer."""
    if isinstance(notice, ExchangesDropped):
        what = plural(notice.number, "oldest exchange")
        window = "the model's window" if notice.window is None else f"{count(notice.window)} tokens"
        return f"(dropped the {what} to fit {window})"
    if isinstance(notice, PromptShortened):
        return (
            "(the server shortened the conversation to fit its window, so that the model read only a "
            "part of it; a larger num_ctx helps: set LLMFLOWLAB_OLLAMA_NUM_CTX)"
        )
    if isinstance(notice, PromptMoved):
        return f"({notice.asked} is {notice.reference} now; a new session begins, the conversation goes on)"
    if isinstance(notice, RequestChanged | Guarded):
        return f"({notice.sentence})"
    return "The model is registered already: this session becomes a run, not a new version."


class SilentView:
    """Shows nothing but the waits: for JSON output."""

    def __init__(self, screen: Screen, display_name: str) -> None:
        self._screen = screen
        self._name = display_name

    def event(self, event: StreamEvent) -> None:
        pass

    def wait(self, notice: WaitNotice) -> None:
        self._screen.note(wait_text(notice, self._name))

    def notice(self, notice: ChatNotice) -> None:
        self._screen.note(notice_text(notice))

    def close(self) -> None:
        pass


class PlainView(SilentView):
    """Writes the text as it comes, made harmless, and nothing else to standard output.

    Args:
        screen: For waits and thinking.
        display_name: The provider's name.
        thinking: Show the model's thinking as it comes.
    """

    def __init__(self, screen: Screen, display_name: str, *, thinking: bool = False) -> None:
        super().__init__(screen, display_name)
        self._text = PieceCleaner()
        self._reasoning = _ReasoningLine(screen) if thinking else None
        self._at_line_start = True

    def event(self, event: StreamEvent) -> None:
        if isinstance(event, ReasoningDelta):
            self._end_line()
            if self._reasoning is not None:
                self._reasoning.write(event.text)
        elif isinstance(event, TextDelta):
            self._end_reasoning()
            shown = self._text.clean(event.text)
            if shown:
                sys.stdout.write(shown)
                sys.stdout.flush()
                self._at_line_start = shown.endswith("\n")
        elif isinstance(event, Rethought):
            self._end_line()
            self._screen.note(_RETHOUGHT)

    def close(self) -> None:
        self._end_reasoning()
        self._end_line()

    def _end_reasoning(self) -> None:
        if self._reasoning is not None:
            self._reasoning.end()

    def _end_line(self) -> None:
        if not self._at_line_start:
            sys.stdout.write("\n")
            sys.stdout.flush()
            self._at_line_start = True


class _ReasoningLine:
    """The model's reasoning, dim, on standard error."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._cleaner = PieceCleaner()
        self._open = False

    def write(self, piece: str) -> None:
        shown = self._cleaner.clean(piece)
        if not self._open:
            shown = "[thinking] " + shown.lstrip()
            self._open = True
        self._screen.trickle(shown)

    def end(self) -> None:
        if self._open:
            self._open = False
            self._screen.trickle("\n")


class MarkdownView:
    """Renders Markdown live; see the module's docstring.

    Args:
        screen: For waits.
        display_name: The provider's name.
        console: Where the answer is drawn.
        sign: Shown until something of the answer is there; None for none.
        thinking: Show the model's thinking as it comes, where the sign says else that it thinks.
    """

    def __init__(
        self,
        screen: Screen,
        display_name: str,
        console: Console,
        *,
        sign: WaitingSign | None = None,
        thinking: bool = False,
    ) -> None:
        self._sign = sign
        if sign is not None:
            sign.start()
        self._screen = screen
        self._name = display_name
        self._console = console
        self._cleaner = PieceCleaner()
        self._reasoning = _ReasoningLine(screen) if thinking else None
        self._splitter = BlockSplitter()
        self._live: Live | None = None
        self._painter: _Painter | None = None
        self._printed = False
        self._drawing = threading.Lock()

    def event(self, event: StreamEvent) -> None:
        if isinstance(event, ReasoningDelta):
            self._think(event.text)
        elif isinstance(event, TextDelta):
            self._end_waiting()
            self._end_reasoning()
            self._text(self._cleaner.clean(event.text))
        elif isinstance(event, Rethought):
            self._end_waiting()
            self._commit()
            self._screen.note(_RETHOUGHT)

    def _think(self, piece: str) -> None:
        if self._reasoning is not None:
            self._end_waiting()
            self._commit()
            self._reasoning.write(piece)
            return
        self._commit()
        if self._sign is not None:
            self._sign.start(doing="is thinking")

    def wait(self, notice: WaitNotice) -> None:
        self._end_waiting()
        self._screen.note(wait_text(notice, self._name))
        if self._sign is not None:
            self._sign.start()

    def notice(self, notice: ChatNotice) -> None:
        # Some come while the answer is awaited, some after it.
        waiting = self._end_waiting()
        self._screen.note(notice_text(notice))
        if waiting and self._sign is not None:
            self._sign.start()

    def close(self) -> None:
        self._end_waiting()
        self._end_reasoning()
        self._commit()

    def _end_reasoning(self) -> None:
        if self._reasoning is not None:
            self._reasoning.end()

    def _end_waiting(self) -> bool:
        return self._sign is not None and self._sign.stop()

    def _text(self, text: str) -> None:
        # The painter must not redraw between a block's leaving the end and its being printed.
        with self._drawing:
            for block in self._splitter.feed(text):
                self._print(block)
            if self._painter is None:
                self._open_live()
            else:
                self._painter.dirty.set()

    def _open_live(self) -> None:
        from rich.live import Live

        self._live = Live(
            _Tail(self),
            console=self._console,
            auto_refresh=False,
            transient=True,
            vertical_overflow="visible",
        )
        self._live.start(refresh=True)
        self._painter = _Painter(self._live, self._drawing)
        self._painter.start()

    def _print(self, block: str) -> None:
        """Print a finished block, above the live end where there is one."""
        if self._printed:
            self._console.print()
        self._console.print(_Block(block))
        self._printed = True

    def _commit(self) -> None:
        """Print the unfinished end for good and take the live display down."""
        if self._painter is not None and self._live is not None:
            self._painter.stop()
            self._live.stop()
            self._painter = self._live = None
        left = self._splitter.close().strip("\n")
        if left.strip():
            self._print(left)

    def tail_lines(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the last lines of the unfinished end that fit into the window."""
        from rich.segment import Segment

        tail = self._splitter.tail
        if not tail.strip():
            return
        lines = markdown_lines(tail, console, options)
        if self._printed:
            yield Segment.line()
        for line in lines[-max(console.height - 3, 1) :]:
            yield from line
            yield Segment.line()


class _Tail:
    """What rich redraws: always the view's present end."""

    def __init__(self, view: MarkdownView) -> None:
        self._view = view

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from self._view.tail_lines(console, options)


class _Painter(threading.Thread):
    """Redraws when something changed, a few times a second at the most."""

    def __init__(self, live: Live, drawing: threading.Lock) -> None:
        super().__init__(name="markdown-painter", daemon=True)
        self.dirty = threading.Event()
        self._drawing = drawing
        self._live = live
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.wait(_REPAINT_SECONDS):
            if self.dirty.is_set():
                self.dirty.clear()
                with self._drawing:
                    self._live.refresh()

    def stop(self) -> None:
        self._stopped.set()
        self.join()


class _Block:
    """A finished block, without the blank lines that rich sets around some kinds of blocks."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.segment import Segment

        for line in markdown_lines(self._text, console, options):
            yield from line
            yield Segment.line()


def markdown_lines(text: str, console: Console, options: ConsoleOptions) -> list[list[Segment]]:
    """Render Markdown that cannot hide where a link leads; no blank line comes first or last."""
    from rich.markdown import Markdown

    lines = console.render_lines(Markdown(text, hyperlinks=False), options, pad=False)
    filled = [n for n, line in enumerate(lines) if any(part.text.strip() for part in line)]
    return lines[filled[0] : filled[-1] + 1] if filled else []
