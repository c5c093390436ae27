"""One round of a canary: what was asked and what is kept of the answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from decimal import Decimal
from typing import Any

from llmflowlab.errors import ProviderError
from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.scorers.base import ScorerSpec
from llmflowlab.evaluation.scorers.kinds import build_text_scorer
from llmflowlab.monitoring.border_prompts import chance_of, first_word
from llmflowlab.monitoring.canary_asking import CanaryAsking, HeardAnswer
from llmflowlab.monitoring.canary_plan import Canary, SuiteQuestion

__all__ = ["Round", "SuiteReply", "ask_round"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteReply:
    """What is kept of the answer to a question of the suite; None where that is not known."""

    right: float | None = None
    refused: float | None = None
    length: int | None = None
    """Characters."""
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What came of asking the whole suite once."""

    at_ms: int
    words: tuple[tuple[str, ...], ...]
    """For each border prompt the first words that came, without case; empty ones of empty answers."""
    replies: tuple[SuiteReply, ...]
    """One for each question."""
    served: tuple[str, ...]
    """The models that the provider says it served."""
    fingerprints: tuple[str, ...] = ()
    """The set-ups that it says it served them with."""
    chances: tuple[tuple[float, ...], ...] = ()
    """For each border prompt how likely its usual word was at each answer; empty where the provider does not tell
    it of every one."""
    asked: int
    failed: int
    """Calls without a whole answer."""
    why: str | None = None
    """The sentence of the first that failed."""
    cost_usd: str | None = None
    """Decimal as text; None means unknown."""
    evidence: Mapping[str, float] = field(default_factory=dict)
    """By layer, the natural logarithm of the watch's e-value after this round; empty before it watches."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Round:
        """Restore one.

        Raises:
            KeyError, TypeError, ValueError: It is none.
        """
        own = {name: value for name, value in values.items() if name in _FIELDS}
        own["words"] = tuple(tuple(said) for said in own["words"])
        own["replies"] = tuple(SuiteReply(**each) for each in own["replies"])
        own["served"] = tuple(own["served"])
        own["fingerprints"] = tuple(own.get("fingerprints", ()))
        own["chances"] = tuple(tuple(each) for each in own.get("chances", ()))
        return cls(**own)


_FIELDS = frozenset(each.name for each in fields(Round))


def ask_round(
    asking: CanaryAsking,
    canary: Canary,
    *,
    samples: int,
    at_ms: int,
    tick: Callable[[], None] = lambda: None,
) -> Round | None:
    """Ask each border prompt `samples` times and each question once.

    Returns:
        None where the budget did not allow all of it: what was had then is compared with nothing.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed; the round counts for nothing.
        ProviderError: No call at all brought an answer.
    """
    prompts = [choice.prompt for choice in canary.choices]
    said = asking.words([prompt for prompt in prompts for _ in range(samples)], tick)
    answers = asking.answers([each.question for each in canary.questions], tick)
    heard = said + answers
    everything = [each.record for each in heard]
    if any(record.state == "budget_exhausted" for record in everything):
        return None
    bad = [record for record in everything if not record.answered]
    if len(bad) == len(everything):
        raise ProviderError(
            f"No call of the round brought an answer: {bad[0].error or bad[0].reason}",
            provider=canary.candidate.provider,
        )
    return Round(
        at_ms=at_ms,
        words=tuple(
            tuple(
                first_word(each.record.text)
                for each in said[i * samples : (i + 1) * samples]
                if each.record.answered
            )
            for i in range(len(prompts))
        ),
        replies=_replies(canary.questions, [each.record for each in answers]),
        served=tuple(sorted({r.model_version for r in everything if r.model_version})),
        fingerprints=tuple(sorted({each.fingerprint for each in heard if each.fingerprint})),
        chances=_chances(canary, said, samples),
        asked=len(everything),
        failed=len(bad),
        why=bad[0].error if bad else None,
        cost_usd=_cost(everything),
    )


def _chances(
    canary: Canary, said: Sequence[HeardAnswer], samples: int
) -> tuple[tuple[float, ...], ...]:
    answered = [each for each in said if each.record.answered]
    if not all(each.token_chances for each in answered):
        return ()
    return tuple(
        tuple(
            chance_of(choice.word, each.token_chances)
            for each in said[i * samples : (i + 1) * samples]
            if each.record.answered
        )
        for i, choice in enumerate(canary.choices)
    )


def _replies(
    questions: Sequence[SuiteQuestion], answers: Sequence[AnswerRecord]
) -> tuple[SuiteReply, ...]:
    right, refusal = (build_text_scorer(ScorerSpec.plain(kind)) for kind in ("contains", "refusal"))
    found = []
    for question, answer in zip(questions, answers, strict=True):
        whole = answer.why_not_scored is None
        found.append(
            SuiteReply(
                right=right.score(question.row, answer).value,
                refused=refusal.score(question.row, answer).value,
                length=len(answer.text) if whole else None,
                seconds=answer.took,
            )
        )
    return tuple(found)


def _cost(records: Sequence[AnswerRecord]) -> str | None:
    total = Decimal(0)
    for record in records:
        if record.spent is None:
            return None
        total += record.spent
    return str(total)
