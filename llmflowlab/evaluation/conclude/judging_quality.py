"""Whether judges can be believed: agreement of a panel, spread of repeated verdicts, position bias."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from llmflowlab.evaluation.judging.exam import Exam, exam_json
from llmflowlab.evaluation.scores import Score
from llmflowlab.statistics.krippendorff import krippendorff_alpha

__all__ = ["Contradiction", "JudgingQuality", "judging_quality"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    """Answers that another scorer calls right for certain, and the judge wrong."""

    scorer: str
    """The other one."""
    rows: int
    """Answers on which they differ."""
    of: int
    """Answers that the other calls right, and that the judge gave a verdict on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgingQuality:
    """What the verdicts of one scorer say of its judges; a figure that does not apply is None."""

    scorer: str
    answers: int = 0
    """Answers with several verdicts."""
    unanimous: float | None = None
    """Share of them on which all judges (their first runs) gave the same verdict."""
    alpha: float | None = None
    """Krippendorff's alpha between judges: 1 agreement, 0 as good as chance."""
    steady: float | None = None
    """Share of answers and judges for which all runs gave the same verdict."""
    spread: float | None = None
    """Mean standard deviation of a judge's runs on one answer."""
    flipped: float | None = None
    """Share of pairs whose verdict changed with the order."""
    first_preferred: float | None = None
    """Among the changed ones, share in which the first place was preferred (0.5: no bias)."""
    exams: Sequence[Exam] = ()
    """Of each judge, before it judged."""
    contradicts: Contradiction | None = None
    caveat: str | None = None
    """What to know of a judge that was not examined for this scorer and failed elsewhere."""

    def to_json(self) -> dict[str, Any]:
        return {
            "answers": self.answers,
            "unanimous": self.unanimous,
            "krippendorff_alpha": self.alpha,
            "steady": self.steady,
            "spread": self.spread,
            "order_flips": self.flipped,
            "first_preferred": self.first_preferred,
            "exam": exam_json(self.exams),
            "contradicts": None if self.contradicts is None else asdict(self.contradicts),
            "caveat": self.caveat,
        }

    def reservations(self) -> list[str]:
        """Return in sentences what speaks against believing the scores."""
        found = [exam.sentence() for exam in self.exams if exam.doubt is not None]
        if self.caveat is not None:
            found.append(self.caveat)
        if self.contradicts is not None and self.contradicts.rows:
            rows = self.contradicts.rows
            found.append(
                f"{self.scorer}: the judge contradicts {self.contradicts.scorer} on {rows} "
                f"row{'' if rows == 1 else 's'} of {self.contradicts.of}: the answer is the expected one, "
                "and the judge says no."
            )
        return found

    def sentence(self) -> str | None:
        """Return how far verdicts on the same answers agree; None where each had but one."""
        if not self.answers:
            return None
        parts = []
        if self.unanimous is not None:
            alpha = "" if self.alpha is None else f" (Krippendorff's alpha {self.alpha:.2f})"
            parts.append(
                f"the judges agree on {self.unanimous:.0%} of {self.answers} answers{alpha}"
            )
        if self.steady is not None and self.spread is not None:
            parts.append(
                f"asked again, a judge says the same in {self.steady:.0%} of cases "
                f"(standard deviation {self.spread:.2f})"
            )
        if self.flipped is not None:
            bias = f"{self.flipped:.0%} of comparisons changed with the order and count as ties"
            if self.first_preferred is not None:
                bias += f"; of these {self.first_preferred:.0%} favoured the first place"
            parts.append(bias)
        return f"{self.scorer}: {'; '.join(parts)}."


def judging_quality(
    scorer: str, scores: Iterable[Score], *, comparing: bool = False
) -> JudgingQuality | None:
    """Return what the verdicts behind scores say of the judges; None where each had but one.

    Args:
        scorer: Whose scores these are.
        scores: All of them; verdicts that failed are left out.
        comparing: Whether its verdicts compare two answers, in both orders.
    """
    several = [score for score in scores if len(score.members) > 1]
    if not several:
        return None
    if comparing:
        return _preference(scorer, several)
    runs = [_by_judge(score) for score in several]
    firsts = [[values[0] for values in judges.values() if values] for judges in runs]
    panels = [values for values in firsts if len(values) > 1]
    repeated = [values for judges in runs for values in judges.values() if len(values) > 1]
    return JudgingQuality(
        scorer=scorer,
        answers=len(several),
        unanimous=_share(len(set(values)) == 1 for values in panels),
        alpha=krippendorff_alpha(panels),
        steady=_share(len(set(values)) == 1 for values in repeated),
        spread=sum(_deviation(v) for v in repeated) / len(repeated) if repeated else None,
    )


def _by_judge(score: Score) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for member in score.members:
        if member.value is not None and member.judge is not None:
            found.setdefault(member.judge, []).append(member.value)
    return found


def _preference(scorer: str, scores: Sequence[Score]) -> JudgingQuality:
    pairs = [
        (score.members[i].value, score.members[i + 1].value)
        for score in scores
        for i in range(0, len(score.members) - 1, 2)
    ]
    known = [(a, b) for a, b in pairs if a is not None and b is not None]
    flips = [(a, b) for a, b in known if a != 1.0 - b]
    sided = [a + b for a, b in flips if a + b != 1.0]
    return JudgingQuality(
        scorer=scorer,
        answers=len(scores),
        flipped=len(flips) / len(known) if known else None,
        first_preferred=_share(total > 1.0 for total in sided),
    )


def _deviation(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    return float((sum((v - mean) ** 2 for v in values) / (len(values) - 1)) ** 0.5)


def _share(truths: Iterable[bool]) -> float | None:
    found = list(truths)
    return sum(found) / len(found) if found else None
