"""Which MLflow made a database: told by the revision of its tables, before MLflow touches them.

MLflow says of a newer database that it is out of date, and migrates an older one without a word where
a table is missing.
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, TypeAlias

from llmflowlab.errors import TrackingError
from llmflowlab.program import program_name
from llmflowlab.tracking.store_errors import safe_uri

__all__ = ["PINNED_REVISION", "SchemaAge", "age_of", "refusal"]

PINNED_REVISION = "dc11669786a5"
"""Of the MLflow that is pinned; saves the look into its files, which takes ten times as long as the menu has."""
_LINE = re.compile(r'^(revision|down_revision) = "(\w+)"', re.MULTILINE)
SchemaAge: TypeAlias = Literal["same", "older", "newer"]


def age_of(revision: str | None) -> SchemaAge:
    """Compare a database's revision with the installed MLflow's; None, of no tables yet, is the same."""
    if revision in {None, PINNED_REVISION}:
        return "same"
    known, passed = _revisions()
    if revision not in known:
        return "newer"
    return "older" if revision in passed else "same"


def _revisions() -> tuple[set[str], set[str]]:
    """Return the revisions that the installed MLflow knows, and those that another one follows."""
    # Its files are read: importing it takes a second or two.
    spec = find_spec("mlflow")
    known: set[str] = set()
    passed: set[str] = set()
    for place in (spec.submodule_search_locations if spec else None) or ():
        for file in Path(place, "store", "db_migrations", "versions").glob("*_*.py"):
            for kind, name in _LINE.findall(file.read_text("utf-8")):
                (known if kind == "revision" else passed).add(name)
    return known, passed


def refusal(uri: str, age: SchemaAge) -> TrackingError | None:
    """Return why a database cannot be used as it is; None where it can."""
    if age == "newer":
        # Imported here: it takes longer than all else that is looked at before the menu.
        from importlib.metadata import version

        return TrackingError(
            f"MLflow's database {safe_uri(uri)} was made by a newer MLflow than the "
            f"{version('mlflow')} that is installed here; install that one, or name another store in "
            "MLFLOW_TRACKING_URI."
        )
    if age == "older":
        return TrackingError(
            f"MLflow's database {safe_uri(uri)} was made by an older MLflow; "
            + (
                f"`{program_name()}` brings it up to date when it is next started, and keeps a copy."
                if uri.startswith("sqlite:")
                else f"make a backup and bring it up to date with `mlflow db upgrade {safe_uri(uri)}`."
            )
        )
    return None
