"""Leafing through what was asked and answered, newest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from llmflowlab.cli.context import App
from llmflowlab.cli.formatting import plural, shortened
from llmflowlab.cli.ui.screen import Choice, GoBack
from llmflowlab.lab.labels import LABELS

__all__ = ["browse_history", "matching"]

_PAGE = 10


def browse_history(app: App, provider: str) -> None:
    """Show the artifact records of a provider page by page; search and open them."""
    from llmflowlab.lab.info import records_of

    everything = records_of(app.lab, provider, app.screen.note)
    records, start, wanted = everything, 0, ""
    while True:
        _show_page(app, provider, records, start, wanted)
        page = records[start : start + _PAGE]
        choices: list[Choice[str | int]] = []
        if start + _PAGE < len(records):
            choices.append(Choice("Next page", "next", names=("n",)))
        if start:
            choices.append(Choice("Previous page", "previous", names=("p",)))
        if page:
            choices.append(Choice("Read one", "read", names=("r",)))
        if everything:
            choices.append(Choice("Search", "search", names=("s", "/")))
        if wanted:
            choices.append(Choice("Show all", "all", names=("a",)))
        choices.append(Choice("Back", "back", names=("b",)))
        action = app.screen.select("History", choices)
        if action == "next":
            start += _PAGE
        elif action == "previous":
            start -= _PAGE
        elif action == "read":
            with suppress(GoBack):
                _read_one(app, page, start)
        elif action == "search":
            with suppress(GoBack):
                wanted = app.screen.text("Words in the prompt or the answer")
                records, start = matching(everything, wanted), 0
        elif action == "all":
            records, start, wanted = everything, 0, ""
        else:
            return


def matching(records: Sequence[Mapping[str, Any]], wanted: str) -> list[Mapping[str, Any]]:
    """Return the records whose prompt, answer or model hold all of the words, in any case."""
    words = wanted.casefold().split()

    def holds(record: Mapping[str, Any]) -> bool:
        text = " ".join(str(record.get(key) or "") for key in ("prompt", "answer", "model", "date"))
        folded = text.casefold()
        return all(word in folded for word in words)

    return [record for record in records if holds(record)]


def _show_page(
    app: App, provider: str, records: Sequence[Mapping[str, Any]], start: int, wanted: str
) -> None:
    found = f" with {wanted!r}" if wanted else ""
    label = LABELS.get(provider, provider)
    if not records:
        app.screen.say(f"{label}: no records{found}.")
        return
    end = min(start + _PAGE, len(records))
    app.screen.say(
        f"{label}: {start + 1} to {end} of {plural(len(records), 'record')}{found}, newest first",
        tone="heading",
    )
    for number, record in enumerate(records[start:end], start=start + 1):
        app.screen.say(f"{number:>4}  {record.get('date', '')}  {_line(record, 'prompt', 50)}")
        app.screen.say(f"      {_line(record, 'answer', 70)}", tone="quiet")


def _line(record: Mapping[str, Any], key: str, width: int) -> str:
    return shortened(str(record.get(key) or "(none)"), width)


def _read_one(app: App, page: Sequence[Mapping[str, Any]], start: int) -> None:
    choices = [
        Choice(f"{record.get('date', '')}  {_line(record, 'prompt', 50)}", index)
        for index, record in enumerate(page)
    ]
    record = page[app.screen.select("Which one?", choices)]
    for key in sorted(record, key=_order):
        value = record[key]
        if key in {"prompt", "answer"}:
            app.screen.say(key, tone="heading")
            app.screen.say(str(value or "(none)"))
        else:
            shown = "unknown" if value is None else str(value)
            app.screen.say(f"{key:<22}{shown}", tone="quiet")


def _order(key: str) -> int:
    first = ("date", "model", "prompt", "answer")
    return first.index(key) if key in first else len(first)
