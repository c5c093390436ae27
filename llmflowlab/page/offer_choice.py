"""Which of the service's offers answers: a model, and a prompt where there are several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["NO_PROMPT", "Choices", "PickerItem"]

NO_PROMPT = "none"
"""Stands for an offer without a prompt of the registry."""


@dataclass(frozen=True, slots=True)
class PickerItem:
    """One thing that can be chosen."""

    id: str
    name: str
    about: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Choices:
    """What can be chosen.

    Args:
        offers: As `/v1/models` lists them, the default first.
    """

    offers: Sequence[Mapping[str, Any]]
    _by_pair: dict[tuple[str, str], str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        for offer in self.offers:
            self._by_pair.setdefault(_pair(offer), offer["id"])

    def pickers(self, offer: str | None = None) -> dict[str, list[PickerItem]]:
        """Return what is picked from: `model`, and `prompt` where there are several; nothing else.

        Args:
            offer: Which is chosen; None, and one that is gone: the default.
        """
        if len(self._by_pair) < 2:
            return {}
        pairs = {_id: pair for pair, _id in self._by_pair.items()}
        model, prompt = pairs.get(offer or "", next(iter(self._by_pair)))
        models = dict.fromkeys(each for each, _ in self._by_pair)
        prompts = dict.fromkeys(each for _, each in self._by_pair)
        found = {
            "model": [PickerItem(each, each, self._about(each), each == model) for each in models]
        }
        if len(prompts) > 1:
            found["prompt"] = [
                PickerItem(each, "no prompt" if each == NO_PROMPT else each, "", each == prompt)
                for each in prompts
            ]
        return found

    def chosen(self, picked: Mapping[str, str]) -> str | None:
        """Return the offer that was picked; None: the default.

        Raises:
            ValueError: That model is not offered with that prompt; the message says what there is.
        """
        if not self._by_pair:
            return None
        first = next(iter(self._by_pair))
        model = picked.get("model", first[0])
        prompts = [each for of, each in self._by_pair if of == model]
        prompt = picked.get("prompt") or next(iter(prompts), first[1])
        found = self._by_pair.get((model, prompt))
        if found is None:
            there = ", ".join("no prompt" if each == NO_PROMPT else each for each in prompts)
            raise ValueError(
                f"{model} is not on offer with that prompt; it has {there}. Choose that below."
                if prompts
                else f"{model} is no longer on offer. Begin a new chat to see what is."
            )
        return found

    @property
    def inputs(self) -> list[str]:
        """The variables that some prompt on offer has for a visitor to fill."""
        return list(dict.fromkeys(name for offer in self.offers for name in _inputs(offer)))

    def filled(self, offer: str | None, values: Mapping[str, str]) -> dict[str, str]:
        """Return what is filled in of an offer's variables.

        Raises:
            ValueError: One has no value; the message says which.
        """
        wanted = next((_inputs(each) for each in self.offers if offer in {None, each["id"]}), [])
        found = {name: str(values.get(name) or "").strip() for name in wanted}
        if lacking := [name for name, value in found.items() if not value]:
            raise ValueError(
                f"This prompt wants to know: {', '.join(lacking)}. Fill it in under the cogwheel below."
            )
        return found

    def _about(self, model: str) -> str:
        mine = [offer for offer in self.offers if _pair(offer)[0] == model]
        guarded = any(offer["llmflowlab"]["guarded"] for offer in mine)
        parts = [f"by {mine[0]['owned_by']}", *(["guardrails on"] if guarded else [])]
        return " · ".join(parts)


def _inputs(offer: Mapping[str, Any]) -> list[str]:
    return list(offer.get("custom_inputs", ()))


def _pair(offer: Mapping[str, Any]) -> tuple[str, str]:
    own = offer["llmflowlab"]
    return own["model"], own["prompt"] or NO_PROMPT
