"""A database of another MLflow: a newer one is named, an older one brought up to date beside a copy."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from llmflowlab.cli import dispatch
from llmflowlab.cli.arguments import parse
from llmflowlab.errors import TrackingError
from llmflowlab.history.overview import load_sessions
from llmflowlab.settings import Settings, load_settings
from llmflowlab.tracking import store as store_module
from llmflowlab.tracking.store import open_store, upgrade_store
from llmflowlab.tracking.store_errors import translate
from llmflowlab.tracking.store_file import revision_of
from llmflowlab.tracking.store_schema import PINNED_REVISION, age_of, refusal
from tests.tracking.helpers import settings_for

NEWER = "feedc0ffee12"


def make_newer(file: Path) -> None:
    with closing(sqlite3.connect(file)) as db:
        db.execute("UPDATE alembic_version SET version_num = ?", (NEWER,))
        db.commit()


_OLDER = """
import sys
from alembic import command
from alembic.script import ScriptDirectory
from mlflow.store.db import utils
from sqlalchemy import create_engine, text

engine, config = create_engine(sys.argv[1]), utils._get_alembic_config(sys.argv[1])
utils.InitialBase.metadata.create_all(engine)
head = ScriptDirectory.from_config(config).get_revision(utils._get_latest_schema_revision())
with engine.begin() as connection:
    config.attributes["connection"] = connection
    command.upgrade(config, head.down_revision)
    columns = "(experiment_id, name, lifecycle_stage)"
    connection.execute(text(f"INSERT INTO experiments {columns} VALUES (7, 'mine', 'active')"))
"""


@pytest.fixture(scope="module")
def made_by_an_older_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database as the MLflow before the last change of its tables left it, with an experiment."""
    file = tmp_path_factory.mktemp("older") / "mlflow.db"
    command = [sys.executable, "-W", "ignore", "-c", _OLDER, f"sqlite:///{file.as_posix()}"]
    subprocess.run(command, check=True, capture_output=True)
    return file


@pytest.fixture
def older(settings: Settings, made_by_an_older_mlflow: Path) -> Path:
    return Path(shutil.copy(made_by_an_older_mlflow, settings.home / "mlflow.db"))


def test_the_pinned_revision_is_that_of_the_mlflow_that_is_installed() -> None:
    from mlflow.store.db import utils

    database: Any = utils
    assert database._get_latest_schema_revision() == PINNED_REVISION


def test_ages_are_told_by_mlflows_own_files() -> None:
    assert age_of(None) == age_of(PINNED_REVISION) == "same"
    assert age_of("75868b020152") == "older"
    assert age_of(NEWER) == "newer"


def test_a_newer_database_is_named_and_left_as_it_is(lab: Settings) -> None:
    make_newer(lab.home / "mlflow.db")
    before = (lab.home / "mlflow.db").read_bytes()
    for use in (open_store, load_sessions):
        with pytest.raises(TrackingError, match="made by a newer MLflow"):
            use(lab)
    upgrade_store(lab, lambda file, copy: pytest.fail("it is not older"))
    assert (lab.home / "mlflow.db").read_bytes() == before
    assert [path.name for path in lab.home.glob("mlflow.db*")] == ["mlflow.db"]


@pytest.mark.parametrize(
    ("command", "code"), [("registry list", 4), ("info", 0), ("doctor", 3), ("ui --no-browser", 3)]
)
def test_every_command_names_a_newer_database(
    mlflow_home: Path, command: str, code: int, capfd: pytest.CaptureFixture[str]
) -> None:
    from llmflowlab import cli

    make_newer(mlflow_home / "mlflow.db")
    assert cli.main(command.split()) == code
    seen = capfd.readouterr()
    assert "was made by a newer MLflow than the 3." in " ".join((seen.out + seen.err).split())


@pytest.mark.parametrize("line", [["chat", "--model", "guide", "--message", "hi"], []])
def test_a_chat_and_the_menu_say_it_before_anything_is_asked(
    mlflow_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    line: list[str],
) -> None:
    make_newer(mlflow_home / "mlflow.db")
    said: list[str] = []

    def carried_out(*args: object) -> int:
        said.append(capsys.readouterr().err)
        return 0

    monkeypatch.setattr("llmflowlab.cli.chat.chat_command.run_command", carried_out)
    monkeypatch.setattr("llmflowlab.cli.menu.run_menu", carried_out)
    settings = load_settings({}, cwd=mlflow_home, stdin_is_terminal=False)
    assert dispatch.dispatch(parse(line), settings) == 0
    assert len(said) == 1
    assert "was made by a newer MLflow" in said[0]


def test_an_older_one_is_brought_up_to_date_after_it_was_said_and_copied(
    settings: Settings, older: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(TrackingError, match="made by an older MLflow"):
        open_store(settings)
    told: list[tuple[str | None, bool]] = []
    upgrade_store(settings, lambda file, copy: told.append((revision_of(file), copy.exists())))
    assert told == [("75868b020152", False)]
    (copy,) = settings.home.glob("mlflow.db.before-*")
    assert (revision_of(copy), revision_of(older)) == ("75868b020152", PINNED_REVISION)
    for file in (copy, older):
        with closing(sqlite3.connect(file)) as db:
            assert db.execute("SELECT name FROM experiments").fetchall() == [("mine",)]
    assert open_store(settings).experiment_id("mine") == "7"
    upgrade_store(settings, lambda file, copy: pytest.fail("it is up to date"))


def test_a_command_says_so_first(
    settings: Settings, older: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dispatch.dispatch(parse(["info"]), settings) == 0
    (copy,) = settings.home.glob("mlflow.db.before-*")
    assert f"made by an older MLflow. It is copied to {copy.name} beside it" in " ".join(
        capsys.readouterr().err.split()
    )
    assert revision_of(older) == PINNED_REVISION


def test_where_no_copy_can_be_kept_nothing_is_changed(
    settings: Settings, older: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(sqlite3.connect(older)) as db:
        db.execute("INSERT INTO runs (run_uuid, experiment_id) VALUES ('r', 7)")
        db.commit()

    def full(path: Path, copy: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store_module, "upgrade_file", full)
    with pytest.raises(TrackingError, match=r"the disk is full|No space left"):
        upgrade_store(settings, lambda file, copy: None)
    assert revision_of(older) == "75868b020152"


def test_a_server_of_an_older_mlflow_is_refused_with_the_command_to_run() -> None:
    uri = "postgresql://me:secret@host/db"
    why = refusal(uri, "older")
    assert why is not None
    assert why.message == (
        "MLflow's database postgresql://***@host/db was made by an older MLflow; make a backup and "
        "bring it up to date with `mlflow db upgrade postgresql://***@host/db`."
    )
    newer = refusal(uri, "newer")
    assert newer is not None
    assert "secret" not in newer.message
    assert refusal(uri, "same") is None


@pytest.mark.parametrize(
    ("module", "package"),
    [("psycopg", "psycopg[binary]"), ("psycopg2", "psycopg2-binary"), ("pymysql", "pymysql")],
)
def test_a_missing_driver_is_named_with_the_package_that_brings_it(
    module: str, package: str
) -> None:
    missing = ModuleNotFoundError(f"No module named {module!r}", name=module)
    said = translate(missing, "postgresql://me:secret@host/db").message
    assert said == (
        f"MLflow's store at postgresql://***@host/db needs the package {module}, which is not "
        f"installed; run: pip install {package!r}"
    )


def test_a_database_server_at_which_nothing_answers_is_given_up_within_seconds(
    settings: Settings,
) -> None:
    from tests.loopback.server import closed_port

    away = settings_for(
        settings.home, MLFLOW_TRACKING_URI=f"postgresql://me:x@127.0.0.1:{closed_port()}/db"
    )
    with pytest.raises(TrackingError, match="does not answer"):
        open_store(away)
