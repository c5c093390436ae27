"""The registry's champion as a candidate, so that others can be compared with it on the same rows.

It is asked beside them; answers and judgements it gave before to the same rows are reused.
"""

from __future__ import annotations

from collections.abc import Sequence

from llmflowlab.candidate import Candidate
from llmflowlab.errors import InputError
from llmflowlab.evaluation.conclude.baseline import Baseline, Reference
from llmflowlab.evaluation.run.plan import EvaluationPlan
from llmflowlab.evaluation.scorers.ranking import main_scorer
from llmflowlab.messages import Parameters
from llmflowlab.providers.factory import provider_class
from llmflowlab.tracking.registry import registered_name
from llmflowlab.tracking.store import Store

__all__ = ["champion_baseline", "champions"]


def champions(store: Store, providers: Sequence[str]) -> list[Candidate]:
    """Return the champion of each provider's registered model as a candidate.

    Args:
        store: The open store.
        providers: Names of providers; each counts once.

    Raises:
        InputError: A provider has no champion.
        TrackingError: The registry failed.
    """
    # Imported here: they import MLflow.
    from llmflowlab.tracking.registry import model_config_of
    from llmflowlab.tracking.registry_changes import champion_of

    found = []
    for provider in dict.fromkeys(providers):
        name = registered_name(provider)
        version = champion_of(store, name)
        if version is None:
            raise InputError(
                f"{name} has no champion yet; promote a version first, or name a run or an evaluation "
                "with --compare-to."
            )
        config = model_config_of(store, version)["config"]
        if "provider" not in config or "model" not in config:
            raise InputError(f"{version.reference} is no single candidate to be compared with.")
        kind = provider_class(provider)
        found.append(
            Candidate(
                model=f"{config['provider']}:{config['model']}",
                display_name=kind.display_name,
                supplier=kind.supplier,
                system=config.get("system_prompt"),
                **Candidate.said_in(config),
                parameters=Parameters(**(config.get("parameters") or {})),
                weights=config.get("weights"),
                guardrails=config.get("guardrails"),
                variant=f"champion, version {version.version}",
            )
        )
    return found


def champion_baseline(
    plan: EvaluationPlan, specs: Sequence[Candidate]
) -> tuple[Baseline, frozenset[int]]:
    """Return the comparison of a plan's candidates with champions among them, and which those are.

    Raises:
        InputError: A champion is not among the candidates.
    """
    places = {spec.provider: _place(plan, spec) for spec in specs}
    added = frozenset(
        index
        for index, candidate in enumerate(plan.candidates)
        if any(candidate.variant == spec.variant for spec in specs)
    )
    references = [
        Reference(
            label=plan.candidates[places[candidate.provider]].label,
            evaluation=plan.evaluation_id,
            run_id=None,
            index=places[candidate.provider],
        )
        for candidate in plan.candidates
    ]
    baseline = Baseline(named="champion", scorer=main_scorer(plan.scorers), references=references)
    return baseline, added


def _place(plan: EvaluationPlan, spec: Candidate) -> int:
    for index, candidate in enumerate(plan.candidates):
        if candidate.digest == spec.digest or candidate.variant == spec.variant:
            return index
    raise InputError(
        f"{plan.evaluation_id} was begun without {spec.label}; begin a new evaluation with "
        "--compare-to champion."
    )
