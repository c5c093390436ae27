"""What guardrails say to the person: why something was not sent or is withheld, and what passed with a word."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from llmflowlab.errors import Blocked
from llmflowlab.guardrails.verdict import Category, Direction, Violation

__all__ = ["refusal", "remarks", "without_verdict"]

_KINDS: dict[Category, str] = {
    "toxicity": "threats, insults or hate",
    "profanity": "coarse words",
    "injection": "an attempt to override instructions",
    "malicious": "a request for help with something harmful",
    "personal_data": "personal data",
    "secrets": "a secret",
    "own": "something that your own rules name",
}


def refusal(found: Violation, *, served: bool) -> Blocked:
    """Return what is said of a text that is blocked.

    Args:
        found: What blocks it.
        served: Whether who reads it asks a service: then nothing is said of what only its owner has,
            the menu and the words of the owner's rules.
    """
    rule = found.rule if found.layer == "rules" else "the detector"
    seen = f"the guardrails see {_KINDS[found.category]} in it (rule {rule})."
    if served and found.category == "own":
        seen = "the guardrails see something in it that is not taken here."
    if found.direction == "in":
        where = (
            "" if served else ", or change the guardrails: Settings in the menu, or --guardrails"
        )
        message = f"This was not sent: {seen} Put it in other words{where}."
    else:
        where = "" if served else " Settings in the menu, or --guardrails, changes the guardrails."
        message = f"The answer is withheld: {seen}{where}"
    return Blocked(message, direction=found.direction, category=found.category, rule=found.rule)


def without_verdict(direction: Direction, *, served: bool) -> Blocked:
    """Return what is said where the detector gave no verdict and nothing passes without one."""
    change = "" if served else ", or change when_detector_fails in the policy"
    return Blocked(
        f"The guardrails' detector gave no verdict, and nothing passes without one; try again{change}.",
        direction=direction,
        category="detector",
        rule="detector_failed",
    )


def remarks(violations: Sequence[Violation]) -> Iterator[str]:
    """Say what passed with a warning or was masked."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for each in violations:
        if each.action in {"warn", "mask"}:
            place = "the prompt" if each.direction == "in" else "the answer"
            rules = found.setdefault((place, each.action, _KINDS[each.category]), [])
            rules += [each.rule] if each.rule not in rules else []
    for (place, action, what), rules in found.items():
        done = "is masked" if action == "mask" else "was let pass"
        yield f"guardrails: {what} in {place} ({', '.join(rules)}) {done}"
