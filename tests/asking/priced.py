"""A scripted model that is paid for: a thousandth of a dollar a token, prompt and answer alike."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from llmflowlab.asking.calling import CallPolicy
from llmflowlab.asking.metering import Metering
from llmflowlab.messages import Message
from llmflowlab.providers.base import Embeddings, Usage
from llmflowlab.providers.scripted import Script, ScriptedProvider
from llmflowlab.text.cost import Prices
from llmflowlab.text.tokens import TokenCounter

PROMPT = (Message("user", "Say hello"),)
POLICY = CallPolicy(max_tries=5, backoff_base=0.001, backoff_max=0.001)


class Priced(ScriptedProvider):
    """Costs what `PricesByHand` says; its embeddings are scripted as its answers are."""

    free = False
    can_embed = True

    def embed(self, texts: Sequence[str]) -> Embeddings:
        usage = Usage()
        for event in self.stream(texts):  # type: ignore[arg-type]  # the script does not look at it
            usage = getattr(event, "usage", usage)
        return Embeddings(tuple((1.0, float(len(text))) for text in texts), usage)


class PricesByHand(Prices):
    """Knows the model called `model`."""

    def __init__(self, known: str = "model") -> None:
        self._model = known

    def cost(
        self,
        provider: str,
        model: str,
        usage_prompt: int | None,
        usage_completion: int | None,
        **more: Any,
    ) -> Decimal | None:
        if model != self._model or usage_prompt is None or usage_completion is None:
            return None
        return Decimal(usage_prompt + usage_completion) / 1000


def priced() -> Metering:
    return Metering(TokenCounter(), PricesByHand())


def scripted(*answers: Script) -> Priced:
    return Priced(answers)
