"""What one run of the program carries from screen to screen; each part is built when it is used."""

from __future__ import annotations

import importlib
import sys
import threading
from collections import deque
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from llmflowlab.cli.formatting import plural
from llmflowlab.cli.ui.screen import Screen
from llmflowlab.errors import LabError
from llmflowlab.settings import Settings

if TYPE_CHECKING:
    from llmflowlab.providers.base import Provider
    from llmflowlab.providers.readiness import ReadinessChecks
    from llmflowlab.text.cost import Prices
    from llmflowlab.text.language import LanguageDetector
    from llmflowlab.text.tokens import TokenCounter
    from llmflowlab.tracking.delivery import Delivery
    from llmflowlab.tracking.recorder import ChatRecorder
    from llmflowlab.tracking.records import SessionStart

__all__ = ["App", "open_screen"]

_DELIVERY_PATIENCE = 15.0
"""Seconds the lab waits at its end for MLflow to take the sessions."""

_WARM_UP = ("rich.markdown", "rich.live", "prompt_toolkit.shortcuts")
"""Imported while the person reads the menu; MLflow follows with the delivery's own thread."""


class App:
    """The program's parts, handed to every screen.

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
        self.settings = settings
        self.screen = screen
        self._build = build
        self._notices: deque[str] = deque()
        self._delivery_lock = threading.Lock()
        self._delivery: Delivery | None = None
        self._warming: threading.Timer | None = None
        self._finished = False

    def provider(self, reference: str) -> Provider:
        """Build the model a reference names.

        Raises:
            InputError: The reference is malformed.
            NotConfigured: The provider lacks something.
        """
        if self._build is not None:
            return self._build(reference)
        from llmflowlab.providers.factory import build

        return build(reference, self.settings)

    @cached_property
    def checks(self) -> ReadinessChecks:
        """The readiness checks, started at the first look."""
        from llmflowlab.providers.readiness import ReadinessChecks

        checks = ReadinessChecks(self.settings)
        checks.start()
        return checks

    @cached_property
    def prices(self) -> Prices:
        """What models cost."""
        from llmflowlab.text.cost import Prices

        return Prices(self.settings)

    @cached_property
    def counter(self) -> TokenCounter:
        """Counts tokens where a provider does not."""
        from llmflowlab.text.tokens import TokenCounter

        return TokenCounter()

    @cached_property
    def detector(self) -> LanguageDetector:
        """Tells languages."""
        from llmflowlab.text.language import LanguageDetector

        return LanguageDetector(self.settings.models_dir)

    def build_text_room(self) -> None:
        """Build what measures answers.

        Raises:
            InputError: The person's own price file cannot be used.
        """
        _ = self.prices, self.counter, self.detector

    @property
    def delivery(self) -> Delivery:
        """The running delivery to MLflow; started at the first use, from whichever thread."""
        with self._delivery_lock:
            if self._delivery is None:
                from llmflowlab.agents.package import package
                from llmflowlab.tracking.delivery import Delivery

                self._delivery = Delivery(
                    self.settings, package=package(), on_notice=self._notices.append
                )
                self._delivery.start()
            return self._delivery

    def recorder(self, start: SessionStart) -> ChatRecorder:
        """Open the journal of a new session."""
        from llmflowlab.tracking.recorder import ChatRecorder

        return ChatRecorder(self.settings, start, self.delivery)

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
                _ = self.delivery
        except LabError as exc:
            self._notices.append(exc.message)
        except Exception as exc:  # noqa: BLE001
            # A thread's traceback would be written over the menu. Whoever needs what is missing
            # meets the same failure again, in a place that can tell it.
            self._notices.append(f"Loading in the background failed ({type(exc).__name__}).")

    def show_notices(self) -> None:
        """Print what background work had to say since the last time."""
        while self._notices:
            self.screen.note(self._notices.popleft())

    def show_recovered(self) -> None:
        """Say once which sessions an earlier process left behind."""
        if self._delivery is None or not self._delivery.recovered:
            return
        sessions = list(self._delivery.recovered)
        self._delivery.recovered.clear()
        turns = sum(session.turns for session in sessions)
        what = f"{plural(len(sessions), 'session')} with {plural(turns, 'turn')}"
        self.screen.note(f"Found {what} that did not end properly; they are being saved to MLflow.")

    def finish(self, *, wait: bool = True) -> None:
        """Wait for MLflow to take what is left, within bounds; what stays is kept for later."""
        self._finished = True
        if self._warming is not None:
            self._warming.cancel()
        delivery = self._delivery
        if delivery is None:
            return
        try:
            waiting = delivery.pending()
            if wait and waiting and not delivery.wait(0.3):
                self.screen.note(
                    f"saving {plural(waiting, 'session')} to MLflow ... "
                    "(Ctrl-C leaves this to the next start)"
                )
                delivery.wait(_DELIVERY_PATIENCE)
        except KeyboardInterrupt:
            pass
        self.show_notices()
        left = delivery.pending()
        if left:
            self.screen.note(
                f"{plural(left, 'session')} kept in {self.settings.journals_dir}; "
                "the next start delivers what is missing."
            )
        delivery.stop()


def open_screen(settings: Settings) -> Screen:
    """Return the screen that fits the streams and the settings."""
    if settings.plain or not sys.stdout.isatty():
        from llmflowlab.cli.ui.plain import PlainScreen

        return PlainScreen(settings)
    from llmflowlab.cli.ui.terminal import TerminalScreen

    return TerminalScreen(settings)
