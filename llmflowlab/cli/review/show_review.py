"""What people said, as tables."""

from __future__ import annotations

from collections.abc import Sequence

from llmflowlab.cli.formatting import plural
from llmflowlab.cli.people_table import people_table
from llmflowlab.cli.ui.screen import Screen, Table
from llmflowlab.lab.review_results import HumanAgreement, HumanMean, ReviewResults
from llmflowlab.lab.review_sheets import ExportedSheet, ImportedSheet
from llmflowlab.program import program_name

__all__ = ["agreement_table", "means_table", "show_exported", "show_imported", "show_results"]


def show_results(screen: Screen, results: ReviewResults) -> None:
    """Print the means, the agreement, and where every word stands."""
    aside = f", {results.discarded} set aside" if results.discarded else ""
    screen.say(f"{plural(results.answers, 'answer')} judged by {', '.join(results.people)}{aside}.")
    if results.means:
        screen.table(means_table(results.means))
    if results.estimates:
        screen.table(people_table(results.estimates, results.models))
    if results.agreement:
        screen.table(agreement_table(results.agreement))
    screen.say(f"Every word: {results.file}")


def means_table(means: Sequence[HumanMean]) -> Table:
    """Set what people think of each candidate in a table."""
    picked = sum(mean.picked for mean in means)
    notes = ["Yes is 100 %, no 0 %, a grade g (g − 1) / 4."]
    if picked:
        notes.append(
            "Answers that were picked because judges disagree about them are in no mean: they say nothing "
            "of the others."
        )
    return Table(
        title="Judged by people",
        columns=("who", "asked", "model", "mean", "95 % interval", "n"),
        rows=tuple(
            (
                mean.person or "everybody",
                mean.question,
                mean.candidate,
                None if mean.mean is None else f"{mean.mean:.1%}",
                None
                if mean.interval is None
                else f"{mean.interval.low:.1%} to {mean.interval.high:.1%}",
                str(mean.n),
            )
            for mean in means
        ),
        numbers=frozenset({3, 4, 5}),
        notes=tuple(notes),
    )


def agreement_table(found: Sequence[HumanAgreement]) -> Table:
    """Set how far people, and people and judges, say the same in a table; people first."""
    ordered = sorted(found, key=lambda entry: not entry.people)
    return Table(
        title="Agreement",
        columns=("who", "asked", "with", "same", "kappa", "95 % interval", "n"),
        rows=tuple(
            (
                entry.person,
                entry.question,
                entry.other,
                None if entry.same is None else f"{entry.same:.0%}",
                None if entry.kappa is None else f"{entry.kappa:.2f}",
                None
                if entry.interval is None
                else f"{entry.interval.low:.2f} to {entry.interval.high:.2f}",
                str(entry.n),
            )
            for entry in ordered
        ),
        numbers=frozenset({3, 4, 5, 6}),
        notes=("Cohen's kappa: 1 is full agreement, 0 what chance would bring.",),
    )


def show_exported(screen: Screen, sheet: ExportedSheet, asked: str, back: str) -> None:
    """Say where the sheet is, and how it comes back."""
    screen.say(f"{plural(sheet.answers, 'answer')} to judge: {sheet.file}")
    screen.say(f"Fill in {asked}, comment as you like, save as CSV, then: {program_name()} {back}")


def show_imported(screen: Screen, sheet: ImportedSheet) -> None:
    """Say what was taken in, and what people think by now."""
    screen.say(
        f"{plural(sheet.verdicts, 'verdict')} by {sheet.person}: {sheet.new} new, "
        f"{sheet.changed} changed, {sheet.as_before} as before; {sheet.not_judged} not judged."
    )
    if sheet.waiting is not None:
        screen.warn(sheet.waiting)
    screen.table(means_table(sheet.means))
    screen.table(agreement_table(sheet.agreement))
