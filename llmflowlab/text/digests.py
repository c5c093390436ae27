"""One value for the same JSON, on every machine."""

from __future__ import annotations

import hashlib
import json
from typing import Any

__all__ = ["canonical", "digest_of"]


def digest_of(value: Any) -> str:
    """Return a SHA-256 (hex) of a JSON value, the same on every machine and run."""
    # Half a character, which a JSON file can hold, must not cost a row.
    return hashlib.sha256(canonical(value).encode("utf-8", "surrogatepass")).hexdigest()


def canonical(value: Any) -> str:
    """Return the text of a JSON value that `digest_of` is taken of."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
