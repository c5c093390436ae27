"""Whether a judge can be believed: shown a right answer it must say so, and shown a wrong one too.

A judge that always says yes, or that is held to the verdict's form by a grammar and fills it in without
reading, gives scores of full coverage that say nothing. So each judge is examined before it judges: the
expected answer of a row is right for it, and the expected answer of another row is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from llmflowlab.data.dataset import Row
from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.judging.judge import Judge
from llmflowlab.evaluation.judging.pairwise import PreferenceScorer
from llmflowlab.evaluation.judging.scorer import Judgement, JudgeScorer
from llmflowlab.evaluation.scorers.base import ScorerSpec
from llmflowlab.evaluation.scorers.kinds import build_text_scorer
from llmflowlab.evaluation.scores import Score

__all__ = [
    "ENOUGH",
    "Exam",
    "ExamTask",
    "ExamVerdict",
    "caveat_of",
    "doubts_in_tag",
    "doubts_of",
    "exam_json",
    "exam_tag",
    "exam_tasks",
    "set_beside_people",
]

ENOUGH = 0.8
"""Share of the right answers, and of the wrong ones, that must be recognised."""
_GOOD, _BAD = 0.75, 0.25
"""From here on a verdict is good, up to there it is bad: the two best and worst of five grades."""
_TRIED = 200
"""Other rows that are looked through for an answer that is wrong."""


@dataclass(frozen=True, slots=True)
class ExamTask:
    """One verdict that is known beforehand."""

    right: bool
    """Whether the verdict must be good."""
    judgement: Judgement


@dataclass(frozen=True, slots=True)
class ExamVerdict:
    """What a judge said, and what it had to say."""

    right: bool
    score: Score

    @property
    def correct(self) -> bool:
        """Whether it said so, and why: a verdict without a reason was not thought about."""
        value = self.score.value
        if value is None or not self.explained:
            return False
        return value >= _GOOD if self.right else value <= _BAD

    @property
    def explained(self) -> bool:
        return bool((self.score.rationale or "").strip())

    @property
    def reached(self) -> bool:
        return self.score.not_scored not in {"not_reached", "budget_exhausted"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exam:
    """One judge's examination for one scorer."""

    scorer: str
    judge: str
    """Model reference."""
    verdicts: tuple[ExamVerdict, ...]
    beside_people: tuple[str, ...] | None = None
    """What speaks against it where people judged the same answers; None where nobody compared them."""

    @property
    def asked(self) -> int:
        return sum(verdict.reached for verdict in self.verdicts)

    @property
    def right(self) -> int:
        """Verdicts that were as they had to be."""
        return sum(verdict.correct for verdict in self.verdicts)

    @property
    def unexplained(self) -> int:
        """Verdicts that came without a reason."""
        return sum(v.score.value is not None and not v.explained for v in self.verdicts)

    def recognised(self, *, right: bool) -> tuple[int, int]:
        """Return how many right or wrong answers were recognised, and how many were shown."""
        side = [verdict for verdict in self.verdicts if verdict.right == right]
        return sum(verdict.correct for verdict in side), sum(verdict.reached for verdict in side)

    @property
    def passed(self) -> bool | None:
        """Whether it can be believed; None where a stop or the budget came before the end."""
        if self.beside_people:
            return False
        if not self.verdicts:
            return None if self.beside_people is None else True
        if not all(verdict.reached for verdict in self.verdicts):
            return None
        sides = (self.recognised(right=True), self.recognised(right=False))
        return all(shown and found >= ENOUGH * shown for found, shown in sides)

    @property
    def doubt(self) -> str | None:
        """Why nothing may be concluded from its scores; None where something may."""
        if self.passed is None:
            return f"the examination of the judge {self.judge} was not finished"
        if self.beside_people:
            against = "; ".join(self.beside_people)
            return f"the judge {self.judge} cannot stand for people ({against})"
        return None if self.passed else f"the judge {self.judge} did not pass its examination"

    def sentence(self) -> str:
        """Return what a person should know of it."""
        unbelieved = (
            "; it is not believed: its scores are shown, and nothing is concluded from them."
        )
        beside = None
        if self.beside_people is not None:
            against = "; ".join(self.beside_people) or "nothing speaks against it"
            end = unbelieved if self.beside_people else "."
            beside = f"{self.scorer}: beside people, of the judge {self.judge}: {against}{end}"
        if not self.verdicts:
            return beside or f"{self.scorer}: the judge {self.judge} was not examined."
        if self.passed is None:
            return f"{self.scorer}: {self.doubt}: nothing is concluded from its scores."
        (yes, of_yes), (no, of_no) = self.recognised(right=True), self.recognised(right=False)
        bare = f", and gave no reason for {self.unexplained}" if self.unexplained else ""
        end = "." if self.doubt is None or self.beside_people else unbelieved
        said = (
            f"{self.scorer}: examined beforehand, the judge {self.judge} recognised {yes} of {of_yes} "
            f"right answers and {no} of {of_no} wrong ones{bare}{end}"
        )
        return said if beside is None else f"{said} {beside}"

    def figures(self) -> dict[str, Any]:
        """Return its part of a document."""
        sides = {
            name: dict(zip(("recognised", "shown"), self.recognised(right=right), strict=True))
            for name, right in (("right_answers", True), ("wrong_answers", False))
        }
        return {
            "asked": self.asked,
            "right": self.right,
            **sides,
            "without_reason": self.unexplained,
            "beside_people": None if self.beside_people is None else list(self.beside_people),
            "passed": self.passed,
        }

    def to_json(self) -> dict[str, Any]:
        verdicts = [{"right": v.right, "score": v.score.to_json()} for v in self.verdicts]
        kept: dict[str, Any] = {"scorer": self.scorer, "judge": self.judge, "verdicts": verdicts}
        if self.beside_people is not None:
            kept["beside_people"] = list(self.beside_people)
        return kept

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Exam:
        beside = values.get("beside_people")
        return cls(
            scorer=values["scorer"],
            judge=values["judge"],
            verdicts=tuple(
                ExamVerdict(v["right"], Score.from_json(v["score"])) for v in values["verdicts"]
            ),
            beside_people=None if beside is None else tuple(beside),
        )


def set_beside_people(
    exams: Iterable[Exam], doubts: Mapping[tuple[str, str], tuple[str, ...] | None]
) -> list[Exam]:
    """Return the exams with what speaks against each judge where people judged the same.

    Args:
        exams: Of judges that were examined beforehand.
        doubts: By scorer and judge; None where too little was judged to say. Such a judge that was not
            examined beforehand has no exam.
    """
    found = {(exam.scorer, exam.judge): exam for exam in exams}
    for (scorer, judge), against in doubts.items():
        own = found.get((scorer, judge))
        if own is not None:
            found[scorer, judge] = replace(own, beside_people=against)
        elif against is not None:
            found[scorer, judge] = Exam(
                scorer=scorer, judge=judge, verdicts=(), beside_people=against
            )
    return [exam for exam in found.values() if exam.verdicts or exam.beside_people is not None]


def doubts_of(exams: Iterable[Exam]) -> dict[str, str]:
    """Return for each scorer with a judge that is not believed why; of a panel all must be."""
    found: dict[str, list[str]] = {}
    for exam in exams:
        if exam.doubt is not None:
            found.setdefault(exam.scorer, []).append(exam.doubt)
    return {scorer: " and ".join(doubts) for scorer, doubts in found.items()}


def caveat_of(scorer: str, exams: Iterable[Exam]) -> str | None:
    """Return what to know of a judged scorer that has no examination, whose judge failed another's."""
    failed: dict[str, list[str]] = {}
    for exam in exams:
        if exam.scorer == scorer:
            return None
        if exam.passed is False:
            failed.setdefault(exam.judge, []).append(exam.scorer)
    if not failed:
        return None
    judges = " and ".join(
        f"{who} did not pass that of {', '.join(by)}" for who, by in failed.items()
    )
    return (
        f"{scorer}: no verdict is known beforehand to examine a judge with, and the judge {judges}; "
        "read its reasons before you rely on these scores."
    )


def exam_json(exams: Sequence[Exam]) -> dict[str, Any] | None:
    """Return one scorer's exams as a part of a document; None where there was none."""
    if not exams:
        return None
    passed = [exam.passed for exam in exams]
    return {
        "asked": sum(exam.asked for exam in exams),
        "right": sum(exam.right for exam in exams),
        "passed": False if False in passed else None if None in passed else True,
        "judges": {exam.judge: exam.figures() for exam in exams},
    }


_PASSED = "passed"
_OTHERWISE = {
    "failed": "its judge did not pass its examination",
    "unlike people": "its judge cannot stand for people",
    "not finished": "the examination of its judge was not finished",
}


def exam_tag(exams: Iterable[Exam]) -> str:
    """Return as a run's tag how each scorer's examinations ended: `correctness: failed, preference: passed`."""
    ends: dict[str, str] = {}
    for exam in exams:
        ends.setdefault(exam.scorer, _PASSED)
        if not exam.passed and ends[exam.scorer] != "failed":
            failed = "unlike people" if exam.beside_people else "failed"
            ends[exam.scorer] = failed if exam.passed is False else "not finished"
    return ", ".join(f"{scorer}: {end}" for scorer, end in ends.items())


def doubts_in_tag(tag: str) -> dict[str, str]:
    """Return from a run's tag for each scorer whose judge is not believed why, in words."""
    ends = (part.rpartition(": ") for part in tag.split(", "))
    return {scorer: _OTHERWISE[end] for scorer, _, end in ends if end in _OTHERWISE}


def exam_tasks(
    scorer: JudgeScorer | PreferenceScorer, judge: Judge, rows: Sequence[Row], questions: int
) -> list[ExamTask]:
    """Return what a judge is examined with; nothing where no verdict is known beforehand.

    Args:
        scorer: What it is asked.
        judge: Who is asked.
        rows: Of the benchmark.
        questions: Rows to take at most; each is shown with a right and with a wrong answer.
    """
    tasks = []
    for row, right, wrong in _cases(scorer, rows, questions):
        if isinstance(scorer, PreferenceScorer):
            # A judge that prefers a place gets one of the two wrong.
            tasks.append(ExamTask(True, scorer.judgement(judge, row, right, wrong)))
            tasks.append(ExamTask(False, scorer.judgement(judge, row, wrong, right)))
            continue
        for good, text in ((True, right), (False, wrong)):
            shown = AnswerRecord(text=text, state="complete")
            tasks.append(ExamTask(good, scorer.judgement(judge, row, shown)))
    return tasks


def _cases(
    scorer: JudgeScorer | PreferenceScorer, rows: Sequence[Row], questions: int
) -> Iterator[tuple[Row, str, str]]:
    """Yield rows from all over the benchmark, each with a right and a wrong answer."""
    if isinstance(scorer, JudgeScorer):
        if not scorer.kind.examined:
            return
        rows = [row for row in rows if scorer.kind.refuses(row) is None]
    known = [row for row in rows if row.expected]
    # Of several accepted answers each alone may seem too little to a judge that is shown them all.
    usable = [row for row in known if not row.alternatives] or known
    count = min(questions, len(usable))
    for number in range(count):
        place = number * len(usable) // count
        row = usable[place]
        wrong = _wrong(row, [*usable[place + 1 :], *usable[:place]][:_TRIED])
        if row.expected and wrong is not None:
            yield row, row.expected, wrong


def _wrong(row: Row, others: Iterable[Row]) -> str | None:
    """Return another row's answer that is surely wrong for this one; None where there is none."""
    readers = [build_text_scorer(ScorerSpec.plain(name)) for name in ("exact_match", "contains")]

    def alike(one: Row, text: str | None) -> bool:
        shown = AnswerRecord(text=text or "", state="complete")
        return any(reader.score(one, shown).value != 0.0 for reader in readers)

    for other in others:
        if other.question == row.question:
            continue
        # Neither may stand in the other: a part of an answer is not surely wrong.
        if not alike(row, other.expected) and not alike(other, row.expected):
            return other.expected
    return None
