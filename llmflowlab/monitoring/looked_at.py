"""How much a rule had to look at: one that looks at nothing is not quiet, and says why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["SET_UP", "Lacking", "LookedAt", "lacking_words"]

_SLOTS = 24
SET_UP: Mapping[str, str] = {
    "guardrails_off": "guardrails are off",
    "not_looked_for": "guardrails look for no such thing",
    "no_price": "no price is known",
}
"""What somebody would have to set up, in words."""
_OTHERS: Mapping[str, str] = {
    "no_answer": "no whole answer came",
    "no_language": "no language was recognised",
}


@dataclass(frozen=True, slots=True)
class Lacking:
    """Stands for the value of an answer that a rule is about, and can make nothing of."""

    why: str | None
    """`guardrails_off`, say, or why a score has no value; None: a value may still come."""


@dataclass(slots=True, kw_only=True)
class LookedAt:
    """Counts of the rule's window, in slots that leave it one after the other."""

    window: float
    """Seconds."""
    slots: list[list[Any]] = field(default_factory=list)
    """When each began (milliseconds since the epoch), answers, values, and answers by what they lack."""

    @property
    def answers(self) -> int:
        """Answers that the rule is about."""
        return sum(slot[1] for slot in self.slots)

    @property
    def values(self) -> int:
        """What it looked at of them: values, scores or ratings."""
        return sum(slot[2] for slot in self.slots)

    @property
    def lacking(self) -> dict[str, int]:
        """What it could make nothing of, by reason, the most frequent first."""
        total: Counter[str] = Counter()
        for slot in self.slots:
            total.update(slot[3])
        return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))

    def add(self, at_ms: int, value: object, *, answer: bool) -> None:
        """Count what a rule made of an answer, or of a score of one.

        Args:
            at_ms: When.
            value: What it made of it.
            answer: Whether it is an answer.
        """
        step = int(self.window * 1000 / _SLOTS)
        if not self.slots or at_ms >= self.slots[-1][0] + step:
            self.slots.append([at_ms - at_ms % step, 0, 0, {}])
        slot = self.slots[-1]
        slot[1] += answer
        if not isinstance(value, Lacking):
            slot[2] += 1
        elif value.why is not None:
            slot[3][value.why] = slot[3].get(value.why, 0) + 1

    def forget(self, now_ms: int) -> None:
        """Let go of what has left the window."""
        since = now_ms - self.window * 1000 * (1 + 1 / _SLOTS)
        self.slots = [slot for slot in self.slots if slot[0] > since]

    def to_json(self) -> dict[str, Any]:
        return {
            "seconds": self.window,
            "answers": self.answers,
            "values": self.values,
            "lacking": self.lacking,
        }

    @classmethod
    def kept(cls, window: float, slots: Sequence[Sequence[Any]]) -> LookedAt:
        """Restore one.

        Raises:
            ValueError, TypeError: They are no slots.
        """
        return cls(window=window, slots=[[int(a), int(b), int(c), dict(d)] for a, b, c, d in slots])


def lacking_words(by: Mapping[str, int]) -> str:
    """Write what answers lack: `guardrails are off for 12`."""
    words = {**SET_UP, **_OTHERS}
    return ", ".join(
        f"{words.get(why, why.replace('_', ' '))} for {number:,}" for why, number in by.items()
    )
