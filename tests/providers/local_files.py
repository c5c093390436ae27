"""GGUF files that are nothing but their description, and an engine that answers from a script."""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

__all__ = ["FakeServer", "chunk", "write_gguf"]

Value = "str | int | list[str]"


def _text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def _typed(value: str | int | list[str]) -> bytes:
    if isinstance(value, str):
        return struct.pack("<I", 8) + _text(value)
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(_text, value))


def write_gguf(path: Path, family: str = "llama", **more: str | int | list[str]) -> Path:
    """Write a file; names of `more` have `__` where GGUF has a dot."""
    keys: dict[str, str | int | list[str]] = {
        "general.architecture": family,
        "general.size_label": "135M",
        "general.file_type": 3,
        "general.languages": ["en", "de"],
        f"{family}.context_length": 8192,
        **{name.replace("__", "."): value for name, value in more.items()},
        "tokenizer.ggml.model": "gpt2",
    }
    body = b"".join(_text(name) + _typed(value) for name, value in keys.items())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, len(keys)) + body)
    return path


def chunk(
    text: str | None = None, *, reason: str | None = None, thinking: str | None = None, **more: Any
) -> dict[str, Any]:
    """Return a chunk of an answer as llama.cpp writes it."""
    delta = {"content": text, **({"reasoning_content": thinking} if thinking else {})}
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}], **more}


class FakeServer:
    """What `xllamacpp.Server` does, from a script: chunks, failures, and things to do in between."""

    def __init__(self, answers: Iterable[list[Any]] = ()) -> None:
        self.answers = list(answers)
        self.payloads: list[dict[str, Any]] = []
        self.embedded: Any = None
        self.said: list[dict[str, Any]] = []
        """The chunks that were taken."""
        self.given_up = threading.Event()

    def handle_chat_completions(self, payload: Any, callback: Callable[[Any], bool]) -> None:
        self.payloads.append(payload)
        for step in self.answers.pop(0):
            if isinstance(step, BaseException):
                raise step
            if callable(step):
                step()
                continue
            self.said.append(step)
            if callback(step):
                self.given_up.set()
                return

    def handle_embeddings(self, payload: Any) -> Any:
        self.payloads.append(payload)
        return self.embedded
