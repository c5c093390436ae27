"""The stores that the lab is tried on: what each needs, and the variables that lead to it."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.loopback.server import closed_port
from tests.mlflow_server import mlflow_server
from tests.stack.bucket import bucket
from tests.stack.postgres import Cluster

__all__ = ["STORES", "USER", "needs", "store"]

USER = {"MLFLOW_TRACKING_USERNAME": "admin", "MLFLOW_TRACKING_PASSWORD": "a-password-of-the-tests"}
_PATIENT = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "60"}
"""A loaded machine may take long over a server's first answers."""

STORES = {
    "sqlite": None,
    "server": None,
    "server-with-basic-auth": None,
    # What this scheme means is SQLAlchemy's to say: psycopg 3 by now.
    "postgresql-by-psycopg-3": "postgresql",
    "postgresql-by-psycopg2": "postgresql+psycopg2",
    "server-on-postgresql-by-psycopg-3": "postgresql+psycopg",
    "server-on-postgresql-with-a-bucket": "postgresql+psycopg",
}
"""By name, the scheme of those that stand on PostgreSQL."""


def needs(module: str, package: str) -> None:
    """Skip a test whose package is not installed, and say how to have it."""
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{package} is not installed; run: pip install -r requirements-stack.txt")


@contextmanager
def store(name: str, home: Path, postgres: Cluster | None) -> Iterator[Mapping[str, str]]:
    """Run a store; yields the variables that name it to the lab.

    Args:
        name: One of `STORES`.
        home: A folder with a migrated SQLite database.
        postgres: Where databases are made, for those that stand on it.
    """
    scheme, address = STORES[name], ""
    if scheme is not None:
        assert postgres is not None
        needs("psycopg2" if scheme.endswith("psycopg2") else "psycopg", "a driver of PostgreSQL")
        address = scheme + postgres.database()
    if not name.startswith("server"):
        yield {"MLFLOW_TRACKING_URI": address} if address else {}
        return
    more: tuple[str, ...] = ()
    variables: dict[str, str] = {}
    if name == "server-with-basic-auth":
        needs("flask_wtf", "what MLflow's basic auth stands on")
        config = home / "basic_auth.ini"
        config.write_text(
            "[mlflow]\ndefault_permission = READ\nadmin_username = admin\n"
            f"database_uri = sqlite:///{(home / 'users.db').as_posix()}\n"
            "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
            # A password is hashed a hundred thousand times, for each file of a model anew otherwise.
            "auth_cache_ttl_seconds = 600\n",
            encoding="utf-8",
        )
        more = ("--app-name", "basic-auth")
        variables = {
            "MLFLOW_AUTH_CONFIG_PATH": str(config),
            "MLFLOW_AUTH_ADMIN_PASSWORD": USER["MLFLOW_TRACKING_PASSWORD"],
            "MLFLOW_FLASK_SERVER_SECRET_KEY": "of the tests",
        }
    user = USER if variables else {}
    with ExitStack() as stack:
        artifacts = None
        if name.endswith("bucket"):
            needs("boto3", "boto3")
            artifacts, access = stack.enter_context(bucket(home / "bucket"))
            variables |= access
        server = mlflow_server(
            home,
            closed_port(),
            backend=address or None,
            more=more,
            variables=variables,
            artifacts=artifacts,
        )
        yield {"MLFLOW_TRACKING_URI": stack.enter_context(server), **_PATIENT, **user}
