"""What one run of the console carries from screen to screen: the lab and where it is shown."""

from __future__ import annotations

import contextlib
import importlib
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from llmflowlab.cli.formatting import plural
from llmflowlab.cli.ui.screen import Screen
from llmflowlab.errors import LabError
from llmflowlab.lab.lab import Lab
from llmflowlab.settings import Settings

if TYPE_CHECKING:
    from llmflowlab.providers.base import Provider

__all__ = ["App", "open_screen"]

_WARM_UP = ("rich.markdown", "rich.live", "prompt_toolkit.shortcuts")
"""Imported while the person reads the menu; MLflow follows with the delivery's own thread."""

_QUIET = 5.0
"""Seconds for a tracking server to take a session before a person is told what is waited for."""


class App:
    """The lab and the screen it is shown on, handed to every mode.

    Args:
        settings: The configuration.
        screen: Where questions are asked.
        build: Makes a provider from a model reference; the factory unless a test says otherwise.
    """

    def __init__(
        self,
        settings: Settings,
        screen: Screen,
        *,
        build: Callable[[str], Provider] | None = None,
    ) -> None:
        self.lab = Lab(settings, build=build)
        self.screen = screen
        self._warming: threading.Timer | None = None
        self._finished = False

    @property
    def settings(self) -> Settings:
        return self.lab.settings

    def warm_up(self) -> None:
        """Load in the background what the next screens need, and finish what was left undelivered."""
        # Late by a moment, so that the menu is drawn with the processor to itself.
        self._warming = threading.Timer(0.2, self._load)
        self._warming.daemon = True
        self._warming.start()

    def _load(self) -> None:
        try:
            for name in _WARM_UP:
                importlib.import_module(name)
            if not self._finished:
                _ = self.lab.delivery
        except LabError as exc:
            self.lab.notify(exc.message)
        except Exception as exc:  # noqa: BLE001
            # A thread's traceback would be written over the menu. Whoever needs what is missing
            # meets the same failure again, in a place that can tell it.
            self.lab.notify(f"Loading in the background failed ({type(exc).__name__}).")

    def prepare_store(self, *, warn: bool) -> None:
        """Bring MLflow's database up to date where an older MLflow made it.

        Args:
            warn: Say now where it cannot be used at all: what is asked of it comes late, or elsewhere.
        """
        try:
            self.lab.upgrade_store(
                lambda file, copy: self.screen.note(
                    f"MLflow's database {file} was made by an older MLflow. It is copied to {copy.name} "
                    "beside it and brought up to date ..."
                )
            )
        except LabError as exc:
            self.screen.warn(exc.message)
            return
        if warn and (why := self.lab.why_unusable()) is not None:
            self.screen.warn(why)

    def show_notices(self) -> None:
        """Print what background work had to say since the last time."""
        for notice in self.lab.take_notices():
            self.screen.note(notice)

    def show_recovered(self) -> None:
        """Say once which sessions an earlier process left behind."""
        found = self.lab.take_recovered()
        if found is None:
            return
        what = f"{plural(found.sessions, 'session')} with {plural(found.turns, 'turn')}"
        self.screen.note(f"Found {what} that did not end properly; they are being saved to MLflow.")

    def show_on_the_way(self) -> None:
        """Say what MLflow lacks, beside figures that come from it."""
        # Imported here: most commands have no figures of MLflow's.
        from llmflowlab.lab.deliverer import on_the_way

        if (found := on_the_way(self.settings)) is not None:
            why = f" The last attempt failed: {found.problem}" if found.problem else ""
            self.screen.note(f"{found.what} still on the way to MLflow.{why}")

    def wait_for_delivery(self) -> None:
        """Wait within bounds until MLflow has everything; of a server that is slow, say that it is."""
        self._wait(self.lab.delivery.wait, self.settings.delivery_timeout)

    def _wait(self, wait: Callable[[float], bool], most: float) -> None:
        begun = time.monotonic()
        quiet = most if self.lab.store_is_file else min(_QUIET, most)
        if wait(quiet) or time.monotonic() - begun < quiet or quiet == most:
            return
        self.screen.note(
            f"MLflow at {self.lab.store_address} is slow; waiting for it, up to {most:g} s in all ..."
        )
        wait(most - quiet)

    def finish(self, *, wait: bool = False) -> None:
        """End what runs in the background; sessions that MLflow lacks go to a process of its own.

        Args:
            wait: Wait until they are delivered, within bounds: by this process, unless they are another's
                from their beginning.
        """
        self._finished = True
        if self._warming is not None:
            self._warming.cancel()
        delivery = self.lab.running_delivery
        if delivery is not None and wait and not self.lab.hands_over:
            with contextlib.suppress(KeyboardInterrupt):
                self.wait_for_delivery()
        self.show_notices()
        lost = 0 if delivery is None else delivery.unsaved()
        left = self.lab.hand_over() - lost
        handed = self.lab.handed_over if wait and self.lab.hands_over else None
        if handed is not None:
            with contextlib.suppress(KeyboardInterrupt):
                self._wait(handed.wait, handed.patience)
            left = handed.pending()
            if left and (problem := handed.problem()) is not None:
                self.screen.note(problem)
        if lost:
            self.screen.warn(
                f"{self.settings.journals_dir} did not take {plural(lost, 'session')}: what no file "
                "and no run has of it ends with this program."
            )
        # A script that does not wait needs no word about it; `info` and `doctor` have it.
        if left > 0 and (wait or not self.lab.hands_over):
            self.screen.note(f"{plural(left, 'session')} saved, and on the way to MLflow.")


def open_screen(settings: Settings) -> Screen:
    """Return the screen that fits the streams and the settings."""
    if settings.plain or not sys.stdout.isatty():
        from llmflowlab.cli.ui.plain import PlainScreen

        return PlainScreen(settings)
    from llmflowlab.cli.ui.terminal import TerminalScreen

    return TerminalScreen(settings)
