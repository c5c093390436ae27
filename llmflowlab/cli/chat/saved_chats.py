"""Conversations as files: JSON that can be loaded again, Markdown to read."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from llmflowlab.errors import InputError
from llmflowlab.lab.conversation import Exchange
from llmflowlab.messages import Parameters
from llmflowlab.tracking.records import now_text

__all__ = ["SavedChat", "load", "save"]

_FORMAT = 1
_LARGEST = 50_000_000
"""Bytes; a conversation is far below, and reading a film by mistake should not fill the memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedChat:
    """What a file holds of a chat."""

    model: str
    system: str | None
    parameters: Parameters
    exchanges: tuple[Exchange, ...]


def save(chat: SavedChat, file: Path) -> None:
    """Write a chat, as Markdown where the name ends in `.md`, else as JSON.

    Raises:
        InputError: The file cannot be written.
    """
    text = _markdown(chat) if file.suffix.lower() == ".md" else _json(chat)
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", newline="\n", dir=file.parent, prefix=".saving-", delete=False
        ) as temporary:
            try:
                temporary.write(text)
                temporary.flush()
                os.fsync(temporary.fileno())
                temporary.close()
                Path(temporary.name).replace(file)
            except BaseException:
                temporary.close()
                Path(temporary.name).unlink(missing_ok=True)
                raise
    except OSError as exc:
        raise InputError(
            f"{str(file)!r} cannot be written ({exc.strerror or exc}); name another file."
        ) from exc


def load(file: Path) -> SavedChat:
    """Read a chat that `save` wrote as JSON.

    Raises:
        InputError: The file cannot be read or is no such chat.
    """
    if file.suffix.lower() == ".md":
        raise InputError(f"{str(file)!r} is Markdown, for reading; only saved JSON can be loaded.")
    try:
        if file.stat().st_size > _LARGEST:
            raise InputError(f"{str(file)!r} is too large to be a saved chat.")
        values = json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as exc:
        raise InputError(
            f"{str(file)!r} cannot be read ({exc.strerror or exc}); check the name."
        ) from exc
    except (ValueError, RecursionError) as exc:
        raise InputError(f"{str(file)!r} is not JSON; load a file that /save wrote.") from exc
    return _checked(values, file)


def _json(chat: SavedChat) -> str:
    values = {
        "llmflowlab_chat": _FORMAT,
        "saved": now_text(),
        "model": chat.model,
        "system": chat.system,
        "parameters": {k: v for k, v in asdict(chat.parameters).items() if v is not None},
        "exchanges": [{"prompt": each.prompt, "answer": each.answer} for each in chat.exchanges],
    }
    return json.dumps(values, ensure_ascii=False, indent=2) + "\n"


def _markdown(chat: SavedChat) -> str:
    parts = [f"# Chat with {chat.model}", f"Saved {now_text()}."]
    if chat.system:
        parts += ["## System prompt", chat.system]
    for exchange in chat.exchanges:
        parts += ["## Prompt", exchange.prompt, "## Answer", exchange.answer]
    return "\n\n".join(parts) + "\n"


def _checked(values: Any, file: Path) -> SavedChat:
    def refuse(what: str) -> InputError:
        return InputError(f"{str(file)!r} is no saved chat: {what}; load a file that /save wrote.")

    if not isinstance(values, dict) or "llmflowlab_chat" not in values:
        raise refuse("it lacks the mark llmflowlab_chat")
    if values["llmflowlab_chat"] != _FORMAT:
        raise refuse(f"its format is {values['llmflowlab_chat']!r}, this version reads {_FORMAT}")
    system = values.get("system")
    if system is not None and not isinstance(system, str):
        raise refuse("its system prompt is not text")
    exchanges = values.get("exchanges")
    if not isinstance(exchanges, list):
        raise refuse("it lacks a list of exchanges")
    read: list[Exchange] = []
    for number, entry in enumerate(exchanges, start=1):
        texts = [entry.get(key) for key in ("prompt", "answer")] if isinstance(entry, dict) else []
        if len(texts) != 2 or not all(isinstance(text, str) and text for text in texts):
            raise refuse(f"exchange {number} lacks a prompt or an answer")
        read.append(Exchange(str(texts[0]), str(texts[1])))
    return SavedChat(
        model=str(values.get("model", "an unknown model")),
        system=system or None,
        parameters=Parameters(),
        exchanges=tuple(read),
    )
