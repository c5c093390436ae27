"""Whose models may run here: loading one runs the code that travels with it.

The home's own store is the person's. Of any other, whoever can write there decides what runs here; that is
said, and a yes is asked for once.
"""

from __future__ import annotations

import json
from pathlib import Path

from llmflowlab.errors import NotConfigured
from llmflowlab.files import exclusive, write_atomically
from llmflowlab.program import program_name
from llmflowlab.settings import Settings
from llmflowlab.tracking.store import safe_uri, sqlite_path

__all__ = ["TRUST", "is_trusted", "require_trust", "trust"]

TRUST = "LLMFLOWLAB_TRUST_STORE"
"""The variable that says yes for a script: the store's address, as in `MLFLOW_TRACKING_URI`."""


def is_trusted(settings: Settings) -> bool:
    """Whether models of the store may be loaded."""
    path = sqlite_path(settings.tracking_uri)
    if path is not None and path.resolve() == (settings.home / "mlflow.db").resolve():
        return True
    shown = safe_uri(settings.tracking_uri)
    return settings.get(TRUST) in {settings.tracking_uri, shown} or shown in _known(settings)


def require_trust(settings: Settings, reference: str) -> None:
    """See that a version may be loaded.

    Raises:
        NotConfigured: It comes from a store that nobody said yes to.
    """
    if not is_trusted(settings):
        where = safe_uri(settings.tracking_uri)
        raise NotConfigured(
            f"To load {reference} runs the code that travels with it, and whoever can write to {where} "
            f"decides what that is. Where you trust them, say so once: {program_name()} registry trust "
            f"(for scripts: {TRUST}={where}).",
            provider="mlflow",
        )


def trust(settings: Settings) -> None:
    """Remember that models of this store may be loaded.

    Raises:
        OSError: It cannot be written down.
        TrackingError: Another process holds the file.
    """
    with exclusive(settings, "trusted_stores.json"):
        known = sorted({*_known(settings), safe_uri(settings.tracking_uri)})
        write_atomically(_file(settings), json.dumps(known, indent=2).encode() + b"\n")


def _known(settings: Settings) -> list[str]:
    try:
        found = json.loads(_file(settings).read_bytes())
    except (OSError, ValueError):
        return []
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def _file(settings: Settings) -> Path:
    return settings.state_dir / "trusted_stores.json"
