"""The menu's review mode: which answers, who judges, in which order; then the answers one by one."""

from __future__ import annotations

from llmflowlab.cli.context import App
from llmflowlab.cli.formatting import plural
from llmflowlab.cli.going_back import going_back
from llmflowlab.cli.review.judge_answers import judge
from llmflowlab.cli.ui.screen import Choice
from llmflowlab.lab.review import (
    Order,
    Reviewable,
    ReviewRequest,
    has_strata,
    reviewable,
    who_sits_here,
)

__all__ = ["review_screen"]

_MOST = 30
"""Evaluations that are offered, the newest ones."""
_ORDERS: dict[Order, str] = {
    "random": "Any (random)",
    "stratified": "Each category or language its share",
    "disagreement": "Where judges disagree or are unsure",
    "narrow": "What narrows the interval most",
}
_NO_STRATA = "these questions have neither"


def review_screen(app: App) -> None:
    """Lead to a review; Esc leads back a question."""
    offered = reviewable(app.lab, _MOST)
    if not offered:
        app.screen.say("There is nothing to judge yet: evaluate a model first.")
        return
    request = going_back(app, lambda: _ask(app, offered))
    judge(app, request)


def _ask(app: App, offered: list[Reviewable]) -> ReviewRequest:
    chosen = app.screen.select(
        "Whose answers?", [Choice(_title(entry), entry.id) for entry in offered]
    )
    person = app.screen.text(
        "Who judges?",
        default=who_sits_here(),
        check=lambda name: None if name.strip() else "Type a name; it tells reviewers apart.",
    )
    lacking = {} if has_strata(app.lab, chosen) else {"stratified": _NO_STRATA}
    orders = [
        Choice(title, order, names=(order,), disabled=lacking.get(order))
        for order, title in _ORDERS.items()
    ]
    order = app.screen.select("Which answers come first?", orders, default="random")
    return ReviewRequest(name=chosen, person=person, order=order)


def _title(entry: Reviewable) -> str:
    rows = plural(entry.rows, "row")
    return f"{entry.id}: {entry.dataset}, {rows}: {', '.join(entry.models)}"
