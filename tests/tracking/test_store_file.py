"""A store whose making was cut short is made anew; one that holds something is never touched."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from llmflowlab.errors import TrackingError
from llmflowlab.settings import Settings
from llmflowlab.tracking import store
from llmflowlab.tracking.store import open_store
from llmflowlab.tracking.store_file import set_aside_if_empty


def database(file: Path, *statements: str) -> Path:
    with closing(sqlite3.connect(file)) as db:
        for statement in statements:
            db.execute(statement)
        db.commit()
    return file


HALF = ("CREATE TABLE trace_info (request_id TEXT)", "CREATE TABLE runs (run_uuid TEXT)")


def names(settings: Settings) -> set[str]:
    return {path.name for path in settings.home.iterdir() if "mlflow.db" in path.name}


def test_a_new_store_is_there_only_when_it_is_whole(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    (settings.home / ".mlflow.db.making").write_bytes(b"left by a kill")
    (settings.home / ".mlflow.db.making-journal").write_bytes(b"of the one before")
    renamed: list[set[str]] = []
    rename = Path.rename

    def watched(path: Path, target: Path) -> Path:
        if path.name.endswith(".making"):
            renamed.append(names(settings))
            with closing(sqlite3.connect(path)) as db:
                assert db.execute("SELECT COUNT(*) FROM alembic_version").fetchone() == (1,)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", watched)
    assert open_store(settings).experiment_id("mine")
    assert renamed == [{".mlflow.db.making"}]
    assert names(settings) == {"mlflow.db"}


def test_one_that_was_left_half_made_is_made_anew(settings: Settings) -> None:
    database(settings.home / "mlflow.db", *HALF)
    assert open_store(settings).experiment_id("mine")
    (aside,) = names(settings) - {"mlflow.db"}
    assert aside.startswith("mlflow.db.bad-")


def test_one_that_holds_something_is_left_as_it_is(settings: Settings) -> None:
    file = database(settings.home / "mlflow.db", *HALF, "INSERT INTO runs VALUES ('mine')")
    with pytest.raises(TrackingError, match="failed"):
        open_store(settings)
    with closing(sqlite3.connect(file)) as db:
        assert db.execute("SELECT run_uuid FROM runs").fetchall() == [("mine",)]
    assert names(settings) == {"mlflow.db"}


def test_one_that_somebody_writes_to_is_left_as_it_is(settings: Settings) -> None:
    file = database(settings.home / "mlflow.db", *HALF)
    with closing(sqlite3.connect(file)) as db:
        db.execute("BEGIN EXCLUSIVE")
        assert not set_aside_if_empty(file)
    assert names(settings) == {"mlflow.db"}


def test_what_is_no_database_is_left_as_it_is(settings: Settings) -> None:
    file = settings.home / "mlflow.db"
    file.write_text("a letter of mine, longer than the header of a database " * 9, "utf-8")
    assert not set_aside_if_empty(file)
    assert file.exists()


def test_a_disk_that_is_full_gets_no_empty_files_and_is_one_sentence_without_sql(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each try of the deliverer once left an empty file that was set aside.
    def full(path: Path) -> None:
        raise OperationalError(
            "CREATE TABLE x", {}, sqlite3.OperationalError("database or disk is full")
        )

    monkeypatch.setattr(store, "make_file", full)
    for _ in range(2):
        with pytest.raises(TrackingError) as found:
            open_store(settings)
        assert "the disk is full; make room there" in found.value.message
        assert "CREATE" not in found.value.message
    assert not set_aside_if_empty(settings.home / "mlflow.db")
    assert list(settings.home.glob("mlflow.db*")) == []
