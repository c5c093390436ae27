"""Colours for lines that questionary and rich do not draw, and the streams made fit for any text."""

from __future__ import annotations

import sys
from typing import TextIO

from colorama import Fore, Style, just_fix_windows_console

from llmflowlab.cli.ui.screen import Tone
from llmflowlab.settings import Settings
from llmflowlab.text.sanitize import neutralise

__all__ = ["Palette", "prepare_streams"]

_CODES: dict[Tone, str] = {
    "plain": "",
    "quiet": Style.DIM,
    "good": Fore.GREEN,
    "warning": Fore.YELLOW,
    "heading": Style.BRIGHT + Fore.CYAN,
}


class Palette:
    """Paints lines for one stream, or leaves them as they are where colours are not wanted."""

    def __init__(self, settings: Settings, stream: TextIO) -> None:
        self.enabled = (
            stream.isatty() and settings.get("NO_COLOR") is None and settings.get("TERM") != "dumb"
        )

    def paint(self, text: str, tone: Tone) -> str:
        """Return the text in a tone's colour, without whatever else could control the terminal."""
        code, text = _CODES[tone], neutralise(text)
        if not self.enabled or not code or not text:
            return text
        return f"{code}{text}{Style.RESET_ALL}"


def prepare_streams() -> None:
    """Make the standard streams take any character, and Windows' console understand colours."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is None:
            continue
        if stream.isatty():
            reconfigure(errors="replace")
        else:
            reconfigure(encoding="utf-8", errors="replace")
    just_fix_windows_console()
