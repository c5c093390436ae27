"""A better version of a prompt: looked for on one part of the rows, accepted only on the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from llmflowlab.data.dataset import load_dataset
from llmflowlab.evaluation.conclude.by_prompt import PromptVerdict
from llmflowlab.evaluation.run.engine import new_evaluation_id
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.lab.benchmark_files import split_file
from llmflowlab.lab.lab import Lab
from llmflowlab.lab.prompt_tuning import OptimizeRequest, Tuning
from llmflowlab.prompts.optimizer import search
from llmflowlab.prompts.prompt_registry import load_prompt
from llmflowlab.text.money import dollars

__all__ = ["OptimizeRequest", "Optimized", "optimize_prompt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimized:
    """What a search came to."""

    prompt: str
    """`NAME@VERSION` that was begun from."""
    version: int | None
    """The new version; None where none was accepted."""
    tuned_on: int
    held_out: int
    """Questions."""
    verdicts: Sequence[PromptVerdict]
    """Of the decision, by model; none where nothing better was found to be decided on."""
    spent: Decimal
    evaluation_id: str | None

    @property
    def accepted(self) -> bool:
        return self.version is not None

    def sentences(self) -> list[str]:
        """Say what was found."""
        name = self.prompt.rpartition("@")[0]
        if not self.verdicts:
            first = f"{self.prompt} stays: no rewriting did better on the {self.tuned_on} rows it was tuned on."
        elif self.version is None:
            first = f"{self.prompt} stays: on held-out rows the best rewriting is not shown to be better."
        else:
            first = (
                f"{name}@{self.version} is written: it is better on rows that it was not tuned on."
            )
        said = [first, *(verdict.sentence() for verdict in self.verdicts)]
        spent = dollars(self.spent) if self.spent else "nothing"
        said.append(
            f"Tuned on {self.tuned_on} rows, decided on {self.held_out} others; spent {spent}."
        )
        return said

    def to_json(self) -> dict[str, Any]:
        return {
            "prompt": self.prompt,
            "accepted": self.accepted,
            "version": self.version,
            "rows": {"tuned_on": self.tuned_on, "held_out": self.held_out},
            "models": [verdict.to_json() for verdict in self.verdicts],
            "spent_usd": float(self.spent),
            "evaluation_id": self.evaluation_id,
            "said": self.sentences(),
        }


def optimize_prompt(
    lab: Lab, request: OptimizeRequest, *, tell: Callable[[str], None]
) -> Optimized:
    """Look for a better version within the budget; it is written only where held-out rows bear it out.

    Args:
        lab: The parts.
        request: What is wished for.
        tell: Hears what is done, in sentences.

    Raises:
        InputError: Something cannot be used, or the budget is too small to learn anything.
        ConfigurationError: A package or a price is missing.
        ProviderError: The model that rewrites gave no answer.
        TrackingError: The store failed.
    """
    store = lab.store()
    prompt = load_prompt(store, request.prompt)
    folder = lab.settings.state_dir / "prompts" / f"{prompt.name}-{new_evaluation_id()}"
    parts = split_file(
        request.data,
        folder,
        f"tuned={request.tune:g},held_out={1 - request.tune:g}",
        seed=request.seed,
        by=None,
        mapping={},
        force=False,
        on_notice=tell,
    )
    tuned, held_out = (load_dataset(part.file) for part in parts)
    with closing(Ledger(lab.settings.state_dir / "prompts" / "answers.db")) as ledger:
        work = Tuning(lab, request, prompt, tuned, held_out, ledger, tell)
        version = search(store, work.search())
        return Optimized(
            prompt=prompt.reference,
            version=version,
            tuned_on=len(tuned.rows),
            held_out=len(held_out.rows),
            verdicts=work.verdicts,
            spent=work.spent,
            evaluation_id=None if work.decided is None else work.decided.plan.evaluation_id,
        )
