"""Which scorers: from the texts a person gave to specifications that a plan can hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llmflowlab.asking.budget import Budget
from llmflowlab.asking.calling import CallPolicy
from llmflowlab.asking.metering import Metering
from llmflowlab.data.dataset import Dataset
from llmflowlab.errors import InputError
from llmflowlab.evaluation.judging.judge_kinds import KINDS, OWN
from llmflowlab.evaluation.judging.judged_scorers import with_instructions
from llmflowlab.evaluation.judging.pairwise import PREFERENCE
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.plan import EvaluationPlan
from llmflowlab.evaluation.run.scorer_choice import SCORERS
from llmflowlab.evaluation.run.steering import Steering
from llmflowlab.evaluation.scorers.base import ScorerSpec
from llmflowlab.evaluation.scorers.embedding import Embedder, embedding_model
from llmflowlab.evaluation.scorers.kinds import TEXT_KINDS, build_text_scorer
from llmflowlab.lab.guards import refuse_unpriced
from llmflowlab.lab.lab import Lab

__all__ = [
    "ScorerEntry",
    "complete",
    "described",
    "embedders_for",
    "known_scorers",
    "refuse_lacking",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorerEntry:
    """One scorer that can be named."""

    name: str
    kind: str
    """`text`, `model` or `judge`: who works it out."""
    says: str
    """What a score of 1 says of an answer."""


def known_scorers() -> list[ScorerEntry]:
    """Return every scorer that has a name of its own."""
    found = []
    for name in SCORERS:
        kind, says = _says(name)
        found.append(ScorerEntry(name=name, kind=kind, says=says))
    return found


def _says(name: str) -> tuple[str, str]:
    if name in TEXT_KINDS:
        return "model" if TEXT_KINDS[name].asks_model else "text", TEXT_KINDS[name].says
    if name == PREFERENCE:
        return "judge", "the answer is better than the other candidates'"
    if name == OWN:
        return "judge", "instructions of your own: NAME=judge:file=PATH"
    return "judge", KINDS[name].title


def refuse_lacking(specs: Sequence[ScorerSpec], dataset: Dataset) -> None:
    """Build the scorers that were named, and look whether the dataset has what they need.

    Raises:
        InputError: An option cannot be used, or the dataset lacks something.
    """
    for spec in specs:
        kind = TEXT_KINDS.get(spec.kind)
        if kind is None:
            continue
        if kind.asks_model:
            embedding_model(spec)
            wanting = ScorerSpec(spec.name, "contains")
        else:
            wanting = spec
        lacking = build_text_scorer(wanting).lacks(dataset)
        if lacking is not None:
            raise InputError(lacking)


def complete(spec: ScorerSpec) -> ScorerSpec:
    """Return a specification that carries what its files hold now, so that a plan needs none.

    Raises:
        InputError: A file cannot be used.
    """
    if spec.kind != "json_schema":
        return with_instructions(spec)
    # Imported here: most evaluations check no schema.
    from llmflowlab.evaluation.scorers.patterns import with_schema

    return with_schema(spec)


def embedders_for(
    lab: Lab,
    plan: EvaluationPlan,
    ledger: Ledger,
    *,
    policy: CallPolicy,
    metering: Metering,
    budget: Budget,
    steering: Steering,
    allow_unknown_cost: bool,
) -> dict[str, Embedder]:
    """Return what makes the vectors of each scorer that compares some.

    Raises:
        InputError: A model makes no vectors.
        ConfigurationError: There is a budget, and a model has no known price.
    """
    found: dict[str, Embedder] = {}
    for spec in (plan.spec(name) for name in plan.scorers):
        if spec.kind not in TEXT_KINDS or not TEXT_KINDS[spec.kind].asks_model:
            continue
        provider = lab.provider(embedding_model(spec))
        gate = lab.limiter(provider.name, lab.settings, steering.concurrency)
        steering.attach(gate.set_concurrency)
        embedder = Embedder(
            provider, ledger=ledger, policy=policy, metering=metering, budget=budget, gate=gate
        )
        if budget.cap is not None and not embedder.priced and not allow_unknown_cost:
            refuse_unpriced([embedder.reference])
        found[spec.name] = embedder
    return found


def described(specs: Sequence[ScorerSpec]) -> tuple[ScorerSpec, ...]:
    """Return those that a plan must describe because they are more than a kind's name."""
    return tuple(spec for spec in specs if spec.options or spec.name != spec.kind)
