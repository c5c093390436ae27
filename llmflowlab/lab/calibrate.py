"""How far an evaluation's judges can be trusted: set beside people, and examined by what they said."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from llmflowlab.errors import InputError, TrackingError
from llmflowlab.evaluation.judging.exam import set_beside_people
from llmflowlab.evaluation.run.replay import evaluation_behind
from llmflowlab.lab.lab import Lab
from llmflowlab.people.answer_words import kept_verdicts
from llmflowlab.people.calibration import FEWEST, Calibration
from llmflowlab.people.human import on_whole_answers
from llmflowlab.people.judges_beside_people import (
    Disagreement,
    PeoplesAgreement,
    calibrations,
    disagreements,
    peoples_agreement,
)
from llmflowlab.people.people_figures import deliver_figures, keep_figures
from llmflowlab.program import program_name

__all__ = ["FEWEST", "Calibrated", "Calibration", "Disagreement", "PeoplesAgreement", "calibrate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """An evaluation's judges beside people."""

    evaluation_id: str
    judges: Sequence[Calibration]
    people: Sequence[PeoplesAgreement]
    """How far those agree among themselves who answered the same question."""
    disagreements: Sequence[Disagreement]
    waiting: str | None
    """Why MLflow does not know of it yet; None where it does."""

    def to_json(self) -> dict[str, Any]:
        return {
            "evaluation_id": self.evaluation_id,
            "judges": [one.to_json() for one in self.judges],
            "people": [one.to_json() for one in self.people],
            "disagreements": [one.to_json() for one in self.disagreements],
            "waiting": self.waiting,
        }


def calibrate(lab: Lab, name: str) -> Calibrated:
    """Set each judge of an evaluation beside people; one that is below the bar gates and promotes nothing.

    Said of the same answers anew, it counts anew: a judge that agrees with more words is believed again.

    Raises:
        InputError: There is no such evaluation, no judge in it, or nobody judged its answers.
        TrackingError: Something cannot be read or kept.
    """
    with closing(lab.existing_ledger()) as ledger, closing(lab.words()) as words:
        evaluation = evaluation_behind(ledger, name)
        verdicts = kept_verdicts(words, evaluation)
        result = keep_figures(ledger, words, evaluation)
        if not any(traits.judged for traits in result.table.traits.values()):
            raise InputError(
                f"{evaluation} has no judge to calibrate; its scorers are "
                f"{', '.join(result.plan.scorers)}. Evaluate with --scorer correctness."
            )
        if not verdicts:
            raise InputError(
                f"Nobody has judged {evaluation} yet; begin with: {program_name()} review {evaluation}"
            )
        judges = calibrations(result, verdicts)
        if not judges:
            raise InputError(
                "People and judges were asked nothing alike: ask people a question with the scorer's name "
                "(review --rubric), or correct where the judge says whether an answer is right."
            )
        doubts: dict[tuple[str, str], tuple[str, ...] | None] = {}
        for one in judges:
            place = one.scorer, one.judge
            against = None if one.passed is None else one.doubts
            before = doubts.get(place)
            # Of several questions each may speak against it.
            doubts[place] = against if before is None else (*before, *(against or ()))
        ledger.set_exams(evaluation, set_beside_people(ledger.exams(evaluation), doubts))
        result = keep_figures(ledger, words, evaluation)
    waiting = None
    try:
        deliver_figures(lab.store(), result)
    except TrackingError as exc:
        waiting = f"MLflow does not know of it yet ({exc.message})"
    return Calibrated(
        evaluation_id=evaluation,
        judges=judges,
        people=peoples_agreement(on_whole_answers(result, verdicts)),
        disagreements=disagreements(result, verdicts),
        waiting=waiting,
    )
