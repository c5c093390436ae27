"""Chat sessions in Weights & Biases: a run each, written whole when the session has ended."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from llmflowlab.settings import Settings
from llmflowlab.tracking.cursors import Cursor
from llmflowlab.tracking.records import TurnRecord, last_ratings
from llmflowlab.tracking.sessions import SessionSnapshot
from llmflowlab.tracking.sinks.local_files import artifact_record
from llmflowlab.tracking.sinks.mlflow import EXPERIMENT, run_parameters
from llmflowlab.tracking.summaries import closing_tags, session_metrics, summarise, turn_metrics
from llmflowlab.tracking.violations import counts, in_words, table_of
from llmflowlab.tracking.wandb_run import (
    WandbRun,
    WandbStep,
    WandbTable,
    require_wandb,
    write_wandb_run,
)

__all__ = ["WandbSink", "session_run"]


class WandbSink:
    """Writes chat sessions into Weights & Biases.

    Args:
        settings: Name the home; their environment has `WANDB_*`.
    """

    name = "wandb"
    place = "Weights & Biases"
    local = False

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def prepare(self) -> None:
        """Nothing takes long here: the package is loaded by a process of its own."""

    def open(self, session: SessionSnapshot, at: Cursor) -> Cursor:
        """Nothing is to be made: a run is made whole."""
        return at

    def write(self, session: SessionSnapshot, at: Cursor) -> Cursor:
        """Nothing is written of a session that goes on."""
        return replace(at, turns=len(session.turns), ratings=len(session.ratings))

    def close(self, session: SessionSnapshot, at: Cursor) -> Cursor:
        """Write the session's run.

        Raises:
            ConfigurationError: The package is not installed.
            TrackingError: The run could not be written.
        """
        require_wandb(self._settings)
        write_wandb_run(self._settings, session_run(session))
        return replace(at, closed=True)


def session_run(session: SessionSnapshot) -> WandbRun:
    """Return an ended session as a run, its figures those that MLflow's has."""
    start, candidate = session.start, session.start.candidate
    summary = summarise(start, session.turns, run_id=session.run_id)
    served = list(dict.fromkeys(t.model_version for t in session.turns if t.model_version))
    config = {
        **run_parameters(candidate),
        **({"model_version": served[0]} if served else {}),
        "llmflowlab.session_id": start.session_id,
        "llmflowlab.model": candidate.model,
        "llmflowlab.candidate": candidate.version_digest,
        "llmflowlab.mlflow_run": session.run_id,
        **closing_tags(session, summary),
    }
    found = [(turn.trace_id, each) for turn in session.turns for each in turn.violations]
    return WandbRun(
        id=start.session_id,
        name=f"Chat_{candidate.display_name}",
        group=EXPERIMENT,
        kind="chat",
        config=config,
        summary=session_metrics(summary),
        steps=[
            WandbStep(
                step=turn.index,
                at_ms=turn.started_ms + int(turn.inference_time * 1000),
                metrics=turn_metrics(turn),
            )
            for turn in session.turns
        ],
        tables=[_interactions(session), *([_violations(found)] if found else [])],
        state="failed" if session.crashed else "finished",
        started_ms=start.started_ms,
        tags=[candidate.provider],
    )


def _interactions(session: SessionSnapshot) -> WandbTable:
    rows = [_row(session, turn) for turn in session.turns]
    return WandbTable(
        name="interactions",
        columns=list(rows[0]) if rows else ["prompt", "answer"],
        rows=[list(row.values()) for row in rows],
    )


def _row(session: SessionSnapshot, turn: TurnRecord) -> dict[str, Any]:
    said = last_ratings(session.ratings, turn.trace_id)
    return {
        **artifact_record(session.start.candidate, turn, run_id=session.run_id),
        "state": turn.state,
        "error": turn.error,
        "guardrails": in_words(counts(turn.violations)) or None,
        "time_to_first_token": turn.time_to_first_token,
        **{name: said[name].value if name in said else None for name in ("thumbs_up", "rating")},
    }


def _violations(found: list[tuple[str, Any]]) -> WandbTable:
    table = json.loads(table_of(found))
    return WandbTable(name="guardrail_violations", columns=table["columns"], rows=table["data"])
