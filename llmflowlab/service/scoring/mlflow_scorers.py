"""Judges that were registered in MLflow, asked by the lab: its providers, its prices, its budget.

MLflow's own way to run them posts to few providers and says nothing of the cost; what they ask is kept.
"""

from __future__ import annotations

import re

from llmflowlab.errors import InputError
from llmflowlab.evaluation.judging.instructions import parse_instructions
from llmflowlab.evaluation.judging.judge_kinds import OWN
from llmflowlab.evaluation.run.scorer_choice import SCORERS
from llmflowlab.evaluation.scorers.base import ScorerSpec, parse_scorer
from llmflowlab.lab.lab import Lab
from llmflowlab.tracking.registered_scorers import RegisteredScorer, registered_scorer

__all__ = ["from_mlflow"]

_BUILTIN = {
    "Completeness": "completeness",
    "Fluency": "fluency",
    "Guidelines": "guidelines",
    "RelevanceToQuery": "relevance_to_query",
    "Safety": "safety",
}
"""MLflow's own judges of an answer alone, and what the lab calls them: it asks in MLflow's words."""
_FIELDS = {"inputs": "question", "outputs": "answer"}


def from_mlflow(lab: Lab, name: str) -> tuple[ScorerSpec, str | None, tuple[str, ...]]:
    """Return a registered judge as a scorer of the lab's, its model, and its guidelines.

    Raises:
        InputError: There is none of that name, or it asks what is not known of a served answer.
        TrackingError: The store failed.
    """
    found = registered_scorer(lab.store(), name)
    # Only to hold the name to what a metric may be called.
    plain = parse_scorer(f"{name}=safety").name
    if found.builtin is not None:
        kind = _BUILTIN.get(found.builtin)
        if kind is None:
            raise InputError(
                f"mlflow:{name} is MLflow's {found.builtin}, which needs more than a question and its "
                f"answer; there are {', '.join(_BUILTIN)}."
            )
        spec = ScorerSpec(plain, kind)
    else:
        spec = ScorerSpec(plain, OWN, _instructions(found))
    if plain in SCORERS and plain != spec.kind:
        raise InputError(f"{plain!r} is a scorer already; register the judge by another name.")
    return spec, found.model, found.guidelines


def _instructions(found: RegisteredScorer) -> dict[str, str]:
    values = found.answers.get("enum")
    yes_no = found.answers.get("type") == "boolean" or (
        isinstance(values, list) and {str(value).lower() for value in values} == {"yes", "no"}
    )
    if not yes_no:
        raise InputError(
            f"mlflow:{found.name} does not answer yes or no, so that no score can be made of it; "
            "register it with feedback_value_type=bool."
        )

    def ours(match: re.Match[str]) -> str:
        named = match.group(1)
        if named not in _FIELDS:
            raise InputError(
                f"mlflow:{found.name} asks for {{{{ {named} }}}}, which is not known of a served answer; "
                "there are {{ inputs }} and {{ outputs }}."
            )
        return "{{" + _FIELDS[named] + "}}"

    text = re.sub(r"\{\{\s*(\w+)\s*\}\}", ours, found.instructions or "")
    version = f"mlflow-{found.version}"
    parse_instructions(
        f"scale: yes/no\nversion: {version}\n\n{text}", source=f"mlflow:{found.name}"
    )
    return {
        "file": f"mlflow:{found.name}",
        "scale": "yes/no",
        "version": version,
        "title": found.name,
        "text": text,
    }
