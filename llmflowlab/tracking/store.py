"""MLflow's store: opened with a safe environment, its failures turned into our errors.

Importing this module imports no MLflow; opening a store does.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from llmflowlab.errors import TrackingError
from llmflowlab.files import exclusive, require_home
from llmflowlab.loading import load
from llmflowlab.program import checkout
from llmflowlab.settings import Settings
from llmflowlab.tracking.store_errors import (
    StoreBusy,
    is_unknown,
    safe_uri,
    translate,
    unreachable,
)
from llmflowlab.tracking.store_file import (
    copy_for,
    make_file,
    revision_of,
    set_aside_if_empty,
    upgrade_file,
)
from llmflowlab.tracking.store_line import bound_answers, goes_by_proxy, line_environment
from llmflowlab.tracking.store_schema import age_of, refusal

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Trace
    from mlflow.tracing.client import TracingClient

__all__ = [
    "Store",
    "child_environment",
    "load_mlflow",
    "open_store",
    "safe_uri",
    "sqlite_path",
    "store_refusal",
    "upgrade_store",
]

_CONNECT_DEADLINE = 3.0
"""Seconds for a tracking server to take a connection."""

_DEFAULTS = {
    # Seconds per request and further tries: together they stay below the patience of a program that
    # wants to end. Whoever needs more sets the variable.
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "6",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    # A pool of connections makes threads wait for seconds and lose rows on SQLite.
    "MLFLOW_SQLALCHEMYSTORE_POOLCLASS": "NullPool",
}
_FIXED = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_MODEL_CATALOG_URI": "",
    "MLFLOW_UV_AUTO_DETECT": "false",
    "MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # Read once, when MLflow's import brings it along: its bars would be drawn over our screens.
    "TQDM_DISABLE": "1",
}
_WEB_PORTS = {"http": 80, "https": 443}
_DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
_opening = threading.Lock()
_importing = threading.Lock()


def sqlite_path(uri: str) -> Path | None:
    """Return the file behind a SQLite address; None for every other kind of store."""
    if not uri.startswith("sqlite:///"):
        return None
    return Path(uri.removeprefix("sqlite:///").partition("?")[0])


class Store:
    """An open store; usable from several threads at once.

    Args:
        settings: Says where it is.
    """

    def __init__(self, settings: Settings) -> None:
        import mlflow
        from mlflow import MlflowClient
        from mlflow.tracing.client import TracingClient

        self._settings = settings
        self.uri = settings.tracking_uri
        self.local = not self.uri.startswith(("http://", "https://", "databricks"))
        """Whether this process itself writes the database, not a server."""
        self._lacks: dict[str, None] = {}
        self._experiments: dict[str, str] = {}
        with self.translated():
            # A process has one store. MLflow's registry looks models up in the one it holds current.
            mlflow.set_tracking_uri(self.uri)
            self.client: MlflowClient = MlflowClient(
                tracking_uri=self.uri, registry_uri=settings.get("MLFLOW_REGISTRY_URI") or self.uri
            )
            self.tracing: TracingClient = TracingClient(self.uri)

    @contextlib.contextmanager
    def translated(self) -> Iterator[None]:
        """Turn whatever MLflow, its database or its HTTP client raise into a `TrackingError`.

        Raises:
            StoreUnreachable: Nothing answers.
            StoreBusy: Another process holds the database.
            TrackingError: Anything else went wrong.
        """
        from mlflow.exceptions import MlflowException
        from requests.exceptions import RequestException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except TrackingError:
            raise
        except (MlflowException, RequestException, SQLAlchemyError, OSError, ImportError) as exc:
            raise translate(exc, self.uri) from exc

    @contextlib.contextmanager
    def if_known(self, what: str) -> Iterator[None]:
        """Go on without what the server is too old to know; `too_old` names it from then on.

        Args:
            what: In words, for a sentence.

        Raises:
            TrackingError: The store failed in any other way.
        """
        try:
            with self.translated():
                yield
        except (TrackingError, NotImplementedError) as exc:
            if not is_unknown(exc):
                raise
            self._lacks[what] = None

    def too_old(self) -> list[str]:
        """Return in a sentence what the server was too old for; empty where it knew everything."""
        lacks = ", ".join(self._lacks)
        return [f"MLflow's server is too old for {lacks}: left out there."] if lacks else []

    @contextlib.contextmanager
    def one_transaction(self) -> Iterator[Any]:
        """Yield MLflow's store for writes of what is new, committed together or not at all.

        MLflow commits each trace by itself and looks its experiment up again each time. So where the
        store is a database opened here, the writes go through a copy of it whose sessions are all the
        same one, and what is added goes to the database together, as soon as anything is asked of it:
        a third of the processor time. A tracking server is written to as it is.
        """
        store = self.tracing.store
        make_session = getattr(store, "ManagedSessionMaker", None)
        with self.translated():
            if make_session is None:
                yield store
                return
            with make_session(read_only=False) as session:
                gathering = _Gathering(session)

                @contextlib.contextmanager
                def same_session(*_: Any, **__: Any) -> Iterator[Any]:
                    yield gathering

                # A copy: other threads of this process use the original meanwhile.
                own = copy.copy(store)
                own.ManagedSessionMaker = same_session
                own.get_experiment = functools.cache(own.get_experiment)
                yield own

    def experiment_id(self, name: str) -> str:
        """Return an experiment's id; it is made at the first use.

        Raises:
            TrackingError: The store failed, or somebody deleted the experiment.
        """
        if name not in self._experiments:
            with self.translated():
                self._experiments[name] = self._find_experiment(name)
        return self._experiments[name]

    def _find_experiment(self, name: str) -> str:
        from mlflow.exceptions import MlflowException

        found = self.client.get_experiment_by_name(name)
        if found is None:
            location = None
            if sqlite_path(self.uri) is not None or _database_port(self.uri):
                # MLflow's default lies in whatever folder the program was started from.
                location = (self._settings.home / "mlartifacts" / name).as_uri()
            try:
                return str(self.client.create_experiment(name, artifact_location=location))
            except MlflowException:
                # Another process was faster.
                found = self.client.get_experiment_by_name(name)
                if found is None:
                    raise
        if found.lifecycle_stage != "active":
            raise TrackingError(
                f"The experiment {name} was deleted in MLflow; bring it back with "
                f"`mlflow experiments restore --experiment-id {found.experiment_id}`."
            )
        return str(found.experiment_id)

    def traces(self, trace_ids: Sequence[str]) -> dict[str, Trace]:
        """Return traces with their spans, by id; unknown ids are left out."""
        found: dict[str, Trace] = {}
        with self.translated():
            for start in range(0, len(trace_ids), 100):
                batch = list(trace_ids[start : start + 100])
                for trace in self.tracing.batch_get_traces(batch):
                    found[trace.info.trace_id] = trace
        return found


class _Gathering:
    """A session of a database that leaves it to its queries and its commit when additions are written.

    It holds on to them: SQLAlchemy looks up in the database whatever nobody holds any more.
    """

    def __init__(self, session: Any) -> None:
        self._session = session
        self._added: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def add(self, thing: Any) -> None:
        self._added.append(thing)
        self._session.add(thing)

    def flush(self) -> None:
        """Do nothing yet: one by one, additions cost three times as much."""


def open_store(settings: Settings) -> Store:
    """Open the store that the settings name; imports MLflow where nobody has yet.

    Raises:
        StoreUnreachable: Nothing answers at its address.
        TrackingError: It cannot be opened.
    """
    load_mlflow(settings)
    _require_listener(settings.tracking_uri)
    with _opening:
        file = sqlite_path(settings.tracking_uri)
        if file is None:
            _require_known_tables(settings)
            return Store(settings)
        if (refused := store_refusal(settings)) is not None:
            raise refused
        require_home(settings)
        try:
            # Two processes that both make the tables of a fresh database disturb each other.
            with exclusive(settings, "mlflow.db", patience=60.0):
                return _opened(settings, file)
        except OSError as exc:
            raise TrackingError(
                f"{settings.home} cannot be written ({exc.strerror}); "
                "set LLMFLOWLAB_HOME to a folder that can."
            ) from exc


def _opened(settings: Settings, file: Path) -> Store:
    """Open a store that is a file here, made where it is not there yet.

    Raises:
        TrackingError: It cannot be opened.
    """
    whole = revision_of(file) is not None
    try:
        _make(settings, file)
        return Store(settings)
    except StoreBusy:
        raise
    except TrackingError:
        # The making of the tables was cut short, by a version that did not rename. One whose tables say
        # of which MLflow they are was whole.
        if whole or not set_aside_if_empty(file):
            raise
    _make(settings, file)
    return Store(settings)


def _make(settings: Settings, file: Path) -> None:
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    # A folder that is not there is the person's to make: its name may be mistyped.
    if file.exists() or not file.parent.is_dir():
        return
    try:
        make_file(file)
    except (MlflowException, SQLAlchemyError) as exc:
        raise translate(exc, settings.tracking_uri) from exc


def store_refusal(settings: Settings) -> TrackingError | None:
    """Return why a database file cannot be used: another MLflow made it. Imports no MLflow."""
    file = sqlite_path(settings.tracking_uri)
    return None if file is None else refusal(settings.tracking_uri, age_of(revision_of(file)))


def upgrade_store(settings: Settings, announce: Callable[[Path, Path], None]) -> None:
    """Bring a database file that an older MLflow made up to date, and keep a copy of it.

    Args:
        settings: Name the home and the store.
        announce: Told of the file and its copy before anything is done.

    Raises:
        TrackingError: It failed; the copy stays.
    """
    file = sqlite_path(settings.tracking_uri)
    if file is None or age_of(revision_of(file)) != "older":
        return
    copy = copy_for(file)
    announce(file, copy)
    load_mlflow(settings)
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with _opening, exclusive(settings, "mlflow.db", patience=60.0):
            # Another process may have done it meanwhile.
            if age_of(revision_of(file)) == "older":
                upgrade_file(file, copy)
    except (MlflowException, SQLAlchemyError, OSError) as exc:
        # Its making, not an older MLflow's end, may have been cut short.
        if not set_aside_if_empty(file):
            raise translate(exc, settings.tracking_uri) from exc


def _database_port(uri: str) -> int | None:
    """Return where a database server usually listens; None for every other kind of store."""
    return _DATABASE_PORTS.get(urlsplit(uri).scheme.partition("+")[0])


def _require_known_tables(settings: Settings) -> None:
    """See that the tables of a database server are those of this MLflow.

    Raises:
        TrackingError: They are not, its driver is not installed, or it cannot be reached.
    """
    uri = settings.tracking_uri
    if not _database_port(uri):
        return
    from alembic.migration import MigrationContext
    from sqlalchemy import create_engine
    from sqlalchemy.exc import SQLAlchemyError

    try:
        # Asked once: MLflow itself asks a server that refuses for a minute and a half.
        engine = create_engine(uri)
        try:
            with engine.connect() as connection:
                revision = MigrationContext.configure(connection).get_current_revision()
        finally:
            engine.dispose()
    except (SQLAlchemyError, ImportError) as exc:
        raise translate(exc, uri) from exc
    if (refused := refusal(uri, age_of(revision))) is not None:
        raise refused


def load_mlflow(settings: Settings, *modules: str) -> None:
    """Import MLflow (a second or two) after setting what it reads from the environment.

    What the person set is kept, and MLflow's own variables from the `.env` file (a server's password,
    say) reach it too.

    Args:
        settings: The configuration.
        modules: Modules of MLflow's to be imported as well. Several threads that import them at one
            time would see them half made, because they import each other in circles.
    """
    with _importing:
        _import(settings, modules)


def child_environment(settings: Settings, *, with_lab: bool = False) -> dict[str, str]:
    """Return the environment of a process that we start: home and store named, MLflow made safe.

    It holds keys: never print it.

    Args:
        settings: The configuration.
        with_lab: Whether the process runs code of the lab's, which need not be installed.
    """
    here = str(Path.cwd())
    known = [path for path in sys.path if path and (path != here or checkout() == Path(here))]
    return {
        **_DEFAULTS,
        **os.environ,
        **settings.environment,
        **line_environment(settings),
        **_FIXED,
        **({"PYTHONPATH": os.pathsep.join(known)} if with_lab else {}),
        # For what it starts in its turn; Python 3.10 does not know it.
        "PYTHONSAFEPATH": "1",
        "LLMFLOWLAB_HOME": str(settings.home),
        "MLFLOW_TRACKING_URI": _absolute(settings.tracking_uri),
        "PYTHONIOENCODING": "utf-8",
    }


def _absolute(uri: str) -> str:
    """Name a store that was named from the current folder on: the process may have another."""
    path = sqlite_path(uri)
    if path is not None and not path.is_absolute():
        rest = uri.removeprefix("sqlite:///").partition("?")[1:]
        return f"sqlite:///{path.resolve().as_posix()}{''.join(rest)}"
    return uri if ":" in uri or uri == "databricks" else str(Path(uri).resolve())


def _import(settings: Settings, modules: Sequence[str]) -> None:
    own = {
        name: value for name, value in settings.environment.items() if name.startswith("MLFLOW_")
    }
    os.environ.update({**_DEFAULTS, **own, **line_environment(settings), **_FIXED})
    # Imported after that, because it looks at some of them while it is imported.
    load("mlflow", *modules)
    bound_answers()
    # Its remarks would stand in the middle of a chat; what matters is raised.
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _require_listener(uri: str) -> None:
    """Find out within seconds that a tracking server is down; MLflow's own client takes longer.

    Raises:
        StoreUnreachable: Nothing takes a connection.
        TrackingError: The address is malformed.
    """
    parts = urlsplit(uri)
    usual = _WEB_PORTS.get(parts.scheme) or _database_port(uri)
    # A database may be reached by a socket's name, or be several hosts.
    if usual is None or not parts.hostname or "," in parts.netloc:
        return
    if parts.scheme in _WEB_PORTS and goes_by_proxy(uri):
        return
    try:
        port = parts.port or usual
    except ValueError as exc:
        raise TrackingError(
            f"MLFLOW_TRACKING_URI is {safe_uri(uri)!r}, whose port is no number; correct it."
        ) from exc
    try:
        with socket.create_connection((parts.hostname, port), timeout=_CONNECT_DEADLINE):
            return
    except OSError as exc:
        raise unreachable(uri) from exc
