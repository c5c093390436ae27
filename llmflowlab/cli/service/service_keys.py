"""The service's keys in its database, and the words about them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

from llmflowlab.cli.ui.screen import Screen, Table
from llmflowlab.service.store.issued_keys import IssuedKey, keys_made, make_key, revoke_key
from llmflowlab.service.store.service_database import database_of
from llmflowlab.settings import Settings

__all__ = ["all_keys", "make", "revoke", "say_made", "say_revoked", "show"]


def all_keys(settings: Settings) -> list[IssuedKey]:
    """Return all keys, oldest first, revoked ones too.

    Raises:
        LabError: The database cannot be used; the same of the others here.
    """
    with database_of(settings) as connection:
        return [key for key, _ in keys_made(connection)]


def make(settings: Settings, name: str, per_minute: int | None = None) -> tuple[IssuedKey, str]:
    """Make a key; returns it with its secret, which is shown once.

    Raises:
        InputError: There is one of that name.
    """
    with database_of(settings) as connection:
        return make_key(connection, name, per_minute=per_minute)


def revoke(settings: Settings, said: str) -> IssuedKey:
    """Revoke a key by its id or its name.

    Raises:
        InputError: There is no such key that holds.
    """
    with database_of(settings) as connection:
        return revoke_key(connection, said)


def say_made(screen: Screen, key: IssuedKey, secret: str) -> None:
    screen.say(secret)
    screen.say(f"This is the key {key.name!r} ({key.id}). It is shown this once; keep it now.")


def say_revoked(screen: Screen, key: IssuedKey) -> None:
    screen.say(f"{key.name!r} ({key.id}) is revoked; a second later nobody gets in with it.")


def show(screen: Screen, keys: Sequence[IssuedKey]) -> None:
    """Show the keys, or say what it means that there is none."""
    if not keys:
        screen.say("There is no key: the service listens on this machine alone, to anybody here.")
        return
    screen.table(
        Table(
            title="Keys of the service",
            columns=("key", "id", "made", "a minute", "holds"),
            rows=tuple(
                (
                    key.name,
                    key.id,
                    _date(key.made_ms),
                    "default" if key.per_minute is None else str(key.per_minute),
                    "yes" if key.revoked_ms is None else f"revoked {_date(key.revoked_ms)}",
                )
                for key in keys
            ),
        )
    )
    if all(key.revoked_ms is not None for key in keys):
        screen.say(
            "No key holds, and every request needs one since the first was made: make one, or nobody is let in."
        )


def _date(ms: int) -> str:
    local = datetime.fromtimestamp(ms / 1000, timezone.utc).astimezone()
    return local.strftime("%Y-%m-%d %H:%M")
