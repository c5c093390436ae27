"""Lets a family read a server's JSON before its SDK does.

Pydantic refuses a whole message for one field of another type than documented, so that an answer would
be lost for a count that nobody needs. A hook on the SDK's HTTP client hands each line of a streamed
response through the family first, which keeps what the lab reads, in the types the SDK expects.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from llmflowlab.providers.bodies import filtered

__all__ = ["reduced_lines"]

_EVENT = b"data:"


def reduced_lines(
    path_end: str, reduce: Callable[[dict[str, Any]], dict[str, Any]], *, mark: bytes = b""
) -> Callable[[Any], None]:
    """Return a hook for the responses of an asynchronous client of httpx or httpx2.

    Args:
        path_end: The end of the paths whose responses are meant; a stream of JSON lines or of
            server-sent events.
        reduce: Takes one message as it was sent, and returns it as the SDK is to see it.
        mark: What stands in every line that has to be looked at.
    """

    def line(sent: bytes) -> bytes:
        if mark not in sent:
            return sent
        head, body = (
            (_EVENT + b" ", sent[len(_EVENT) :]) if sent.startswith(_EVENT) else (b"", sent)
        )
        try:
            message = json.loads(body)
            seen = reduce(message) if isinstance(message, dict) else message
            return sent if seen is message else head + json.dumps(seen).encode()
        except (ValueError, RecursionError):
            # No JSON: the SDK's own reading says so.
            return sent

    def hook(response: Any) -> None:
        if not (response.is_success and response.request.url.path.endswith(path_end)):
            return
        filtered(response, lambda: _Lines(line))

    return hook


class _Lines:
    """Passes whole lines on, changed."""

    def __init__(self, change: Callable[[bytes], bytes]) -> None:
        self._change = change
        self._rest = b""

    def take(self, part: bytes) -> bytes:
        *whole, self._rest = (self._rest + part).split(b"\n")
        return b"\n".join([*map(self._change, whole), b""]) if whole else b""

    def end(self) -> bytes:
        return self._change(self._rest) if self._rest else b""
