"""Judges as scorers: one judge or several, once or several times, made into one score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import Any, Literal, Protocol, TypeAlias

from llmflowlab.asking.paid import Paid
from llmflowlab.asking.stopping import Stopper
from llmflowlab.data.dataset import Row
from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.judging.judge import (
    Failed,
    Judge,
    NotReached,
    OutOfBudget,
    Unparseable,
)
from llmflowlab.evaluation.judging.judge_kinds import JudgeKind, Question
from llmflowlab.evaluation.judging.verdict_form import GRADES, Scale
from llmflowlab.evaluation.scores import Score
from llmflowlab.text.digests import digest_of

__all__ = ["Combine", "JudgeScorer", "Judgement", "Panel", "judgement", "merged", "panel_of"]

Combine: TypeAlias = Literal["majority", "mean"]
_VALUES = {"yes": 1.0, "no": 0.0, "first": 1.0, "tie": 0.5, "second": 0.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Who judges, how often, and how several verdicts become one."""

    judges: tuple[Judge, ...]
    runs: int = 1
    """How often each judge is asked the same."""
    combine: Combine | None = None
    """None: the majority of yes/no verdicts, the mean of grades."""

    @property
    def reference(self) -> str:
        return ", ".join(judge.reference for judge in self.judges)


def panel_of(judge: Judge | Panel) -> Panel:
    """Return a panel, of one where a single judge is given."""
    return judge if isinstance(judge, Panel) else Panel(judges=(judge,))


@dataclass(frozen=True, slots=True)
class Judgement:
    """One verdict to be had of one judge."""

    key: str
    """What it depends on; judgements with the same key are the same."""
    ask: Callable[[Stopper], Score]


class JudgedScorer(Protocol):
    """What the scoring phase needs of a scorer that asks judges."""

    @property
    def name(self) -> str: ...
    @property
    def needs_judge(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class JudgeScorer:
    """A judge's verdict on one answer as a score from 0 to 1.

    Yes is 1 and no is 0; a grade g from 1 to 5 is (g − 1) / 4. A verdict that failed or cannot be read
    is not scored.
    """

    kind: JudgeKind
    judge: Judge | Panel
    needs_judge: bool = True

    @property
    def name(self) -> str:
        return self.kind.name

    @property
    def version(self) -> str:
        return self.kind.version

    @property
    def panel(self) -> Panel:
        return panel_of(self.judge)

    @property
    def binary(self) -> bool:
        return self.kind.scale == "yes_no" and self.panel.combine != "mean"

    def refuses(self, row: Row, answer: AnswerRecord) -> Score | None:
        """Return the score of a row that needs no asking because it cannot be judged."""
        reason = answer.why_not_scored or self.kind.refuses(row)
        return None if reason is None else Score(scorer=self.name, not_scored=reason)

    def key(self, row: Row, answer: AnswerRecord) -> str:
        """Return what the first judge's first verdict depends on, for reuse."""
        return self._key(row, answer, self.panel.judges[0], 0)

    def _key(self, row: Row, answer: AnswerRecord, judge: Judge, run: int) -> str:
        about: list[Any] = [row.question, row.accepted or None, list(row.guidelines), answer.text]
        if "context" in self.kind.needs:
            about.append(row.context)
        # A scorer of another name is the same scorer.
        name = self.kind.id or self.name
        return digest_of([name, self.version, judge.identity, about, *([run] if run else [])])

    def judgements(self, row: Row, answer: AnswerRecord) -> Iterator[Judgement]:
        """Yield every verdict that makes up the score."""
        for judge in self.panel.judges:
            for run in range(self.panel.runs):
                yield self.judgement(judge, row, answer, run)

    def judgement(self, judge: Judge, row: Row, answer: AnswerRecord, run: int = 0) -> Judgement:
        """Return one judge's verdict on one answer, to be had."""
        ask = partial(self._ask, judge, row, answer)
        return Judgement(self._key(row, answer, judge, run), ask)

    def _ask(self, judge: Judge, row: Row, answer: AnswerRecord, stopper: Stopper) -> Score:
        question = replace(self.kind.ask(row, answer.text), judged=(answer.text,))
        return judgement(self.name, judge, question, self.kind.scale, stopper)

    def combine(self, members: Sequence[Score]) -> Score:
        """Return the score that verdicts amount to."""
        if len(members) == 1:
            return members[0]
        if missing := next((score for score in members if score.value is None), None):
            # A panel with an empty chair is another panel: its scores could not be compared.
            return merged(members, not_scored=missing.not_scored)
        values = [score.value for score in members if score.value is not None]
        if not self.binary:
            return merged(members, value=sum(values) / len(values))
        yes = sum(values)
        if 2 * yes == len(values):
            return merged(members, not_scored="judges_disagree")
        return merged(members, value=float(2 * yes > len(values)))

    def score(self, row: Row, answer: AnswerRecord, stopper: Stopper | None = None) -> Score:
        """Judge one answer now, with nothing remembered of earlier judgements."""
        refused = self.refuses(row, answer)
        if refused is not None:
            return refused
        how = stopper or Stopper()
        return self.combine([one.ask(how) for one in self.judgements(row, answer)])


def judgement(
    scorer: str, judge: Judge, question: Question, scale: Scale, stopper: Stopper
) -> Score:
    """Ask one judge one thing; what goes wrong is a score without a value, never a guess."""
    try:
        verdict = judge.ask(question, scale, stopper)
    except Unparseable as exc:
        return _of(scorer, judge, exc.paid, not_scored="judge_unparseable", rationale=exc.why)
    except Failed as exc:
        return _of(scorer, judge, exc.paid, not_scored="judge_failed", rationale=exc.why)
    except OutOfBudget as exc:
        return _of(scorer, judge, exc.paid, not_scored="budget_exhausted")
    except NotReached as exc:
        return _of(scorer, judge, exc.paid, not_scored="not_reached")
    reading = verdict.reading
    value = (
        (int(reading.result) - GRADES[0]) / (GRADES[-1] - GRADES[0])
        if scale == "grade"
        else _VALUES[reading.result]
    )
    return _of(scorer, judge, verdict.paid, value=value, rationale=reading.rationale)


def _of(scorer: str, judge: Judge, paid: Paid, **outcome: Any) -> Score:
    spent = paid.spent
    return Score(
        scorer=scorer,
        # Nobody judged where nothing was sent.
        judge=judge.reference if paid.tries else None,
        prompt_tokens=paid.prompt_tokens,
        completion_tokens=paid.completion_tokens,
        # With what failed tries cost, as it counts against the budget.
        cost_usd=str(spent) if paid.tries and spent is not None else None,
        seconds=paid.seconds,
        **outcome,
    )


def merged(members: Sequence[Score], **outcome: Any) -> Score:
    """Return one score that stands for several verdicts, with what they took in all."""
    judges = Counter(score.judge for score in members if score.judge is not None)
    costs = [score.cost_usd for score in members if score.judge is not None]
    priced = [Decimal(cost) for cost in costs if cost is not None]
    reasons = [
        f"{score.judge or 'not asked'} ({_word(score)}): {score.rationale or 'no reason given'}"
        for score in members
    ]
    return Score(
        scorer=members[0].scorer,
        judge=", ".join(judges) or None,
        rationale="\n".join(reasons),
        prompt_tokens=_known_sum([score.prompt_tokens for score in members]),
        completion_tokens=_known_sum([score.completion_tokens for score in members]),
        cost_usd=str(sum(priced, Decimal(0))) if costs and len(priced) == len(costs) else None,
        seconds=sum(score.seconds for score in members),
        reused=all(score.reused for score in members),
        shared=all(score.shared for score in members),
        members=tuple(members),
        **outcome,
    )


def _word(score: Score) -> str:
    return score.not_scored or f"{score.value:g}"


def _known_sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
