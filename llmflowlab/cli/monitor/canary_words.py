"""What a canary says, as lines, tables and JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from llmflowlab.cli.formatting import dollars, number_or_none, percent, plural, seconds, shortened
from llmflowlab.cli.ui.screen import Screen, Table
from llmflowlab.monitoring.canary import Begun, RoundAsked
from llmflowlab.monitoring.canary_plan import DAYS, Canary
from llmflowlab.monitoring.canary_power import POWER, SAMPLES
from llmflowlab.monitoring.canary_verdict import CanaryVerdict, Figures, LayerState
from llmflowlab.monitoring.window import span
from llmflowlab.program import program_name

__all__ = [
    "begun_json",
    "round_line",
    "run_json",
    "show_begun",
    "show_changed",
    "show_list",
    "show_status",
    "status_json",
]

_WIDTH = 70
_NAMED = 3
_LAYERS = {
    "words": "usual words",
    "new_words": "words not heard before",
    "right": "right answers",
    "length": "length",
    "refusals": "refusals",
    "latency": "slower answers",
}


def show_begun(screen: Screen, name: str, begun: Begun, program: str) -> None:
    """Say what was begun, what it promises and what to do next."""
    canary = begun.canary
    found = plural(len(canary.choices), "border prompt")
    asked = plural(len(canary.questions), "question")
    screen.say(f"{name}: {found}, {asked}; a round every {span(canary.every)}.")
    rounds = canary.learning + canary.baseline
    screen.say(
        f"Its baseline takes {rounds} rounds, {plural(canary.samples, 'sample')} of each border prompt in "
        f"each: {plural(calls(canary, canary.samples), 'call')} a round, {calls(canary, 1)} afterwards."
    )
    screen.say(promise(canary))
    if begun.sure:
        screen.say(
            f"Another model behind the name is noticed within {SAMPLES} rounds with a chance of "
            f"{percent(POWER)} or more, where most of its words are others."
        )
    elif canary.choices:
        screen.warn(
            f"With {found} a tolerance of {canary.tolerance:g} is too wide to notice another model within "
            f"{SAMPLES} rounds; it takes longer. More prompts or a smaller --tolerance make it faster."
        )
    else:
        screen.warn(
            "No one-word answer of this model is open, so that only its questions are watched: a change "
            "takes days to show."
        )
    if begun.spent is None:
        screen.say("What the search cost is not known: the model has no price.")
    elif begun.spent:
        screen.say(f"The search cost {dollars(begun.spent)}.")
    if begun.kept is not None:
        screen.note(f"The canary before it stands in {begun.kept}.")
    screen.say(f"Next: {program} monitor canary run {name} --every {canary.every:g}s")


def promise(canary: Canary) -> str:
    """State the chance of a false alarm, and under what."""
    return (
        f"Chance of a false alarm in {canary.horizon:,} rounds ({DAYS} days): {percent(canary.alpha)} at "
        f"most, the baseline's own chance included, as long as the chance of a word stays within "
        f"{canary.tolerance:g} of what it is."
    )


def calls(canary: Canary, samples: int) -> int:
    """Return the calls of a round."""
    return len(canary.choices) * samples + len(canary.questions)


def begun_json(name: str, begun: Begun) -> dict[str, Any]:
    canary = begun.canary
    return {
        "name": name,
        "model": canary.candidate.model,
        "border_prompts": [
            {"prompt": choice.prompt, "word": choice.word} for choice in canary.choices
        ],
        "questions": [question.id for question in canary.questions],
        "every_seconds": canary.every,
        "tolerance": canary.tolerance,
        "false_alarm_chance": canary.alpha,
        "false_alarm_rounds": canary.horizon,
        "rounds_needed": canary.learning + canary.baseline,
        "samples_per_round": canary.samples,
        "calls_per_round": {
            "baseline": calls(canary, canary.samples),
            "watching": calls(canary, 1),
        },
        "notices_swap_within_rounds": SAMPLES if begun.sure else None,
        "cost_usd": number_or_none(begun.spent),
    }


def round_line(canary: Canary, one: RoundAsked) -> str:
    """Say in a line what a round brought."""
    said = one.verdict
    failed = f", {plural(one.failed, 'call')} failed ({one.why})" if one.failed else ""
    if said.rounds <= said.needed:
        what = "learning" if said.rounds <= canary.learning else "baseline"
        return f"round {one.number} of {said.needed}: {what}{failed}"
    words = {"quiet": "quiet", "changed": "CHANGED"}.get(said.state, said.state)
    return f"round {one.number}: {words}, {_strongest(said.layers)}{failed}"


def _strongest(layers: Sequence[LayerState]) -> str:
    known = [each for each in layers if each.log_e is not None]
    if not known:
        return "no evidence"
    most = max(known, key=lambda each: (each.log_e or 0.0) - each.needed)
    return f"evidence of {_LAYERS[most.layer]} {_e(most.log_e)} of {_e(most.needed)}"


def _e(log_e: float | None) -> str:
    return "-" if log_e is None else f"{math.exp(min(log_e, 700.0)):.2g}"


def changed_lines(said: CanaryVerdict) -> list[str]:
    """Say what has changed; nothing where nothing has."""
    lines = []
    if said.served_new:
        lines.append(
            f"The provider says that it serves {', '.join(said.served_new)} now; in the baseline it was "
            f"{', '.join(said.served_before)}. That is certain."
        )
    if said.chances_moved:
        first = "; ".join(repr(shortened(text, _WIDTH)) for text in said.chances_moved[:_NAMED])
        lines.append(
            f"The usual word of {len(said.chances_moved)} border prompts is not as likely as it was, as the "
            f"provider itself tells: {first}. That is certain."
        )
    if said.fingerprints_new:
        lines.append(
            f"The provider names a set-up that the baseline had not ({', '.join(said.fingerprints_new)}); "
            "hosts change those for reasons of their own too, and it is no alarm."
        )
    for each in said.layers:
        if each.alarmed_at is None:
            continue
        most = "; ".join(repr(shortened(text, _WIDTH)) for text in each.most_changed)
        where = f" Most of all: {most}." if most else ""
        lines.append(
            f"Its {_LAYERS[each.layer]} changed (noticed in round {each.alarmed_at}).{where}"
        )
    return lines


def show_changed(screen: Screen, latest: RoundAsked | None) -> None:
    """Say what has changed after the last round."""
    for line in changed_lines(latest.verdict) if latest is not None else []:
        screen.say(line, tone="warning")


def run_json(
    name: str, canary: Canary, latest: RoundAsked | None, *, rounds: int
) -> dict[str, Any]:
    spent: Decimal | None = None if latest is None else latest.spent
    return {
        "rounds_asked": rounds,
        "cost_usd": number_or_none(spent),
        **({} if latest is None else status_json(name, canary, latest.verdict)),
    }


def status_json(name: str, canary: Canary, said: CanaryVerdict) -> dict[str, Any]:
    return {
        "name": name,
        "model": canary.candidate.model,
        "false_alarm_chance": canary.alpha,
        "false_alarm_rounds": canary.horizon,
        **said.to_json(),
    }


def show_list(screen: Screen, found: Sequence[tuple[str, Canary, CanaryVerdict]]) -> None:
    """Show a line for each canary."""
    if not found:
        screen.say(
            f"There is no canary here; `{program_name()} monitor canary init --model REF` begins one."
        )
        return
    screen.table(
        Table(
            title="Canaries",
            columns=("canary", "model", "rounds", "state"),
            rows=tuple(
                (name, canary.candidate.model, str(said.rounds), said.state)
                for name, canary, said in found
            ),
            numbers=frozenset({2}),
        )
    )


def show_status(screen: Screen, name: str, canary: Canary, said: CanaryVerdict) -> None:
    """Show all that a canary says."""
    screen.say(f"{name}: {said.state}, {plural(said.rounds, 'round')}.")
    if said.rounds < said.needed:
        screen.say(f"It watches after {said.needed}.")
    screen.table(
        Table(
            title="Evidence of a change",
            columns=("layer", "evidence", "alarms at"),
            rows=tuple((_LAYERS[e.layer], _e(e.log_e), _e(e.needed)) for e in said.layers),
            numbers=frozenset({1, 2}),
            notes=(promise(canary),),
        )
    )
    if canary.questions and said.rounds:
        screen.table(
            Table(
                title="Its questions",
                columns=("", "right", "refused", "length", "seconds"),
                rows=(
                    ("baseline", *_figures(said.before)),
                    ("since", *_figures(said.last)),
                ),
                numbers=frozenset(range(1, 5)),
            )
        )
    for line in changed_lines(said):
        screen.say(line, tone="warning")


def _figures(found: Figures) -> tuple[str | None, ...]:
    return (
        None if found.right is None else percent(found.right),
        None if found.refused is None else percent(found.refused),
        None if found.length is None else f"{found.length:g}",
        None if found.seconds is None else seconds(found.seconds),
    )
