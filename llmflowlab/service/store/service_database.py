"""The service's database: SQLite in the home, or any other by its URL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from filelock import FileLock
from sqlalchemy import Connection, Engine, Table, create_engine, event, inspect, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from llmflowlab.errors import ConfigurationError, InputError, TrackingError
from llmflowlab.program import program_name
from llmflowlab.settings import Settings

__all__ = [
    "VARIABLE",
    "Engine",
    "address_of",
    "database_of",
    "database_trouble",
    "delivering",
    "ensure",
    "is_there",
    "opened",
    "reading",
    "upgraded",
    "writing",
]

VARIABLE = "LLMFLOWLAB_SERVICE_DATABASE"

_PATIENCE = 30.0
"""Seconds that another process may hold an SQLite file."""
_VERSIONS = "service_schema"
_STEPS_LOCK = 7_243_196
"""PostgreSQL's advisory lock of whoever makes the tables."""
_DELIVERY_LOCK = 7_243_197
"""Likewise of whoever brings answers to MLflow."""


def address_of(settings: Settings) -> str:
    """Return the database's URL: the variable's, else that of a file in the home."""
    default = "sqlite:///" + (settings.state_dir / "service.db").as_posix()
    return settings.get(VARIABLE) or default


def opened(address: str) -> Engine:
    """Return an engine for a URL; nothing is connected yet.

    Raises:
        InputError: It is no URL of a database.
        ConfigurationError: Its driver is not installed.
    """
    try:
        url = make_url(address)
        if url.get_backend_name() != "sqlite":
            return create_engine(url, pool_size=4, max_overflow=4, pool_pre_ping=True)
        if url.database:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            Path(url.database).touch(mode=0o600)
        engine = create_engine(
            url, connect_args={"timeout": _PATIENCE}, isolation_level="AUTOCOMMIT"
        )
    except (ArgumentError, NoSuchModuleError, ValueError) as exc:
        raise InputError(
            f"{VARIABLE} is no address of a database; write postgresql+psycopg://USER:PASSWORD@HOST/NAME "
            "or sqlite:///FILE."
        ) from exc
    except ImportError as exc:
        raise ConfigurationError(
            f"The driver of {VARIABLE} is not installed ({exc.name}); for PostgreSQL: "
            'pip install "psycopg[binary]".'
        ) from exc
    except OSError as exc:
        raise ConfigurationError(
            f"The service's database cannot be made ({exc.strerror or exc}); make room or set {VARIABLE}."
        ) from exc
    event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    # What is committed outlives the process; a flush to the disk would hold up every answer by milliseconds.
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Yield a connection in a transaction that may write; SQLite takes one writer at a time.

    Raises:
        TrackingError: The database failed; nothing of the transaction was kept.
    """
    with database_trouble(), engine.connect() as connection:
        if engine.dialect.name != "sqlite":
            with connection.begin():
                yield connection
            return
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            # A full disk has ended the transaction already.
            with suppress(SQLAlchemyError):
                connection.exec_driver_sql("ROLLBACK")
            raise
        connection.exec_driver_sql("COMMIT")


@contextmanager
def delivering(engine: Engine, folder: Path) -> Iterator[None]:
    """Be the only one that brings this database's answers to MLflow, on whatever machine; waits for others.

    Who is killed lets go: of a file with the process, of PostgreSQL's lock with the connection.

    Args:
        engine: The database.
        folder: Of the home, for the lock of a database that is a file there.

    Raises:
        TrackingError: The database failed.
    """
    if engine.dialect.name == "sqlite":
        with FileLock(folder / "service-delivery.lock"):
            yield
        return
    # No transaction meanwhile: it would hold up whoever cleans the tables.
    with database_trouble():
        line = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    with line:
        with database_trouble():
            line.execute(text(f"SELECT pg_advisory_lock({_DELIVERY_LOCK})"))
        try:
            yield
        finally:
            with database_trouble():
                line.execute(text(f"SELECT pg_advisory_unlock({_DELIVERY_LOCK})"))


def ensure(connection: Connection, table: Table, **values: Any) -> None:
    """Insert a row unless there is one of its primary key, whoever makes it at the same moment."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    connection.execute(dialect.insert(table).values(**values).on_conflict_do_nothing())


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Yield a connection that only reads, and holds no writer up.

    Raises:
        TrackingError: The database failed.
    """
    with database_trouble(), engine.connect() as connection:
        yield connection


def is_there(address: str) -> bool:
    """Tell whether a database was made there; of one that is no file nobody knows before asking it."""
    try:
        url = make_url(address)
    except ArgumentError:
        # Who opens it says what is wrong with it.
        return True
    return url.get_backend_name() != "sqlite" or Path(url.database or "").exists()


@contextmanager
def database_of(settings: Settings) -> Iterator[Connection]:
    """Yield a connection for one piece of work, the tables brought up to date before.

    Raises:
        LabError: The database cannot be used; nothing of the work was kept.
    """
    engine = opened(address_of(settings))
    try:
        upgraded(engine)
        with writing(engine) as connection:
            yield connection
    finally:
        engine.dispose()


@contextmanager
def database_trouble() -> Iterator[None]:
    """Say in a sentence, without SQL, what a database failed at."""
    try:
        yield
    except SQLAlchemyError as exc:
        said = str(getattr(exc, "orig", None) or type(exc).__name__).strip().partition("\n")[0]
        raise TrackingError(f"The service's database failed: {said[:200]}.") from exc


def upgraded(engine: Engine) -> None:
    """Make the tables, or bring those of an earlier version up to date.

    Raises:
        TrackingError: It failed, or they are of a later version.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    known = ScriptDirectory.from_config(config)
    with writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_STEPS_LOCK})"))
        held = None
        if inspect(connection).has_table("alembic_version"):
            held = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        if held == known.get_current_head():
            return
        if held is not None and held not in {step.revision for step in known.walk_revisions()}:
            raise TrackingError(
                "The service's database was made by a later version of this program; update it "
                f"(pip install --upgrade), or name another with {VARIABLE} for {program_name()} serve."
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
