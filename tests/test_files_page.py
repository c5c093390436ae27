"""`docs/files.md` names every key that scripts may rely on, and no other."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import pytest

from llmflowlab.evaluation.conclude.gates import GateResult
from llmflowlab.evaluation.conclude.judging_quality import JudgingQuality
from llmflowlab.evaluation.conclude.people_estimates import PeopleEstimate
from llmflowlab.evaluation.conclude.verdicts import (
    ComparisonVerdict,
    FrontEntry,
    Recommendation,
    Sequential,
)
from llmflowlab.evaluation.scores import NotScored
from llmflowlab.evaluation.system_use import SystemUse
from llmflowlab.statistics import Interval
from llmflowlab.statistics.noninferiority import NonInferiority
from tests.evaluation.report_data import made_result

PAGE = (Path(__file__).parents[1] / "docs" / "files.md").read_text("utf-8")
SECTION = PAGE.split("## evaluate --json\n")[1].split("\n## ")[0]
NAMES = {"SCORER": r"(correctness|contains|token_f1)", "K": r"\d+", "REASON": r"[a-z_]+"}


def listed() -> dict[str, set[str]]:
    """Return the keys that the page lists, by the place where they stand."""
    rows = re.findall(r"^\| (the document|`.*?`) \| (.*) \|$", SECTION, re.M)
    assert rows
    found = {}
    for at, text in rows:
        if named := re.match(r"(SCORER|REASON|K):", text):
            keys = {named[1]}
        else:
            keys = set(re.findall(r"`(\w+)`", text))
        found["" if at == "the document" else at.strip("`")] = keys
    return found


def document() -> dict[str, Any]:
    """Return a document in which everything is there that can be."""
    made = made_result(12, trials=2)
    kinds = (
        GateResult(
            gate="contains>=0.7",
            candidate="a",
            value=None,
            threshold=0.7,
            passed=False,
            reason="a: unknown",
        ).to_json(),
    )
    # A model with several prompts.
    prompted = [
        replace(spec, model="guide:docs", prompt=f"p@{n}", system=f"Say {n}.")
        for n, spec in enumerate(made.plan.candidates, 1)
    ]
    whole = replace(
        made,
        plan=replace(made.plan, cluster="category", candidates=tuple(prompted)),
        candidates=[
            replace(one, system=SystemUse(answers=1, seconds=2.0)) for one in made.candidates
        ],
        gates=kinds,
        judging={"correctness": JudgingQuality(scorer="correctness", answers=3)},
        people=[
            PeopleEstimate(
                asked="correct",
                scorer="contains",
                candidate=0,
                judge=0.5,
                people=None,
                people_interval=None,
                labelled=0,
                of=4,
                value=None,
                interval=None,
                effective=None,
                more=None,
                half_width=None,
            )
        ],
        sequential=Sequential(
            scorer="contains",
            margin=0.02,
            verdict=None,
            looked_at=3,
            of=4,
            interval=Interval(-0.1, 0.2),
            difference=0.1,
            saved_usd=Decimal("0.1"),
        ),
        recommendation=Recommendation(
            scorer="contains",
            candidate=0,
            best=1,
            margin=0.05,
            evidence=NonInferiority(
                n=10, difference=0.0, lower_bound=-0.01, upper_bound=0.02, margin=0.05
            ),
            reason="The cheapest.",
            front=(
                FrontEntry(
                    candidate=0,
                    mean=0.5,
                    interval=None,
                    cost_usd=None,
                    cost_interval=None,
                    latency=None,
                    latency_interval=None,
                ),
            ),
        ),
    )
    return whole.to_json()


def keys_of(value: Any, at: str, found: dict[str, set[str]]) -> None:
    if isinstance(value, dict):
        found[at] |= set(value)
        for key, each in value.items():
            keys_of(each, f"{at}.{key}" if at else key, found)
    elif isinstance(value, list):
        for each in value:
            keys_of(each, f"{at}[]", found)


def test_every_key_of_the_document_of_an_evaluation_is_on_the_page_and_no_other():
    found: dict[str, set[str]] = defaultdict(set)
    keys_of(document(), "", found)
    places = listed()
    seen = set()
    for at, keys in found.items():
        (place,) = [p for p in places if re.fullmatch(pattern(p), at)]
        seen.add(place)
        named = next(iter(places[place] & set(NAMES)), None)
        if named is not None:
            assert all(re.fullmatch(NAMES[named], key) for key in keys), (at, keys)
        elif place == "gates[]":
            # What a gate's kind adds is held by the test below.
            assert keys <= places[place]
        else:
            assert keys == places[place] - {"trials"} | keys & {"trials"}, at
    assert seen == set(places)


def pattern(place: str) -> str:
    """Return what matches the places that a line of the page speaks of."""
    parts = (NAMES.get(part, re.escape(part)) for part in re.split(r"(SCORER|\bK\b)", place))
    return "".join(parts)


@pytest.mark.parametrize(
    ("module", "kind"), [("gates", "threshold"), ("baseline", "comparison")], ids=["own", "other"]
)
def test_what_a_gate_s_kind_adds_is_on_the_page(module: str, kind: str):
    room = Path(__file__).parents[1] / "llmflowlab" / "evaluation" / "conclude"
    code = (room / f"{module}.py").read_text("utf-8")
    (details,) = re.findall(r"details=(\{.*?\})", code, re.DOTALL)
    keys = set(re.findall(r'"(\w+)":', details)) - {"kind"}
    (row,) = re.findall(r"^\| `gates\[\]` \| (.*) \|$", SECTION, re.M)
    (told,) = re.findall(rf"`{kind}` has ([^;]*)", row)
    assert set(re.findall(r"`(\w+)`", told)) == keys


def test_every_verdict_is_on_the_page():
    for verdict in (*get_args(ComparisonVerdict), "non_inferior", "inferior", "not_shown"):
        assert f"`{verdict}`" in SECTION
    assert all(re.fullmatch(NAMES["REASON"], reason) for reason in get_args(NotScored))
