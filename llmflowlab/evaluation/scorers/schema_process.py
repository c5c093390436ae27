"""Applies JSON schemas to values, a line each; run as a program of its own, so that it can be ended.

A schema's `pattern`, `uniqueItems` and references can take for ever on some values, within code that
nothing interrupts. It imports nothing of the lab's and ends with its standard input. It reads
`[schema as text, value]` and answers `[first error or null, null]`, or `[null, why there is no answer]`.
"""

from __future__ import annotations

import json
import sys
from functools import lru_cache
from typing import Any

__all__ = ["main"]


def main() -> None:
    """Answer until standard input ends."""
    import jsonschema
    from referencing import Registry

    @lru_cache(maxsize=256)
    def validator(text: str) -> Any:
        schema = json.loads(text)
        kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
        # An empty registry: a schema that names another document never makes a request.
        return kind(schema, registry=Registry())

    def answer(line: str) -> tuple[str | None, str | None]:
        try:
            text, value = json.loads(line)
            error = next(iter(validator(text).iter_errors(value)), None)
        except Exception as exc:  # noqa: BLE001 - whatever befalls a schema befalls its row alone
            return None, f"{type(exc).__name__}: {exc}"[:300]
        return None if error is None else f"{error.json_path}: {error.message}"[:500], None

    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answer(line)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
