"""What the server asks of a wire: reading requests, dressing answers, the vendor's own errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from tests.loopback.exchange import Answered, Recorded
from tests.loopback.scenario import Asked, Fault, Reply, Scenario, WireName

__all__ = ["Frame", "Wire", "sse"]


class Frame(bytes):
    """One event of a stream; `text` says whether it carries a piece of the answer."""

    text: bool = False

    @classmethod
    def piece(cls, data: bytes) -> Frame:
        frame = cls(data)
        frame.text = True
        return frame


class Wire(Protocol):
    """One vendor's protocol."""

    name: WireName

    def recognises(self, request: Recorded) -> bool:
        """Whether the request is one for this vendor."""

    def key_of(self, request: Recorded) -> str | None:
        """Return the key that the request carries."""

    def read(self, request: Recorded) -> Asked | None:
        """Return the request for an answer; None where it is for something else."""

    def other(self, request: Recorded, scenario: Scenario) -> Answered | Iterator[bytes] | None:
        """Answer anything else: lists, embeddings, downloads; None where there is no such thing."""

    def knows(self, asked: Asked, scenario: Scenario) -> bool:
        """Whether the model asked for exists."""

    def whole(self, reply: Reply, asked: Asked) -> Answered:
        """Dress an answer that is not streamed."""

    def content_type(self) -> str:
        """Return the type of a streamed answer."""

    def frames(self, reply: Reply, asked: Asked) -> Iterator[Frame]:
        """Dress an answer that is streamed."""

    def error_frame(self) -> bytes:
        """Return the event of an error in the middle of a stream."""

    def broken_frame(self) -> bytes:
        """Return an event whose JSON is broken."""

    def refusal(self, fault: Fault, asked: Asked) -> Answered:
        """Return the vendor's own answer to a request that it refuses."""


def sse(data: str, event: str | None = None, end: str = "\n\n") -> bytes:
    """Return one server-sent event."""
    head = "" if event is None else f"event: {event}\n"
    return f"{head}data: {data}{end}".encode()
