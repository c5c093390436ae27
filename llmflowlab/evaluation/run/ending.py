"""The end of an evaluation whose rows are all scored, on one machine and on a cluster: its runs are closed.

A first Ctrl-C that comes only now ends a wait; a second one leaves at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from llmflowlab.errors import TrackingError
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.run.closing import RunSummary
from llmflowlab.evaluation.run.ledger import EvaluationState
from llmflowlab.evaluation.run.pending import await_recording
from llmflowlab.evaluation.run.recorder_client import RecorderProcess
from llmflowlab.evaluation.run.workbench import EngineResources, Phase

__all__ = ["Ending", "with_runs"]

_RUNS_SOON = 3.0
"""Seconds that the files wait for the names of their runs."""


def with_runs(result: EvaluationResult, runs: Mapping[str, Any]) -> EvaluationResult:
    """Return a result that names its runs, as far as they are known."""
    ids = runs.get("candidates") or [None] * len(result.candidates)
    return replace(
        result,
        parent_run_id=runs.get("parent"),
        candidates=[
            replace(candidate, run_id=run_id)
            for candidate, run_id in zip(result.candidates, ids, strict=True)
        ],
    )


class Ending:
    """How one evaluation ends.

    Args:
        bench: What it works with.
        evaluation: Which.
        show: Told what is being done.
        interrupted: Whether Ctrl-C has come already.
    """

    def __init__(
        self,
        bench: EngineResources,
        evaluation: str,
        show: Callable[[Phase, str], None],
        *,
        interrupted: bool,
    ) -> None:
        self._bench, self._evaluation, self._show = bench, evaluation, show
        self.interrupted = interrupted

    def runs(self, recorder: RecorderProcess, *, waits: bool) -> Mapping[str, Any]:
        """Return the runs, for the files to name: what is known of them, or will be in a moment."""
        try:
            return recorder.wait_for_runs(_RUNS_SOON if waits else 0.0, self._recording)
        except KeyboardInterrupt:
            if self.interrupted:
                raise
            self.interrupted = True
            return {}

    def close(self, recorder: RecorderProcess, closing: RunSummary) -> list[str]:
        """Have the runs closed, and wait for it; returns what the store lacks.

        Raises:
            TrackingError: The recorder failed.
        """
        try:
            return recorder.close(closing.to_json(), self._recording)
        except KeyboardInterrupt:
            if self.interrupted:
                raise
            self.interrupted = True
            words = "finishing the record (Ctrl-C again leaves at once)"
            return recorder.wait(lambda: self._show("recording", words))

    def leave(
        self, recorder: RecorderProcess, closing: RunSummary, result: EvaluationResult
    ) -> list[str]:
        """Have the runs closed without waiting for it."""
        named = all(candidate.run_id is not None for candidate in result.candidates)
        # Where it cannot be noted, somebody looks after it whom it does not need.
        with suppress(OSError):
            await_recording(self._bench.settings, self._evaluation, by="recorder")
        recorder.leave(closing.to_json(), rewrite=None if named else self._bench.output)
        return []

    def carry_out(
        self, result: EvaluationResult, close: Callable[[], Sequence[str]]
    ) -> EvaluationResult:
        """Close the runs, and note how it ended.

        Args:
            result: What its files say.
            close: Closes the runs; returns what the store lacks, or raises TrackingError.
        """
        ledger = self._bench.ledger
        ended: EvaluationState = "finished" if result.unfinished is None else "interrupted"
        # Before the recorder closes the runs: it says itself where the store lacks something.
        ledger.set_state(self._evaluation, ended)
        try:
            problems = tuple(close())
        except TrackingError as exc:
            problems = (exc.message,)
        if problems and ended == "finished":
            ledger.set_state(self._evaluation, "partial")
        self._show("done", "")
        runs = ledger.evaluation(self._evaluation).runs
        # Also where Ctrl-C came while only recording was left to be done.
        return replace(with_runs(result, runs), interrupted=self.interrupted, problems=problems)

    def _recording(self) -> None:
        self._show("recording", "")
