"""Judging at the keys: the terminal's whole window, one answer at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

from prompt_toolkit.application import Application
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.layout import Layout, Window
from prompt_toolkit.layout.controls import FormattedTextControl
from prompt_toolkit.styles import Style
from prompt_toolkit.utils import get_cwidth

from llmflowlab.cli.review.answer_view import (
    KEYS,
    asked_line,
    given_line,
    parts,
    progress_line,
    said_by_key,
)
from llmflowlab.errors import LabError
from llmflowlab.lab.review import Review
from llmflowlab.text.sanitize import neutralise

__all__ = ["ReviewPad", "folded"]

Handler: TypeAlias = Callable[[KeyPressEvent], None]
Left: TypeAlias = Literal["leave", "interrupted", "end", "comment"]

_CUT_AT = 5
"""Lines of a text beside the answer that stand there at first."""
_ESCAPE_SECONDS = 0.1
_STYLE = Style.from_dict(
    {
        "heading": "fg:ansicyan bold",
        "quiet": "fg:ansibrightblack",
        "asked": "bold",
        "warning": "fg:ansiyellow",
        "plain": "",
    }
)
_LEGEND = "  ".join(f"{key} {does}" for key, does in KEYS.items())


class ReviewPad:
    """Shows a review's answers and takes its keys.

    Args:
        review: The review.
        told: What stands there until the first key.
    """

    def __init__(self, review: Review, told: str = "") -> None:
        self._review = review
        self._top = 0
        self._below = 0
        self._whole = False
        self._told = told
        self._seen: object = None

    def run(self) -> Left:
        """Take keys until the person leaves, or wants to write a comment; say which.

        Raises:
            LabError: Something could not be kept.
        """
        application: Application[Left] = Application(
            layout=Layout(Window(FormattedTextControl(self._fragments, show_cursor=False))),
            key_bindings=self._bindings(),
            style=_STYLE,
            full_screen=True,
        )
        application.ttimeoutlen = application.timeoutlen = _ESCAPE_SECONDS
        self._application = application
        return application.run()

    # Keys

    def _bindings(self) -> KeyBindings:
        bindings = KeyBindings()
        ways: dict[str, Left] = {
            "q": "leave",
            "escape": "leave",
            "c-c": "interrupted",
            "c-d": "end",
        }
        for key, left in ways.items():
            bindings.add(key)(_leaving(left))
        scrolls = {"up": -1, "down": 1, "pageup": -10, "pagedown": 10, " ": 10}
        for key, lines in scrolls.items():
            bindings.add(key)(self._scrolling(lines))
        for key in ("y", "n", *"123456789"):
            bindings.add(key)(self._answering(key))
        for key in "csdbfuw":
            bindings.add(key)(self._doing(key))
        bindings.add("left")(self._doing("b"))
        bindings.add("right")(self._doing("f"))
        return bindings

    def _scrolling(self, lines: int) -> Handler:
        def handle(event: KeyPressEvent) -> None:
            self._top = max(0, self._top + (min(lines, self._below) if lines > 0 else lines))

        return handle

    def _answering(self, key: str) -> Handler:
        def handle(event: KeyPressEvent) -> None:
            said = said_by_key(self._review, key)
            if self._review.done_because is not None:
                self._told = "It is at its end: u takes the last step back, b goes back, q leaves."
            elif said is None:
                self._told = f"{key} answers nothing here; the keys stand beside the question."
            else:
                self._told = ""
                self._guarded(event, lambda: self._review.say(said))

        return handle

    def _doing(self, key: str) -> Handler:
        def handle(event: KeyPressEvent) -> None:
            review = self._review
            self._told = ""
            if key == "w":
                self._whole = not self._whole
                return
            if key in "sd" and review.done_because is not None:
                self._told = "It is at its end: u takes the last step back, b goes back, q leaves."
                return
            if key == "c":
                event.app.exit(result="comment")
                return
            does: dict[str, tuple[Callable[[], object], str]] = {
                "s": (review.skip, ""),
                "d": (review.discard, ""),
                "b": (review.back, "This is the first answer."),
                "f": (review.forward, "This is the last answer."),
                "u": (review.undo, "There is nothing of yours that could be undone."),
            }
            self._guarded(event, lambda: self._do(*does[key]))

        return handle

    def _do(self, action: Callable[[], object], otherwise: str) -> None:
        if action() is False:
            self._told = otherwise

    def _guarded(self, event: KeyPressEvent, action: Callable[[], object]) -> None:
        try:
            action()
        except LabError as exc:
            event.app.exit(exception=exc)

    # What is seen

    def _fragments(self) -> StyleAndTextTuples:
        size = self._application.output.get_size()
        width, height = max(size.columns - 1, 20), max(size.rows, 10)
        review = self._review
        seen = (review.place, review.shown.answer)
        if seen != self._seen:
            self._seen, self._top, self._whole = seen, 0, False
        foot: list[tuple[str, str]] = []
        if said := given_line(review):
            foot += [("class:quiet", line) for line in folded(said, width)[:2]]
        foot += [("class:asked", line) for line in folded(asked_line(review), width)]
        if self._told:
            foot += [("class:warning", line) for line in folded(self._told, width)]
        foot += [("class:quiet", line) for line in folded(_LEGEND, width)]
        body = self._body(width)
        room = max(height - len(foot) - 3, 3)
        self._below = max(len(body) - room - self._top, 0)
        self._top = min(self._top, max(len(body) - room, 0))
        visible = body[self._top : self._top + room]
        visible += [("", "")] * (room - len(visible))
        more = f"── {self._below} more lines below: ↓ or space ──" if self._below else "─" * width
        lines = [
            ("class:heading", folded(progress_line(review), width)[0]),
            *visible,
            ("class:quiet", more),
            *foot,
        ]
        return [(style, f"{text}\n") for style, text in lines]

    def _body(self, width: int) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        for part in parts(self._review):
            lines = folded(part.text, width)
            found.append(("class:heading", part.heading))
            kept = lines
            if part.may_be_cut and not self._whole and len(lines) > _CUT_AT + 1:
                kept = lines[:_CUT_AT]
            found += [(f"class:{part.tone}", line) for line in kept]
            if len(kept) < len(lines):
                found.append(("class:warning", f"({len(lines) - len(kept)} more lines: w)"))
        return found


def _leaving(left: Left) -> Handler:
    def handle(event: KeyPressEvent) -> None:
        event.app.exit(result=left)

    return handle


def folded(text: str, width: int) -> list[str]:
    """Break a text into lines of at most `width` columns, between words where that can be; controls are shown."""
    lines: list[str] = []
    for line in neutralise(text, keep="\n").split("\n"):
        now, columns = "", 0
        for word in line.split(" "):
            wide = get_cwidth(word)
            if now and columns + 1 + wide > width:
                lines.append(now)
                now, columns = "", 0
            elif now:
                now, columns = f"{now} ", columns + 1
            for character in word:
                own = get_cwidth(character)
                if columns + own > width:
                    lines.append(now)
                    now, columns = "", 0
                now, columns = now + character, columns + own
        lines.append(now)
    return lines
