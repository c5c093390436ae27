"""Stand-ins at the seams of the console: tracking that keeps records in lists, readiness that is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from llmflowlab.cli.context import App
from llmflowlab.cli.ui.plain import PlainScreen
from llmflowlab.cli.ui.screen import Screen
from llmflowlab.errors import InputError, LabError
from llmflowlab.lab.lab import Lab
from llmflowlab.providers.base import Provider, Readiness
from llmflowlab.settings import Settings
from llmflowlab.tracking.records import RatingRecord, SessionStart, TurnRecord


class FakeChecks:
    """Readiness that is known from the start, or never."""

    def __init__(self, known: dict[str, Readiness | None] | None = None) -> None:
        self.known = known or {
            "gemini": Readiness(False, "set GEMINI_API_KEY"),
            "ollama": Readiness(
                False,
                "nothing answers at http://localhost:11434; install it or set OLLAMA_HOST",
            ),
            "openai": Readiness(False, "set OPENAI_API_KEY"),
            "azure": Readiness(False, "set AZURE_OPENAI_ENDPOINT"),
            "anthropic": Readiness(False, "set ANTHROPIC_API_KEY"),
            "guide": Readiness(True, "answers from the lab's documentation, offline"),
        }
        self.waits: list[float] = []

    def snapshot(self) -> dict[str, Readiness | None]:
        return dict(self.known)

    @property
    def done(self) -> bool:
        return all(state is not None for state in self.known.values())

    @property
    def ended(self) -> bool:
        return self.done

    def look_again(self, name: str) -> None:
        self.known[name] = Readiness(True, "looked at again")

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        return self.done


class FakeRecorder:
    """Keeps what was recorded; can be told to fail."""

    def __init__(self, start: SessionStart) -> None:
        self.start = start
        self.turns: list[TurnRecord] = []
        self.ratings: list[RatingRecord] = []
        self.closed: bool | None = None
        self.interrupted = False
        self.failure: LabError | None = None

    def record_answer(self, turn: TurnRecord) -> None:
        """Measured, it comes as a turn."""

    def record_turn(self, turn: TurnRecord) -> None:
        if self.failure is not None:
            raise self.failure
        self.turns.append(turn)

    def record_rating(self, rating: RatingRecord) -> None:
        self.ratings.append(rating)

    def close(self, *, interrupted: bool = False) -> None:
        self.closed = True
        self.interrupted = interrupted


class FakeDelivery:
    """A delivery that has nothing to do, or never gets anywhere."""

    def __init__(self, pending: int = 0, *, slow: bool = False) -> None:
        self.recovered: list[Any] = []
        self.stopped = False
        self.waited: list[float | None] = []
        self._pending = pending
        self._slow = slow

    def unsaved(self) -> int:
        return 0

    def lacking(self) -> list[Any]:
        one = SimpleNamespace(
            journal=SimpleNamespace(path=Path("no-journal")), contents=SimpleNamespace(turns=[])
        )
        return [one] * self._pending

    def wait(self, timeout: float | None) -> bool:
        self.waited.append(timeout)
        if not self._slow:
            self._pending = 0
        return self._pending == 0

    def run_id(self, session_id: str) -> str | None:
        return f"run-of-{session_id}"

    def stop(self) -> None:
        self.stopped = True


class FakeLab(Lab):
    """A lab whose models are given and whose sessions are kept in lists."""

    def __init__(
        self,
        settings: Settings,
        *,
        providers: Sequence[Provider] = (),
        checks: FakeChecks | None = None,
        delivery: FakeDelivery | None = None,
    ) -> None:
        known = {provider.reference: provider for provider in providers}

        def build(reference: str) -> Provider:
            if reference not in known:
                raise InputError(f"{reference!r} names no model.")
            return known[reference]

        super().__init__(settings, build=build)
        self.recorders: list[FakeRecorder] = []
        self.checks = checks or FakeChecks()  # type: ignore[assignment]
        self._delivery = delivery or FakeDelivery()  # type: ignore[assignment]

    def recorder(self, start: SessionStart) -> Any:
        recorder = FakeRecorder(start)
        self.recorders.append(recorder)
        return recorder


class FakeApp(App):
    """An app over a `FakeLab`, which loads nothing in the background."""

    def __init__(
        self,
        settings: Settings,
        screen: Screen | None = None,
        *,
        providers: Sequence[Provider] = (),
        checks: FakeChecks | None = None,
        delivery: FakeDelivery | None = None,
    ) -> None:
        super().__init__(settings, screen or PlainScreen(settings))
        self.lab: FakeLab = FakeLab(settings, providers=providers, checks=checks, delivery=delivery)

    @property
    def recorders(self) -> list[FakeRecorder]:
        return self.lab.recorders

    def warm_up(self) -> None:
        pass


Typing = Callable[[str], None]
"""Gives the program its standard input."""
