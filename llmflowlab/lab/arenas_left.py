"""Which arenas MLflow lacks: their journals in the home. Imports next to nothing, as every end of a program asks."""

from __future__ import annotations

from pathlib import Path

from llmflowlab.settings import Settings
from llmflowlab.tracking.journal import Journal

__all__ = ["arena_journal_path", "arenas_left", "arenas_to_deliver"]

_NAME = "arena-"


def arena_journal_path(settings: Settings, arena: str) -> Path:
    """Return where an arena's journal lies."""
    return settings.journals_dir / f"{_NAME}{arena}.jsonl"


def arenas_left(settings: Settings) -> list[Path]:
    """Return the journals of all that MLflow does not have whole, those under way included."""
    return sorted(settings.journals_dir.glob(f"{_NAME}*.jsonl"))


def arenas_to_deliver(settings: Settings) -> list[Path]:
    """Return those of arenas that are over, or whose process is gone."""
    return [path for path in arenas_left(settings) if _free(path)]


def _free(path: Path) -> bool:
    journal = Journal(path)
    if not journal.acquire():
        return False
    journal.release()
    return True
