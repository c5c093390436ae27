"""An evaluation's judges beside what people said of the same answers."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.evaluation.scores import Score
from llmflowlab.people.alike import alike
from llmflowlab.people.answer_words import ASIDE, HumanVerdict, was_picked
from llmflowlab.people.calibration import Calibration, JudgedByBoth, calibrate
from llmflowlab.statistics.intervals import Interval
from llmflowlab.statistics.krippendorff import Level, krippendorff_alpha, krippendorff_interval

__all__ = ["Disagreement", "PeoplesAgreement", "calibrations", "disagreements", "peoples_agreement"]

_GRADES = (0.0, 0.25, 0.5, 0.75, 1.0)
_YES_NO = (0.0, 1.0)
_ONE_VENDOR = {"azure": "openai"}
_MANY_VENDORS = frozenset({"ollama", "local", "mlflow"})
"""Providers whose models come from anybody; the model's name tells its family."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """An answer of which a judge says otherwise than people do."""

    scorer: str
    judge: str
    asked: str
    row: str
    candidate: str
    trial: int
    """From 1."""
    people: float
    judge_said: float
    reason: str | None
    """The judge's."""
    comments: tuple[str, ...]
    """People's."""

    def to_json(self) -> dict[str, Any]:
        return {
            "scorer": self.scorer,
            "judge": self.judge,
            "question": self.asked,
            "row": self.row,
            "model": self.candidate,
            "trial": self.trial,
            "people": self.people,
            "judge_said": self.judge_said,
            "reason": self.reason,
            "comments": list(self.comments),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PeoplesAgreement:
    """How far people agree among themselves."""

    asked: str
    people: int
    answers: int
    """That two or more of them judged."""
    level: Level
    alpha: float | None
    """Krippendorff's; None where there is nothing to agree on."""
    interval: Interval | None

    def to_json(self) -> dict[str, Any]:
        low, high = (self.interval.low, self.interval.high) if self.interval else (None, None)
        return {
            "question": self.asked,
            "people": self.people,
            "answers": self.answers,
            "level": self.level,
            "krippendorff_alpha": self.alpha,
            "ci_low": low,
            "ci_high": high,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Beside:
    """What one judge and people said, in answer to one question."""

    scorer: str
    judge: str
    asked: str
    labels: tuple[float, ...]
    same_question: bool
    divided: int
    cells: Mapping[Cell, tuple[float, Score]]


def calibrations(result: EvaluationResult, verdicts: Sequence[HumanVerdict]) -> list[Calibration]:
    """Set each judge of answers beside people who were asked the same.

    Which are the same says `alike`; judges of degrees stand beside `quality` too, which does not examine
    them.
    Judges that compare answers are there for how steady they are; they judged nothing that people did.
    """
    found = []
    plan, quality = result.plan, result.judging
    for beside in _beside(result, verdicts):
        family = _family(beside.judge)
        things = []
        for cell, (people, score) in beside.cells.items():
            answer = result.answers[cell]
            theirs = _family(plan.candidates[cell.candidate].model)
            things.append(
                JudgedByBoth(
                    question=plan.clusters[cell.row],
                    people=people,
                    judge=score.value or 0.0,
                    length=math.log2(1 + len(answer.text)),
                    language=plan.dataset.rows[cell.row].language,
                    own_family=None if None in (family, theirs) else family == theirs,
                )
            )
        steady = quality[beside.scorer].steady if beside.scorer in quality else None
        found.append(
            calibrate(
                things,
                scorer=beside.scorer,
                judge=beside.judge,
                asked=beside.asked,
                labels=beside.labels,
                same_question=beside.same_question,
                steady=steady,
                divided=beside.divided,
            )
        )
    for scorer, traits in result.table.traits.items():
        if traits.comparing and scorer in quality and quality[scorer].flipped is not None:
            for judge in plan.judges:
                found.append(
                    calibrate(
                        [],
                        scorer=scorer,
                        judge=judge,
                        asked="preference",
                        flipped=quality[scorer].flipped,
                        first_preferred=quality[scorer].first_preferred,
                        steady=quality[scorer].steady,
                    )
                )
    return found


def disagreements(result: EvaluationResult, verdicts: Sequence[HumanVerdict]) -> list[Disagreement]:
    """Return the answers of which a judge says otherwise than people, the farthest apart first."""
    found = []
    comments: dict[Cell, list[str]] = defaultdict(list)
    for verdict in verdicts:
        if verdict.comment:
            comments[verdict.cell].append(verdict.comment)
    for beside in _beside(result, verdicts):
        for cell, (people, score) in beside.cells.items():
            said = score.value or 0.0
            if abs(said - people) < 0.5 / (len(beside.labels) - 1):
                continue
            found.append(
                Disagreement(
                    scorer=beside.scorer,
                    judge=beside.judge,
                    asked=beside.asked,
                    row=result.plan.dataset.rows[cell.row].id,
                    candidate=result.plan.candidates[cell.candidate].label,
                    trial=cell.trial + 1,
                    people=people,
                    judge_said=said,
                    reason=score.rationale,
                    comments=tuple(comments[cell]),
                )
            )
    return sorted(found, key=lambda one: -abs(one.people - one.judge_said))


def peoples_agreement(verdicts: Sequence[HumanVerdict]) -> list[PeoplesAgreement]:
    """Return for each question Krippendorff's alpha of those who answered it."""
    found = []
    asked = dict.fromkeys(v.question for v in verdicts if v.question not in ASIDE)
    for question in asked:
        own = [verdict for verdict in verdicts if verdict.question == question]
        codes: dict[str, float] = {}
        units: dict[Cell, list[float]] = defaultdict(list)
        for verdict in own:
            code = codes.setdefault(verdict.said, float(len(codes)))
            units[verdict.cell].append(code if verdict.value is None else verdict.value)
        graded = all(verdict.said.isdecimal() for verdict in own)
        level: Level = "ordinal" if graded else "nominal"
        several = [values for values in units.values() if len(values) > 1]
        if several:
            found.append(
                PeoplesAgreement(
                    asked=question,
                    people=len({verdict.person for verdict in own}),
                    answers=len(several),
                    level=level,
                    alpha=krippendorff_alpha(several, level),
                    interval=krippendorff_interval(several, level),
                )
            )
    return found


def _beside(result: EvaluationResult, verdicts: Sequence[HumanVerdict]) -> Iterator[_Beside]:
    by_question: dict[str, dict[Cell, list[HumanVerdict]]] = defaultdict(lambda: defaultdict(list))
    for verdict in verdicts:
        # Those that were picked because judges disagree would make every judge look bad.
        if verdict.value is not None and verdict.question not in ASIDE and not was_picked(verdict):
            by_question[verdict.question][verdict.cell].append(verdict)
    for scorer, traits in result.table.traits.items():
        for question, said in by_question.items() if traits.judged else ():
            graded = any(v.said.isdecimal() for given in said.values() for v in given)
            if (like := alike(question, traits, graded=graded)) is None:
                continue
            labels = _GRADES if graded else _YES_NO
            people = {
                cell: sum(v.value or 0.0 for v in given) / len(given)
                for cell, given in said.items()
            }
            judges: dict[str, dict[Cell, tuple[float, Score]]] = {}
            divided: Counter[str] = Counter()
            for cell, value in people.items():
                score = result.scores.get(cell, {}).get(scorer)
                for judge, own in _verdicts(score).items():
                    both = judges.setdefault(judge, {})
                    # People who are divided evenly between yes and no say neither.
                    if not graded and value == 0.5:
                        divided[judge] += 1
                    else:
                        both[cell] = (value, own)
            for judge, cells in judges.items():
                yield _Beside(
                    scorer=scorer,
                    judge=judge,
                    asked=question,
                    labels=labels,
                    same_question=like.same_question,
                    divided=divided[judge],
                    cells=cells,
                )


def _verdicts(score: Score | None) -> dict[str, Score]:
    """Return each judge's first verdict on an answer."""
    found: dict[str, Score] = {}
    if score is not None:
        for verdict in score.members or (score,):
            if verdict.value is not None and verdict.judge is not None:
                found.setdefault(verdict.judge, verdict)
    return found


def _family(reference: str) -> str | None:
    """Return what kind of model it is: the vendor, or the name of an open one without its number."""
    provider, _, model = reference.partition(":")
    if provider not in _MANY_VENDORS:
        return _ONE_VENDOR.get(provider, provider)
    name = re.match(r"[a-z]+", model.lower().rpartition("/")[2])
    return name[0] if name else None
