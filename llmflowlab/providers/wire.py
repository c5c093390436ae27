"""Lets a family read a server's JSON before its SDK does.

Pydantic refuses a whole message for one field of another type than documented, so that an answer would
be lost for a count that nobody needs. A hook on the SDK's HTTP client hands each line of a streamed
response through the family first, which keeps what the lab reads, in the types the SDK expects.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["reduced_lines"]

_EVENT = b"data:"


def reduced_lines(path_end: str, reduce: Callable[[Any], Any]) -> Callable[[Any], None]:
    """Return a hook for the responses of an httpx or httpx2 client.

    Args:
        path_end: The end of the paths whose responses are meant; a stream of JSON lines or of
            server-sent events.
        reduce: Takes one message as it was sent, and returns it as the SDK is to see it.
    """

    def line(sent: bytes) -> bytes:
        head, body = (
            (_EVENT + b" ", sent[len(_EVENT) :]) if sent.startswith(_EVENT) else (b"", sent)
        )
        try:
            message = json.loads(body)
            return (
                head + json.dumps(reduce(message)).encode() if isinstance(message, dict) else sent
            )
        except (ValueError, RecursionError):
            # No JSON: the SDK's own reading says so.
            return sent

    def hook(response: Any) -> None:
        if not (response.is_success and response.request.url.path.endswith(path_end)):
            return
        inner = response.iter_bytes

        def lines(chunk_size: int | None = None) -> Iterator[bytes]:
            rest = b""
            for part in inner():
                *whole, rest = (rest + part).split(b"\n")
                if whole:
                    yield b"\n".join([*map(line, whole), b""])
            if rest:
                yield line(rest)

        response.iter_bytes = lines

    return hook
