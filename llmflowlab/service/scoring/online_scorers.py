"""Which scorers answers are scored by in the background, and with which judge each."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from llmflowlab.data.rows import Row
from llmflowlab.errors import ConfigurationError, InputError
from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.judging import JUDGED, PREFERENCE, judged_kind
from llmflowlab.evaluation.judging.judge_kinds import OWN
from llmflowlab.evaluation.run.scorer_choice import check_scorers
from llmflowlab.evaluation.scorers.base import ScorerSpec, parse_scorer
from llmflowlab.evaluation.scorers.kinds import TEXT_KINDS, build_text_scorer
from llmflowlab.evaluation.scores import DATA_GAPS
from llmflowlab.lab.guards import refuse_unpriced, unpriced
from llmflowlab.lab.judges import judges_of
from llmflowlab.lab.lab import Lab
from llmflowlab.lab.scorers import complete
from llmflowlab.providers.factory import parse_reference
from llmflowlab.service.scoring.judge_exams import exam_of, exam_remark
from llmflowlab.service.scoring.mlflow_scorers import from_mlflow

__all__ = ["OnlineScorer", "OnlineScoring", "ScoringRequest", "online_scoring", "row_of"]

_REGISTERED = "mlflow:"


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlineScorer:
    """One scorer."""

    spec: ScorerSpec
    judge: str | None = None
    """Model reference; None where no model is asked."""
    guidelines: tuple[str, ...] = ()
    """What every answer is held to, where the scorer asks for such."""

    def to_json(self) -> dict[str, Any]:
        return {
            "spec": self.spec.to_json(),
            "judge": self.judge,
            "guidelines": list(self.guidelines),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> OnlineScorer:
        spec = ScorerSpec.from_json(values["spec"])
        return cls(spec=spec, judge=values["judge"], guidelines=tuple(values["guidelines"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlineScoring:
    """How answers are scored in the background."""

    scorers: tuple[OnlineScorer, ...]
    share: float = 1.0
    """Of the answers, above 0 and up to 1."""
    daily_usd: Decimal | None = None
    """What judging may cost in a day (UTC), apart from what answers may."""

    def wanted(self, trace_id: str) -> tuple[str, ...]:
        """Return the names of the scorers of an answer; the same in every process and at every start."""
        drawn = int.from_bytes(hashlib.sha256(trace_id.encode()).digest()[:8], "big") / 2**64
        return tuple(each.spec.name for each in self.scorers) if drawn < self.share else ()

    def to_json(self) -> dict[str, Any]:
        return {
            "scorers": [each.to_json() for each in self.scorers],
            "share": self.share,
            "daily_usd": None if self.daily_usd is None else str(self.daily_usd),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> OnlineScoring:
        daily = values["daily_usd"]
        return cls(
            scorers=tuple(map(OnlineScorer.from_json, values["scorers"])),
            share=values["share"],
            daily_usd=None if daily is None else Decimal(daily),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringRequest:
    """Scoring in the background as it is wished for; nothing of it is checked yet."""

    named: Sequence[str]
    """`SCORER[@JUDGE]` or `mlflow:NAME[@JUDGE]`."""
    share: float = 1.0
    daily_usd: Decimal | None = None
    allow_unknown_cost: bool = False
    """Whether a judge may have no known price though there is a limit."""


def online_scoring(
    lab: Lab, request: ScoringRequest, answering: Collection[str]
) -> tuple[OnlineScoring, list[str]]:
    """Return how answers are scored, and what to say of it beforehand.

    Args:
        lab: The parts.
        request: What is wished for.
        answering: References of the models whose answers are scored.

    Raises:
        InputError: A scorer or judge cannot be used, or needs what nobody says of served answers.
        ConfigurationError: A judge is lacking, or the price of one.
        TrackingError: A registered scorer cannot be read.
    """
    found: dict[str, OnlineScorer] = {}
    remarks: list[str] = []
    for text in request.named:
        made, said = _scorer(lab, text, answering)
        if found.setdefault(made.spec.name, made) != made:
            raise InputError(
                f"Two scorers are called {made.spec.name!r}; give one a name, as in "
                f"NAME={made.spec.kind}."
            )
        remarks += said
    for each in found.values():
        if each.judge is not None:
            kind = judged_kind(each.spec)
            exam = exam_of(lab, each.spec.name, each.judge)
            can_be = kind is not None and kind.examined
            remarks += filter(None, [exam_remark(each.spec.name, each.judge, exam, can_be=can_be)])
    judges = {ref: lab.provider(ref) for each in found.values() if (ref := each.judge) is not None}
    if request.daily_usd is not None and not request.allow_unknown_cost:
        refuse_unpriced(unpriced(lab, judges))
    for provider in judges.values():
        provider.close()
    scoring = OnlineScoring(
        scorers=tuple(found.values()), share=request.share, daily_usd=request.daily_usd
    )
    return scoring, list(dict.fromkeys(remarks))


def _scorer(lab: Lab, text: str, answering: Collection[str]) -> tuple[OnlineScorer, list[str]]:
    said, judge = _split(text)
    guidelines: tuple[str, ...] = ()
    if said.startswith(_REGISTERED):
        spec, own_judge, guidelines = from_mlflow(lab, said.removeprefix(_REGISTERED))
        judge = judge or own_judge
    else:
        (spec,) = map(complete, check_scorers([said]))
    if spec.kind not in JUDGED:
        _refuse_lacking(spec, text)
        return OnlineScorer(spec=spec), []
    if spec.kind == PREFERENCE:
        raise InputError(f"{PREFERENCE} compares answers of several models; a served one is alone.")
    _refuse_lacking(spec, text, guidelines)
    judges, remarks = judges_of(lab, [judge] if judge else [], answering)
    if not judges:
        raise ConfigurationError(
            f"{spec.name} needs a judge; write {said}@provider:model, or set LLMFLOWLAB_JUDGE."
        )
    return OnlineScorer(spec=spec, judge=judges[0], guidelines=guidelines), remarks


def _split(text: str) -> tuple[str, str | None]:
    """Take the judge off a scorer's end: what follows an `@` and names a model."""
    registered = text.startswith(_REGISTERED)
    if not registered and parse_scorer(text.partition("@")[0]).kind not in JUDGED:
        return text, None
    place = text.find("@")
    while place >= 0:
        try:
            parse_reference(text[place + 1 :])
        except InputError:
            place = text.find("@", place + 1)
        else:
            return text[:place], text[place + 1 :]
    if "@" in text and f"{OWN}:" not in text:
        parse_reference(text.rpartition("@")[2])
    return text, None


def _refuse_lacking(spec: ScorerSpec, text: str, guidelines: tuple[str, ...] = ()) -> None:
    row = row_of("What is a run?", guidelines=guidelines)
    if (kind := judged_kind(spec) if spec.kind in JUDGED else None) is not None:
        reason = kind.refuses(row)
    elif TEXT_KINDS[spec.kind].asks_model:
        reason = "no_expected_answer"
    else:
        answer = AnswerRecord(text="A run is a record.", state="complete")
        reason = build_text_scorer(spec).score(row, answer).not_scored
    if reason in DATA_GAPS:
        what = {"no_expected_answer": "an expected answer", "no_context": "a context"}
        raise InputError(
            f"{text} needs {what.get(reason, 'guidelines')} with each question, which nobody gives "
            "a served one; choose a scorer of the answer alone, or a judge of your own "
            "(NAME=judge:file=PATH)."
        )


def row_of(question: str, *, id_: str = "1", guidelines: tuple[str, ...] = ()) -> Row:
    """Return what was asked as a row that nothing is expected of."""
    return Row(index=0, line=None, id=id_, question=question, guidelines=guidelines, source={})
