"""What the tracking tests share: values with sensible defaults, and a look into the store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from llmflowlab.candidate import Candidate
from llmflowlab.messages import Parameters
from llmflowlab.settings import Settings, load_settings
from llmflowlab.tracking.chat_recorder import ChatRecorder
from llmflowlab.tracking.delivery import Delivery
from llmflowlab.tracking.records import (
    RatingRecord,
    SessionStart,
    TurnRecord,
    new_session_id,
    new_trace_id,
)

BEGIN_MS = 1_760_000_000_000
CANDIDATE = Candidate(
    model="gemini:gemini-2.5-flash",
    display_name="Gemini",
    supplier="Google",
    system="Be brief.",
    parameters=Parameters(temperature=0.2),
)


def start(candidate: Candidate = CANDIDATE, **changes: Any) -> SessionStart:
    values = SessionStart(
        session_id=new_session_id(),
        candidate=candidate,
        started="2026-11-20 10:00:00",
        started_ms=BEGIN_MS,
    )
    return replace(values, **changes)


def turn(index: int = 0, **changes: Any) -> TurnRecord:
    values = TurnRecord(
        trace_id=new_trace_id(),
        index=index,
        date="2026-11-20 10:00:00",
        started_ms=BEGIN_MS + index * 10_000,
        prompt=f"Frage {index}: wie heißt 日本?",
        answer=f"Antwort {index}",
        messages=[{"role": "user", "content": f"Frage {index}: wie heißt 日本?"}],
        model_version="gemini-2.5-flash-001",
        language="de",
        language_confidence=0.98,
        prompt_tokens=10,
        completion_tokens=20,
        cost_usd="0.0001",
        inference_time=2.0 + index,
        time_to_first_token=0.5,
        finish_reason="stop",
    )
    return replace(values, **changes)


def failed_turn(index: int = 0, **changes: Any) -> TurnRecord:
    return turn(
        index,
        answer="",
        state="failed",
        error="Gemini is busy; try again in a minute.",
        error_reason="overloaded",
        model_version=None,
        prompt_tokens=None,
        completion_tokens=None,
        cost_usd=None,
        inference_time=9.0,
        time_to_first_token=None,
        finish_reason=None,
        language=None,
        language_confidence=None,
        **changes,
    )


def rating(of: TurnRecord, value: int | bool = 4, comment: str | None = "good") -> RatingRecord:
    return RatingRecord(trace_id=of.trace_id, value=value, comment=comment, rated_ms=BEGIN_MS)


def settings_for(home: Path, **environment: str) -> Settings:
    return load_settings(environment, cwd=home, stdin_is_terminal=False)


def record(
    settings: Settings,
    delivery: Delivery,
    *turns: TurnRecord,
    session: SessionStart | None = None,
    ratings: tuple[RatingRecord, ...] = (),
    interrupted: bool = False,
) -> SessionStart:
    """Record a whole session and end it."""
    session = session or start()
    recorder = ChatRecorder(settings, session, lambda: delivery)
    for one in turns:
        recorder.record_turn(one)
    for one_rating in ratings:
        recorder.record_rating(one_rating)
    recorder.close(interrupted=interrupted)
    return session


class Stored:
    """What the store holds."""

    def __init__(self, settings: Settings) -> None:
        from llmflowlab.tracking.store import open_store

        self._store = open_store(settings)
        self.client = self._store.client

    def runs(self) -> list[Any]:
        experiment = self._store.experiment_id("LLMS_Text_Generation")
        return list(self.client.search_runs([experiment]))

    def run(self) -> Any:
        (run,) = self.runs()
        return run

    def traces(self) -> list[Any]:
        """Return all traces in the order of their turns."""
        experiment = self._store.experiment_id("LLMS_Text_Generation")
        found = self._store.tracing.search_traces(locations=[experiment], max_results=500)
        return sorted(found, key=lambda trace: trace.info.request_time)

    def history(self, run_id: str, metric: str) -> list[tuple[int, float]]:
        return sorted((m.step, m.value) for m in self.client.get_metric_history(run_id, metric))

    def versions(self, name: str = "llm_gemini_chat") -> list[Any]:
        found = self.client.search_model_versions(f"name = '{name}'")
        return sorted(found, key=lambda version: int(version.version))

    def artifacts(self, run_id: str) -> dict[str, str]:
        """Return the text of a run's files by name."""
        names = [entry.path for entry in self.client.list_artifacts(run_id)]
        return {
            name: Path(self.client.download_artifacts(run_id, name)).read_text(encoding="utf-8")
            for name in names
        }
