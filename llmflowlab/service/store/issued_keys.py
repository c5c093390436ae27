"""Keys of the service: 256 random bits, shown once; only their SHA-256 is kept."""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass

from sqlalchemy import Connection, Row, insert, select, update

from llmflowlab.errors import InputError
from llmflowlab.program import program_name
from llmflowlab.service.store.service_tables import keys

__all__ = ["IssuedKey", "hashed", "keys_made", "make_key", "revoke_key"]

_PREFIX = "lfl-"


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedKey:
    """What is known of a key."""

    id: str
    name: str
    made_ms: int
    revoked_ms: int | None
    per_minute: int | None
    """Requests it may make in a minute; None: as many as the service allows by default."""


def hashed(secret: str) -> str:
    """Return what is kept of a key; it is looked up by this, so that no comparison tells its beginning."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def make_key(
    connection: Connection, name: str, *, per_minute: int | None = None
) -> tuple[IssuedKey, str]:
    """Make a key.

    Returns:
        What is known of it, and the key itself, which nobody can find out later.

    Raises:
        InputError: A key that is not revoked has that name.
    """
    name = name.strip()
    if not name or len(name) > 200 or not name.isprintable():
        raise InputError("A key needs a name of 1 to 200 printable characters.")
    taken = select(keys.c.id).where(keys.c.name == name, keys.c.revoked_ms.is_(None))
    if connection.execute(taken).first() is not None:
        raise InputError(f"There is a key named {name!r}; choose another name, or revoke it first.")
    secret = _PREFIX + secrets.token_urlsafe(32)
    key = IssuedKey(
        id=secrets.token_hex(4),
        name=name,
        made_ms=int(time.time() * 1000),
        revoked_ms=None,
        per_minute=per_minute,
    )
    connection.execute(
        insert(keys).values(
            id=key.id,
            name=key.name,
            hashed=hashed(secret),
            made_ms=key.made_ms,
            per_minute=per_minute,
        )
    )
    return key, secret


def keys_made(connection: Connection) -> list[tuple[IssuedKey, str]]:
    """Return all keys with their hashes, oldest first, revoked ones too."""
    rows = connection.execute(select(keys).order_by(keys.c.made_ms))
    return [(_key(row), row.hashed) for row in rows]


def revoke_key(connection: Connection, said: str) -> IssuedKey:
    """Revoke a key by its id or its name.

    Raises:
        InputError: There is no such key that holds.
    """
    wanted = select(keys).where(
        (keys.c.id == said) | (keys.c.name == said), keys.c.revoked_ms.is_(None)
    )
    row = connection.execute(wanted).first()
    if row is None:
        raise InputError(
            f"There is no key {said!r} that holds; `{program_name()} serve keys` lists them."
        )
    now = int(time.time() * 1000)
    connection.execute(update(keys).where(keys.c.id == row.id).values(revoked_ms=now))
    return _key(row)


def _key(row: Row[tuple[object, ...]]) -> IssuedKey:
    return IssuedKey(
        id=row.id,
        name=row.name,
        made_ms=row.made_ms,
        revoked_ms=row.revoked_ms,
        per_minute=row.per_minute,
    )
