"""A policy over a text that comes in pieces: what may be passed on, and the verdict of the whole.

However a text is split, its verdict and what is passed on are the same, and of what is blocked or
masked no character has left before: a unit leaves when the next one has been read.
"""

from __future__ import annotations

from llmflowlab.guardrails.cutting import cuts
from llmflowlab.guardrails.masking import Masks, without_secrets
from llmflowlab.guardrails.policy import DEFAULT, Policy
from llmflowlab.guardrails.scanning import Scanner
from llmflowlab.guardrails.verdict import ACTIONS, Action, Detection, Direction, Verdict, Violation

__all__ = ["Checking", "check", "preload", "violation_of"]

_EXCERPT = 200


class Checking:
    """One text on its way.

    Args:
        policy: What is done about what.
        direction: Which way it goes.
        masks: Numbers of masks, and what stood in their places.
    """

    def __init__(self, policy: Policy, direction: Direction, masks: Masks) -> None:
        self._policy = policy
        self._direction: Direction = direction
        self._masks = masks
        self._scanner: Scanner | None = None
        """Made with the first unit: most answers have no thinking."""
        self._text = ""
        self._read = 0
        """Where the units end that were read."""
        self._left = 0
        """Up to where it was passed on."""
        self._hidden: list[tuple[int, int, str]] = []
        self._passed: list[str] = []
        self._findings: list[Detection] = []
        self._violations: list[Violation] = []
        self.blocked = False

    def feed(self, piece: str) -> str:
        """Take the next piece; return what may be passed on."""
        self._text += piece
        return self._on(final=False)

    def finish(self) -> str:
        """Say that all is there; return what is left to be passed on."""
        return self._on(final=True)

    @property
    def text(self) -> str:
        """What came so far."""
        return self._text

    def verdict(self) -> Verdict:
        """Return what became of the text, once it was finished."""
        return Verdict(
            action=min((v.action for v in self._violations), key=ACTIONS.index, default="off"),
            findings=tuple(self._findings),
            violations=tuple(self._violations),
            text="".join(self._passed),
        )

    def _on(self, *, final: bool) -> str:
        passed = ""
        for end in cuts(self._text, self._read, final=final) if not self.blocked else ():
            before = self._read
            scanner = self._scanner = self._scanner or Scanner(self._policy, self._direction)
            for finding in scanner.unit(self._text[before:end], before):
                self._take(finding)
            if self.blocked:
                break
            self._read = end
            passed += self._passed_on(before)
        if final and not self.blocked:
            passed += self._passed_on(len(self._text))
        self._passed.append(passed)
        return passed

    def _take(self, finding: Detection) -> None:
        value = self._text[finding.start : finding.end]
        action = self._policy.action(finding.category, self._direction)
        self._findings.append(finding)
        self._violations.append(violation_of(finding, value, self._direction, action))
        self.blocked = self.blocked or action == "block"
        # Masks do not overlap: of what stands in two the rest has one of its own.
        start = max((end for _, end, _ in self._hidden), default=self._left)
        start = max(finding.start, start)
        if action == "mask" and start < finding.end:
            value = self._text[start : finding.end]
            mask = self._masks.mask(finding, value, own=self._direction == "in")
            self._hidden.append((start, finding.end, mask))

    def _passed_on(self, until: int) -> str:
        """Return what stands before a place and was not passed on yet, with its masks."""
        parts = []
        while self._hidden and self._hidden[0][1] <= until:
            start, end, mask = self._hidden.pop(0)
            parts += [self._text[self._left : start], mask]
            self._left = end
        if self._hidden:
            until = min(until, self._hidden[0][0])
        if until > self._left:
            parts.append(self._text[self._left : until])
            self._left = until
        return "".join(parts)


def check(text: str, policy: Policy, direction: Direction, masks: Masks | None = None) -> Verdict:
    """Return what the rules make of a whole text."""
    checking = Checking(policy, direction, Masks() if masks is None else masks)
    checking.feed(text)
    checking.finish()
    return checking.verdict()


def preload() -> None:
    """Read the rules, so that nobody's first text waits for it: a third of a second."""
    check("Is that so?", DEFAULT, "in")


def violation_of(finding: Detection, value: str, direction: Direction, action: Action) -> Violation:
    """Return a finding as it is recorded."""
    return Violation(
        direction=direction,
        category=finding.category,
        rule=finding.rule,
        severity=finding.severity,
        action=action,
        excerpt=without_secrets(" ".join(value.split()))[:_EXCERPT]
        if finding.category not in {"personal_data", "secrets"}
        else f"[{finding.rule.replace('_', ' ')}]",
        layer=finding.layer,
        reason=finding.reason,
    )
