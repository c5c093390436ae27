"""Models that do to a budget whatever a server can, and know what they will put on the bill."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from llmflowlab.asking.metering import Metering
from llmflowlab.asking.pump import Texts
from llmflowlab.errors import (
    AuthenticationFailed,
    BadRequest,
    ConnectionFailed,
    Overloaded,
    ProviderError,
    RateLimited,
    StreamInterrupted,
    TimedOut,
)
from llmflowlab.messages import Request
from llmflowlab.providers.base import (
    Embeddings,
    Finished,
    ModelInfo,
    Readiness,
    ReasoningDelta,
    StreamEvent,
    TextDelta,
    Usage,
    UsageReport,
)
from llmflowlab.providers.event_loop import OnLoop
from llmflowlab.settings import Settings
from llmflowlab.text.cost import Prices
from llmflowlab.text.tokens import TokenCounter

__all__ = ["TEMPERS", "Vendor", "metering"]

PER_TOKEN = (Decimal("0.000002"), Decimal("0.000008"))
"""USD of a token of prompt and of answer."""
_FOR_EVER = 1e6

TEMPERS = {
    "calm": {"whole": 9, "uncounted": 1},
    "silent": {"silent": 5, "stalled": 3, "thinking": 2, "whole": 4},
    "refusing": {"rate_limited": 5, "overloaded": 3, "refused": 1, "unreached": 1, "whole": 5},
    "breaking": {"broken": 4, "dropped": 3, "unreadable": 2, "unfinished": 1, "whole": 4},
    "wild": dict.fromkeys(
        [
            "whole",
            "uncounted",
            "half_counted",
            "endless",
            "empty",
            "silent",
            "stalled",
            "thinking",
            "rate_limited",
            "overloaded",
            "refused",
            "unreached",
            "broken",
            "dropped",
            "unreadable",
            "unfinished",
        ],
        1,
    ),
}
"""How servers behave: what becomes of a request, with its weight."""


class PricesByHand(Prices):
    """Every model has the same price."""

    def __init__(self) -> None:
        """Nothing is read."""

    def cost(
        self,
        provider: str,
        model: str,
        usage_prompt: int | None,
        usage_completion: int | None,
        **more: Any,
    ) -> Decimal | None:
        if usage_prompt is None or usage_completion is None:
            return None
        return usage_prompt * PER_TOKEN[0] + usage_completion * PER_TOKEN[1]


def metering() -> Metering:
    return Metering(TokenCounter(), PricesByHand())


class Vendor(OnLoop[Any]):
    """Bills what it reads and writes, whether anybody gets it or not.

    Args:
        rng: Chooses what becomes of each request.
        temper: One of `TEMPERS`.
    """

    name = display_name = supplier = "vendor"
    default_model = "model"
    free = False
    can_embed = True

    def __init__(self, rng: random.Random, temper: str) -> None:
        super().__init__("model", Settings(home=Path(), environment={}))
        self._rng = rng
        self._kinds = TEMPERS[temper]
        self._meter = metering()
        self.billed = Decimal(0)
        self.requests = 0

    @classmethod
    def readiness(cls, settings: Settings, timeout: float) -> Readiness:
        return Readiness(True, "a simulation")

    def list_models(self) -> list[ModelInfo]:
        return []

    def prepare(self) -> None:
        """There is no client to make."""

    def _make_client(self) -> Any:
        raise AssertionError("a simulation has no client")

    async def astream(self, request: Request) -> AsyncGenerator[StreamEvent, None]:
        rng = self._rng
        self.requests += 1
        kind = rng.choices(list(self._kinds), list(self._kinds.values()))[0]
        counted = self._meter.prompt_tokens(self, request)
        prompt = rng.randint(counted // 2, counted + counted // 2 + 64)
        most = request.parameters.max_tokens or 1
        written = most if kind in {"silent", "endless"} else rng.randint(1, most)
        if (refusal := self._refusal(kind)) is not None:
            await asyncio.sleep(rng.expovariate(2.0))
            raise refusal
        pieces = ["word " * max(1, min(written // 4, 40)) for _ in range(rng.randint(1, 4))]
        if kind in {"uncounted", "half_counted"}:
            # Of what nobody counts, the lab's own count is the truth: nothing is hidden.
            prompt = counted
            written = TokenCounter().count("".join(pieces), model=self.model).value
        # It may write all of it, whatever becomes of the line.
        self.billed += prompt * PER_TOKEN[0] + written * PER_TOKEN[1]
        async for event in self._answer(kind, prompt, written, pieces):
            yield event

    def _refusal(self, kind: str) -> ProviderError | None:
        wait = self._rng.choice([None, None, 0.5, 7.0, 200.0])
        about: dict[str, Any] = {"provider": self.name, "model": self.model}
        match kind:
            case "rate_limited":
                return RateLimited("slower", status=429, retry_after=wait, **about)
            case "overloaded":
                return Overloaded("busy", status=503, retry_after=wait, **about)
            case "refused":
                kinds = (BadRequest, AuthenticationFailed)
                return self._rng.choice(kinds)("no", status=400, **about)
            case "unreached":
                return ConnectionFailed("nobody there", sent=False, **about)
        return None

    async def _answer(
        self, kind: str, prompt: int, written: int, pieces: Sequence[str]
    ) -> AsyncGenerator[StreamEvent, None]:
        rng = self._rng
        await asyncio.sleep(rng.expovariate(0.5))
        stops_at = rng.randint(1, len(pieces))
        counts_along = kind not in {"uncounted", "half_counted"} and rng.random() < 0.5
        for number, piece in enumerate(pieces):
            so_far = Usage(prompt_tokens=prompt, completion_tokens=written * number // len(pieces))
            if counts_along and number:
                yield UsageReport(so_far)
            match kind:
                case "silent":
                    await asyncio.sleep(_FOR_EVER)
                case "thinking" if counts_along:
                    yield UsageReport(Usage(prompt_tokens=prompt, completion_tokens=number + 1))
                    await asyncio.sleep(_FOR_EVER)
                case "stalled" if number == stops_at:
                    await asyncio.sleep(_FOR_EVER)
                case "broken" if number == stops_at:
                    raise StreamInterrupted("broken", provider=self.name, model=self.model)
                case "dropped":
                    raise ConnectionFailed("lost", provider=self.name, model=self.model, sent=True)
                case "unreadable" if number == stops_at - 1:
                    raise ValueError("no JSON")
                case "unfinished" if number == stops_at:
                    return
                case "empty":
                    break
            yield (ReasoningDelta if rng.random() < 0.2 else TextDelta)(piece)
            await asyncio.sleep(rng.expovariate(1.0) if kind != "endless" else 50.0)
        if kind != "uncounted":
            said = None if kind == "half_counted" else prompt
            yield UsageReport(Usage(prompt_tokens=said, completion_tokens=written))
        yield Finished("length" if kind == "endless" else "stop", "model-001")

    async def aembed(self, texts: Sequence[str]) -> Embeddings:
        self.requests += 1
        kind = self._rng.choices(list(self._kinds), list(self._kinds.values()))[0]
        if (refusal := self._refusal(kind)) is not None:
            raise refusal
        prompt = self._meter.prompt_tokens(self, Texts(tuple(texts)))
        self.billed += prompt * PER_TOKEN[0]
        match kind:
            case "silent" | "stalled" | "thinking":
                # What an SDK's own read timeout becomes.
                raise TimedOut("silence", provider=self.name, model=self.model)
            case "unreadable":
                raise ValueError("no JSON")
            case "unfinished" | "empty":
                return Embeddings((), Usage(prompt_tokens=prompt))
        usage = Usage() if kind == "uncounted" else Usage(prompt_tokens=prompt)
        return Embeddings(tuple((1.0, 0.5) for _ in texts), usage)
