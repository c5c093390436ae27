"""What people said, as tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from llmflowlab.cli.formatting import plural
from llmflowlab.cli.people_table import people_table
from llmflowlab.cli.ui.screen import Screen, Table
from llmflowlab.lab.review_results import HumanAgreement, HumanMean, LabelCounts, ReviewResults
from llmflowlab.lab.review_sheets import ExportedSheet, ImportedSheet
from llmflowlab.program import program_name

__all__ = [
    "agreement_table",
    "labels_table",
    "left_out_line",
    "means_table",
    "show_exported",
    "show_imported",
    "show_results",
]


def show_results(screen: Screen, results: ReviewResults) -> None:
    """Print the means, the agreement, and where every word stands."""
    aside = f", {results.discarded} set aside" if results.discarded else ""
    screen.say(f"{plural(results.answers, 'answer')} judged by {', '.join(results.people)}{aside}.")
    if results.means:
        screen.table(means_table(results.means))
    if results.labels:
        screen.table(labels_table(results.labels))
    if results.estimates:
        screen.table(people_table(results.estimates, results.models))
    _show_agreement(screen, results)
    screen.say(f"Every word: {results.file}")


def _show_agreement(screen: Screen, said: ReviewResults | ImportedSheet) -> None:
    if said.agreement:
        screen.table(agreement_table(said.agreement))
    matched = {entry.question for entry in said.agreement if not entry.people}
    asked = dict.fromkeys(
        [*(each.question for each in said.means), *(each.question for each in said.labels)]
    )
    if alone := [question for question in asked if question not in matched]:
        screen.say(
            f"No scorer says the like of {', '.join(alone)}; a question of a rubric (--rubric) that has a scorer's "
            "name is set beside it.",
            tone="quiet",
        )


def means_table(means: Sequence[HumanMean]) -> Table:
    """Set what people think of each candidate in a table."""
    picked = sum(mean.picked for mean in means)
    notes = ["Yes is 100 %, no 0 %, a grade g (g − 1) / 4."]
    if picked:
        notes.append(
            "Answers that were picked because judges disagree about them are in no mean: they say nothing "
            "of the others."
        )
    if cut := sum(mean.not_whole for mean in means if mean.person is not None):
        notes.append(
            f"{plural(cut, 'verdict')} on answers that are cut, empty or failed {'is' if cut == 1 else 'are'} in no "
            "mean."
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


def labels_table(found: Sequence[LabelCounts]) -> Table:
    """Set what was said in labels in a table."""
    return Table(
        title="Labels given by people",
        columns=("who", "asked", "model", "said", "n"),
        rows=tuple(
            (
                each.person,
                each.question,
                each.candidate,
                ", ".join(f"{label} {count}" for label, count in each.counts.items()),
                str(each.n),
            )
            for each in found
        ),
        numbers=frozenset({4}),
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
                _kappa(entry.kappa)
                if entry.kappa is not None
                else "undefined"
                if entry.constant
                else None,
                None
                if entry.interval is None
                else f"{_kappa(entry.interval.low)} to {_kappa(entry.interval.high)}",
                str(entry.n),
            )
            for entry in ordered
        ),
        numbers=frozenset({3, 4, 5, 6}),
        notes=tuple(_agreement_notes(ordered)),
    )


def _agreement_notes(found: Sequence[HumanAgreement]) -> Iterator[str]:
    yield "Cohen's kappa: 1 is full agreement, 0 what chance would bring."
    beside: dict[tuple[str, str], dict[str, None]] = {}
    for entry in found:
        if entry.matched is not None:
            beside.setdefault((entry.question, entry.matched), {})[entry.other] = None
    for (question, why), scorers in beside.items():
        yield f"{question} stands beside {', '.join(scorers)} because {why}."
    if constant := dict.fromkeys(name for entry in found for name in entry.constant):
        yield (
            f"Kappa is undefined where one side says the same of every answer, as {', '.join(constant)} "
            f"{'does' if len(constant) == 1 else 'do'}: there is nothing to agree on."
        )


def _kappa(value: float) -> str:
    # What is rounded to nothing has no sign.
    return f"{round(value, 2) + 0.0:.2f}"


def left_out_line(left_out: Mapping[str, int]) -> str:
    """Say which answers nobody is asked about; empty where there are none."""
    if not left_out:
        return ""
    why = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
    total = sum(left_out.values())
    verb = "is" if total == 1 else "are"
    return f"{plural(total, 'answer')} {verb} left out, as only whole ones are judged: {why}."


def show_exported(screen: Screen, sheet: ExportedSheet, asked: str, back: str) -> None:
    """Say where the sheet is, and how it comes back."""
    screen.say(f"{plural(sheet.answers, 'answer')} to judge: {sheet.file}")
    if told := left_out_line(sheet.left_out):
        screen.note(told)
    screen.say(f"Fill in {asked}, comment as you like, save as CSV, then: {program_name()} {back}")


def show_imported(screen: Screen, sheet: ImportedSheet) -> None:
    """Say what was taken in, and what people think by now."""
    screen.say(
        f"{plural(sheet.verdicts, 'verdict')} by {sheet.person}: {sheet.new} new, "
        f"{sheet.changed} changed, {sheet.as_before} as before; {sheet.not_judged} not judged."
    )
    if sheet.waiting is not None:
        screen.warn(sheet.waiting)
    if sheet.means:
        screen.table(means_table(sheet.means))
    if sheet.labels:
        screen.table(labels_table(sheet.labels))
    _show_agreement(screen, sheet)
