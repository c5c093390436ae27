"""`/replay`: the same prompts on another model, both answers side by side."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import nullcontext
from decimal import Decimal

from llmflowlab.asking.interruption import interruptible
from llmflowlab.cli.chat.echo import unechoed
from llmflowlab.cli.chat.stats import cost_words
from llmflowlab.cli.chat.stream import SilentView
from llmflowlab.cli.chat.talk import Talk
from llmflowlab.cli.chat.turn_line import summary_line
from llmflowlab.cli.formatting import count, plural, seconds, shortened
from llmflowlab.cli.options import read_usd
from llmflowlab.cli.ui.screen import Table
from llmflowlab.errors import InputError
from llmflowlab.lab.chat_replay import Replayed
from llmflowlab.tracking.records import TurnRecord

__all__ = ["replay_chat"]

_WIDE = 100
"""Columns of a terminal in which two answers stand side by side."""


def replay_chat(talk: Talk, argument: str) -> None:
    """Put the conversation's prompts to another model and show both answers.

    Raises:
        InputError: No model was named, or an option cannot be used.
    """
    # Imported here: most chats are never replayed.
    from llmflowlab.lab.chat_replay import replay

    reference, same_context, budget = _read(argument)
    screen = talk.screen
    quiet = nullcontext() if screen.plain else unechoed()
    with quiet, interruptible() as pressed, screen.progress(f"replay on {reference}") as progress:
        total = len(talk.chat.conversation.exchanges)

        def view(number: int) -> SilentView:
            progress.update(f"replay on {reference}, {number} of {total}", number - 1, total)
            return SilentView(screen, reference)

        found = replay(
            talk.app.lab,
            talk.chat,
            reference,
            view,
            cancelled=pressed,
            same_context=same_context,
            budget=budget,
        )
        stopped = pressed.is_set()
    wide = not screen.plain and shutil.get_terminal_size().columns >= _WIDE
    for number, turn in enumerate(found.turns, start=1):
        title = f"{number}. {shortened(turn.exchange.prompt, 70)}"
        first, second = turn.answered_by or "from a file", found.model
        if first == second:
            first, second = f"{first}, then", f"{second}, now"
        left, right = _said(turn.exchange.answer, turn.before), _said(turn.after.answer, turn.after)
        if turn.after.unanswered and number == len(found.turns) and found.error is not None:
            # Why is said below, once.
            right = (right[0], "failed")
        if wide:
            cells = tuple(zip(left, right, strict=True))
            screen.table(Table(title=title, columns=(first, second), rows=cells))
            continue
        screen.say(title, tone="heading")
        for who, (text, line) in ((first, left), (second, right)):
            screen.say(f"{who}:", tone="heading")
            screen.say(text)
            screen.say(line, tone="quiet")
    common = found.common
    if common:
        before = [turn.before for turn in common if turn.before is not None]
        whose = {turn.answered_by for turn in common}
        name = str(next(iter(whose))) if len(whose) == 1 else plural(len(whose), "model")
        screen.table(
            Table(
                title=f"In all, over {plural(len(common), 'turn')} answered by both",
                columns=("", "tokens generated", "cost", "time"),
                rows=(
                    _total_row(f"before: {name}", before),
                    _total_row(f"now: {found.model}", [turn.after for turn in common]),
                ),
                numbers=frozenset({1, 2, 3}),
            )
        )
    came = any(turn.after.answer for turn in found.turns)
    if found.error is not None:
        screen.warn(found.error.message)
    if stopped or found.error is not None:
        left_out = found.asked - len(found.turns)
        more = f"; {plural(left_out, 'prompt')} not asked" if left_out else ""
        kept = "what came is kept" if came else "nothing came"
        screen.note(f"({'stopped' if stopped else 'ended early'}: {kept}{more})")
    if any(turn.answered_by == found.model for turn in found.turns):
        why = _why_it_may_differ(talk, found, same_context)
        screen.note(f"(the same model then and now; {why})")
    context = "the answers given here" if same_context else "its own answers"
    if not came:
        return
    screen.note(
        f"({found.model} went on from {context}; recorded as a session of its own, which names this "
        "one in llmflowlab.replays)"
    )


def _why_it_may_differ(talk: Talk, found: Replayed, same_context: bool) -> str:
    """Say what else than the model may make its answers differ."""
    same = [turn for turn in found.turns if turn.before and turn.answered_by == found.model]
    reasons = []
    if any(turn.before and turn.before.model_version != turn.after.model_version for turn in same):
        reasons.append("another version of it is served now")
    if talk.chat.parameters.temperature != 0:
        reasons.append("at a temperature above 0 it draws its words")
    if not same_context and len(found.turns) > 1:
        reasons.append("it goes on from what it says now")
    return "its answers may differ: " + "; ".join(
        [*reasons, "system prompt and parameters are today's"]
    )


def _read(argument: str) -> tuple[str, bool, Decimal | None]:
    reference, same_context, budget = "", False, None
    words = argument.split()
    while words:
        word, _, value = words.pop(0).partition("=")
        if word == "--same-context":
            same_context = True
        elif word == "--budget" and (value or words):
            budget = read_usd(value or words.pop(0))
        elif word.startswith("--") or reference:
            raise InputError(
                f"/replay does not take {word!r}; it takes a model, --same-context and --budget USD."
            )
        else:
            reference = word
    if not reference:
        raise InputError("Name the model, as in /replay guide:docs.")
    return reference, same_context, budget


def _said(answer: str, turn: TurnRecord | None) -> tuple[str, str]:
    """Return an answer and the line under it."""
    if turn is None:
        return answer, "not asked here"
    if turn.unanswered:
        return "(no answer)", turn.error or "failed"
    cut = "" if turn.state == "complete" else str(turn.state)
    if turn.finish_reason == "length":
        cut = "cut at the token limit"
    return answer or "(nothing)", summary_line(turn) + (cut and f" · {cut}")


def _total_row(name: str, turns: Sequence[TurnRecord]) -> tuple[str | None, ...]:
    tokens = [turn.completion_tokens for turn in turns]
    known = None if None in tokens else sum(number or 0 for number in tokens)
    return (
        name,
        count(known, estimated=any(turn.tokens_estimated for turn in turns)),
        cost_words(turns),
        seconds(sum(turn.inference_time for turn in turns)),
    )
