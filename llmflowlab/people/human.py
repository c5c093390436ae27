"""What people said of an evaluation's answers: their means, and how far they agree with judges and each other."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.conclude.table import ScoreTable
from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.evaluation.scorers.traits import ScorerKind, ScorerTraits
from llmflowlab.people.alike import alike
from llmflowlab.people.answer_words import ASIDE, HumanVerdict, was_picked
from llmflowlab.people.strata import Strata, judgeable, strata_of
from llmflowlab.statistics.intervals import Interval
from llmflowlab.statistics.kappa import clustered_kappa, weighted_kappa
from llmflowlab.statistics.unequal_draws import stratified_mean

__all__ = ["HumanAgreement", "HumanMean", "LabelCounts", "agreement", "human_means"]
__all__ += ["label_counts", "on_whole_answers", "table_by_people"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanAgreement:
    """How far a person and a scorer, or another person, say the same of the same answers."""

    person: str
    other: str
    question: str
    """What the person was asked; another person was asked the same."""
    n: int
    """Answers that both judged."""
    same: float | None
    """Share of them with equal values; None where there is none."""
    kappa: float | None
    """Cohen's kappa, with squared weights where values are degrees; None where either always says the
    same, and where there is nothing in common."""
    interval: Interval | None
    """Of kappa, 95 %, resampling questions; None for fewer than ten of them."""
    people: bool = False
    """Whether the other one is a person."""
    matched: str | None = None
    """Why the scorer stands beside what people were asked; None of two people, who were asked the same."""
    constant: tuple[str, ...] = ()
    """Who of the two says the same of every answer, so that kappa is undefined."""

    def to_json(self) -> dict[str, Any]:
        return {
            "person": self.person,
            "other": self.other,
            "question": self.question,
            "people": self.people,
            "matched_because": self.matched,
            "constant": list(self.constant),
            "n": self.n,
            "same": self.same,
            "kappa": self.kappa,
            "ci_low": self.interval.low if self.interval else None,
            "ci_high": self.interval.high if self.interval else None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanMean:
    """What a person, or all of them together, thinks of a candidate."""

    person: str | None
    """None: everybody, each answer counting as the mean of what was said of it."""
    candidate: str
    index: int
    """The candidate's place in the plan."""
    question: str
    mean: float | None
    """From 0 to 1; None where rows were chosen so that nothing follows for the others."""
    n: int
    """Answers that the mean is made of."""
    picked: int
    """Answers that were judged because judges disagree about them; they are in no mean."""
    not_whole: int
    """Answers that are cut, empty or failed and were judged nevertheless, in a sheet or on MLflow's pages;
    they are in no mean."""
    interval: Interval | None

    def to_json(self) -> dict[str, Any]:
        return {
            "person": self.person,
            "candidate": self.candidate,
            "question": self.question,
            "mean": self.mean,
            "n": self.n,
            "picked": self.picked,
            "not_whole": self.not_whole,
            "ci_low": self.interval.low if self.interval else None,
            "ci_high": self.interval.high if self.interval else None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelCounts:
    """How often a person gave each label to a candidate's answers."""

    person: str
    candidate: str
    question: str
    counts: Mapping[str, int]
    """The most frequent first."""

    @property
    def n(self) -> int:
        return sum(self.counts.values())

    def to_json(self) -> dict[str, Any]:
        return {
            "person": self.person,
            "candidate": self.candidate,
            "question": self.question,
            "counts": dict(self.counts),
            "n": self.n,
        }


def on_whole_answers(
    result: EvaluationResult, verdicts: Sequence[HumanVerdict]
) -> list[HumanVerdict]:
    """Return what was said of answers that can be judged, as `judgeable` has them."""
    whole = {
        cell: (answer := result.answers.get(cell)) is not None and answer.why_not_scored is None
        for cell in {verdict.cell for verdict in verdicts}
    }
    return [verdict for verdict in verdicts if whole[verdict.cell]]


def label_counts(result: EvaluationResult, verdicts: Sequence[HumanVerdict]) -> list[LabelCounts]:
    """Return what was said in labels, which have no mean, by question, candidate and person."""
    found: dict[tuple[str, int, str], Counter[str]] = {}
    for verdict in on_whole_answers(result, verdicts):
        if verdict.value is None:
            place = verdict.question, verdict.cell.candidate, verdict.person
            found.setdefault(place, Counter())[verdict.said] += 1
    return [
        LabelCounts(
            person=person,
            candidate=result.plan.candidates[index].label,
            question=question,
            counts=dict(counts.most_common()),
        )
        for (question, index, person), counts in sorted(found.items())
    ]


def human_means(result: EvaluationResult, verdicts: Sequence[HumanVerdict]) -> list[HumanMean]:
    """Return the mean of each candidate, by question and person, with its interval over questions.

    Where several people answered a question, everybody together comes first. Labels have no mean.
    """
    by_question: dict[str, dict[str, list[HumanVerdict]]] = {}
    for verdict in verdicts:
        if verdict.value is not None and verdict.question not in ASIDE:
            people = by_question.setdefault(verdict.question, {})
            people.setdefault(verdict.person, []).append(verdict)
    found: list[HumanMean] = []
    for question, people in by_question.items():
        if len(people) > 1:
            found += _means(result, question, None, [v for said in people.values() for v in said])
        for person, said in people.items():
            found += _means(result, question, person, said)
    return found


def _means(
    result: EvaluationResult, question: str, person: str | None, said: Sequence[HumanVerdict]
) -> list[HumanMean]:
    whole = on_whole_answers(result, said)
    not_whole = {verdict.cell for verdict in said} - {verdict.cell for verdict in whole}
    drawn = [verdict for verdict in whole if not was_picked(verdict)]
    picked = {verdict.cell for verdict in whole if was_picked(verdict)}
    values = _by_cell(drawn)
    table, _ = table_by_people(result, drawn)
    unequal = any(verdict.details.get("order") == "narrow" for verdict in said)
    strata = strata_of(result) if unequal else None
    found = []
    for index, candidate in enumerate(result.plan.candidates):
        chosen = sum(cell.candidate == index for cell in picked - values.keys())
        cut = sum(cell.candidate == index for cell in not_whole)
        n = table.scored(index, _HUMAN)
        if not n and not chosen and not cut:
            continue
        mean, interval = table.mean(index, _HUMAN), table.interval(index, _HUMAN)
        if strata is not None:
            mean, interval = _stratified(strata, judgeable(result, [index]), index, values)
        found.append(
            HumanMean(
                person=person,
                candidate=candidate.label,
                index=index,
                question=question,
                mean=mean,
                n=n,
                picked=chosen,
                not_whole=cut,
                interval=interval,
            )
        )
    return found


_HUMAN = "human"


def _by_cell(said: Sequence[HumanVerdict]) -> dict[Cell, float]:
    """Return the mean of what was said of each answer."""
    values: dict[Cell, list[float]] = defaultdict(list)
    for verdict in said:
        if verdict.value is not None:
            values[verdict.cell].append(verdict.value)
    return {cell: sum(of) / len(of) for cell, of in values.items()}


def table_by_people(
    result: EvaluationResult, said: Sequence[HumanVerdict]
) -> tuple[ScoreTable, str]:
    """Return what was said in answer to one question as a table of scores, and its scorer's name there.

    Each answer counts as the mean of what people said of it; one that is not whole is left out.
    """
    said = on_whole_answers(result, said)
    plan, values = result.plan, _by_cell(said)
    graded = any(verdict.said.isdecimal() for verdict in said)
    kind: ScorerKind = "grade" if graded or set(values.values()) - {0.0, 1.0} else "yes_no"
    table = ScoreTable(
        {_HUMAN: ScorerTraits(name=_HUMAN, kind=kind)},
        candidates=len(plan.candidates),
        questions=plan.questions,
        clusters=plan.clusters,
        trials=plan.trials,
    )
    for cell, value in values.items():
        table.put(cell, _HUMAN, value)
    return table, _HUMAN


def _stratified(
    strata: Strata, rows: Iterable[int], candidate: int, values: Mapping[Cell, float]
) -> tuple[float | None, Interval | None]:
    """Return a candidate's mean where the rows that it answered were drawn unequally."""
    by_row: dict[int, list[float]] = defaultdict(list)
    for cell, value in values.items():
        if cell.candidate == candidate:
            by_row[cell.row].append(value)
    drawn: list[list[float]] = [[] for _ in strata.names]
    sizes = [0] * len(strata.names)
    for row in rows:
        stratum = strata.of[row]
        sizes[stratum] += 1
        if row in by_row:
            drawn[stratum].append(sum(by_row[row]) / len(by_row[row]))
    return stratified_mean(drawn, sizes) or (None, None)


def agreement(result: EvaluationResult, verdicts: Sequence[HumanVerdict]) -> list[HumanAgreement]:
    """Set each person beside the scorers that say the like, and beside each person who judged the same."""
    verdicts = on_whole_answers(result, verdicts)
    found = []
    questions = result.plan.questions
    said: dict[tuple[str, str], dict[Cell, str]] = {}
    values: dict[tuple[str, str], dict[Cell, float]] = {}
    # They were picked because judges disagree about them, and would make each look bad.
    picked = {(v.person, v.question, v.cell) for v in verdicts if was_picked(v)}
    for verdict in verdicts:
        if verdict.question in ASIDE:
            continue
        place = (verdict.person, verdict.question)
        said.setdefault(place, {})[verdict.cell] = verdict.said
        if verdict.value is not None:
            values.setdefault(place, {})[verdict.cell] = verdict.value
    for number, (place, mine) in enumerate(said.items()):
        question = place[1]
        graded = any(word.isdecimal() for word in mine.values())
        for scorer in result.plan.scorers if place in values else ():
            like = alike(question, result.table.traits[scorer], graded=graded)
            if like is None:
                continue
            theirs = {
                cell: score.value
                for cell in mine
                if (*place, cell) not in picked
                and (score := result.scores.get(cell, {}).get(scorer)) is not None
                and score.value is not None
            }
            beside = _agreement(place, scorer, values[place], theirs, questions)
            found.append(replace(beside, matched=like.why))
        for other in list(said)[number + 1 :]:
            if other[1] != question or not mine.keys() & said[other].keys():
                continue
            if place in values and other in values:
                found.append(
                    _agreement(
                        place, other[0], values[place], values[other], questions, people=True
                    )
                )
            else:
                found.append(_same_label(place, other[0], mine, said[other], questions))
    return found


def _agreement(
    place: tuple[str, str],
    other: str,
    mine: Mapping[Cell, float],
    theirs: Mapping[Cell, float],
    questions: Sequence[int],
    *,
    people: bool = False,
) -> HumanAgreement:
    common = [cell for cell in mine if cell in theirs]
    pairs = [(questions[cell.row], mine[cell], theirs[cell]) for cell in common]
    kappa, interval = weighted_kappa(pairs)
    return HumanAgreement(
        person=place[0],
        other=other,
        question=place[1],
        n=len(pairs),
        same=sum(a == b for _, a, b in pairs) / len(pairs) if pairs else None,
        kappa=kappa,
        interval=interval,
        people=people,
        constant=_constant((place[0], other), [pair[1:] for pair in pairs]),
    )


def _same_label(
    place: tuple[str, str],
    other: str,
    mine: Mapping[Cell, str],
    theirs: Mapping[Cell, str],
    questions: Sequence[int],
) -> HumanAgreement:
    common = [cell for cell in mine if cell in theirs]
    first, second = [mine[cell] for cell in common], [theirs[cell] for cell in common]
    clusters = [questions[cell.row] for cell in common]
    kappa, interval = clustered_kappa(first, second, clusters, sorted({*first, *second}))
    same = sum(a == b for a, b in zip(first, second, strict=True))
    return HumanAgreement(
        person=place[0],
        other=other,
        question=place[1],
        n=len(common),
        same=same / len(common),
        kappa=kappa,
        interval=interval,
        people=True,
        constant=_constant((place[0], other), list(zip(first, second, strict=True))),
    )


def _constant(who: tuple[str, str], pairs: Sequence[tuple[Any, Any]]) -> tuple[str, ...]:
    sides = zip(*pairs, strict=True)
    return tuple(name for name, said in zip(who, sides, strict=False) if len(set(said)) == 1)
