"""Answers one request for an answer: well, or broken in the way that its fault says."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Iterable, Iterator

from tests.loopback.exchange import Answered, Exchange
from tests.loopback.scenario import Asked, Fault, FaultKind, Reply, Scenario
from tests.loopback.wires import Frame, Wire

__all__ = ["Responder", "pause"]

_REPLY_FAULTS: frozenset[FaultKind] = frozenset({"blocked_answer", "empty", "thoughts_only"})


def pause(seconds: float) -> None:
    if seconds > 0:
        threading.Event().wait(seconds)


class Responder:
    """Writes the response to one request."""

    def __init__(
        self,
        wire: Wire,
        asked: Asked,
        exchange: Exchange,
        scenario: Scenario,
        released: threading.Event,
    ) -> None:
        self._wire = wire
        self._asked = asked
        self._exchange = exchange
        self._scenario = scenario
        self._released = released

    def respond(self, reply: Reply, fault: Fault | None) -> None:
        """Send a reply, whole or streamed as it was asked for, broken by the fault if there is one."""
        if fault is not None and fault.kind in _REPLY_FAULTS:
            reply, fault = _spoilt(reply, fault), None
        whole = self._wire.whole(reply, self._asked)
        if fault is not None and not (self._asked.stream and _strikes_in_stream(fault)):
            self.break_whole(fault, whole)
        elif self._asked.stream and not self._scenario.never_streams:
            self._stream(self._wire.frames(reply, self._asked), fault)
        else:
            self._exchange.send(whole)

    def break_whole(self, fault: Fault, whole: Answered) -> None:
        """Break a request as a whole: before, or in place of, its answer."""
        exchange = self._exchange
        match fault.kind:
            case "reset":
                exchange.reset()
            case "hang":
                exchange.hang(self._released)
            case "malformed" if self._asked.stream:
                exchange.begin(self._wire.content_type())
                exchange.chunk(self._wire.broken_frame())
                exchange.end()
            case "malformed":
                exchange.send(Answered(200, b'{"this is": not JSON'))
            case "drop" | "unfinished" | "error_in_stream":
                # Without a stream there is only the body to cut.
                data = json.dumps(whole.body).encode()
                exchange.begin("application/json")
                exchange.chunk(data[: len(data) // 2])
                exchange.drop()
            case "blocked_answer" | "empty" | "thoughts_only":
                exchange.send(whole)
            case _:
                self._refuse(fault)

    def _refuse(self, fault: Fault) -> None:
        refused = self._wire.refusal(fault, self._asked)
        if self._asked.stream and refused.status == 200:
            # Some refusals are answers in form: they come as the stream's only event.
            data = json.dumps(refused.body).encode()
            lines = self._wire.content_type() == "application/x-ndjson"
            self._stream([Frame(data + b"\n" if lines else b"data: " + data + b"\r\n\r\n")], None)
        else:
            self._exchange.send(refused)

    def _stream(self, frames: Iterable[Frame], fault: Fault | None) -> None:
        self._exchange.begin(self._wire.content_type())
        after = 1 if fault is None or fault.after is None else fault.after
        sent = 0
        for frame in frames:
            if fault is not None and sent >= after:
                self._strike(fault)
                return
            if frame.text and sent:
                pause(self._scenario.token_latency)
            for part in self._parts(frame):
                self._exchange.chunk(part)
            sent += frame.text
        if fault is not None:
            self._strike(fault)
        else:
            self._exchange.end()

    def _parts(self, frame: bytes) -> Iterator[bytes]:
        if not self._scenario.torn or len(frame) < 4:
            yield frame
            return
        # In the middle of a character, where one of several bytes is there.
        cut = next((at for at, byte in enumerate(frame) if byte & 0xC0 == 0x80), len(frame) // 2)
        yield frame[:cut]
        yield frame[cut:]

    def _strike(self, fault: Fault) -> None:
        """Break the stream here."""
        exchange = self._exchange
        match fault.kind:
            case "hang":
                exchange.flush_head()
                exchange.hang(self._released)
            case "malformed":
                exchange.chunk(self._wire.broken_frame())
                exchange.end()
            case "error_in_stream":
                exchange.chunk(self._wire.error_frame())
                exchange.end()
            case "unfinished":
                exchange.end()
            case "reset":
                exchange.flush_head()
                exchange.reset()
            case _:
                exchange.drop()


def _strikes_in_stream(fault: Fault) -> bool:
    if fault.kind in {"hang", "malformed", "reset"}:
        return fault.after is not None
    return fault.kind in {"drop", "error_in_stream", "unfinished"}


def _spoilt(reply: Reply, fault: Fault) -> Reply:
    if fault.kind == "empty":
        return dataclasses.replace(reply, pieces=())
    if fault.kind == "thoughts_only":
        tokens = dataclasses.replace(reply.tokens, completion=0, reasoning=64)
        return dataclasses.replace(reply, pieces=(), finish="length", tokens=tokens)
    return dataclasses.replace(reply, pieces=reply.pieces[: fault.after or 0], finish="safety")
