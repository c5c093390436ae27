"""Judging line by line: where there is no terminal, or one that cannot be drawn upon."""

from __future__ import annotations

from llmflowlab.cli.review.answer_view import KEYS, asked_line, given_line, parts, progress_line
from llmflowlab.cli.ui.screen import Screen
from llmflowlab.lab.review import Review

__all__ = ["review_by_lines"]


def review_by_lines(screen: Screen, review: Review) -> None:
    """Ask for a line for each question until the person leaves; all is whole, nothing scrolls.

    Raises:
        EndOfInput: The input ended; everything is kept.
        TrackingError: Something could not be kept.
    """
    legend = ", ".join(f"{key} {does}" for key, does in KEYS.items() if key != "w")
    screen.note(f"Type what stands beside the question, or: {legend}; c takes its text with it.")
    seen: object = None
    while review.done_because is None:
        if (review.place, review.shown) != seen:
            seen = (review.place, review.shown)
            screen.say()
            screen.say(progress_line(review), tone="heading")
            for part in parts(review):
                screen.say(f"{part.heading}: {part.text}", tone=part.tone)
            if said := given_line(review):
                screen.say(f"({said})", tone="quiet")
        typed = screen.text(asked_line(review))
        if typed == "q":
            return
        if (wrong := _take(review, typed)) is not None:
            screen.warn(wrong)
    screen.say(review.done_because)


def _take(review: Review, typed: str) -> str | None:
    """Do what was typed; returns in a sentence why it is nothing."""
    word, _, rest = typed.partition(" ")
    question = review.asked or review.request.rubric.questions[0]
    if word == "c":
        comment = rest.strip()
        if not comment:
            return "Write the comment behind c; c - takes it away."
        review.write("" if comment == "-" else comment)
        return None
    if typed == "s":
        review.skip()
    elif typed == "d":
        review.discard()
    elif typed == "b":
        return None if review.back() else "This is the first answer."
    elif typed == "f":
        return None if review.forward() else "This is the last answer."
    elif typed == "u":
        return None if review.undo() else "There is nothing of yours that could be undone."
    elif (
        question.scale == "labels" and typed.isdecimal() and 0 < int(typed) <= len(question.labels)
    ):
        review.say(question.labels[int(typed) - 1])
    elif (said := question.read(typed)) is not None:
        review.say(said)
    else:
        return f"{typed!r} answers nothing here; type {question.choice}, or q to leave."
    return None
