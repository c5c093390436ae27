"""Answers judged one after another, at the keys or line by line, and what came of it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from llmflowlab.cli.context import App
from llmflowlab.cli.review.show_review import left_out_line, show_results
from llmflowlab.cli.ui.screen import EndOfInput, GoBack
from llmflowlab.errors import ExitCode
from llmflowlab.lab.review import Review, ReviewRequest, begin_review
from llmflowlab.lab.review_results import review_results

__all__ = ["judge"]


def judge(app: App, request: ReviewRequest, output: Path | None = None) -> int:
    """Have a person judge answers, and show what came of it; returns the exit code.

    Raises:
        InputError: There is nothing to judge.
        TrackingError: Something cannot be read or kept.
    """
    with closing(begin_review(app.lab, request)) as review:
        told = left_out_line(review.left_out)
        if told:
            app.screen.note(told)
        left = _by_lines(app, review) if app.screen.plain else _by_keys(app, review, told)
        said_anything = review.anything_said
        open_ = review.done_because is None and review.judged < review.total
        kept = f"{review.judged} of {review.total} judged, and kept; this review goes on there the next time."
    if said_anything:
        show_results(app.screen, review_results(app.lab, request.name, output))
    if open_:
        app.screen.note(kept)
    return left


def _by_keys(app: App, review: Review, told: str) -> int:
    # Imported here: a script draws on no terminal.
    from llmflowlab.cli.review.review_pad import ReviewPad

    pad = ReviewPad(review, told)
    while (left := pad.run()) == "comment":
        try:
            review.write(app.screen.text("Comment", default=review.comment))
        except GoBack:
            continue
        except EndOfInput:
            return ExitCode.DONE
        except KeyboardInterrupt:
            return ExitCode.INTERRUPTED
    return ExitCode.INTERRUPTED if left == "interrupted" else ExitCode.DONE


def _by_lines(app: App, review: Review) -> int:
    from llmflowlab.cli.review.review_lines import review_by_lines

    try:
        review_by_lines(app.screen, review)
    except EndOfInput:
        pass
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    return ExitCode.DONE
