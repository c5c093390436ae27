"""What rules can be about: what each looks at, and by which method it is tested."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmflowlab.errors import InputError
from llmflowlab.guardrails.verdict import ACTIONS, CATEGORIES, DIRECTIONS

__all__ = ["KINDS", "OPTIONS", "AlertKind", "KindOption"]

_BETTING = "betting e-detector on a share"
_ACTIONS = tuple(action for action in ACTIONS if action != "off")
_MINUTE, _HOUR, _DAY = 60.0, 3_600.0, 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class KindOption:
    """What a rule says of itself under one key."""

    says: str
    """What is wanted, as an error says it."""
    low: float = 0.0
    high: float = 1.0
    whole: bool = False
    text: bool = False
    among: Sequence[str] = ()
    """Texts that can be said; empty: any."""

    def read(self, value: Any) -> Any:
        """Return the value.

        Raises:
            InputError: It is not what is wanted.
        """
        if self.text and isinstance(value, str) and value.strip():
            said = value.strip()
            if self.among and said not in self.among:
                raise InputError(f"{said!r} is not {self.says}: {', '.join(self.among)}")
            return said
        number = not self.text and isinstance(value, (int, float)) and not isinstance(value, bool)
        # NaN lies between nothing.
        if not number or not self.low < value < self.high:
            raise InputError(f"{value!r} is not {self.says}")
        if self.whole and not float(value).is_integer():
            raise InputError(f"{value!r} is not {self.says}")
        return int(value) if self.whole else float(value)


_SHARE = KindOption(says="a share between 0 and 1; 5 % is 0.05")
OPTIONS: Mapping[str, KindOption] = {
    "above": _SHARE,
    "tolerance": _SHARE,
    "margin": _SHARE,
    "quantile": _SHARE,
    "mean": KindOption(says="a mean from 0 to 1", low=-1e-12, high=1 + 1e-12),
    "n": KindOption(says="a whole number of answers from 10 on", low=9, high=1e9, whole=True),
    "baseline": KindOption(
        says="a whole number of answers from 50 on", low=49, high=1e6, whole=True
    ),
    "hours": KindOption(says="a number of hours from 0 to 720", low=-1e-9, high=720.1),
    "scorer": KindOption(says="a scorer's name, rating or thumbs_up", text=True),
    "evaluation": KindOption(says="an evaluation, or EVALUATION:2 for its second model", text=True),
    "category": KindOption(says="a category of guardrails", text=True, among=CATEGORIES),
    "direction": KindOption(says="a direction", text=True, among=DIRECTIONS),
    "action": KindOption(says="an action of guardrails", text=True, among=_ACTIONS),
}
_AMOUNT = KindOption(says="a number above 0", high=1e9)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertKind:
    """One kind of rule."""

    says: str
    needs: tuple[str, ...]
    """Keys that must be there."""
    may: Mapping[str, Any]
    """Others, with what holds where they are not."""
    method: str
    assumes: str
    look: float = _MINUTE
    """Seconds that are taken together."""
    window: float = _DAY
    """Seconds within which what is wrong must show."""
    amount: bool = False
    """Whether its limit is an amount, and no share."""

    def option(self, key: str) -> KindOption:
        return _AMOUNT if self.amount and key == "above" else OPTIONS[key]


_AT_ALL_TIMES = "that each request's chance, given what was before, is at the limit at most; nothing of independence"
_BASELINE = (
    "that what is to be expected, given what was before, stays within the tolerance of its average in the "
    "baseline, which is known within bounds (Hoeffding 1963) that take half of the chance"
)
KINDS: Mapping[str, AlertKind] = {
    "error_rate": AlertKind(
        says="share of requests that failed or broke off",
        needs=("above",),
        may={},
        method=_BETTING,
        assumes=_AT_ALL_TIMES,
    ),
    "violation_rate": AlertKind(
        says="share of requests in which guardrails found something",
        needs=("above",),
        may={"category": None, "direction": None, "action": None},
        method=_BETTING,
        assumes=_AT_ALL_TIMES,
    ),
    "latency": AlertKind(
        says="a quantile of the seconds of answers, the 95th percentile by default",
        needs=("above",),
        may={"quantile": 0.95},
        method=f"{_BETTING}: that of answers beyond the limit",
        assumes=_AT_ALL_TIMES,
        amount=True,
    ),
    "cost_per_hour": AlertKind(
        says="USD an hour that answers cost, as far as it is known",
        needs=("above",),
        may={},
        method="betting e-detector on the mean of sums of five minutes, each counted up to three times its limit",
        assumes="that each five minutes are expected to cost a twelfth of the limit at most",
        look=5 * _MINUTE,
        window=3 * _DAY,
        amount=True,
    ),
    "score_drop": AlertKind(
        says="mean of a scorer, or of ratings, below that of an evaluation by more than a margin",
        needs=("scorer",),
        may={"margin": 0.05, "evaluation": None, "mean": None, "n": None},
        method="betting e-detector on a mean, against an estimated baseline",
        assumes=_BASELINE,
        look=10 * _MINUTE,
        window=7 * _DAY,
    ),
    "language_drift": AlertKind(
        says="languages of the first answers of sessions: a share has moved by more than the tolerance",
        needs=(),
        may={"tolerance": 0.1, "baseline": 500, "hours": 24.0},
        method="betting e-detector on each language's share, together, against an estimated baseline",
        assumes=_BASELINE,
        look=10 * _MINUTE,
        window=7 * _DAY,
    ),
    "length_drift": AlertKind(
        says="characters of the first answers of sessions: the share in a quarter of the baseline's lengths has moved",
        needs=(),
        may={"tolerance": 0.1, "baseline": 500, "hours": 24.0},
        method="betting e-detector on the shares of four classes of length, together, against an estimated baseline",
        assumes=_BASELINE,
        look=10 * _MINUTE,
        window=7 * _DAY,
    ),
}
