"""`/pin`: a turn becomes a row of a benchmark file, its answer corrected where need be."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from llmflowlab.cli.chat.talk import Talk
from llmflowlab.cli.text_editor import asks, has_editor, in_editor
from llmflowlab.errors import InputError
from llmflowlab.lab.conversation import Exchange
from llmflowlab.program import program_name
from llmflowlab.tracking.records import TurnRecord

__all__ = ["pin_turn"]

_LEADING = re.compile(r"""--to(?:\s+|=)("[^"]+"|'[^']+'|\S+)(?:\s+|$)|(\d+)(?:\s+|$)|=\s*""")


@dataclass(frozen=True, slots=True)
class _Wish:
    number: int | None
    """Of the turn, as `/history` numbers it; None: the last."""
    file: Path | None
    expected: str


def pin_turn(talk: Talk, argument: str) -> None:
    """Pin a turn of the conversation.

    Raises:
        InputError: There is no such turn, nothing is expected of it, or the file cannot be used.
        ConfigurationError: The person's editor cannot be used.
    """
    # Imported here: what reads and writes benchmark files is nothing that every chat needs.
    from llmflowlab.lab.pins import pin, pins_file

    wish = _read(argument)
    exchanges = talk.chat.conversation.exchanges
    if not exchanges:
        raise InputError("There is no answer yet that could be pinned.")
    number = len(exchanges) if wish.number is None else wish.number
    if not 1 <= number <= len(exchanges):
        raise InputError(
            f"There is no turn {number}; /history numbers them. For an expected answer that is a "
            f"number write /pin = {number}."
        )
    one = exchanges[number - 1]
    record = talk.chat.turn_of(one)
    expected = wish.expected or _confirmed(talk, one, record)
    if not expected.strip():
        raise InputError("The expected answer is empty; nothing was pinned.")
    settings = talk.app.settings
    pinned = pin(
        settings,
        wish.file or pins_file(settings),
        exchanges[:number],
        expected=expected.strip(),
        language=record.language if record else None,
        model=talk.chat.answered_by.get(record.trace_id) if record else None,
        trace_id=record.trace_id if record else None,
    )
    what = "replaces" if pinned.replaced else "is"
    talk.screen.note(f"(turn {number} {what} row {pinned.row} of {pinned.file})")
    talk.screen.note(
        f'Evaluate with it: {program_name()} evaluate --data "{pinned.file}" --model REF'
    )


def _read(argument: str) -> _Wish:
    number: int | None = None
    file: Path | None = None
    rest = argument
    while (found := _LEADING.match(rest)) is not None:
        rest = rest[found.end() :]
        if found[1] is not None:
            try:
                file = Path(found[1].strip("\"'")).expanduser()
            except RuntimeError as exc:
                raise InputError(f"{found[1]!r} names no home folder; give another path.") from exc
        elif found[2] is not None and number is None:
            number = int(found[2])
        else:
            rest = (found[2] or "") + (f" {rest}" if found[2] else rest)
            break
    return _Wish(number, file, rest.strip())


def _confirmed(talk: Talk, one: Exchange, record: TurnRecord | None) -> str:
    """Return what was answered, as the person corrects it where somebody is there."""
    if asks(talk.app):
        if "\n" not in one.answer.strip():
            return talk.screen.text("Expected answer", default=one.answer.strip())
        otherwise = "or give the answer with /pin TEXT"
        if not has_editor(talk.app) and talk.screen.confirm(
            "Is the answer right as it is? (EDITOR is not set, so it cannot be corrected here)",
            default=True,
        ):
            return one.answer
        return in_editor(talk.app, "expected", one.answer, otherwise=otherwise)
    if record is not None and (record.state != "complete" or record.finish_reason == "length"):
        raise InputError("That answer is not whole; say what is expected: /pin TEXT.")
    return one.answer
