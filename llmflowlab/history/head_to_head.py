"""Which models were compared on the same questions, and what `evaluate` concluded of each two."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmflowlab.errors import LabError
from llmflowlab.evaluation.scorers.ranking import main_scorer
from llmflowlab.program import program_name
from llmflowlab.settings import Settings
from llmflowlab.tracking.summaries import EvaluationSummary

__all__ = ["ModelPair", "ModelPairs", "model_pairs"]

_MOST = 20
"""Evaluations looked into, newest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPair:
    """Two candidates of different models, by the scorer that ranked them."""

    models: tuple[str, str]
    """Their references; `a` and `b` are the labels, which say the prompt too."""
    a: str
    b: str
    scorer: str
    n: int
    verdict: str
    said: str
    evaluation_id: str
    dataset: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPairs:
    """The newest comparison of every two models, verdicts first; or why there is none."""

    found: Sequence[ModelPair] = ()
    why_none: str | None = None


def model_pairs(
    settings: Settings,
    evaluations: Sequence[EvaluationSummary],
    again: Callable[[str], Mapping[str, Any]],
) -> ModelPairs:
    """Find for each two models the newest evaluation in which both have a score, and its verdict.

    Nothing is compared here: what `evaluate` wrote down is read.

    Args:
        settings: Name the home.
        evaluations: All that are known, oldest first.
        again: Counts an evaluation up once more, where its document says too little.
    """
    models: dict[str, set[str]] = {}
    for evaluation in reversed(evaluations):
        models.setdefault(evaluation.evaluation_id, set()).add(evaluation.model)
    if len({e.model for e in evaluations}) < 2:
        return ModelPairs(why_none="fewer than two models were evaluated")
    several = [name for name, who in models.items() if len(who) > 1]
    if not several:
        return ModelPairs(
            why_none="no evaluation holds two models; give them to one: "
            f"{program_name()} evaluate --model A --model B"
        )
    found: list[ModelPair] = []
    # Of evaluations that ended before both had a score: an older one may say more.
    empty: dict[frozenset[str], list[ModelPair]] = {}
    seen: set[frozenset[str]] = set()
    unread: list[str] = []
    for name in several[:_MOST]:
        pairs = {frozenset(two) for two in itertools.combinations(models[name], 2)}
        if pairs <= seen:
            continue
        try:
            read = _read(settings, name, again)
        except (LabError, OSError, LookupError, TypeError, ValueError, ArithmeticError):
            # Of another home or version: an older evaluation may still tell.
            unread.append(name)
            continue
        fresh = [each for each in read if frozenset(each.models) not in seen]
        found += [each for each in fresh if each.n]
        for two in {frozenset(each.models) for each in fresh if not each.n}:
            empty.setdefault(two, [e for e in fresh if frozenset(e.models) == two and not e.n])
        seen |= {frozenset(each.models) for each in fresh if each.n}
    found += [each for two, those in empty.items() if two not in seen for each in those]
    if not found and unread:
        return ModelPairs(why_none=f"evaluation {unread[0]} is not kept in this home")
    found.sort(key=lambda p: p.verdict in {"no_difference_shown", "not_comparable"})
    return ModelPairs(found=found)


def _read(
    settings: Settings, name: str, again: Callable[[str], Mapping[str, Any]]
) -> list[ModelPair]:
    file = settings.state_dir / "evaluations" / name / "evaluation.json"
    document: Mapping[str, Any] = (
        json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    )
    if not all("said" in c for c in document.get("comparisons", [{}])):
        document = again(name)
    model = {c["label"]: c["model"] for c in document["candidates"]}
    scorer = main_scorer(list(document["candidates"][0]["scores"]))
    return [
        ModelPair(
            models=(model[c["a"]], model[c["b"]]),
            **{key: c[key] for key in ("a", "b", "scorer", "n", "verdict", "said")},
            evaluation_id=name,
            dataset=document["dataset"]["name"],
        )
        for c in document["comparisons"]
        if c["scorer"] == scorer and model[c["a"]] != model[c["b"]]
    ]
