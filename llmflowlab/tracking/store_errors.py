"""The store's failures as our errors: told apart by what helps, and without a password in them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from llmflowlab.errors import TrackingError
from llmflowlab.files import disk_trouble

__all__ = [
    "StoreBusy",
    "StoreUnreachable",
    "is_collision",
    "is_unknown",
    "safe_uri",
    "translate",
    "unreachable",
]

_DRIVERS = {"psycopg": "psycopg[binary]", "psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient"}
"""Packages that bring a module of another name, or want an extra to work by themselves."""
_COLLISIONS = re.compile(
    "duplicate key value|UNIQUE constraint failed|Duplicate entry|deadlock|could not serialize"
    "|Model Version creation error",
    re.IGNORECASE,
)
"""What databases, and MLflow, say where two writers made one thing at the same moment."""


class StoreUnreachable(TrackingError):
    """Nothing answers at the store's address; trying again later may help."""


class StoreBusy(TrackingError):
    """Another process is writing; trying again in a moment will help."""


def safe_uri(uri: str) -> str:
    """Return an address without user name and password."""
    parts = urlsplit(uri)
    if "@" not in parts.netloc:
        return uri
    return urlunsplit(parts._replace(netloc="***@" + parts.netloc.rpartition("@")[2]))


def unreachable(uri: str) -> StoreUnreachable:
    """Return the error for a store at which nothing answers."""
    return StoreUnreachable(f"MLflow at {safe_uri(uri)} does not answer.")


def translate(exc: BaseException, uri: str) -> TrackingError:
    """Return our error for one of MLflow's, its database's or its HTTP client's."""
    from requests.exceptions import ConnectionError as RequestsConnectionError
    from requests.exceptions import ProxyError, SSLError, Timeout

    chain = list(_chain(exc))
    text = " ".join(str(link) for link in chain)
    if any(isinstance(link, SSLError) for link in chain):
        return StoreUnreachable(
            f"No trusted connection to MLflow at {safe_uri(uri)} could be made; name its certificate "
            "in SSL_CERT_FILE, or correct MLFLOW_TRACKING_URI."
        )
    if any(isinstance(link, ProxyError) for link in chain):
        return StoreUnreachable(
            f"The proxy on the way to MLflow at {safe_uri(uri)} does not let it through; check "
            "HTTPS_PROXY and HTTP_PROXY, or name the host in NO_PROXY."
        )
    if any(isinstance(link, RequestsConnectionError | Timeout) for link in chain):
        return unreachable(uri)
    for link in chain:
        if isinstance(link, ModuleNotFoundError) and link.name:
            package = _DRIVERS.get(link.name, link.name)
            return TrackingError(
                f"MLflow's store at {safe_uri(uri)} needs the package {link.name}, which is not "
                f"installed; run: pip install {package!r}"
            )
    if "database is locked" in text:
        return StoreBusy("Another process is writing to MLflow's database; try again in a moment.")
    if "out-of-date database schema" in text:
        return TrackingError(
            "MLflow's database was made by another version of MLflow; "
            f"bring it up to date with `mlflow db upgrade {safe_uri(uri)}`."
        )
    trouble = next(filter(None, map(disk_trouble, chain)), None)
    if trouble is not None:
        return TrackingError(f"MLflow's store is {safe_uri(uri)}: {trouble}.")
    status = _status(chain)
    if status in {401, 403}:
        return TrackingError(
            f"MLflow at {safe_uri(uri)} refused access (HTTP {status}); set "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN."
        )
    if status is not None and status >= 500:
        return StoreUnreachable(f"MLflow at {safe_uri(uri)} is out of order (HTTP {status}).")
    reason = _first_line(str(exc), uri) or type(exc).__name__
    return TrackingError(f"MLflow's store at {safe_uri(uri)} failed: {reason}")


def is_unknown(exc: BaseException) -> bool:
    """Tell whether the store, or the server before it, does not know what it was asked to do at all."""
    from mlflow.exceptions import RestException

    for link in _chain(exc):
        if isinstance(link, NotImplementedError):
            return True
        if getattr(link, "error_code", None) == "ENDPOINT_NOT_FOUND":
            return True
        # An address that it does not know is answered by a page, not in MLflow's own form.
        if not isinstance(link, RestException) and _answered(link) in {404, 405, 501}:
            return True
    return False


def is_collision(exc: BaseException) -> bool:
    """Tell whether another process wrote the same at the same moment: at once again finds its work there."""
    return any(_COLLISIONS.search(str(link)) for link in _chain(exc))


def _chain(exc: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = exc
    seen: set[int] = set()
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__


def _status(chain: Sequence[BaseException]) -> int | None:
    """Return the HTTP status of the server's answer, where it was no ordinary one."""
    from mlflow.exceptions import RestException

    for link in chain:
        if isinstance(link, RestException):
            # A server whose database is away says so in MLflow's own form.
            answered: Any = link
            return int(answered.get_http_status_code())
        if (status := _answered(link)) is not None:
            return status
    return None


def _answered(exc: BaseException) -> int | None:
    # MLflow keeps the status in the sentence only.
    match = re.search(r"(?:failed with error code|too many) (\d{3})\b", str(exc))
    return int(match[1]) if match else None


def _first_line(text: str, uri: str) -> str:
    """Return the first line of a foreign message, without the address, which may hold a password."""
    line = text.strip().partition("\n")[0].replace(uri, safe_uri(uri))
    return line if len(line) <= 300 else line[:299] + "…"
