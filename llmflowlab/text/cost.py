"""What calls cost, in USD as Decimal: the person's own prices first, then genai-prices' list.

An unknown price is None and never 0: a sum with an unknown part is itself unknown. The prices are
list prices without discounts, batches or taxes; audio, images and web searches are not counted.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from urllib.parse import urlsplit

from llmflowlab.loading import load
from llmflowlab.settings import Settings
from llmflowlab.text.price_file import OwnPrice, read_prices

if TYPE_CHECKING:
    from genai_prices.types import PriceCalculation

__all__ = ["PriceSource", "Prices", "Rates"]

PriceSource: TypeAlias = Literal["prices.json", "genai-prices", "free"]

_CATALOG_NAMES = {"gemini": "google"}
_MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """List prices of a model in USD per million tokens."""

    input_per_million: Decimal
    output_per_million: Decimal
    cached_input_per_million: Decimal | None = None
    """None where cached tokens have no price of their own: they cost what other input costs."""
    source: PriceSource
    tiered: bool = False
    """Whether long prompts cost more than these rates, which are those of short ones."""


class Prices:
    """Prices calls.

    Args:
        settings: Names the person's own price file; see `llmflowlab.text.price_file`.
        is_free: Tells by a provider's name whether its calls cost nothing by nature; the factory's
            `is_free` where providers are at hand. By default none is.

    Raises:
        InputError: That file cannot be used.
    """

    def __init__(
        self, settings: Settings, *, is_free: Callable[[str], bool] = lambda provider: False
    ) -> None:
        self._is_free = is_free
        self._own = read_prices(
            settings.prices_file.expanduser(), required=bool(settings.get("LLMFLOWLAB_PRICES"))
        )
        self._addresses = {"openai": settings.get("OPENAI_BASE_URL")}

    def preload(self) -> None:
        """Import the price list in the background; it takes half a second otherwise at first use."""
        threading.Thread(target=_import_catalog, name="prices-load", daemon=True).start()

    def cost(
        self,
        provider: str,
        model: str,
        usage_prompt: int | None,
        usage_completion: int | None,
        *,
        cached: int | None = None,
        served: str | None = None,
        at: datetime | None = None,
    ) -> Decimal | None:
        """Return what a call cost in USD, or None where that is unknown; never raises.

        Args:
            provider: As in a model reference.
            model: The model's name at the provider; for Azure the deployment.
            usage_prompt: All input tokens, cached ones included.
            usage_completion: All generated tokens, reasoning included.
            cached: The part of `usage_prompt` that was read from the provider's cache.
            served: The model version the provider says it served, where it said so. Own prices are
                looked up by `model` first; the price list by `served` first, because a deployment
                may have any name.
            at: When the call was made; now by default. Prices change.
        """
        if self._is_free(provider):
            return Decimal(0)
        if usage_prompt is None or usage_completion is None:
            return None
        cached = min(max(cached or 0, 0), usage_prompt)
        own = self._own_price(provider, model, served)
        if own is not None:
            return _own_cost(own, usage_prompt, usage_completion, cached)
        found = self._catalog(provider, model, served, usage_prompt, usage_completion, cached, at)
        return None if found is None else found.total_price

    def rates(self, provider: str, model: str, *, served: str | None = None) -> Rates | None:
        """Return a model's list prices, or None where they are unknown; never raises."""
        if self._is_free(provider):
            return Rates(input_per_million=Decimal(0), output_per_million=Decimal(0), source="free")
        own = self._own_price(provider, model, served)
        if own is not None:
            return Rates(
                input_per_million=own.input_per_million,
                output_per_million=own.output_per_million,
                cached_input_per_million=own.cached_input_per_million,
                source="prices.json",
            )
        found = self._catalog(provider, model, served, 0, 0, 0, None)
        if found is None:
            return None
        listed = found.model_price
        if listed.output_mtok is None:
            # An embedding model: it has no answers that could have a price.
            return None
        cached = listed.cache_read_mtok
        return Rates(
            input_per_million=_base(listed.input_mtok),
            output_per_million=_base(listed.output_mtok),
            cached_input_per_million=None if cached is None else _base(cached),
            source="genai-prices",
            tiered=any(hasattr(p, "tiers") for p in (listed.input_mtok, listed.output_mtok)),
        )

    def _own_price(self, provider: str, model: str, served: str | None) -> OwnPrice | None:
        names = [name for name in (model, served) if name]
        found = (self._own.get(f"{provider}:{name}".lower()) for name in names)
        return next((price for price in found if price is not None), None)

    def _catalog(
        self,
        provider: str,
        model: str,
        served: str | None,
        prompt: int,
        completion: int,
        cached: int,
        at: datetime | None,
    ) -> PriceCalculation | None:
        try:
            from genai_prices import Usage
        except ImportError:
            # A model that MLflow serves may travel without the list.
            return None
        usage = Usage(
            input_tokens=prompt, output_tokens=completion, cache_read_tokens=cached or None
        )
        where: list[dict[str, Any]] = [{"provider_id": _CATALOG_NAMES.get(provider, provider)}]
        address = self._addresses.get(provider)
        if address and urlsplit(address).hostname != "api.openai.com":
            # Another company may sell the same model at another price; an unknown address that
            # serves a model by the vendor's exact name is taken for a gateway to that vendor.
            where.insert(0, {"provider_api_url": address})
        names = [name.removeprefix("models/") for name in (served, model) if name]
        for place in where:
            for name in names:
                found = _look_up(usage, name, place, at)
                if found is not None:
                    return found
        return None


def _look_up(
    usage: Any, name: str, place: dict[str, Any], at: datetime | None
) -> PriceCalculation | None:
    from genai_prices import calc_price

    moment = None if at is None else at.astimezone()
    try:
        found: PriceCalculation = calc_price(usage, name, genai_request_timestamp=moment, **place)
    except (LookupError, ValueError, ArithmeticError, TypeError):
        # The list does not know the model, or cannot price this usage: both mean unknown.
        return None
    # A listed model without token prices would come out as free of charge.
    listed = found.model_price
    answers = listed.output_mtok is not None or not usage.output_tokens
    priced = listed.input_mtok is not None and answers
    return found if priced else None


def _own_cost(price: OwnPrice, prompt: int, completion: int, cached: int) -> Decimal:
    cached_rate = price.cached_input_per_million
    if cached_rate is None:
        cached_rate = price.input_per_million
    total = (
        price.input_per_million * (prompt - cached)
        + cached_rate * cached
        + price.output_per_million * completion
    )
    return total / _MILLION


def _base(price: Any) -> Decimal:
    value = getattr(price, "base", price)
    assert isinstance(value, Decimal)
    return value


def _import_catalog() -> None:
    with suppress(ImportError):
        load("genai_prices", "genai_prices.data_snapshot")
        from genai_prices.data_snapshot import get_snapshot

        get_snapshot()
