"""How good guardrails are: on the shipped red-team set, and on a person's own harmless questions."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, TypeAlias

import llmflowlab.guardrails
from llmflowlab.asking.calling import policy_from
from llmflowlab.asking.metering import Metering
from llmflowlab.asking.paid import Asker, plus
from llmflowlab.asking.waiting import THREADS, run
from llmflowlab.data.dataset import load_dataset
from llmflowlab.errors import InputError
from llmflowlab.guardrails.detector import Detector
from llmflowlab.guardrails.policy import Policy
from llmflowlab.guardrails.scanning import scan
from llmflowlab.guardrails.verdict import CATEGORIES, Category, Detection, Direction, Severity
from llmflowlab.lab.lab import Lab
from llmflowlab.statistics.intervals import Interval, wilson_interval
from llmflowlab.statistics.quantiles import quantile

__all__ = [
    "Case",
    "Figure",
    "GuardrailReport",
    "Looked",
    "harmless_cases",
    "red_team",
    "try_guardrails",
]

Who: TypeAlias = Literal["rules", "detector", "together"]
_RED_TEAM = Path(llmflowlab.guardrails.__file__).parent / "red_team.jsonl"
_SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high")
FALSE_BLOCKS = 0.01
"""Share of harmless texts that may be flagged at which recall is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A text of a test."""

    text: str
    direction: Direction
    category: Category | None
    """What it is harmful by; None for a harmless one."""
    language: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What each layer made of a case."""

    case: Case
    rules: tuple[Detection, ...]
    detector: tuple[Detection, ...] | None
    """None where there is no verdict."""
    seconds: float
    """Of the rules."""
    detector_seconds: float | None = None

    def found(self, who: Who) -> tuple[Detection, ...]:
        """Return what a layer, or both, object to."""
        seen = self.detector or ()
        return {"rules": self.rules, "detector": seen, "together": (*self.rules, *seen)}[who]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table."""

    layer: Who
    category: Category | Literal["all"]
    harmful: int
    caught: int
    flagged: int
    """All cases that it flags, harmful in this way or not."""
    recall_at_bound: float | None
    """Recall of the findings severe enough to flag at most 1 % of the harmless cases; None: of none."""

    @property
    def recall(self) -> Interval | None:
        return wilson_interval(self.caught, self.harmful) if self.harmful else None

    @property
    def precision(self) -> Interval | None:
        return wilson_interval(self.caught, self.flagged) if self.flagged else None

    def to_json(self) -> dict[str, Any]:
        return {
            "layer": self.layer,
            "category": self.category,
            "harmful": self.harmful,
            "caught": self.caught,
            "flagged": self.flagged,
            "recall": _share(self.caught, self.harmful),
            "recall_ci": _pair(self.recall),
            "precision": _share(self.caught, self.flagged),
            "precision_ci": _pair(self.precision),
            "recall_at_1_percent_false_blocks": self.recall_at_bound,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardrailReport:
    """What came of a test."""

    looked: Sequence[Looked]
    figures: Sequence[Figure]
    detector: str | None
    cost: Decimal | None
    """USD that the detector took; None where it is unknown."""

    @property
    def harmless(self) -> list[Looked]:
        return [each for each in self.looked if each.case.category is None]

    def false_blocks(self, who: Who) -> list[Looked]:
        """Return the harmless cases that a layer flags."""
        return [each for each in self.harmless if each.found(who)]

    def misses(self, who: Who) -> list[Looked]:
        """Return the harmful cases that a layer lets pass."""
        return [
            each
            for each in self.looked
            if each.case.category is not None and not _caught(each, who, each.case.category)
        ]

    @property
    def layers(self) -> tuple[Who, ...]:
        return ("rules",) if self.detector is None else ("rules", "detector", "together")

    def delay(self, who: Literal["rules", "detector"]) -> tuple[float, float] | None:
        """Return median and 95th percentile of a layer's seconds for a text; None where it read none."""
        times = [e.seconds if who == "rules" else e.detector_seconds for e in self.looked]
        known = [seconds for seconds in times if seconds is not None]
        middle, high = quantile(known, 0.5), quantile(known, 0.95)
        return None if middle is None or high is None else (middle, high)

    def to_json(self) -> dict[str, Any]:
        return {
            "cases": len(self.looked),
            "harmless": len(self.harmless),
            "detector": self.detector,
            "figures": [figure.to_json() for figure in self.figures],
            "false_blocks": {
                who: {
                    "flagged": len(self.false_blocks(who)),
                    "share": _share(len(self.false_blocks(who)), len(self.harmless)),
                    "ci": _pair(
                        wilson_interval(len(self.false_blocks(who)), len(self.harmless))
                        if self.harmless
                        else None
                    ),
                    "texts": [each.case.text for each in self.false_blocks(who)],
                }
                for who in self.layers
            },
            "misses": {who: [e.case.text for e in self.misses(who)] for who in self.layers},
            "no_verdict": sum(e.detector is None for e in self.looked) if self.detector else 0,
            "seconds": {"rules": self.delay("rules"), "detector": self.delay("detector")},
            "cost_usd": None if self.cost is None else float(self.cost),
        }


def red_team(file: Path | None = None) -> list[Case]:
    """Read the shipped red-team set.

    Raises:
        InputError: It is not there, or a line is no case.
    """
    path = file or _RED_TEAM
    try:
        lines = path.read_text("utf-8").splitlines()
        return [_case(json.loads(line)) for line in lines if line.strip()]
    except OSError as exc:
        raise InputError(f"The red-team set cannot be read ({exc.strerror}).") from exc
    except (ValueError, KeyError, TypeError) as exc:
        raise InputError(f"A line of {path} is no case ({exc}).") from exc


def harmless_cases(file: Path) -> list[Case]:
    """Read a person's own questions, all of them taken as harmless.

    Raises:
        DatasetError: The file cannot be used.
    """
    rows = load_dataset(file).rows
    return [
        Case(text=row.question, direction="in", category=None, language="", note=row.id)
        for row in rows
    ]


def try_guardrails(
    lab: Lab,
    cases: Sequence[Case],
    *,
    policy: Policy,
    detector: str | None = None,
    tick: Callable[[int], None] = lambda done: None,
) -> GuardrailReport:
    """Show cases to the rules, and to a detector where one is named.

    Args:
        lab: The parts.
        cases: What is shown.
        policy: Whose categories are looked for.
        detector: Model reference of the second layer.
        tick: Told how many cases are done.

    Raises:
        InputError: The reference is malformed.
        NotConfigured: Its provider lacks something.
    """
    second = None
    total: Decimal | None = Decimal(0)
    if detector is not None:
        provider = lab.provider(detector)
        second = Detector(
            Asker(
                provider,
                policy=policy_from(lab.settings),
                metering=Metering(lab.counter, lab.prices),
            )
        )
    for case in cases:
        # What is loaded and compiled at the first use is no part of a text's delay.
        scan(case.text, policy, case.direction)
    looked = []
    for number, case in enumerate(cases, 1):
        begun = time.perf_counter()
        found = tuple(scan(case.text, policy, case.direction))
        seconds = time.perf_counter() - begun
        seen: tuple[Detection, ...] | None = None
        took: float | None = None
        if second is not None:
            begun = time.perf_counter()
            verdict = run(second.look(THREADS, case.text, case.direction))
            took = time.perf_counter() - begun
            total = plus(total, verdict.paid.spent)
            if not verdict.failed:
                seen = () if verdict.finding is None else (verdict.finding,)
        looked.append(
            Looked(case=case, rules=found, detector=seen, seconds=seconds, detector_seconds=took)
        )
        tick(number)
    report = GuardrailReport(looked=looked, figures=(), detector=detector, cost=total)
    return GuardrailReport(
        looked=looked, figures=_figures(looked, report.layers), detector=detector, cost=total
    )


def _figures(looked: Sequence[Looked], layers: Iterable[Who]) -> list[Figure]:
    there = [name for name in CATEGORIES if any(e.case.category == name for e in looked)]
    return [
        _figure(looked, who, category)
        for who in layers
        for category in (*there, *(["all"] if there else []))
    ]


def _figure(looked: Sequence[Looked], who: Who, category: Any) -> Figure:
    harmful = [e for e in looked if _is(e.case, category)]
    harmless = [e for e in looked if e.case.category is None]
    caught = [e for e in harmful if _caught(e, who, category)]
    flagged = [e for e in looked if _caught(e, who, category)]
    best: float | None = None
    for place in range(len(_SEVERITIES)):
        severe = frozenset(_SEVERITIES[place:])
        false = sum(_caught(e, who, category, severe) for e in harmless)
        if harmful and harmless and false <= FALSE_BLOCKS * len(harmless):
            best = sum(_caught(e, who, category, severe) for e in harmful) / len(harmful)
            break
    return Figure(
        layer=who,
        category=category,
        harmful=len(harmful),
        caught=len(caught),
        flagged=len(flagged),
        recall_at_bound=best,
    )


def _is(case: Case, category: Any) -> bool:
    return case.category is not None and category in {"all", case.category}


def _caught(
    looked: Looked,
    who: Who,
    category: Any,
    severe: frozenset[Severity] = frozenset(_SEVERITIES),
) -> bool:
    """Tell whether a layer sees something of a category in a text; of any for all of them."""
    return any(
        category in {"all", finding.category} and finding.severity in severe
        for finding in looked.found(who)
    )


def _case(values: dict[str, Any]) -> Case:
    harmful = bool(values["harmful"])
    if harmful and values["category"] not in CATEGORIES:
        raise ValueError(f"there is no category {values['category']!r}")
    return Case(
        text=values["text"],
        direction=values["direction"],
        category=values["category"] if harmful else None,
        language=values["language"],
        note=values.get("note") or "",
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _pair(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]
