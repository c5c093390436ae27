"""The person's own prices, which come before the price list and extend it.

A JSON object, by default `prices.json` in the home folder (`LLMFLOWLAB_PRICES` names another file):

    {
      "openai:my-model": {
        "input_per_million": "0.15",
        "output_per_million": "0.60",
        "cached_input_per_million": "0.075"
      }
    }

Keys are model references; for Azure the deployment or the served model version. Prices are USD per
million tokens, as text or number; `cached_input_per_million` may be left out, cached tokens then
cost what other input costs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from llmflowlab.errors import InputError

__all__ = ["OwnPrice", "read_prices"]

_REQUIRED = ("input_per_million", "output_per_million")
_OPTIONAL = ("cached_input_per_million",)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPrice:
    """Prices of one model in USD per million tokens."""

    input_per_million: Decimal
    output_per_million: Decimal
    cached_input_per_million: Decimal | None = None


def read_prices(file: Path, *, required: bool = False) -> dict[str, OwnPrice]:
    """Read a price file.

    Args:
        file: The file.
        required: Whether it must exist; otherwise a missing one means no own prices.

    Returns:
        Prices by lower-case model reference.

    Raises:
        InputError: The file cannot be read or does not hold what it should.
    """
    if not file.exists() and not required:
        return {}
    try:
        # Decimal from the digits as written: 0.1 must not become 0.1000000000000000055.
        content = json.loads(
            file.read_text(encoding="utf-8-sig"), parse_float=Decimal, parse_int=Decimal
        )
    except OSError as exc:
        raise InputError(f"The price file {file} cannot be read ({exc.strerror}).") from exc
    except (ValueError, RecursionError) as exc:
        raise InputError(f"The price file {file} is not valid JSON in UTF-8: {exc}.") from exc
    if not isinstance(content, dict):
        raise InputError(
            f"The price file {file} must hold an object of model references and their prices."
        )
    return {name.strip().lower(): _price(name, entry, file) for name, entry in content.items()}


def _price(name: str, entry: Any, file: Path) -> OwnPrice:
    provider, colon, model = name.partition(":")
    if not (provider.strip() and colon and model.strip()):
        raise InputError(
            f"The price file {file} has {name!r}; write provider:model, as in openai:my-model."
        )
    if not isinstance(entry, dict):
        raise InputError(
            f"The price file {file} must give {name!r} an object with {' and '.join(_REQUIRED)}."
        )
    unknown = sorted(set(entry) - {*_REQUIRED, *_OPTIONAL})
    if unknown:
        raise InputError(
            f"The price file {file} has {unknown[0]!r} under {name!r}; it may hold "
            f"{', '.join((*_REQUIRED, *_OPTIONAL))}."
        )
    return OwnPrice(
        input_per_million=_amount(name, "input_per_million", entry, file),
        output_per_million=_amount(name, "output_per_million", entry, file),
        cached_input_per_million=(
            _amount(name, "cached_input_per_million", entry, file)
            if entry.get("cached_input_per_million") is not None
            else None
        ),
    )


def _amount(name: str, key: str, entry: Mapping[str, Any], file: Path) -> Decimal:
    value = entry.get(key)
    try:
        amount = value if isinstance(value, Decimal) else Decimal(str(value))
    except InvalidOperation:
        amount = Decimal(-1)
    # NaN fails the comparison's first half, infinity its second.
    if isinstance(value, bool) or not amount.is_finite() or amount < 0:
        raise InputError(
            f"The price file {file} needs a number of USD from 0 up as {key} of {name!r}."
        )
    return amount
