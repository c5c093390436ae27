"""An answer that is judged, in words: the same in a terminal and line by line."""

from __future__ import annotations

from dataclasses import dataclass

from llmflowlab.cli.formatting import plural, seconds
from llmflowlab.cli.ui.screen import Tone
from llmflowlab.lab.review import Review

__all__ = ["KEYS", "TextPart", "asked_line", "choices", "given_line", "parts", "progress_line"]
__all__ += ["said_by_key"]

KEYS: dict[str, str] = {
    "c": "comment",
    "s": "skip",
    "d": "discard",
    "b": "back",
    "f": "forward",
    "u": "undo",
    "w": "whole",
    "q": "leave",
}
"""What can be done beside answering; a key means the same everywhere."""


@dataclass(frozen=True, slots=True)
class TextPart:
    """A text with its heading."""

    heading: str
    text: str
    tone: Tone = "plain"
    may_be_cut: bool = True
    """Whether its end may be left out until it is asked for; an answer's may not."""


def parts(review: Review) -> list[TextPart]:
    """Return what stands there to be read."""
    shown = review.shown
    found = [TextPart(f"{role} (before)", text, "quiet") for role, text in shown.earlier]
    found.append(TextPart("Question", shown.question))
    if shown.reference:
        found.append(TextPart("Expected", shown.reference))
    if shown.context:
        found.append(TextPart("Context", shown.context, "quiet"))
    who = "Answer" if shown.model is None else f"Answer by {shown.model}"
    found.append(TextPart(who, shown.answer, may_be_cut=False))
    return found


def progress_line(review: Review) -> str:
    """Say who judges, how far it is, and how long the rest takes."""
    left = review.seconds_left
    pace = "" if not left else f", about {seconds(left) if left < 60 else _minutes(left)} left"
    return f"{review.judged} of {review.total} judged{pace} · answer {review.place} · {review.request.person}"


def _minutes(left: float) -> str:
    minutes = round(left / 60)
    return f"{minutes} min" if minutes < 120 else plural(round(minutes / 60), "hour")


def asked_line(review: Review) -> str:
    """Return the question that is asked, with its keys."""
    if review.done_because is not None:
        return review.done_because
    question = review.asked
    keys = "  ".join(f"{key} {said}".strip() for key, said in choices(review))
    if question is None:
        question = review.request.rubric.questions[0]
        state = "Set aside; a verdict brings it back." if review.discarded else "Judged."
        return f"{state} {question.ask}  {keys}"
    return f"{question.ask}  {keys}"


def choices(review: Review) -> list[tuple[str, str]]:
    """Return the keys that answer the question, with what they say."""
    question = review.asked or review.request.rubric.questions[0]
    if question.scale == "yes_no":
        return [("y", "yes"), ("n", "no")]
    if question.scale == "grade":
        ends = {"1": "(worst)", "5": "(best)"}
        return [(option, ends.get(option, "")) for option in question.options]
    return [(str(number), label) for number, label in enumerate(question.options, start=1)]


def said_by_key(review: Review, key: str) -> str | None:
    """Return what a key answers; None where it answers nothing that is asked."""
    question = review.asked or review.request.rubric.questions[0]
    if question.scale == "yes_no":
        return {"y": "yes", "n": "no"}.get(key)
    place = int(key) - 1 if key.isdecimal() else -1
    return question.options[place] if 0 <= place < len(question.options) else None


def given_line(review: Review) -> str:
    """Say what was said of this answer already; empty where nothing was."""
    said = [f"{name}: {said}" for name, said in review.given.items()]
    if review.comment:
        said.append(f"“{review.comment}”")
    return " · ".join(said)
