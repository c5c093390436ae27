"""The recorder process: reads finished rows from the ledger and writes them into MLflow meanwhile.

A process of its own, because MLflow costs 1.5 s to import and some milliseconds of processor a row,
which would hold up the calls on the same interpreter. Between it and the evaluation stands the ledger,
so a recorder that dies loses nothing, and recording again is all a repair needs.

Speaks JSON lines: on standard input `{"begin": ID}`, then `{"close": {…}}` or the end of input, on
standard output
`{"runs": …}`, `{"recorded": n}`, and last `{"problems": […]}` or `{"error": "…"}`.
"""

from __future__ import annotations

import json
import queue
import signal
import sys
import threading
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from llmflowlab.errors import LabError
from llmflowlab.evaluation.closing import Closing
from llmflowlab.evaluation.ledger import Ledger
from llmflowlab.evaluation.outcomes import Outcome
from llmflowlab.settings import load_settings

__all__ = ["main"]

_BATCH = 200
_PAUSE = 0.1


def main(ledger_file: Path) -> int:
    """Record one evaluation until it is closed or standard input ends."""
    # Ctrl-C reaches every process of the terminal; the evaluation decides when recording ends.
    with suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    orders: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(orders,), daemon=True).start()
    settings = load_settings()
    try:
        # Loaded while the evaluation is still being prepared.
        from llmflowlab.evaluation.recording import Recording

        first = orders.get()
        if first is None:
            return 0
        with closing(Ledger(ledger_file)) as ledger:
            evaluation: str = first["begin"]
            recording = Recording(ledger.plan(evaluation), settings, ledger)
            recording.open()
            _tell(runs=recording.run_ids())
            order, outcomes = _follow(ledger, evaluation, recording, orders)
            if order is not None:
                _tell(problems=recording.close(Closing(**order["close"]), list(outcomes.values())))
    except LabError as exc:
        _tell(error=exc.message)
        return int(exc.exit_code)
    return 0


def _follow(
    ledger: Ledger,
    evaluation: str,
    recording: Any,
    orders: queue.SimpleQueue[dict[str, Any] | None],
) -> tuple[dict[str, Any] | None, dict[str, Outcome]]:
    """Write rows as they come; returns the closing order, and every row, once all are written."""
    seen = 0
    outcomes: dict[str, Outcome] = {}
    order: dict[str, Any] | None = None
    ending = False
    while True:
        rows = ledger.outcomes(evaluation, after=seen, limit=_BATCH)
        if rows:
            seen = rows[-1][0]
            batch = [Outcome.from_json(values) for _, values in rows]
            recording.write(batch)
            outcomes.update((outcome.key, outcome) for outcome in batch)
            _tell(recorded=len(outcomes))
        elif ending:
            return order, outcomes
        if not ending and len(rows) < _BATCH:
            with suppress(queue.Empty):
                order = orders.get(timeout=_PAUSE)
                ending = True


def _listen(orders: queue.SimpleQueue[dict[str, Any] | None]) -> None:
    for line in sys.stdin:
        orders.put(json.loads(line))
    orders.put(None)


def _tell(**values: Any) -> None:
    # The evaluation may be gone; what is recorded is recorded.
    with suppress(BrokenPipeError):
        print(json.dumps(values), flush=True)  # noqa: T201 - the protocol


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
