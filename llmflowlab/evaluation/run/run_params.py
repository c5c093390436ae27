"""What the runs of an evaluation say it was made with, whoever keeps them."""

from __future__ import annotations

from llmflowlab.candidate import Candidate
from llmflowlab.evaluation.run.plan import EvaluationPlan

__all__ = ["candidate_params", "plan_params"]


def plan_params(plan: EvaluationPlan) -> dict[str, str]:
    """Return what all its runs have in common."""
    return {
        "dataset": plan.dataset.name,
        "rows": str(plan.drawn_from or len(plan.dataset.rows)),
        "scorers": ", ".join(plan.scorers),
        "judge": plan.judge_label or "none",
        "trials": str(plan.trials),
        "cluster": plan.cluster or "none",
    }


def candidate_params(spec: Candidate) -> dict[str, str]:
    """Return what a candidate's run says of it."""
    params = {
        "model_name": spec.display_name,
        "supplier": spec.supplier,
        "model_id": spec.model_id,
        **{name: str(value) for name, value in spec.parameters.given().items()},
    }
    if spec.system:
        params["system_prompt"] = spec.system
    if spec.prompt:
        params["prompt"] = spec.prompt
    return {**params, **spec.template_param}
