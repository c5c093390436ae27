"""What a canary says after its rounds: whether the model behind the name is still the one it was."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any, Literal, TypeAlias

from llmflowlab.monitoring.canary_layers import chances_moved, watches
from llmflowlab.monitoring.canary_plan import Canary
from llmflowlab.monitoring.canary_rounds import Round
from llmflowlab.statistics.quantiles import quantile

__all__ = ["CanaryVerdict", "Figures", "LayerState", "State", "verdict", "weighed"]

State: TypeAlias = Literal["learning", "baseline", "quiet", "changed"]
_NAMED = 3
"""Prompts that a message names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerState:
    """One layer."""

    layer: str
    log_e: float | None
    """Of its watch after the last round; None before there was one."""
    needed: float
    """What it takes for an alarm."""
    alarmed_at: int | None
    """The round, from 1, at which it first alarmed; the alarm stands from then on."""
    most_changed: tuple[str, ...] = ()
    """The prompts or questions on which the evidence is largest, where it alarms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What the suite measured over some rounds; None where nothing is known."""

    right: float | None
    refused: float | None
    length: float | None
    """Median, in characters."""
    seconds: float | None
    """Median."""

    @classmethod
    def of(cls, rounds: Sequence[Round]) -> Figures:
        replies = [reply for each in rounds for reply in each.replies]
        right = [r.right for r in replies if r.right is not None]
        refused = [r.refused for r in replies if r.refused is not None]
        return cls(
            right=fmean(right) if right else None,
            refused=fmean(refused) if refused else None,
            length=quantile([r.length for r in replies if r.length is not None], 0.5),
            seconds=quantile([r.seconds for r in replies if r.seconds is not None], 0.5),
        )

    def to_json(self) -> dict[str, float | None]:
        return {
            "right": self.right,
            "refused": self.refused,
            "length": self.length,
            "seconds": self.seconds,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryVerdict:
    """All of it."""

    state: State
    rounds: int
    needed: int
    """Rounds before it watches."""
    layers: tuple[LayerState, ...]
    served_before: tuple[str, ...]
    served_new: tuple[str, ...]
    """Names that no round of the baseline had: certain, without any statistics."""
    chances_moved: tuple[str, ...]
    """Prompts whose usual word is no longer as likely, as the provider tells it: certain, too."""
    fingerprints_new: tuple[str, ...]
    """Set-ups that no round of the baseline had. Hosts change them for their own reasons too: no alarm."""
    before: Figures
    last: Figures
    """Of as many rounds as the baseline had, at most."""

    @property
    def changed(self) -> bool:
        return self.state == "changed"

    def to_json(self) -> dict[str, Any]:
        return {
            "state": self.state,
            "rounds": self.rounds,
            "rounds_needed": self.needed,
            "layers": [
                {
                    "layer": each.layer,
                    "log_e": each.log_e,
                    "log_e_needed": each.needed,
                    "alarmed_at_round": each.alarmed_at,
                    "most_changed": list(each.most_changed),
                }
                for each in self.layers
            ],
            "served_before": list(self.served_before),
            "served_new": list(self.served_new),
            "chances_moved": list(self.chances_moved),
            "fingerprints_new": list(self.fingerprints_new),
            "before": self.before.to_json(),
            "last": self.last.to_json(),
        }


def weighed(canary: Canary, rounds: Sequence[Round], latest: Round) -> Round:
    """Return a round that has just been asked with what the watches say after it."""
    found = watches(canary, [*rounds, latest]) if canary.phase(len(rounds)) == "watching" else {}
    # JSON has no infinity: of a look that says nothing nothing is kept.
    return replace(
        latest,
        evidence={
            layer: round(log_e, 6)
            for layer, watch in found.items()
            if math.isfinite(log_e := watch.log_e)
        },
    )


def verdict(canary: Canary, rounds: Sequence[Round]) -> CanaryVerdict:
    """Return what the rounds say so far; alarms that were raised stand."""
    begin = canary.learning + canary.baseline
    before, since = rounds[:begin], rounds[begin:]
    layers = tuple(_layer(canary, rounds, layer) for layer in canary.layers)
    known = {name for each in before for name in each.served}
    new = sorted({name for each in since for name in each.served} - known) if known else []
    # Of one prompt it may be a slip in the telling.
    moved = next((each for each in chances_moved(canary, rounds) if len(each) > 1), ())
    set_ups = {each for one in before for each in one.fingerprints}
    others = {each for one in since for each in one.fingerprints} - set_ups if set_ups else set()
    state: State
    if canary.phase(len(rounds)) != "watching":
        state = "learning" if len(rounds) < canary.learning else "baseline"
    else:
        alarmed = any(each.alarmed_at for each in layers)
        state = "changed" if new or moved or alarmed else "quiet"
    return CanaryVerdict(
        state=state,
        rounds=len(rounds),
        needed=begin,
        layers=layers,
        served_before=tuple(sorted(known)),
        served_new=tuple(new),
        chances_moved=tuple(canary.choices[i].prompt for i in moved),
        fingerprints_new=tuple(sorted(others)),
        before=Figures.of(before),
        last=Figures.of(since[-max(1, canary.baseline) :]),
    )


def _layer(canary: Canary, rounds: Sequence[Round], layer: str) -> LayerState:
    needed = -math.log(canary.share(layer))
    alarmed = next(
        (
            number
            for number, each in enumerate(rounds, 1)
            if each.evidence.get(layer, -math.inf) >= needed
        ),
        None,
    )
    latest = rounds[-1].evidence.get(layer) if rounds else None
    named: tuple[str, ...] = ()
    if alarmed is not None and layer != "latency":
        per_stream = watches(canary, rounds[:alarmed])[layer].per_stream
        names = (
            [choice.prompt for choice in canary.choices]
            if layer in {"words", "new_words"}
            else [question.question for question in canary.questions]
        )
        order = sorted(range(len(names)), key=lambda i: -per_stream[i])
        named = tuple(dict.fromkeys(names[i] for i in order))[:_NAMED]
    return LayerState(
        layer=layer, log_e=latest, needed=needed, alarmed_at=alarmed, most_changed=named
    )
