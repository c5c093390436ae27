"""The lab itself: its settings and the parts every use-case needs, each built when it is used."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from llmflowlab.errors import InputError
from llmflowlab.settings import Settings

if TYPE_CHECKING:
    from llmflowlab.asking.pacing import Limiter
    from llmflowlab.evaluation.run.ledger import Ledger
    from llmflowlab.lab.deliverer import HandedOver
    from llmflowlab.people.word_store import WordStore
    from llmflowlab.providers.base import Provider
    from llmflowlab.providers.readiness import ReadinessChecks
    from llmflowlab.text.cost import Prices
    from llmflowlab.text.language import LanguageDetector
    from llmflowlab.text.tokens import TokenCounter
    from llmflowlab.tracking.chat_recorder import ChatRecorder
    from llmflowlab.tracking.delivery import Delivery
    from llmflowlab.tracking.records import SessionStart
    from llmflowlab.tracking.sessions import Session
    from llmflowlab.tracking.store import Store

__all__ = ["Lab", "Recovered"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What an earlier process left behind and is being delivered now."""

    sessions: int
    turns: int


class Lab:
    """The parts that use-cases are made of, whoever asks for them: console, service, script.

    Args:
        settings: The configuration.
        build: Makes a provider from a model reference; the factory unless a test says otherwise.
        limiter: Makes a model's pace; of its own in this process unless a cluster shares one.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        build: Callable[[str], Provider] | None = None,
        limiter: Callable[[str, Settings, int], Limiter] | None = None,
    ) -> None:
        self.settings = settings
        self._build = build
        self._limiter = limiter
        self._notices: deque[str] = deque()
        self._delivery_lock = threading.Lock()
        self._delivery: Delivery | None = None
        self.hands_over = False
        """Whether sessions are left to a deliverer from their beginning; set before the first."""
        self.handed_over: HandedOver | None = None
        """What a deliverer was given, once it was."""

    def provider(self, reference: str, *, settled: bool = True) -> Provider:
        """Build the model a reference names.

        Args:
            reference: The model.
            settled: Whether it must be there; one that is to be fetched is not yet.

        Raises:
            InputError: The reference is malformed.
            NotConfigured: The provider lacks something.
        """
        if self._build is not None:
            return self._build(reference)
        from llmflowlab.providers.factory import build

        return build(reference, self.settings, settled=settled)

    def paced(
        self,
        limiter: Callable[[str, Settings, int], Limiter],
        build: Callable[[str], Provider],
    ) -> Lab:
        """Return a lab with the same parts that has models made, and their pace, by somebody else."""
        _ = self.prices, self.counter
        other = Lab(self.settings, build=build, limiter=limiter)
        vars(other).update(prices=self.prices, counter=self.counter)
        return other

    def limiter(self, provider: str, settings: Settings, concurrency: int) -> Limiter:
        """Return the pace of a model of a provider, given how many calls may be in flight.

        Raises:
            InputError: A limit that is configured is no number above 0.
        """
        if self._limiter is not None:
            return self._limiter(provider, settings, concurrency)
        from llmflowlab.asking.pacing import limiter_for

        return limiter_for(provider, settings, concurrency)

    @cached_property
    def checks(self) -> ReadinessChecks:
        """The readiness checks, started by the first who waits for them."""
        from llmflowlab.providers.readiness import ReadinessChecks

        return ReadinessChecks(self.settings)

    def look_again(self, provider: str) -> None:
        """Look again whether a provider is ready, where anybody has looked at all."""
        if "checks" in vars(self):
            self.checks.look_again(provider)

    @cached_property
    def prices(self) -> Prices:
        """What models cost."""
        from llmflowlab.providers.factory import is_free
        from llmflowlab.text.cost import Prices

        return Prices(self.settings, is_free=is_free)

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

    def store(self) -> Store:
        """Open MLflow's store; imports MLflow where nobody has yet.

        Raises:
            TrackingError: It cannot be opened.
        """
        from llmflowlab.tracking.store import open_store

        return open_store(self.settings)

    def why_unusable(self) -> str | None:
        """Return why MLflow's database file cannot be used at all; None where it can. Imports no MLflow."""
        from llmflowlab.tracking.store import store_refusal

        refused = store_refusal(self.settings)
        return None if refused is None else refused.message

    def upgrade_store(self, announce: Callable[[Path, Path], None]) -> None:
        """Bring a database file that an older MLflow made up to date, and keep a copy of it.

        Args:
            announce: Told of the file and its copy before anything is done.

        Raises:
            TrackingError: It failed; the copy stays.
        """
        from llmflowlab.tracking.store import upgrade_store

        upgrade_store(self.settings, announce)

    @property
    def child_environment(self) -> dict[str, str]:
        """The environment of a process that works on the lab's store."""
        from llmflowlab.tracking.store import child_environment

        return child_environment(self.settings)

    @property
    def program_environment(self) -> dict[str, str]:
        """The environment of a process that is this program with the same settings."""
        from llmflowlab.tracking.store import child_environment

        return child_environment(self.settings, with_lab=True)

    @property
    def store_address(self) -> str:
        """Where MLflow's store is, without what is secret in it."""
        from llmflowlab.tracking.store import safe_uri

        return safe_uri(self.settings.tracking_uri)

    @property
    def store_is_file(self) -> bool:
        """Whether MLflow's store is a file of this machine."""
        from llmflowlab.tracking.store import sqlite_path

        return sqlite_path(self.settings.tracking_uri) is not None

    @property
    def has_evaluations(self) -> bool:
        """Whether a ledger of evaluations was ever begun in this home."""
        return self.settings.ledger_file.exists()

    def ledger(self) -> Ledger:
        """Open the home's ledger; a home without one gets its file at the first write.

        Raises:
            TrackingError: It cannot be opened.
        """
        from llmflowlab.evaluation.run.ledger import Ledger

        return Ledger(self.settings.ledger_file)

    def existing_ledger(self) -> Ledger:
        """Open the ledger of evaluations that were made; a question about nothing makes none.

        Raises:
            InputError: No evaluation was made here.
            TrackingError: It cannot be opened.
        """
        if not self.has_evaluations:
            raise InputError(f"No evaluation was made in {self.settings.home} yet.")
        return self.ledger()

    @property
    def anybody_said_anything(self) -> bool:
        """Whether there is anything that people said of answers; told at once."""
        from llmflowlab.evaluation.run.ledger_file import has_rows

        return self.settings.people_file.exists() or has_rows(self.settings.ledger_file, "feedback")

    def words(self) -> WordStore:
        """Open what people said; a home in which nobody said anything gets its file at the first word.

        Raises:
            TrackingError: It cannot be opened.
        """
        from llmflowlab.people.answer_words import open_words

        return open_words(self.settings)

    @property
    def delivery(self) -> Delivery:
        """The running delivery to MLflow; started at the first use, from whichever thread."""
        with self._delivery_lock:
            if self._delivery is None:
                from llmflowlab.agents.package import package
                from llmflowlab.tracking.delivery import Delivery

                self._delivery = Delivery(
                    self.settings,
                    package=package(),
                    on_notice=self.notify,
                    only_local=self.hands_over,
                )
                self._delivery.start()
            return self._delivery

    @property
    def running_delivery(self) -> Delivery | None:
        """The delivery where one was started; asking starts none."""
        return self._delivery

    def recorder(self, start: SessionStart) -> ChatRecorder:
        """Open the journal of a new session."""
        from llmflowlab.tracking.chat_recorder import ChatRecorder

        return ChatRecorder(self.settings, start, lambda: self.delivery)

    def require_trackers(self) -> None:
        """Find out before anything is recorded whether the trackers that were chosen can be used.

        Raises:
            ConfigurationError: One is not installed.
        """
        if len(self.settings.trackers) > 1:
            from llmflowlab.tracking.wandb_run import require_wandb

            require_wandb(self.settings)

    def hand_over(self) -> int:
        """End the delivery here, and have a process of its own go on with what is left.

        Returns:
            How many sessions of this process are still on their way.
        """
        left: list[Session] = []
        if self._delivery is not None:
            left = self._delivery.lacking()
            self._delivery.stop()
        if (
            left
            or any(self.settings.journals_dir.glob("*.jsonl"))
            or self._recordings_left()
            or self._words_left()
            or self._runs_left()
        ):
            # Imported here: most commands find nothing.
            from llmflowlab.lab.deliverer import hand_over

            self.handed_over = hand_over(self.settings, left)
        return len(left)

    def _recordings_left(self) -> bool:
        from llmflowlab.evaluation.run.pending import pending_evaluations

        return bool(pending_evaluations(self.settings))

    def _runs_left(self) -> bool:
        from llmflowlab.evaluation.run.runs_left import runs_left

        return bool(runs_left(self.settings))

    def _words_left(self) -> bool:
        from llmflowlab.people.words_left import words_left

        return bool(words_left(self.settings))

    def notify(self, text: str) -> None:
        """Leave a sentence for whoever looks next; from any thread."""
        self._notices.append(text)

    def take_notices(self) -> list[str]:
        """Return what background work had to say since the last time."""
        taken = []
        while self._notices:
            taken.append(self._notices.popleft())
        return taken

    def take_recovered(self) -> Recovered | None:
        """Return once what an earlier process left behind; None where there was nothing."""
        if self._delivery is None or not self._delivery.recovered:
            return None
        sessions = list(self._delivery.recovered)
        self._delivery.recovered.clear()
        return Recovered(sessions=len(sessions), turns=sum(s.turns for s in sessions))
