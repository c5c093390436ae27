"""How amounts of money are written, everywhere alike."""

from __future__ import annotations

from decimal import Decimal

__all__ = ["dollars"]


def dollars(value: Decimal) -> str:
    """Write an amount in US dollars; small ones keep three significant digits, 0 is free."""
    if value == 0:
        return "free"
    if value >= 1:
        return f"${value:,.2f}"
    return f"${Decimal(f'{value:.3g}').normalize():f}"
