"""The files beside MLflow: artifact records, info per provider, and the index of sessions.

`artifacts/{provider}_artifacts.json` grows with every turn of every session, so adding to it copies
bytes and parses nothing: the writer holds a lock, and a file that somebody else changed since is
checked in full first.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from llmflowlab.candidate import Candidate
from llmflowlab.files import exclusive, set_aside, write_atomically
from llmflowlab.settings import Settings
from llmflowlab.tracking.cursors import Cursor
from llmflowlab.tracking.records import SessionStart, TurnRecord, now_text
from llmflowlab.tracking.session_index import SessionIndex
from llmflowlab.tracking.sessions import SessionSnapshot
from llmflowlab.tracking.summaries import SessionSummary, answered, newest, summarise
from llmflowlab.tracking.violations import added

__all__ = ["FilesSink", "LocalRecords", "artifact_record", "artifacts_path", "info_path"]

_TASK = "text-generation"
_NUMBERS = (
    "avg_inference_time",
    "p50_inference_time",
    "p95_inference_time",
    "avg_time_to_first_token",
    "tokens_per_second",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "turns",
    "failed_turns",
    "answered_turns",
)


def artifacts_path(settings: Settings, provider: str) -> Path:
    """Return where a provider's artifact records lie."""
    return settings.artifacts_dir / f"{provider}_artifacts.json"


def info_path(settings: Settings, provider: str) -> Path:
    """Return where a provider's info lies."""
    return settings.info_dir / f"{provider}_info.json"


def artifact_record(
    candidate: Candidate, turn: TurnRecord, *, run_id: str | None
) -> dict[str, Any]:
    """Return a turn as it stands in the artifact files.

    A turn that did not end by itself has its state as `finish_reason`. `run_id` and `trace_id` come
    last and side by side, because a run id that became known later is filled in there.
    """
    ended = turn.finish_reason if turn.state == "complete" else turn.state
    return {
        "date": turn.date,
        "prompt": turn.prompt,
        "answer": turn.answer,
        "model": candidate.model,
        "language": turn.language,
        "language_confidence": turn.language_confidence,
        "prompt_tokens": turn.prompt_tokens,
        "completion_tokens": turn.completion_tokens,
        "tokens_estimated": turn.tokens_estimated,
        "cost_usd": None if turn.cost is None else float(turn.cost),
        "inference_time": turn.inference_time if answered(turn) else None,
        "finish_reason": ended,
        "run_id": run_id,
        "trace_id": turn.trace_id,
    }


class FilesSink:
    """The files beside MLflow, for who reads without it.

    Args:
        settings: Names the home.
        on_notice: Told in one sentence where a file had to be set aside.
    """

    name = "files"
    local = True

    def __init__(self, settings: Settings, *, on_notice: Callable[[str], None]) -> None:
        self.place = str(settings.artifacts_dir)
        self._records = LocalRecords(settings, on_notice=on_notice)

    def prepare(self) -> None:
        """Nothing takes long."""

    def open(self, session: SessionSnapshot, at: Cursor) -> Cursor:
        """Nothing is to be made: a session's place is that of its provider."""
        return at

    def write(self, session: SessionSnapshot, at: Cursor) -> Cursor:
        """Add the turns; once the run is known, all of them and the ended session name it.

        Raises:
            OSError: A file cannot be written.
            TrackingError: Another process kept one locked.
        """
        named_late = session.run_id is not None and at.names_run != session.run_id
        turns = session.turns if named_late else session.turns[at.turns :]
        if turns:
            self._records.add_turns(session.start.candidate, turns, run_id=session.run_id)
        return replace(
            at,
            turns=len(session.turns),
            ratings=len(session.ratings),
            names_run=session.run_id,
            closed=at.closed and not named_late,
        )

    def close(self, session: SessionSnapshot, at: Cursor) -> Cursor:
        """Enter the session in the index and in the provider's info.

        Raises:
            OSError: A file cannot be written.
            TrackingError: Another process kept one locked.
        """
        served = [turn.model_version for turn in session.turns if turn.model_version]
        summary = summarise(session.start, session.turns, run_id=session.run_id)
        self._records.add_session(
            session.start, summary, model_version=served[0] if served else None
        )
        return replace(at, closed=True)


class LocalRecords:
    """Writes the files beside MLflow; several processes may do so at once.

    Args:
        settings: Names the home.
        on_notice: Told in one sentence where a file had to be set aside.
    """

    def __init__(
        self, settings: Settings, *, on_notice: Callable[[str], None] | None = None
    ) -> None:
        self._settings = settings
        self._notify = on_notice or (lambda text: None)
        self._index = SessionIndex(settings)
        self._checked: dict[Path, tuple[int, int]] = {}
        """Size and time of the files as this process last wrote them."""

    def add_turns(
        self, candidate: Candidate, turns: Sequence[TurnRecord], *, run_id: str | None
    ) -> None:
        """Add turns to the provider's artifact file; those it holds only get their run id.

        Raises:
            OSError: The file cannot be written.
            TrackingError: Another process kept it locked.
        """
        path = artifacts_path(self._settings, candidate.provider)
        with exclusive(self._settings, path.name):
            before = content = self._content(path)
            new = []
            for turn in turns:
                marker = f'"trace_id": "{turn.trace_id}"'.encode()
                if marker not in content:
                    new.append(artifact_record(candidate, turn, run_id=run_id))
                elif run_id is not None:
                    empty = b'"run_id": null,\n    ' + marker
                    content = content.replace(
                        empty, f'"run_id": "{run_id}",\n    '.encode() + marker
                    )
            content = _extended(content, new)
            if content == before:
                return
            write_atomically(path, content)
            self._checked[path] = _stamp(path)

    def _content(self, path: Path) -> bytes:
        """Return a file that is known to hold an array; set it aside where it does not."""
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return b"[]\n"
        if self._checked.get(path) == _stamp(path):
            return content
        try:
            records = json.loads(content)
            if not isinstance(records, list):
                raise ValueError("no array")
        except ValueError:
            aside = set_aside(path)
            self._notify(
                f"{path} could not be read as a JSON array; it was kept as {aside.name} and a new "
                "file was begun."
            )
            return b"[]\n"
        # Another program may have written it in another layout.
        return _dumped(records)

    def add_session(
        self, start: SessionStart, summary: SessionSummary, *, model_version: str | None
    ) -> None:
        """Enter a finished session in the index and bring the provider's info up to date.

        Raises:
            OSError: A file cannot be written.
            TrackingError: Another process kept one locked.
        """
        provider = summary.provider
        self._index.add(summary)
        path = info_path(self._settings, provider)
        with exclusive(self._settings, path.name):
            # Read under the lock, so that of two processes the later one sees both sessions.
            sessions = [s for s in self._index.load().sessions if s.provider == provider]
            last = newest(sessions)
            parameters: dict[str, Any] = _typed(start.candidate, model_version)
            if last.session_id != summary.session_id:
                # An older session that is delivered late does not take the newest one's place.
                parameters = _kept_parameters(path) or parameters
            document = {
                "parameters": parameters,
                "metrics": {"total": _total(sessions), "last_session": _metrics(last)},
                "sessions": len(sessions),
                "updated": now_text(),
            }
            text = json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
            write_atomically(path, text.encode("utf-8", errors="replace"))


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _dumped(records: list[Any]) -> bytes:
    if not records:
        return b"[]\n"
    text = json.dumps(records, ensure_ascii=False, indent=2) + "\n"
    return text.encode("utf-8", errors="replace")


def _extended(content: bytes, new: list[dict[str, Any]]) -> bytes:
    """Add records to the text of an array in our own layout."""
    if not new:
        return content
    added = _dumped(new)
    head = content.rstrip().removesuffix(b"]").rstrip()
    return added if head == b"[" else head + b"," + added.removeprefix(b"[")


def _typed(candidate: Candidate, model_version: str | None) -> dict[str, Any]:
    values = candidate.to_record()
    del values["provider"]
    return {**values, "task": _TASK, "model_version": model_version}


def _kept_parameters(path: Path) -> dict[str, Any] | None:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))["parameters"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return values if isinstance(values, dict) else None


def _total(sessions: Sequence[SessionSummary]) -> dict[str, Any]:
    """Add sessions up; a sum is unknown as soon as an answered part of it is."""
    used = [s for s in sessions if s.turns > s.failed_turns]

    def total(name: str) -> Any:
        values = [getattr(session, name) for session in used]
        return None if not values or None in values else sum(values)

    def mean(name: str) -> float | None:
        pairs = [(getattr(s, name), s.answered) for s in used]
        known = [(value, weight) for value, weight in pairs if value is not None]
        weights = sum(weight for _, weight in known)
        return sum(value * weight for value, weight in known) / weights if weights else None

    cost = total("cost")
    return {
        "avg_inference_time": mean("avg_inference_time"),
        "avg_time_to_first_token": mean("avg_time_to_first_token"),
        "tokens_per_second": mean("tokens_per_second"),
        "prompt_tokens": total("prompt_tokens"),
        "completion_tokens": total("completion_tokens"),
        "total_tokens": total("total_tokens"),
        "total_cost_estimate": None if cost is None else float(cost),
        "turns": sum(s.turns for s in sessions),
        "failed_turns": sum(s.failed_turns for s in sessions),
        "answered_turns": sum(s.answered for s in sessions),
        **_guarded(added(s.guardrail_violations for s in sessions)),
    }


def _metrics(session: SessionSummary) -> dict[str, Any]:
    """Return a session's numbers, in words of the run's metrics; here the unknown ones are there too."""
    cost = session.cost
    numbers = {name: getattr(session, name) for name in _NUMBERS}
    return {
        **numbers,
        "total_cost_estimate": None if cost is None else float(cost),
        **_guarded(session.guardrail_violations),
    }


def _guarded(found: Mapping[str, int] | None) -> dict[str, Any]:
    return {} if found is None else {"guardrail_violations": dict(found)}
