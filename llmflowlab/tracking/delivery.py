"""Brings sessions to MLflow and to the local files, beside the chat and again after every crash."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from llmflowlab.errors import LabError, TrackingError
from llmflowlab.settings import Settings
from llmflowlab.tracking.filing import file_session
from llmflowlab.tracking.local_records import LocalRecords
from llmflowlab.tracking.model_package import ModelPackage
from llmflowlab.tracking.recovery import left_behind, recovered
from llmflowlab.tracking.sessions import RecoveredSession, Session, Snapshot
from llmflowlab.tracking.store import load_mlflow, open_store
from llmflowlab.tracking.store_errors import StoreBusy, StoreUnreachable

if TYPE_CHECKING:
    from llmflowlab.tracking.chat_runs import ChatRuns

__all__ = ["Delivery"]

_FIRST_RETRY = 2.0
_LONGEST_RETRY = 60.0
"""Seconds between attempts while MLflow does not answer; they double from the first to the longest."""
_BUSY_RETRY = 0.2
_GRACE = 0.1
"""Seconds between the end of a turn and the work on it; `wait` cuts them short."""
_STOP_PATIENCE = 2.0
"""Seconds `stop` waits for the thread; one that hangs in a request is left behind."""


class Delivery:
    """One background thread that delivers all sessions of this home that no other process holds.

    Args:
        settings: Names the home and the store.
        package: What is registered after a session; None registers nothing.
        on_notice: Told in one sentence, once for each cause, what went wrong and whether it mended.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        package: ModelPackage | None = None,
        on_notice: Callable[[str], None] | None = None,
    ) -> None:
        self._settings = settings
        self._package = package
        self._on_notice = on_notice
        self._local = LocalRecords(settings, on_notice=self.notify)
        self.recovered: list[RecoveredSession] = []
        """Sessions found without an end, left by processes that died."""
        self._changed = threading.Condition()
        self._sessions: dict[str, Session] = {}
        self._runs: dict[str, str] = {}
        self._noticed: set[str] = set()
        self._chat_runs: ChatRuns | None = None
        self._thread: threading.Thread | None = None
        self._scanned = False
        self._stopping = False
        self._poked = False
        self._urgent = False
        self._failures = 0
        self._retry_at = 0.0
        self._retry_after = _FIRST_RETRY

    def start(self) -> None:
        """Start the thread; it first looks for what dead processes left."""
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="delivery", daemon=True)
                self._thread.start()

    def submit(self, session: Session) -> None:
        """Take a session, or note that it has more to deliver."""
        with self._changed:
            self._sessions.setdefault(session.start.session_id, session)
            self._poked = True
            self._changed.notify_all()

    def poke(self) -> None:
        """Have the thread look for work now."""
        with self._changed:
            self._poked = True
            self._changed.notify_all()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until everything is delivered, or an attempt made since has failed for good.

        Args:
            timeout: Seconds; None waits as long as attempts succeed. Before `start` nothing is
                waited for.

        Returns:
            Whether everything is delivered.
        """
        with self._changed:
            if self._thread is None:
                return not any(s.outstanding for s in self._sessions.values())
            before = self._failures
            self._urgent = self._poked = True
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: self._idle() or self._failures > before or self._stopping, timeout
            )
            return self._idle()

    def pending(self) -> int:
        """Count the sessions of which something has not arrived yet."""
        with self._changed:
            return sum(session.outstanding for session in self._sessions.values())

    def run_id(self, session_id: str) -> str | None:
        """Return a session's run, where this process has delivered it or begun to."""
        with self._changed:
            return self._runs.get(session_id)

    def stop(self) -> None:
        """End the thread; what is not delivered is left for the next start."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(_STOP_PATIENCE)
            if thread.is_alive():
                return
        for session in list(self._sessions.values()):
            session.journal.release()

    def notify(self, sentence: str) -> None:
        """Pass a sentence on, unless it was said before."""
        if sentence in self._noticed:
            return
        self._noticed.add(sentence)
        if self._on_notice is not None:
            self._on_notice(sentence)

    def _idle(self) -> bool:
        return self._scanned and not any(s.outstanding for s in self._sessions.values())

    def _work(self) -> None:
        try:
            self._take_over()
            # Now rather than after the first turn, when the person wants the prompt back.
            load_mlflow(self._settings)
        except Exception as exc:  # noqa: BLE001 - the thread must outlive a surprise
            self.notify(f"Earlier sessions could not be looked for ({type(exc).__name__}: {exc}).")
        with self._changed:
            self._scanned = True
            self._changed.notify_all()
        while not self._stopping:
            busy = self._pass()
            with self._changed:
                self._changed.notify_all()
                if not self._stopping:
                    self._changed.wait_for(
                        lambda: self._poked or self._stopping, self._next_look(busy)
                    )
                    # Whoever waits for the prompt after an answer gets the processor first.
                    self._changed.wait_for(lambda: self._urgent or self._stopping, _GRACE)
                self._poked = False

    def _take_over(self) -> None:
        """Take the sessions that dead processes left."""
        left = left_behind(self._settings, self.notify)
        with self._changed:
            self._sessions.update({session.start.session_id: session for session in left})
            self.recovered += [recovered(session) for session in left if session.crashed]
            self._scanned = True
            self._changed.notify_all()

    def _next_look(self, busy: bool) -> float | None:
        if busy:
            return _BUSY_RETRY
        if self._idle():
            return None
        return max(0.0, self._retry_at - time.monotonic())

    def _pass(self) -> bool:
        """Try to deliver everything once.

        Returns:
            Whether another process was writing, so that trying again in a moment makes sense.
        """
        with self._changed:
            urgent, self._urgent = self._urgent, False
            waiting = [s for s in self._sessions.values() if s.outstanding]
        due = urgent or time.monotonic() >= self._retry_at
        failed = busy = False
        for session in waiting:
            if self._stopping:
                break
            version, snapshot = session.snapshot()
            try:
                self._file_locally(session, snapshot)
                if due and not failed:
                    self._deliver(session, snapshot)
                    # Once more, because the run id may have become known only now.
                    if self._file_locally(session, snapshot):
                        self._settle(session, snapshot, version)
                    else:
                        failed = True
            except StoreBusy:
                busy = True
            except StoreUnreachable as exc:
                # No other session would fare better.
                failed = True
                self._unreachable(exc)
            except (LabError, OSError) as exc:
                self._failed(session, exc)
                failed = True
            except Exception as exc:  # noqa: BLE001 - the thread must outlive a surprise
                self._failed(session, exc)
                failed = True
        self._plan_retry(failed=failed, tried=due and bool(waiting))
        return busy

    def _plan_retry(self, *, failed: bool, tried: bool) -> None:
        if not tried:
            return
        with self._changed:
            if failed:
                self._failures += 1
                self._retry_at = time.monotonic() + self._retry_after
                self._retry_after = min(_LONGEST_RETRY, self._retry_after * 2)
            else:
                self._retry_at, self._retry_after = 0.0, _FIRST_RETRY

    def _file_locally(self, session: Session, snapshot: Snapshot) -> bool:
        """Write the files beside MLflow; whether it is up makes no difference to them."""
        try:
            file_session(self._local, session, snapshot)
        except (OSError, TrackingError) as exc:
            reason = getattr(exc, "strerror", None) or str(exc)
            self.notify(
                f"The session could not be written to {self._settings.artifacts_dir} ({reason}); "
                "it is kept and tried again."
            )
            return False
        return True

    def _deliver(self, session: Session, snapshot: Snapshot) -> None:
        runs = self._open()
        run_id = runs.ensure_run(session, snapshot)
        if run_id is None:
            return
        with self._changed:
            self._runs[snapshot.start.session_id] = run_id
        runs.write_turns(session, snapshot, run_id)
        if snapshot.ended:
            runs.finish(snapshot, run_id)

    def _open(self) -> ChatRuns:
        if self._chat_runs is None:
            # Imported here: it imports MLflow, which takes a second.
            from llmflowlab.tracking.chat_runs import ChatRuns

            store = open_store(self._settings)
            self._chat_runs = ChatRuns(self._settings, store, self._package)
        return self._chat_runs

    def _settle(self, session: Session, snapshot: Snapshot, version: int) -> None:
        """Note that a version has arrived; a finished session's journal has served its time."""
        if snapshot.ended:
            session.journal.delete()
        with self._changed:
            session.delivered_version = version
            if snapshot.ended:
                del self._sessions[snapshot.start.session_id]
            self._changed.notify_all()

    def _unreachable(self, exc: StoreUnreachable) -> None:
        self.notify(
            f"{exc.message.rstrip('.')}; the session is kept in {self._settings.journals_dir} "
            "and delivered later."
        )

    def _failed(self, session: Session, exc: Exception) -> None:
        session.start_over()
        why = exc.message if isinstance(exc, LabError) else f"{type(exc).__name__}"
        if isinstance(exc, OSError):
            why = exc.strerror or str(exc)
        self.notify(
            f"A session could not be saved to MLflow ({why.rstrip('.')}); it is kept in "
            f"{session.journal.path} and tried again."
        )
