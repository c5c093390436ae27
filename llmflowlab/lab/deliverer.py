"""A process of its own that brings sessions to MLflow, and outlives the terminal they were held in.

A program hands over what is left and ends; one deliverer at a time works for a home. It may be killed
whenever it pleases anybody: journals stay until every sink has all of them, and the next start of any
command hands them over again. Evaluations have recorders that go on by themselves; one whose recorder
did not come to its end is delivered here, from the ledger, and so is what people said of answers; arenas are,
from their journals.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from llmflowlab.errors import LabError
from llmflowlab.evaluation.run.pending import (
    evaluation_lock,
    is_held,
    left_behind,
    pending_evaluations,
    recorded,
    to_record,
)
from llmflowlab.evaluation.run.runs_left import runs_left
from llmflowlab.files import write_atomically
from llmflowlab.lab.arenas_left import arenas_left, arenas_to_deliver
from llmflowlab.people.words_left import words_left
from llmflowlab.process_end import run_to_the_end
from llmflowlab.program import interpreted
from llmflowlab.settings import Settings, load_settings
from llmflowlab.text.amounts import plural
from llmflowlab.tracking.journal import Journal

if TYPE_CHECKING:
    from llmflowlab.tracking.sessions import Session

__all__ = [
    "HandedOver",
    "OnTheWay",
    "deliver",
    "hand_over",
    "let_deliver",
    "main",
    "on_the_way",
    "start",
]

_LINGER = 5.0
"""Seconds that a deliverer goes on looking: a program that ends still holds its journal for a moment."""
_LOOK = 0.1
_FIRST_RETRY, _LONGEST_RETRY = 1.0, 60.0
_PATIENCE_OF_OTHERS = 60.0
"""Seconds to wait for a deliverer by whoever goes on with what it records."""
_PER_TURN = 0.1
"""Seconds that a turn may take, written and read back, where the machine has other work."""
_PATIENCE = 900.0
"""Seconds after which a store that does not answer is left to the next start."""


@dataclass(frozen=True, slots=True)
class OnTheWay:
    """What MLflow lacks."""

    sessions: int
    """Those under way included."""
    evaluations: int
    """Likewise, once they have ended."""
    problem: str | None
    """Why the last attempt to deliver failed, in a sentence; None where it did not."""
    reviews: int = 0
    """Evaluations of whose answers people said something."""
    arenas: int = 0
    """Those under way included."""

    @property
    def what(self) -> str:
        """Name it, as in "1 session and 2 evaluations"."""
        counted = (
            (plural(self.sessions, "session"), self.sessions),
            (
                plural(self.evaluations, "evaluation"),
                self.evaluations,
            ),
            (plural(self.reviews, "review"), self.reviews),
            (plural(self.arenas, "arena"), self.arenas),
        )
        return " and ".join(words for words, number in counted if number)


def on_the_way(settings: Settings) -> OnTheWay | None:
    """Return what MLflow lacks; None where it has everything."""
    sessions, evaluations = len(_journals(settings)), len(pending_evaluations(settings))
    arenas, reviews = len(arenas_left(settings)), len(words_left(settings))
    if not any((sessions, evaluations, arenas, reviews)):
        return None
    return OnTheWay(sessions, evaluations, _problem(settings), reviews, arenas)


def _problem(settings: Settings) -> str | None:
    try:
        said = json.loads(_report(settings).read_bytes()).get("problem")
    except (OSError, ValueError, AttributeError):
        return None
    return said if isinstance(said, str) else None


class HandedOver:
    """Sessions that are left to a deliverer, for whoever waits for them; made before it starts.

    Args:
        settings: Name the home and the store.
        sessions: A session's journal is deleted when every sink has all of it.
    """

    def __init__(self, settings: Settings, sessions: Sequence[Session]) -> None:
        self._settings = settings
        self._journals = [session.journal.path for session in sessions]
        turns = sum(len(session.contents.turns) for session in sessions)
        self.patience = settings.delivery_timeout + _PER_TURN * turns
        """Seconds that it may take: all turns are delivered at the end."""
        self._told_before = self._told()

    def pending(self) -> int:
        """Count those that have not arrived."""
        return sum(journal.exists() for journal in self._journals)

    def problem(self) -> str | None:
        """Return in a sentence why an attempt since has failed; None where none has."""
        return None if self._told() == self._told_before else _problem(self._settings)

    def wait(self, seconds: float, *, sleep: Callable[[float], None] = time.sleep) -> bool:
        """Wait until all have arrived, or an attempt to deliver them has failed.

        Returns:
            Whether all have arrived.
        """
        waited = 0.0
        while self.pending() and self.problem() is None and waited < seconds:
            sleep(_LOOK)
            waited += _LOOK
        return not self.pending()

    def _told(self) -> int | None:
        try:
            return _report(self._settings).stat().st_mtime_ns
        except OSError:
            return None


def _journals(settings: Settings) -> list[Path]:
    return list(settings.journals_dir.glob("chat-*.jsonl"))


def hand_over(settings: Settings, own: Sequence[Session] = ()) -> HandedOver:
    """Have a process of its own deliver what is left; returns at once, and never fails.

    Args:
        settings: Name the home and the store.
        own: Sessions that this process did not deliver itself.
    """
    handed = HandedOver(settings, own)
    with suppress(OSError):
        if (own or _anything_left(settings)) and not _somebody_works(settings):
            start(settings)
    return handed


def _anything_left(settings: Settings) -> bool:
    return (
        any(map(_left, _journals(settings)))
        or bool(left_behind(settings))
        or bool(arenas_to_deliver(settings))
        or bool(words_left(settings))
        or bool(runs_left(settings))
    )


def _left(path: Path) -> bool:
    """Whether nobody holds a session."""
    journal = Journal(path)
    if not journal.acquire():
        return False
    journal.release()
    return True


def _lock(settings: Settings) -> FileLock:
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    return FileLock(settings.state_dir / "delivery.lock")


def _report(settings: Settings) -> Path:
    return settings.state_dir / "delivery.json"


def _somebody_works(settings: Settings) -> bool:
    lock = _lock(settings)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        # It looks once more after it has let go, see `main`.
        return True
    lock.release()
    return False


def start(settings: Settings) -> None:
    """Start the process.

    Raises:
        OSError: It cannot be started.
    """
    # Imported here: programs that have nothing to hand over need none of it.
    from llmflowlab.tracking.store import child_environment

    with (settings.state_dir / "delivery.log").open("wb") as log:
        subprocess.Popen(
            interpreted("llmflowlab.lab.deliverer"),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=settings.home,
            env=child_environment(settings, with_lab=True),
            # Neither Ctrl-C nor the terminal's end is its concern.
            start_new_session=os.name == "posix",
            creationflags=getattr(subprocess, "DETACHED_PROCESS", 0)
            | getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )


def deliver(
    settings: Settings,
    *,
    linger: float = _LINGER,
    patience: float = _PATIENCE,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Deliver all that no living process holds; goes on looking for a while.

    Args:
        settings: Name the home and the store.
        linger: Seconds to look for further ones.
        patience: Seconds to try again where a sink does not take what it lacks.
        sleep: Waits so many seconds.

    Returns:
        Whether everything that could be taken is delivered.
    """
    # Imported here: whoever hands over delivers nothing itself.
    from llmflowlab.agents.package import package
    from llmflowlab.tracking.delivery import Delivery

    said: list[str] = []
    delivery = Delivery(settings, package=package(), on_notice=said.append)
    again, waited, idle = _FIRST_RETRY, 0.0, 0.0
    try:
        while idle <= linger:
            delivery.look()
            if not delivery.pending() and not _others(settings):
                sleep(_LOOK)
                idle += _LOOK
                continue
            idle = 0.0
            if delivery.pending():
                delivery.deliver_once()
            said += [why for each in to_record(settings) if (why := _recorded(settings, each))]
            said += [
                why for each in arenas_to_deliver(settings) if (why := _ranked(settings, each))
            ]
            said += [why for each in words_left(settings) if (why := _told(settings, each))]
            said += _copied(settings)
            if not delivery.pending() and not _others(settings):
                said.clear()
                _tell(settings, None)
                continue
            _tell(settings, said[-1] if said else None)
            if waited >= patience:
                return False
            waited += _pause(settings, again, sleep)
            again = min(_LONGEST_RETRY, 2 * again)
        return True
    finally:
        delivery.stop()


def _others(settings: Settings) -> bool:
    """Whether anything but sessions is left."""
    return bool(
        to_record(settings)
        or words_left(settings)
        or arenas_to_deliver(settings)
        or runs_left(settings)
    )


def _ranked(settings: Settings, arena: Path) -> str | None:
    """Bring an arena to MLflow; returns in a sentence why it could not be."""
    from llmflowlab.lab.arena_delivery import deliver_arena

    return deliver_arena(settings, arena)


def _told(settings: Settings, evaluation: str) -> str | None:
    """Tell MLflow what people said of an evaluation; returns in a sentence why that failed."""
    from llmflowlab.people.word_delivery import deliver_words

    try:
        deliver_words(settings, evaluation)
    except LabError as exc:
        return exc.message
    return None


def _copied(settings: Settings) -> list[str]:
    """Bring evaluations to Weights & Biases; returns in a sentence why one could not be."""
    for evaluation in runs_left(settings):
        from llmflowlab.evaluation.run.wandb_evaluations import deliver_runs

        try:
            deliver_runs(settings, evaluation)
        except LabError as exc:
            # As a rule no other one would fare better, and finding that out takes its time.
            return [exc.message]
    return []


def _recorded(settings: Settings, evaluation: str) -> str | None:
    """Record an evaluation from the ledger; returns in a sentence why it could not be."""
    from llmflowlab.evaluation.run.ledger import Ledger
    from llmflowlab.evaluation.run.replay import deliver_left

    try:
        with closing(Ledger(settings.ledger_file)) as ledger:
            if ledger.knows(evaluation):
                deliver_left(ledger, settings, evaluation)
            else:
                # It was cleared.
                recorded(settings, evaluation)
    except LabError as exc:
        return exc.message
    return None


def _pause(settings: Settings, seconds: float, sleep: Callable[[float], None]) -> float:
    """Wait before the next attempt; whoever hands over another session cuts it short."""
    before, waited = _journals(settings), 0.0
    while waited < seconds and _journals(settings) == before:
        sleep(_LOOK)
        waited += _LOOK
    return waited


def _tell(settings: Settings, sentence: str | None) -> None:
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    report = json.dumps({"problem": sentence, "at": now}, ensure_ascii=False)
    with suppress(OSError):
        write_atomically(_report(settings), report.encode())


def let_deliver(
    settings: Settings,
    evaluation: str,
    *,
    patience: float = _PATIENCE_OF_OTHERS,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait while a deliverer records an evaluation, for whoever is to go on with it."""
    waited = 0.0
    while (
        waited < patience
        and is_held(settings, evaluation_lock(evaluation))
        and _somebody_works(settings)
    ):
        sleep(_LOOK)
        waited += _LOOK


def main() -> int:
    """Deliver what is left, unless somebody does already; returns the exit code."""
    settings = load_settings(stdin_is_terminal=False)
    if hasattr(os, "nice"):
        # Whoever talks with a model meanwhile has the processor first.
        os.nice(5)
    while True:
        lock = _lock(settings)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return 0
        try:
            done = deliver(settings)
        finally:
            lock.release()
        # What was left between the last look and the release found the lock taken.
        if not done or not _anything_left(settings):
            return 0 if done else 1


if __name__ == "__main__":
    run_to_the_end(main)
