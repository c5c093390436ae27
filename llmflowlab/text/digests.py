"""One value for the same JSON, on every machine."""

from __future__ import annotations

import hashlib
import json
from typing import Any

__all__ = ["digest_of"]


def digest_of(value: Any) -> str:
    """Return a SHA-256 (hex) of a JSON value, the same on every machine and run."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    # Half a character, which a JSON file can hold, must not cost a row.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
