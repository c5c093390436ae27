"""Which guardrails hold: those named for this once, else the environment's, else the home's setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from llmflowlab.errors import ConfigurationError
from llmflowlab.files import require_home, write_atomically
from llmflowlab.lab.lab import Lab

if TYPE_CHECKING:
    from llmflowlab.candidate import Candidate
    from llmflowlab.guardrails.policy import Policy
    from llmflowlab.providers.base import Provider

__all__ = [
    "VARIABLE",
    "chosen_policy",
    "detectors_of",
    "keep_choice",
    "kept_choice",
    "refuse_unpriced",
    "unpriced",
]

VARIABLE = "LLMFLOWLAB_GUARDRAILS"


def kept_choice(lab: Lab) -> str:
    """Return what holds where nobody says otherwise: `on`, `off` or a policy file."""
    file = lab.settings.state_dir / "guardrails"
    kept = file.read_text("utf-8").strip() if file.is_file() else "off"
    return lab.settings.get(VARIABLE) or kept or "off"


def keep_choice(lab: Lab, said: str) -> Policy | None:
    """Keep what is to hold from now on in this home.

    Raises:
        InputError: There is no such policy file, or it is no policy.
        HomeUnwritable: It cannot be kept.
    """
    from llmflowlab.guardrails.policy import read_policy

    policy = read_policy(said)
    require_home(lab.settings)
    lab.settings.state_dir.mkdir(parents=True, exist_ok=True)
    write_atomically(lab.settings.state_dir / "guardrails", f"{said.strip()}\n".encode())
    return policy


def chosen_policy(lab: Lab, said: str | None = None) -> Policy | None:
    """Return the policy that holds; None without guardrails.

    Raises:
        InputError: What was said is no policy.
    """
    said = kept_choice(lab) if said is None else said
    if said == "off":
        return None
    # Imported here, as most homes have none.
    from llmflowlab.guardrails.policy import read_policy

    return read_policy(said)


def detectors_of(lab: Lab, candidates: Sequence[Candidate]) -> Mapping[str, Provider]:
    """Build the models behind candidates' guardrails, by the reference that names them.

    Raises:
        InputError: A reference is malformed.
        NotConfigured: A provider lacks something.
    """
    named = [(candidate.guardrails or {}).get("detector") for candidate in candidates]
    return {each: lab.provider(each) for each in dict.fromkeys(named) if each is not None}


def unpriced(lab: Lab, providers: Mapping[str, Provider]) -> list[str]:
    """Return the models of which no price is known."""
    return [
        name
        for name, provider in providers.items()
        if lab.prices.cost(*provider.priced_as, 1, 1) is None
    ]


def refuse_unpriced(names: Sequence[str]) -> None:
    """Refuse a budget for what has no price.

    Raises:
        ConfigurationError: There is such a model.
    """
    if names:
        raise ConfigurationError(
            f"A budget needs prices, and none is known for {', '.join(names)}; add them "
            "to prices.json, or pass --allow-unknown-cost."
        )
