"""Requests in the form that a server takes: what it refuses by name is renamed, weakened or left out.

Servers that speak one protocol know different parts of it: an older one knows `max_tokens` alone, a
reasoning model at the same address `max_completion_tokens` alone. What a refusal names is changed, once
for each server and model in this process, and said once. A value out of range is another thing: it is the
person's to change, and so is a limit that a server knows by neither name.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from llmflowlab.providers.base import Provider
from llmflowlab.providers.refused_requests import Refusal

__all__ = ["Memory", "adapted"]

T = TypeVar("T")
Body: TypeAlias = dict[str, Any]
"""What an SDK's call is given; parameters may also stand in its `extra_body`."""

_STATUSES = frozenset({400, 422})
_CODES = frozenset(
    {"unsupported_parameter", "unsupported_value", "unknown_parameter", "extra_forbidden"}
)
_NOT_TAKEN = re.compile(
    r"not supported|unsupported|n[o']t support|unrecogni[sz]ed|unknown|extra inputs|not permitted"
    r"|unexpected|not allowed|deprecated|not available|not implemented|cannot both|must be 'text'"
    r"|no longer",
    re.IGNORECASE,
)
_LIMITS = ("max_tokens", "max_completion_tokens")


@dataclass(frozen=True, slots=True)
class _Change:
    """What is done to requests from now on."""

    said: str
    """Ends the sentence "SERVER does not take …"."""
    apply: Callable[[Body], Body]


def _left_out(name: str) -> _Change:
    def apply(body: Body) -> Body:
        kept = {key: value for key, value in body.items() if key != name}
        if isinstance(extra := kept.get("extra_body"), Mapping):
            kept["extra_body"] = {key: value for key, value in extra.items() if key != name}
        return kept

    return _Change(f"{name}, which is left out", apply)


def _renamed(old: str, new: str) -> _Change:
    def apply(body: Body) -> Body:
        return {new if key == old else key: value for key, value in body.items()}

    return _Change(f"{old} and gets {new} instead", apply)


def _json_object(body: Body) -> Body:
    return (
        {**body, "response_format": {"type": "json_object"}} if "response_format" in body else body
    )


def _system_in_prompt(body: Body) -> Body:
    system, *rest = body["messages"] or [{}]
    if system.get("role") != "system" or not rest:
        return body
    first = {**rest[0], "content": f"{system['content']}\n\n{rest[0]['content']}"}
    return {**body, "messages": [first, *rest[1:]]}


_WEAKENED = _Change("a JSON schema and is asked for JSON instead", _json_object)
_WHOLE = _Change(
    "a stream from this key, and gives whole answers instead",
    lambda body: (
        {key: value for key, value in body.items() if key != "stream_options"} | {"stream": False}
    ),
)
_FOLDED = _Change(
    "a system prompt, which stands before the first message instead", _system_in_prompt
)
_OPTIONAL = (
    "top_logprobs",
    "logprobs",
    "stream_options",
    "response_format",
    "output_config",
    "seed",
    "top_p",
    "temperature",
)
"""What an answer can do without; of two that exclude each other the first goes."""


class Memory:
    """What servers turned out not to take; one for the process, safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changes: dict[tuple[str, str, str], tuple[_Change, ...]] = {}

    def changes(self, server: tuple[str, str, str]) -> tuple[_Change, ...]:
        with self._lock:
            return self._changes.get(server, ())

    def add(self, server: tuple[str, str, str], change: _Change) -> bool:
        """Remember a change; False where another call has found it out meanwhile."""
        with self._lock:
            known = self._changes.get(server, ())
            if any(change.said == each.said for each in known):
                return False
            self._changes[server] = (*known, change)
            return True


_MEMORY = Memory()


async def adapted(
    send: Callable[[Body], Awaitable[T]],
    body: Body,
    *,
    provider: Provider,
    address: str,
    refused: type[Exception],
    refusal: Callable[[Any], Refusal],
    memory: Memory = _MEMORY,
) -> T:
    """Send a request; where a part of it is refused by name, change that and send it again.

    Args:
        send: Makes the call, and returns what it brought.
        body: What it sends.
        provider: Whose call it is; `provider.notices` is told of each change that is new.
        address: The server.
        refused: The SDK's exception of a request that was refused.
        refusal: Reads that exception.
        memory: What is known of servers.
    """
    server = (provider.name, address, provider.model)
    done: list[str] = []
    for change in memory.changes(server):
        body = change.apply(body)
        done.append(change.said)
    while True:
        try:
            return await send(body)
        except refused as exc:
            found = _change(refusal(exc), body)
            # What was changed already and is refused all the same is refused for good.
            if found is None or found.said in done:
                raise
            done.append(found.said)
            body = found.apply(body)
            if memory.add(server, found):
                provider.notices.append(f"{provider.reference} does not take {found.said}.")


def _change(refusal: Refusal, body: Body) -> _Change | None:
    if refusal.status not in _STATUSES:
        return None
    if body.get("stream") and "must be verified to stream" in refusal.text.lower():
        return _WHOLE
    if not (refusal.codes & _CODES or _NOT_TAKEN.search(refusal.text)):
        return None
    sent = {**body, **(body.get("extra_body") or {})}
    names = [name for name in (*_LIMITS, *_OPTIONAL) if name in sent and _names(refusal, name)]
    name = names[0] if names else None
    if name in _LIMITS:
        return _renamed(name, _LIMITS[1 - _LIMITS.index(name)])
    if name == "response_format":
        schema = sent[name].get("type") == "json_schema" and "json_schema" in refusal.text
        return _WEAKENED if schema else _left_out(name)
    if name is not None:
        return _left_out(name)
    messages = body.get("messages") or [{}]
    about_role = "role" in f"{refusal.param} {refusal.text}".lower()
    if messages[0].get("role") == "system" and about_role and "system" in refusal.text.lower():
        return _FOLDED
    return None


def _names(refusal: Refusal, name: str) -> bool:
    if refusal.param is not None:
        return re.split(r"[.\[]", refusal.param)[0] == name
    return re.search(rf"(?<![\w-]){name}(?![\w-])", refusal.text, re.ASCII) is not None
