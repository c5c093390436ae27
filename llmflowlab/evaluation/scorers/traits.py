"""What is known of a scorer before it says anything: its kind, direction, scale and figure.

Taken from its description alone, never from the values seen: a grade that happened to be 0 or 1 on
every row is still a grade, and is tested as one by whoever looks at it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from llmflowlab.evaluation.judging import JUDGED, PREFERENCE, judged_kind
from llmflowlab.evaluation.scorers.base import CorpusScorer, ScorerSpec
from llmflowlab.evaluation.scorers.kinds import TEXT_KINDS, build_text_scorer
from llmflowlab.evaluation.scorers.ranking import says_right
from llmflowlab.statistics.corpus import CorpusFigure

__all__ = ["ScorerKind", "ScorerTraits", "traits_of"]

ScorerKind: TypeAlias = Literal["yes_no", "grade", "amount"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorerTraits:
    """What decides how a scorer's values are averaged, tested and ranked."""

    name: str
    kind: ScorerKind
    """`yes_no`: 0 or 1; `grade`: a degree on the scale; `amount`: seconds, tokens, USD."""
    higher_is_better: bool = True
    scale: tuple[float, float] | None = (0.0, 1.0)
    """Worst and best a value can be, whatever the direction; None where there is no end."""
    figure: CorpusFigure | None = None
    """How rows' statistics become one figure; None: the figure is the mean of the values."""
    judged: bool = False
    says_right: bool = False
    """Whether its yes means that the answer is right."""
    comparing: bool = False
    """Whether its verdicts compare two answers, in both orders."""

    def exact(self, *, repeated: bool) -> bool:
        """Tell whether the tests of yes and no apply: Wilson, McNemar, Tango.

        Means over the repetitions of a question are degrees: they go to the bootstrap.

        Args:
            repeated: Whether any question is asked more than once, in trials or in rows.
        """
        return self.kind == "yes_no" and not repeated


def traits_of(spec: ScorerSpec, *, combine: str | None = None) -> ScorerTraits:
    """Return what a scorer's description says of it.

    Args:
        spec: The scorer.
        combine: How a panel's verdicts become one; a mean of yes and no is a degree.
    """
    kind: ScorerKind = "grade"
    figure: CorpusFigure | None = None
    text = TEXT_KINDS.get(spec.kind)
    judged = spec.kind in JUDGED
    if text is not None:
        kind = "yes_no" if text.binary else "grade"
        how = None if text.asks_model else build_text_scorer(spec)
        figure = how.value if isinstance(how, CorpusScorer) else None
    elif judged:
        asked = judged_kind(spec)
        yes_no = asked is not None and asked.scale == "yes_no" and combine != "mean"
        kind = "yes_no" if yes_no else "grade"
    return ScorerTraits(
        name=spec.name,
        kind=kind,
        higher_is_better=text is None or text.higher_is_better,
        figure=figure,
        judged=judged,
        says_right=says_right(spec.kind),
        comparing=spec.kind == PREFERENCE,
    )
