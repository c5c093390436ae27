"""The models on offer: who answers under which name."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from llmflowlab.asking.budget import Budget
from llmflowlab.asking.calling import policy_from
from llmflowlab.asking.metering import Metering
from llmflowlab.asking.paid import Asker
from llmflowlab.candidate import Candidate
from llmflowlab.conversations import overlaid
from llmflowlab.errors import InputError, LabError
from llmflowlab.guardrails.checking import preload
from llmflowlab.guardrails.guarded import asker_for, guard_of
from llmflowlab.lab.guards import detectors_of, refuse_unpriced, unpriced
from llmflowlab.lab.lab import Lab
from llmflowlab.lab.prompts_in_use import PromptInUse, prompt_in_use
from llmflowlab.messages import Message, Parameters, Request
from llmflowlab.providers.base import Provider
from llmflowlab.template import braced, refuse_unfilled, takes_question, variables_of

__all__ = ["Offer", "ServedModels", "offers", "prompts_of", "with_prompt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModels:
    """Which models the service has, and how they are set up."""

    models: tuple[str, ...]
    """References; the first is the one that answers where a request names none."""
    system: str | None = None
    prompts: tuple[str, ...] = ()
    """Prompts of the registry instead; with further ones beside the first each model is offered again."""
    values: Mapping[str, str] | None = None
    """Of their variables."""
    inputs: tuple[str, ...] = ()
    """Their variables that every request fills, in `custom_inputs`."""
    parameters: Parameters = Parameters()
    guardrails: str | None = None
    """A policy file, `on` or `off`; None: what holds in this home."""
    allow_unknown_cost: bool = False


class Offer:
    """One model on offer; safe to ask from many requests at once.

    Args:
        lab: The parts.
        name: What clients call it.
        provider: The model.
        candidate: The same with prompt, parameters and guardrails.
        deployment: The id of its run.
        prompt: The prompt of the registry that it has, as it was asked for.
    """

    def __init__(
        self,
        lab: Lab,
        *,
        name: str,
        provider: Provider,
        candidate: Candidate,
        deployment: str,
        prompt: str | None = None,
    ) -> None:
        self.name = name
        self.prompt = prompt
        self.provider = provider
        self.candidate = candidate
        self.deployment = deployment
        known = candidate.values or {}
        taken = takes_question(candidate.messages, known)
        self.inputs = tuple(
            name
            for name in variables_of(candidate.system, *(m.content for m in candidate.messages))
            if name not in known and name != taken
        )
        """The variables of its prompt that every request has to fill."""
        self.window: int | None = None
        """The model's window in tokens; None where nobody says."""
        self._counter = lab.counter
        self._policy = policy_from(lab.settings)
        self._metering = Metering(lab.counter, lab.prices)
        self._guard = guard_of(
            candidate.guardrails,
            detectors_of(lab, [candidate]),
            policy=self._policy,
            metering=self._metering,
            served=True,
        )

    @property
    def guarded(self) -> bool:
        return self._guard is not None

    def now(self, offers: Mapping[str, Offer]) -> Offer:
        """Return who answers a request that was made for this offer, by what is on offer meanwhile."""
        return self

    def used(self) -> AbstractContextManager[None]:
        """Note that it is asked, as long as the context lasts."""
        return nullcontext()

    def count(self, text: str) -> int:
        """Count a text's tokens."""
        return self._counter.count(text, model=self.provider.model).value

    def asker(self, budget: Budget | None) -> Asker:
        """Return the door to it for one request."""
        return asker_for(
            self.provider, self._guard, policy=self._policy, metering=self._metering, budget=budget
        )

    def request(
        self,
        messages: Sequence[Message],
        *,
        system: str | None,
        parameters: Parameters,
        custom_inputs: Mapping[str, Any] | None = None,
    ) -> Request:
        """Return what it is sent; a request's own parameters go before the configured ones.

        Raises:
            InputError: A variable of the prompt has no value.
        """
        candidate = self.candidate
        known = {**(candidate.values or {}), **(custom_inputs or {})}
        refuse_unfilled(
            candidate.system,
            candidate.messages,
            known,
            what="The prompt",
            remedy="name it in custom_inputs",
        )
        request = candidate.request(
            messages, values=known, parameters=overlaid(candidate.parameters, parameters)
        )
        # As agents do it: a request's own system messages go before the candidate's.
        return request if system is None else replace(request, system=system)

    def described(self) -> dict[str, Any]:
        """Return it as JSON values, for its run."""
        return {"name": self.name, "candidate": self.candidate.to_record()}


def offers(
    lab: Lab,
    wanted: ServedModels,
    *,
    start: str,
    capped: bool,
    prompts: Sequence[PromptInUse] = (),
    working: bool = True,
) -> list[Offer]:
    """Build the models on offer.

    Args:
        lab: The parts.
        wanted: Which.
        start: Names this start of the service: each makes runs of its own.
        capped: Whether there is a limit to what may be spent.
        prompts: The versions of the wanted prompts that are in use.
        working: Whether they are to be asked, and not only looked at.

    Raises:
        InputError: A model or policy does not exist or cannot be used.
        NotConfigured: A provider lacks something.
        ConfigurationError: A price is unknown under a limit.
    """
    # Imported here: it imports MLflow where a prompt is named.
    from llmflowlab.lab.guards import chosen_policy

    lab.build_text_room()
    policy = chosen_policy(lab, wanted.guardrails)
    found: list[Offer] = []
    providers = {reference: lab.provider(reference) for reference in wanted.models}
    for provider in providers.values() if working else ():
        provider.prepare()
        lab.counter.preload(provider.model)
    for provider, prompt in product(providers.values(), prompts or (None,)):
        candidate = Candidate(
            model=provider.reference,
            display_name=provider.display_name,
            supplier=provider.supplier,
            system=wanted.system,
            parameters=wanted.parameters,
            weights=provider.weights,
            guardrails=None if policy is None else policy.to_json(),
        )
        # The one with the first prompt has the model's own name, whatever is offered beside it.
        further = prompt is not None and prompt is not prompts[0]
        name = f"{provider.reference}+{prompt.asked}" if prompt and further else provider.reference
        offer = _offer(lab, provider, candidate, prompt, name=name, start=start)
        if working:
            # Where the provider does not say, sessions are sent as far as a usual window goes.
            with suppress(LabError):
                offer.window = provider.context_window()
        found.append(offer)
    if working:
        lab.detector.preload()
        lab.prices.preload()
        if policy is not None:
            preload()
    if capped and not wanted.allow_unknown_cost:
        detectors = detectors_of(lab, [offer.candidate for offer in found])
        asked = {offer.candidate.model: offer.provider for offer in found} | dict(detectors)
        refuse_unpriced(unpriced(lab, asked))
    return found


def prompts_of(lab: Lab, wanted: ServedModels) -> list[PromptInUse]:
    """Load the versions of the wanted prompts that are in use now.

    Raises:
        InputError: There is none, or a variable of it is filled by nobody.
        TrackingError: The prompt registry cannot be asked.
    """
    remedy = "give --value NAME=TEXT, or --input NAME where every request fills it in custom_inputs"
    if not wanted.prompts:
        refuse_unfilled(wanted.system, (), wanted.inputs, what="The system prompt", remedy=remedy)
        return []
    known = {*(wanted.values or {}), *wanted.inputs}
    found = [
        prompt_in_use(lab, each, wanted.values or {}, columns=wanted.inputs)
        for each in wanted.prompts
    ]
    there: set[str] = set()
    for prompt in found:
        refuse_unfilled(prompt.system, prompt.messages, known, what=prompt.reference, remedy=remedy)
        there.update(variables_of(prompt.system, *(each.content for each in prompt.messages)))
    if lost := [name for name in wanted.inputs if name not in there]:
        names = " and ".join(prompt.reference for prompt in found)
        raise InputError(f"{names} has no variable {braced(lost)}; leave --input out.")
    return found


def with_prompt(lab: Lab, offer: Offer, prompt: PromptInUse, *, start: str) -> Offer:
    """Return the same model with another version of its prompt."""
    found = _offer(lab, offer.provider, offer.candidate, prompt, name=offer.name, start=start)
    found.window = offer.window
    return found


def _offer(
    lab: Lab,
    provider: Provider,
    candidate: Candidate,
    prompt: PromptInUse | None,
    *,
    name: str,
    start: str,
) -> Offer:
    if prompt is not None:
        candidate = replace(
            candidate,
            system=prompt.system,
            messages=prompt.messages,
            values=prompt.values,
            prompt=prompt.reference,
        )
    words = f"{start} {provider.reference} {candidate.version_digest}"
    return Offer(
        lab,
        name=name,
        provider=provider,
        candidate=candidate,
        deployment=hashlib.sha256(words.encode()).hexdigest()[:32],
        prompt=None if prompt is None else prompt.asked,
    )
