"""What a test knows to be there, said where the type allows it to be missing."""

from __future__ import annotations

from typing import TypeVar

__all__ = ["known"]

T = TypeVar("T")


def known(value: T | None) -> T:
    assert value is not None
    return value
