"""What guardrails do around a chat: masks that only its person sees through."""

from __future__ import annotations

from llmflowlab.asking.budget import Budget
from llmflowlab.asking.calling import CallPolicy
from llmflowlab.asking.metering import Metering
from llmflowlab.asking.paid import Asker
from llmflowlab.guardrails.checking import check, preload
from llmflowlab.guardrails.guarded import asker_for, guard_of
from llmflowlab.guardrails.masking import Masks, without_secrets
from llmflowlab.guardrails.policy import Policy
from llmflowlab.lab.lab import Lab
from llmflowlab.providers.base import Provider

__all__ = ["GuardedChat", "masked"]


class GuardedChat:
    """The guardrails of one chat, over all its sessions.

    Args:
        lab: The parts.
        policy: What may go in and come out.

    Raises:
        InputError: The detector's reference is malformed.
        NotConfigured: The detector lacks something.
    """

    def __init__(self, lab: Lab, policy: Policy) -> None:
        self.policy = policy.to_json()
        self._policy = policy
        self._masks = Masks()
        self._detectors: dict[str, Provider] = {}
        if policy.detector is not None:
            self._detectors[policy.detector] = lab.provider(policy.detector)

    def asker(
        self,
        provider: Provider,
        *,
        policy: CallPolicy,
        metering: Metering,
        budget: Budget | None = None,
    ) -> Asker:
        """Return the guarded door to a model."""
        guard = guard_of(
            self.policy, self._detectors, policy=policy, metering=metering, masks=self._masks
        )
        return asker_for(provider, guard, policy=policy, metering=metering, budget=budget)

    @staticmethod
    def preload() -> None:
        """Read the rules while nobody waits for them."""
        preload()

    def masked(self, prompt: str) -> str:
        """Return a prompt as it may be kept."""
        return masked(prompt, self._policy, self._masks)

    def restored(self, text: str) -> str:
        """Return a text with the person's own words where masks stand for them."""
        return self._masks.restore(text)


def masked(prompt: str, policy: Policy, masks: Masks) -> str:
    """Return a prompt as a policy lets it be kept."""
    verdict = check(prompt, policy, "in", masks)
    return without_secrets(prompt) if verdict.blocked_by else verdict.text
