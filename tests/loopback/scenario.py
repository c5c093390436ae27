"""What the loopback server answers and how it fails: decided by the test, the same on every wire."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

__all__ = ["Asked", "Fault", "FaultKind", "Reply", "Scenario", "Tokens", "WireName"]

WireName: TypeAlias = Literal["gemini", "ollama", "openai", "azure", "anthropic"]

FaultKind: TypeAlias = Literal[
    # Refusals, each with the vendor's own status and body.
    "rate_limited",
    "quota_used_up",
    "overloaded",
    "internal_error",
    "wrong_key",
    "forbidden",
    "unknown_model",
    "context_too_long",
    "bad_parameter",
    "blocked_prompt",
    # Answers that are whole but not what was hoped for.
    "blocked_answer",
    "empty",
    "thoughts_only",
    # Lines and streams that break.
    "reset",
    "drop",
    "hang",
    "malformed",
    "error_in_stream",
    "unfinished",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What the server says a call used; the vendors' own counting is done by each wire."""

    prompt: int = 11
    completion: int = 7
    """Without reasoning."""
    cached: int = 0
    """The part of `prompt` that came from a cache."""
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong with one request."""

    kind: FaultKind
    wait: float | None = None
    """Seconds the vendor asks to wait (`Retry-After`; Gemini: RetryInfo)."""
    after: int | None = None
    """Pieces of text sent before `drop`, `hang`, `malformed`, `error_in_stream`, `unfinished` or
    `blocked_answer` strikes. None: one piece, but `hang` and `malformed` strike in place of the
    whole response."""
    status: int | None = None
    """HTTP status of `overloaded`, where it is not the vendor's usual one."""
    wire: WireName | None = None
    """Only for requests on this wire; None for all."""
    model: str | None = None
    """Only for requests to this model; None for all."""
    says: str | None = None
    """What a `forbidden` of OpenAI says, where it is not the vendor's usual sentence."""
    on: Literal["chat", "other"] = "chat"
    """`chat` for requests that generate, `other` for lists, pulls and embeddings."""

    def fits(self, wire: str, model: str | None, on: str) -> bool:
        return (
            self.wire in {None, wire}
            and self.model in {None, model or self.model}
            and self.on == on
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request for an answer, read from any wire."""

    wire: WireName
    model: str
    question: str
    """The last user message."""
    whole: str
    """System prompt and all messages, one after another."""
    stream: bool
    schema: Mapping[str, Any] | None = None
    max_tokens: int | None = None
    with_usage: bool = True
    """Whether usage belongs into a stream (OpenAI: only where it was asked for)."""
    path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer before a wire has dressed it."""

    pieces: tuple[str, ...]
    reasoning: tuple[str, ...] = ()
    finish: Literal["stop", "length", "safety"] = "stop"
    tokens: Tokens = Tokens()
    served: str = ""
    """The model that the server says it served."""

    @property
    def text(self) -> str:
        return "".join(self.pieces)


_DEFAULT_MODELS: dict[WireName, list[str]] = {
    "gemini": ["gemini-2.5-flash", "gemini-2.5-pro"],
    "ollama": ["llama3.2:latest", "qwen3:4b"],
    "openai": ["gpt-4.1-mini", "gpt-4.1", "text-embedding-3-small"],
    "azure": ["gpt-4.1-mini"],
    "anthropic": ["claude-haiku-4-5", "claude-sonnet-4-5"],
}


def _default_models() -> dict[WireName, list[str]]:
    return {wire: list(models) for wire, models in _DEFAULT_MODELS.items()}


def _default_keys() -> dict[WireName, str]:
    return {
        wire: f"loopback-{wire}-key-0123456789"
        for wire in _DEFAULT_MODELS
        if wire != "ollama"  # a local Ollama asks for none
    }


@dataclass
class Scenario:
    """How the server behaves. Tests change its fields freely between requests."""

    answers: dict[str, str] = field(default_factory=dict)
    """Answer by question: the last user message itself, else the longest question found inside it."""
    answer: Callable[[str], str] = lambda question: f"You said: {question}"
    """Answers what `answers` does not hold."""
    verdict: Callable[[str], str | bool] = lambda whole: True
    """Decides what a judge says about a judging prompt: yes or no."""
    reasoning: str = ""
    """Visible thoughts streamed before each answer."""
    tokens: dict[WireName, Tokens] = field(default_factory=dict)
    """Usage by wire; `Tokens()` where there is none."""
    models: dict[WireName, list[str]] = field(default_factory=_default_models)
    keys: dict[WireName, str] = field(default_factory=_default_keys)
    """The keys that are accepted; a wire without one accepts all."""
    piece: int | None = None
    """Characters in one streamed piece; None for one word at a time."""
    never_streams: bool = False
    """Whether answers come whole, whatever was asked for."""
    torn: bool = False
    """Write each streamed event in two parts, cut in the middle of it and perhaps of a character."""
    latency: float = 0.0
    """Seconds before the first byte of an answer."""
    token_latency: float = 0.0
    """Seconds between two pieces."""
    schemas: bool = True
    """Whether the models accept a response schema; where not, the vendor's 400 is the answer."""
    _faults: deque[Fault] = field(default_factory=deque, repr=False)
    _every: list[tuple[int, Fault]] = field(default_factory=list, repr=False)
    _counts: Counter[int] = field(default_factory=Counter, repr=False)
    _guard: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def fail(self, *faults: Fault | FaultKind) -> None:
        """Queue faults: each strikes one request that fits it, in this order."""
        with self._guard:
            self._faults.extend(f if isinstance(f, Fault) else Fault(f) for f in faults)

    def fail_every(self, nth: int, fault: Fault | FaultKind) -> None:
        """Have every nth request that fits struck by a fault; 1 means each."""
        with self._guard:
            self._every.append((nth, fault if isinstance(fault, Fault) else Fault(fault)))

    def next_fault(self, wire: str, model: str | None, on: str) -> Fault | None:
        with self._guard:
            for fault in self._faults:
                if fault.fits(wire, model, on):
                    self._faults.remove(fault)
                    return fault
            struck: Fault | None = None
            for index, (nth, fault) in enumerate(self._every):
                if fault.fits(wire, model, on):
                    self._counts[index] += 1
                    if struck is None and self._counts[index] % nth == 0:
                        struck = fault
            return struck

    def reply(self, asked: Asked) -> Reply:
        """Answer a request that no fault struck."""
        text = self._judgement(asked) or self._text(asked.question)
        pieces = self._cut(text)
        limited = asked.max_tokens is not None and asked.max_tokens < len(pieces)
        tokens = self.tokens.get(asked.wire, Tokens())
        return Reply(
            pieces=pieces[: asked.max_tokens] if limited else pieces,
            reasoning=self._cut(self.reasoning),
            finish="length" if limited else "stop",
            tokens=tokens,
            served=asked.model,
        )

    def _text(self, question: str) -> str:
        if question in self.answers:
            return self.answers[question]
        inside = [known for known in self.answers if known and known in question]
        return self.answers[max(inside, key=len)] if inside else self.answer(question)

    def _judgement(self, asked: Asked) -> str | None:
        schema = asked.schema
        if schema is None:
            # MLflow's judges describe the same JSON in words where a schema is not to be had.
            if not ('"rationale"' in asked.whole and '"result"' in asked.whole):
                return None
            schema = {"properties": {"result": {}, "rationale": {}}}
        said = self.verdict(asked.whole)
        verdict = said if isinstance(said, str) else ("yes" if said else "no")
        return json.dumps(_fitting(schema, verdict), ensure_ascii=False)

    def _cut(self, text: str) -> tuple[str, ...]:
        if self.piece is not None:
            size = self.piece
            return tuple(text[at : at + size] for at in range(0, len(text), size))
        return tuple(re.findall(r"\s*\S+\s*$|\s*\S+|\s+", text))


def _fitting(schema: Mapping[str, Any], verdict: str) -> Any:
    """Return JSON that fits a schema, with the verdict in `result` and a reason in `rationale`."""
    properties: Mapping[str, Any] = schema.get("properties") or {}
    values: dict[str, Any] = {}
    for name, wanted in properties.items():
        if name == "rationale":
            values[name] = f"The loopback judge says {verdict}."
        elif name == "result":
            values[name] = _verdict(wanted, verdict)
        else:
            values[name] = _filler(wanted)
    return values


def _verdict(wanted: Mapping[str, Any], verdict: str) -> Any:
    """Return the verdict in the words that a schema allows: the first for yes, the last for no."""
    words = wanted.get("enum") or ["yes", "no"]
    if wanted.get("type") == "boolean":
        return verdict == "yes"
    if verdict in words:
        return verdict
    return {"yes": words[0], "no": words[-1]}.get(verdict, verdict)


def _filler(wanted: Mapping[str, Any]) -> Any:
    if wanted.get("enum"):
        return wanted["enum"][0]
    kind = str(wanted.get("type", "string")).lower()
    fillers: dict[str, Any] = {"integer": 1, "number": 1.0, "boolean": True, "array": []}
    return _fitting(wanted, "yes") if kind == "object" else fillers.get(kind, "text")
