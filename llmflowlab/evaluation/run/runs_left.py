"""Evaluations that Weights & Biases does not have: a file for each, asked for at every command's end."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from llmflowlab.evaluation.run.pending import evaluation_lock, is_held
from llmflowlab.files import write_atomically
from llmflowlab.settings import Settings

__all__ = ["await_runs", "runs_left", "runs_written"]


def await_runs(settings: Settings, evaluation: str) -> None:
    """Note that an evaluation has begun and is to be there, where that was chosen.

    Raises:
        OSError: It could not be noted.
    """
    if "wandb" in settings.trackers:
        write_atomically(_folder(settings) / evaluation, b"")


def runs_written(settings: Settings, evaluation: str) -> None:
    """Note that it has it, or that there is no such evaluation any more."""
    with suppress(OSError):
        (_folder(settings) / evaluation).unlink(missing_ok=True)


def runs_left(settings: Settings) -> list[str]:
    """Return those that have ended, well or not; none where it is not chosen (any more)."""
    folder = _folder(settings)
    if "wandb" not in settings.trackers or not folder.is_dir():
        return []
    noted = sorted(file.name for file in folder.iterdir() if not file.name.startswith("."))
    return [name for name in noted if not is_held(settings, evaluation_lock(name))]


def _folder(settings: Settings) -> Path:
    return settings.state_dir / "recordings-wandb"
