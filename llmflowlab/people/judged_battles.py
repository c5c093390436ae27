"""Battles that judges decided: the verdicts of evaluations in which answers were compared two by two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations

from llmflowlab.evaluation.judging.exam import doubts_of
from llmflowlab.evaluation.judging.pairwise import PREFERENCE, settle
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.outcomes import Outcome
from llmflowlab.evaluation.run.plan import EvaluationPlan
from llmflowlab.people.leaderboard import Met
from llmflowlab.people.votes import Contestant, Fighter, contestant_of
from llmflowlab.text.digests import digest_of
from llmflowlab.text.style import style_of

__all__ = ["Judged", "judged_battles"]

_PAGE = 500


@dataclass(slots=True, kw_only=True)
class Judged:
    """What one judge, or panel, decided."""

    judge: str
    """As documents call it."""
    battles: dict[str, Met] = field(default_factory=dict)
    """By a digest of what was compared: a verdict that was used again counts once."""
    doubt: str | None = None
    """Why it is not believed, in a sentence; None where it is."""


def judged_battles(ledger: Ledger) -> list[Judged]:
    """Return all that judges decided in this home.

    Pairs with a failed verdict, and answers that are not whole, decide nothing.

    Raises:
        TrackingError: The ledger cannot be read.
    """
    found: dict[str, Judged] = {}
    for stored in ledger.evaluations():
        plan = ledger.plan(stored.id)
        scorers = [name for name in plan.scorers if plan.spec(name).kind == PREFERENCE]
        for scorer in scorers:
            label = plan.judge_label or ""
            judged = found.setdefault(label, Judged(judge=label))
            judged.doubt = judged.doubt or doubts_of(ledger.exams(stored.id)).get(scorer)
            who = [contestant_of(candidate) for candidate in plan.candidates]
            for row in _rows(ledger, plan):
                judged.battles.update(_battles(row, scorer, who, plan))
    return [judged for judged in found.values() if judged.battles]


def _rows(ledger: Ledger, plan: EvaluationPlan) -> Iterator[Mapping[int, Outcome]]:
    """Yield the outcomes of each question and trial together, by candidate."""
    groups: dict[tuple[int, int], dict[int, Outcome]] = {}
    after = 0
    while page := ledger.outcomes(plan.evaluation_id, after=after, limit=_PAGE):
        for _, values in page:
            outcome = Outcome.from_json(values)
            place = (outcome.cell.row, outcome.cell.trial)
            groups.setdefault(place, {})[outcome.cell.candidate] = outcome
            if len(groups[place]) == len(plan.candidates):
                yield groups.pop(place)
        after = page[-1][0]
    yield from groups.values()


def _battles(
    row: Mapping[int, Outcome], scorer: str, who: list[Contestant], plan: EvaluationPlan
) -> Iterator[tuple[str, Met]]:
    whole = sorted(n for n, outcome in row.items() if outcome.answer.why_not_scored is None)
    for first, second in combinations(whole, 2):
        score = row[first].scores.get(scorer)
        if score is None or not score.members:
            continue
        # A score's members are its verdicts, those on each opponent together: see `judgements`.
        each = len(plan.judges) * plan.judge_runs * 2
        opponents = [n for n in whole if n != first]
        begin = opponents.index(second) * each
        members = score.members[begin : begin + each]
        if len(members) < each or any(member.value is None for member in members):
            continue
        settled = [settle(*members[n : n + 2]) for n in range(0, each, 2)]
        question = plan.dataset.rows[row[first].cell.row].question
        sides = [(who[n].key, row[n].answer.text) for n in (first, second)]
        battle = Met(
            a=_fighter(who[first], row[first]),
            b=_fighter(who[second], row[second]),
            score=sum(settled) / len(settled),
            prompt=question,
        )
        yield digest_of([question, sorted(sides)]), battle


def _fighter(contestant: Contestant, outcome: Outcome) -> Fighter:
    answer = outcome.answer
    spent = answer.price
    return Fighter(
        contestant=contestant,
        trace_id=None,
        style=style_of(answer.text),
        tokens=answer.completion_tokens,
        cost_usd=None if spent is None else str(spent),
        seconds=answer.latency,
    )
