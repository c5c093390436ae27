"""The recorder process: reads finished rows from the ledger and writes them into MLflow meanwhile.

A process of its own, because MLflow costs 1.5 s to import and some milliseconds of processor a row,
which would hold up the calls on the same interpreter. Between it and the evaluation stands the ledger,
so a recorder that dies loses nothing, and recording again is all a repair needs. One that is left alone
outlives the program and its terminal.

Speaks JSON lines: on standard input `{"begin": ID}`, then `{"close": {…}, "left": …, "rewrite": …}` or the
end of input, on standard output `{"runs": …}`, `{"recorded": n}`, and last `{"problems": […], "notes": […]}` or
`{"error": "…"}`.
"""

from __future__ import annotations

import gc
import json
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, TypeVar

from llmflowlab.errors import LabError, TrackingError
from llmflowlab.evaluation.run.closing import RunSummary
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.outcomes import Entry, Outcome
from llmflowlab.evaluation.run.pending import recorded, recording_lock
from llmflowlab.evaluation.run.sinks import SINKS, EvaluationSink, MakeSink
from llmflowlab.files import exclusive
from llmflowlab.loading import missing
from llmflowlab.process_end import run_to_the_end
from llmflowlab.settings import load_settings
from llmflowlab.tracking.store_errors import StoreBusy, StoreUnreachable

__all__ = ["main", "mlflow_without_frames"]

T = TypeVar("T")

_BATCH = 200
_PAUSE = 0.1
_PATIENCE = 30.0
"""Seconds without success after which a store that worked before is given up, once all is answered."""
_PATIENCE_ALONE = 900.0
"""The same where nobody waits."""
_BETWEEN_TRIES = 1.0


def main(ledger_file: Path, load: Callable[[], MakeSink] = SINKS["mlflow"]) -> int:
    """Record one evaluation until it is closed or standard input ends.

    Args:
        ledger_file: Has its rows.
        load: What it is recorded into.
    """
    # Ctrl-C reaches every process of the terminal; the evaluation decides when recording ends.
    with suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    # MLflow's classes outlive this process: to look through them for garbage is a fifth of what loading
    # them costs, and a quarter of what a row costs. Looked through is only what comes after them.
    gc.disable()
    orders = _Orders()
    settings = load_settings()
    # Loaded while the evaluation is still being prepared, and beside the lock: a recorder that is left
    # alone must hold it before anybody looks for evaluations that nobody records.
    loading = _loaded(load)
    try:
        evaluation = orders.first()
        if evaluation is None:
            return 0
        with (
            closing(Ledger(ledger_file)) as ledger,
            # The recorder of an evaluation that was killed may not have noticed yet.
            exclusive(settings, recording_lock(evaluation), patience=60.0),
        ):
            orders.wait(0)
            if orders.orphaned:
                # Killed before this process was ready. Another one may have recorded and closed the
                # evaluation since, whose runs would be opened again and stay so.
                return 0
            plan, make = ledger.plan(evaluation), loading.result()
            recorder = _Recorder(
                ledger, evaluation, orders, make=lambda: make(plan, settings, ledger)
            )
            gc.freeze()
            gc.enable()
            recorder.follow()
            if orders.close is not None:
                if orders.rewrite is not None:
                    _name_runs(ledger, evaluation, Path(orders.rewrite))
                problems = recorder.close(RunSummary(**orders.close))
                if problems:
                    ledger.set_state(evaluation, "partial")
                recorded(settings, evaluation)
                _tell(problems=problems, notes=recorder.notes())
    except LabError as exc:
        _tell(error=exc.message)
        return int(exc.exit_code)
    return 0


def _name_runs(ledger: Ledger, evaluation: str, folder: Path) -> None:
    """Write an evaluation's files again, with the runs that they are to name."""
    # Imported here: most recorders never need it.
    from llmflowlab.evaluation.reports import write_files
    from llmflowlab.evaluation.run.ending import with_runs
    from llmflowlab.evaluation.run.replay import stored_result

    result = with_runs(stored_result(ledger, evaluation), ledger.evaluation(evaluation).runs)
    # The old ones stay where they cannot be replaced.
    with suppress(OSError):
        write_files(result, folder)


def _loaded(load: Callable[[], T]) -> Future[T]:
    """Begin to load something in a thread that does not hold the process's end up."""
    done: Future[T] = Future()

    def work() -> None:
        try:
            done.set_result(load())
        except BaseException as exc:  # noqa: BLE001 - raised where the result is wanted
            done.set_exception(exc)

    threading.Thread(target=work, name="loading", daemon=True).start()
    return done


class _Orders:
    """What the evaluation says."""

    def __init__(self) -> None:
        self.close: dict[str, Any] | None = None
        self.left = False
        """Whether the evaluation ends without waiting for the record."""
        self.rewrite: str | None = None
        """The folder of files that were written before the runs were known."""
        self.ended = False
        """Whether no further row will come."""
        self._lines: queue.Queue[dict[str, Any] | None] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def orphaned(self) -> bool:
        """Whether the evaluation went away without a word."""
        return self.ended and self.close is None

    def first(self) -> str | None:
        """Wait for the evaluation to be named; None where it never is."""
        order = self._lines.get()
        return None if order is None else str(order["begin"])

    def wait(self, seconds: float) -> None:
        """Wait for the next order at most so long."""
        with suppress(queue.Empty):
            order = self._lines.get(timeout=seconds)
            self.ended = True
            if order is not None:
                self.close, self.left = order["close"], order.get("left", False)
                self.rewrite = order.get("rewrite")

    def _listen(self) -> None:
        for line in sys.stdin:
            self._lines.put(json.loads(line))
        self._lines.put(None)


class _Recorder:
    """Follows one evaluation's rows; outlasts a store that is busy or away for a while."""

    def __init__(
        self,
        ledger: Ledger,
        evaluation: str,
        orders: _Orders,
        *,
        make: Callable[[], EvaluationSink],
    ) -> None:
        self._ledger = ledger
        self._evaluation = evaluation
        self._orders = orders
        self._recorded = 0
        """Finished rows that were read so far."""
        self._refused: list[int] = []
        """Beginnings of batches that the store did not take."""
        self._began = time.monotonic()
        self._worked = -float("inf")
        """When the store last did."""
        self._sink = self._open(make)

    def _open(self, make: Callable[[], EvaluationSink]) -> EvaluationSink:
        while True:
            try:
                made = make()
                made.open()
            except (StoreBusy, StoreUnreachable):
                # While answers come in there is time; at the end it has had every chance.
                if self._orders.ended and not self._patient_alone():
                    raise
                self._orders.wait(_BETWEEN_TRIES)
            else:
                self._worked = time.monotonic()
                _tell(runs=made.run_ids())
                return made

    def _patient_alone(self) -> bool:
        return self._orders.left and time.monotonic() - self._began < _PATIENCE_ALONE

    def follow(self) -> None:
        """Write rows as they come, until all are written and no more will come."""
        seen = 0
        while True:
            ended = self._orders.ended
            batch, last = self._batch(seen)
            if batch:
                self._recorded += len(batch)
                try:
                    self._write(batch)
                except TrackingError:
                    # Tried once more at the end; other rows need not suffer from it.
                    self._refused.append(seen)
                seen = last
            elif ended:
                break
            if not ended and len(batch) < _BATCH:
                self._orders.wait(_PAUSE)
        for after in self._refused:
            # One by one, so that others do not suffer from a row that the store will not take.
            # Whatever it still refuses is found when the books are read back.
            for outcome in self._batch(after)[0]:
                with suppress(TrackingError):
                    self._write([outcome])

    def _batch(self, after: int) -> tuple[list[Outcome], int]:
        rows = self._ledger.outcomes(self._evaluation, after=after, limit=_BATCH)
        batch = [Outcome.from_json(values) for _, values in rows]
        return batch, rows[-1][0] if rows else after

    def _entries(self) -> Iterator[Entry]:
        """Read every finished row once more: what is held of an evaluation does not grow with it."""
        after = 0
        while True:
            batch, after = self._batch(after)
            if not batch:
                return
            for outcome in batch:
                yield outcome.entry()

    def _write(self, batch: Sequence[Outcome]) -> None:
        while True:
            try:
                self._sink.write(batch)
            except (StoreBusy, StoreUnreachable):
                self._pause_or_raise()
            else:
                self._worked = time.monotonic()
                _tell(recorded=self._recorded)
                return

    def close(self, order: RunSummary) -> list[str]:
        """Have the runs closed; returns what the store lacks.

        Raises:
            TrackingError: The store failed.
        """
        while True:
            try:
                return self._sink.close(order, self._entries())
            except (StoreBusy, StoreUnreachable):
                self._pause_or_raise()

    def notes(self) -> list[str]:
        """Return what the store could do without."""
        return self._sink.notes()

    def _pause_or_raise(self) -> None:
        """Wait before another try; raises the error being handled where patience is at its end."""
        patience = _PATIENCE_ALONE if self._orders.left else _PATIENCE
        if self._orders.orphaned:
            patience = 0.0
        if self._orders.ended and time.monotonic() - self._worked > patience:
            raise  # what the caller is handling
        self._orders.wait(_BETWEEN_TRIES)


def mlflow_without_frames() -> MakeSink:
    """Load MLflow as its own lighter distribution is: data frames, of which none comes by here, are a third of it."""
    with missing("pandas", "pyarrow", "polars", "scipy"):
        return SINKS["mlflow"]()


def _tell(**values: Any) -> None:
    # The evaluation may be gone; what is recorded is recorded.
    with suppress(BrokenPipeError):
        print(json.dumps(values), flush=True)  # noqa: T201 - the protocol


if __name__ == "__main__":
    run_to_the_end(lambda: main(Path(sys.argv[1]), mlflow_without_frames))
