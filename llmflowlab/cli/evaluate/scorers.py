"""Which scorers: from the texts a person gave to specifications that a plan can hold."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from llmflowlab.cli.context import App
from llmflowlab.errors import InputError
from llmflowlab.evaluation.dataset import Dataset
from llmflowlab.evaluation.judging.choice import with_instructions
from llmflowlab.evaluation.judging.kinds import KINDS, OWN
from llmflowlab.evaluation.judging.pairwise import PREFERENCE
from llmflowlab.evaluation.scorers.base import ScorerSpec
from llmflowlab.evaluation.scorers.kinds import TEXT_KINDS, build_text_scorer
from llmflowlab.evaluation.scoring import SCORERS

__all__ = ["complete", "described", "list_scorers", "refuse_lacking"]


def list_scorers(app: App, *, as_json: bool) -> None:
    """Show every scorer with what it says; as one JSON document where asked."""
    says = {name: _says(name) for name in SCORERS}
    if as_json:
        listed = [{"name": name, "kind": kind, "says": text} for name, (kind, text) in says.items()]
        sys.stdout.write(json.dumps(listed, indent=2, ensure_ascii=False) + "\n")
        return
    width = max(map(len, says))
    for name, (kind, text) in says.items():
        app.screen.say(f"{name:<{width}}  {kind:<5}  {text}")


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
        if kind is None or kind.asks_model:
            continue
        lacking = build_text_scorer(spec).lacks(dataset)
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


def described(specs: Sequence[ScorerSpec]) -> tuple[ScorerSpec, ...]:
    """Return those that a plan must describe because they are more than a kind's name."""
    return tuple(spec for spec in specs if spec.options or spec.name != spec.kind)
