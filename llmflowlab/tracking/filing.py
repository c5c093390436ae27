"""What of a session goes into the files beside MLflow, and when."""

from __future__ import annotations

from llmflowlab.tracking.local_records import LocalRecords
from llmflowlab.tracking.sessions import Session, Snapshot
from llmflowlab.tracking.summaries import summarise

__all__ = ["file_session"]


def file_session(local: LocalRecords, session: Session, snapshot: Snapshot) -> None:
    """Write what the files do not have yet: turns, the run id once it is known, the ended session.

    Raises:
        OSError: A file cannot be written.
        TrackingError: Another process kept one locked.
    """
    late = session.run_id is not None and not session.run_filed
    turns = snapshot.turns if late else snapshot.turns[session.turns_filed :]
    if turns:
        local.add_turns(snapshot.start.candidate, turns, run_id=session.run_id)
    session.turns_filed = len(snapshot.turns)
    session.run_filed = session.run_id is not None
    if snapshot.ended and session.indexed != (session.run_id,):
        served = [turn.model_version for turn in snapshot.turns if turn.model_version]
        summary = summarise(snapshot.start, snapshot.turns, run_id=session.run_id)
        local.add_session(snapshot.start, summary, model_version=served[0] if served else None)
        session.indexed = (session.run_id,)
