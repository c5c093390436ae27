"""Finds the sessions that dead processes left, by their journals' locks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from llmflowlab.files import set_aside
from llmflowlab.settings import Settings
from llmflowlab.tracking.cursors import Cursors, clear_orphans
from llmflowlab.tracking.journal import Journal, read_journal
from llmflowlab.tracking.sessions import RecoveredSession, Session

__all__ = ["left_behind", "recovered"]


def left_behind(settings: Settings, notify: Callable[[str], None]) -> list[Session]:
    """Return the sessions whose processes are gone, oldest first, with their locks taken.

    Journals in which no turn was recorded are removed; those that cannot be read are set aside.

    Args:
        settings: Names the home.
        notify: Told in one sentence what could not be read.
    """
    with suppress(OSError):
        clear_orphans(settings.journals_dir)
    found = []
    for path in sorted(settings.journals_dir.glob("chat-*.jsonl")):
        try:
            session = _recover(path, notify)
        except OSError as exc:
            notify(f"{path} cannot be read ({exc.strerror or exc}); it is left as it is.")
            continue
        if session is not None:
            found.append(session)
    return sorted(found, key=lambda session: session.start.started_ms)


def recovered(session: Session) -> RecoveredSession:
    """Return what the screen says of a session."""
    start = session.start
    return RecoveredSession(start.session_id, len(session.contents.turns), start.candidate.model)


def _recover(path: Path, notify: Callable[[str], None]) -> Session | None:
    journal = Journal(path)
    if not journal.acquire():
        return None
    try:
        contents = read_journal(path)
    except FileNotFoundError:
        # Its own process delivered it a moment ago.
        journal.delete()
        return None
    except OSError:
        journal.release()
        raise
    if contents.start is None or not contents.turns:
        if contents.unreadable or contents.turns:
            aside = set_aside(path)
            notify(f"{path} could not be read and was kept as {aside.name}.")
        journal.delete()
        return None
    cursors = Cursors(path)
    cursors.load()
    return Session(
        start=contents.start,
        journal=journal,
        cursors=cursors,
        contents=contents,
        crashed=not contents.ended,
        recovered=True,
    )
