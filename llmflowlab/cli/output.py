"""What a command gives: one JSON document for scripts, or words for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from llmflowlab.text.sanitize import escaped_in_json

__all__ = ["give", "print_json"]


def print_json(document: Any) -> None:
    """Print one JSON document on standard output; NaN is refused, for JSON has none.

    What could control a terminal, or hide text in it, is escaped.
    """
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    sys.stdout.write(escaped_in_json(text) + "\n")
    sys.stdout.flush()


def give(as_json: bool, document: Callable[[], Any], words: Callable[[], None]) -> None:
    """Print the document where `--json` asked for it, else let the words be said."""
    if as_json:
        print_json(document())
    else:
        words()
