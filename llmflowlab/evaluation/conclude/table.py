"""The one table of scores: samples × candidates × trials × scorers, in columns.

Whoever counts, compares, decides or shows reads means, intervals, coverage and pairs here and folds
nothing itself. The unit of a mean is the question: the trials of a question, and rows that ask the same
question again, are one. Intervals and tests are over questions too, or over the clusters of them that a
column names; coverage counts answers.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any, get_args

import numpy as np

from llmflowlab.evaluation.conclude.pairs import Column, Pairs, pair
from llmflowlab.evaluation.judging.exam import Exam, doubts_of
from llmflowlab.evaluation.run.outcomes import Scores
from llmflowlab.evaluation.run.plan import Cell, EvaluationPlan
from llmflowlab.evaluation.scorers.traits import ScorerTraits, traits_of
from llmflowlab.evaluation.scores import DATA_GAPS, NotScored, Score
from llmflowlab.statistics.corpus import CorpusDraws, corpus_draws, corpus_interval, corpus_value
from llmflowlab.statistics.intervals import Interval, mean_interval
from llmflowlab.statistics.trials import Repeats, repeats

__all__ = ["ScoreTable", "plan_traits", "table_of"]

_SCORED = 0
"""Code of a cell with a value; the others name its reason."""


def plan_traits(plan: EvaluationPlan) -> dict[str, ScorerTraits]:
    """Return what is known of each of a plan's scorers."""
    return {name: traits_of(plan.spec(name), combine=plan.judge_combine) for name in plan.scorers}


class ScoreTable:
    """Scores in columns: for each scorer values, reasons and statistics by candidate, row and trial.

    Args:
        traits: The scorers, in the order of tables.
        candidates: How many there are.
        questions: For each row the number of the question it asks.
        trials: How often each row is asked.
        clusters: For each row the number of its cluster of questions; None: each question is one of
            its own.
        repeated: Whether any question is asked more than once, or shares its cluster; where None, as
            the arguments say.
        doubts: Why nothing may be concluded from a scorer's scores, of scorers of which that is so.
    """

    def __init__(
        self,
        traits: Mapping[str, ScorerTraits],
        *,
        candidates: int,
        questions: Sequence[int],
        trials: int,
        clusters: Sequence[int] | None = None,
        repeated: bool | None = None,
        doubts: Mapping[str, str] | None = None,
    ) -> None:
        self.traits = dict(traits)
        self.doubts = dict(doubts or {})
        self.candidates = candidates
        self.trials = trials
        self.questions = np.asarray(questions, dtype=np.int64)
        units = self.questions if clusters is None else np.asarray(clusters, dtype=np.int64)
        count = _distinct(units)
        self.clusters = units if count < _distinct(self.questions) else None
        if repeated is None:
            repeated = trials > 1 or count < self.questions.size
        self.repeated = bool(repeated)
        shape = (candidates, len(self.questions), trials)
        self.asked = np.ones(shape, dtype=bool)
        """Which answers were to be had; others are in no figure."""
        self.reasons: list[str] = ["", "not_reached", *get_args(NotScored)]
        """What the codes stand for."""
        self._codes = {reason: code for code, reason in enumerate(self.reasons)}
        # What nobody has set was not reached.
        self._values = {name: np.full(shape, np.nan) for name in traits}
        self._why = {name: np.full(shape, 1, dtype=np.uint8) for name in traits}
        self._parts: dict[str, np.ndarray] = {}

    @property
    def units(self) -> np.ndarray:
        """For each row the number of what is drawn: its cluster, or its question without clusters."""
        return self.questions if self.clusters is None else self.clusters

    # Filling

    def set(self, cell: Cell, score: Score) -> None:
        """Take in what a scorer said of an answer; a scorer that the table lacks is left out."""
        if score.scorer in self._values:
            self.put(cell, score.scorer, score.value, score.not_scored, score.parts)

    def put(
        self,
        cell: Cell,
        scorer: str,
        value: float | None,
        not_scored: str | None = None,
        parts: Sequence[float] | None = None,
    ) -> None:
        """Take in a value, or the reason for having none."""
        place = (cell.candidate, cell.row, cell.trial)
        if value is None:
            self._why[scorer][place] = self._code(not_scored or "scorer_failed")
            return
        self._values[scorer][place] = value
        self._why[scorer][place] = _SCORED
        if parts and self.traits[scorer].figure is not None:
            if scorer not in self._parts:
                self._parts[scorer] = np.full((*self.asked.shape, len(parts)), np.nan)
            self._parts[scorer][place] = parts

    def _code(self, reason: str) -> int:
        if reason not in self._codes:
            # Of another version of the lab: kept under its name.
            self._codes[reason] = len(self.reasons)
            self.reasons.append(reason)
        return self._codes[reason]

    # Looking at a part

    def only(self, cells: Container[Cell]) -> ScoreTable:
        """Return the table with only some answers asked for; it shares the columns of this one."""
        kept = np.zeros_like(self.asked)
        for candidate, row, trial in np.argwhere(self.asked):
            kept[candidate, row, trial] = Cell(int(candidate), int(row), int(trial)) in cells
        return self._masked(kept)

    def rows(self, rows: Iterable[int]) -> ScoreTable:
        """Return the table with only some rows asked for; it shares the columns of this one."""
        kept = np.zeros_like(self.asked)
        places = list(rows)
        kept[:, places] = self.asked[:, places]
        return self._masked(kept)

    def _masked(self, asked: np.ndarray) -> ScoreTable:
        part = object.__new__(ScoreTable)
        part.__dict__.update(self.__dict__)
        part.asked = asked
        return part

    # Figures of a candidate, or of several put together

    def exact(self, scorer: str, candidate: int | Sequence[int] = 0) -> bool:
        """Tell whether the tests of yes and no apply to a scorer: the same for every door.

        Several candidates put together answer each question several times.
        """
        several = self.repeated or len(_several(candidate)) > 1
        return self.traits[scorer].exact(repeated=several)

    def values(self, candidate: int | Sequence[int], scorer: str) -> np.ndarray:
        """Return the values of the answers that have one."""
        who = _several(candidate)
        return np.asarray(self._values[scorer][who][self._scored(who, scorer)])

    def asked_for(self, candidate: int | Sequence[int]) -> int:
        """Return how many answers were to be had."""
        return int(self.asked[_several(candidate)].sum())

    def scored(self, candidate: int | Sequence[int], scorer: str) -> int:
        """Return how many answers have a value."""
        return int(self._scored(_several(candidate), scorer).sum())

    def coverage(self, candidate: int | Sequence[int], scorer: str) -> float:
        """Return scored answers / answers asked for; 0 where none was asked for."""
        asked = self.asked_for(candidate)
        return self.scored(candidate, scorer) / asked if asked else 0.0

    def covered(self, candidate: int | Sequence[int], scorer: str) -> float | None:
        """Return the share of the answers that could be scored and were; None where none could be.

        By this rules judge: rows that the benchmark gives nothing to score by are left out.
        """
        scored, lost = self.scored(candidate, scorer), self.missing(candidate, scorer)
        return scored / (scored + lost) if scored + lost else None

    def not_scored(self, candidate: int | Sequence[int], scorer: str) -> dict[str, int]:
        """Return how many answers have no value, by reason."""
        who = _several(candidate)
        counts = np.bincount(self._why[scorer][who][self.asked[who]], minlength=2)
        found: dict[str, int] = {}
        for code, count in enumerate(counts):
            if code != _SCORED and count:
                name = self.reasons[code]
                found[name] = found.get(name, 0) + int(count)
        return dict(sorted(found.items()))

    def missing(self, candidate: int | Sequence[int], scorer: str) -> int:
        """Return how many answers could have been scored and were not."""
        reasons = self.not_scored(candidate, scorer)
        return sum(count for reason, count in reasons.items() if reason not in DATA_GAPS)

    def by_question(
        self, candidate: int | Sequence[int], scorer: str, *, fill: float | None = None
    ) -> np.ndarray:
        """Return the mean of each question's answers, of the questions that have one.

        Args:
            candidate: Whose answers; several are put together.
            scorer: By whose values.
            fill: What stands for the answers that are missing; None: they are left out.
        """
        return self.column(candidate, scorer).means(fill)

    def mean(
        self, candidate: int | Sequence[int], scorer: str, *, fill: float | None = None
    ) -> float | None:
        """Return the mean over questions, or the corpus figure; None where nothing is scored."""
        figure = self.traits[scorer].figure
        if figure is not None:
            return corpus_value(self.parts_by_cluster(candidate, scorer), figure)
        means = self.by_question(candidate, scorer, fill=fill)
        return math.fsum(means) / means.size if means.size else None

    def interval(
        self, candidate: int | Sequence[int], scorer: str, *, fill: float | None = None
    ) -> Interval | None:
        """Return the 95 % interval over questions or clusters; None where nothing is scored."""
        figure = self.traits[scorer].figure
        if figure is not None:
            return corpus_interval(self.parts_by_cluster(candidate, scorer), figure)
        means, clusters = self.column(candidate, scorer).units(fill)
        exact = self.exact(scorer, candidate)
        return mean_interval(means, binary=exact, clusters=clusters)

    def repeats(self, candidate: int, scorer: str) -> Repeats | None:
        """Return what the trials of each row say; None where each was asked once."""
        if self.trials < 2:
            return None
        scored = self._scored(_several(candidate), scorer)[0]
        values = self._values[scorer][candidate]
        groups = [
            sorted(map(float, values[row][scored[row]]))
            for row in np.flatnonzero(scored.any(axis=1))
        ]
        return repeats(groups, binary=self.traits[scorer].kind == "yes_no")

    def parts_by_cluster(
        self, candidate: int | Sequence[int], scorer: str, *, where: np.ndarray | None = None
    ) -> list[list[float]]:
        """Return the sums of a corpus scorer's statistics over the answers of each cluster.

        Without clusters each question is one.
        """
        who = _several(candidate)
        parts = self._parts.get(scorer)
        if parts is None:
            return []
        has = self._scored(who, scorer) & ~np.isnan(parts[who][..., 0])
        if where is not None:
            has &= where
        sums = np.where(has[..., None], parts[who], 0.0).sum(axis=(0, 2))
        numbers, place = np.unique(self.units, return_inverse=True)
        found = np.zeros((numbers.size, sums.shape[1]))
        np.add.at(found, place, sums)
        counts = np.bincount(place, weights=has.sum(axis=(0, 2)), minlength=numbers.size)
        kept: list[list[float]] = found[counts > 0].tolist()
        return kept

    # Two candidates

    def column(self, candidate: int | Sequence[int], scorer: str) -> Column:
        """Return a candidate's scores row by row, its trials added up."""
        who = _several(candidate)
        asked, scored = self.asked[who], self._scored(who, scorer)
        gaps = np.isin(self._why[scorer][who], self._gap_codes()) & asked
        stacked = np.where(scored, self._values[scorer][who], 0.0).transpose(1, 0, 2)
        values = stacked.reshape(len(self.questions), -1)
        # Sorted, so that the order of trials changes no sum.
        sums = values[:, 0] if values.shape[1] == 1 else np.sort(values, axis=1).sum(axis=1)
        return Column(
            traits=self.traits[scorer],
            exact=self.exact(scorer, who),
            questions=self.questions,
            clusters=self.clusters,
            sums=sums,
            scored=scored.sum(axis=(0, 2), dtype=np.int32),
            missing=(asked & ~scored & ~gaps).sum(axis=(0, 2), dtype=np.int32),
            gaps=gaps.sum(axis=(0, 2), dtype=np.int32),
            doubt=self.doubts.get(scorer),
        )

    def pairs(self, scorer: str, a: int, b: int) -> Pairs:
        """Return two candidates on the questions that both have a score for."""
        return pair(self.column(a, scorer), self.column(b, scorer))

    def corpus_draws(self, scorer: str, a: int, b: int) -> CorpusDraws | None:
        """Compare two candidates by a corpus figure, over the answers that both have statistics for."""
        parts, figure = self._parts.get(scorer), self.traits[scorer].figure
        if parts is None or figure is None:
            return None
        first, second = (self._scored([who], scorer)[0] for who in (a, b))
        both = (first & second)[None] & ~np.isnan(parts[[a, b]][..., 0]).any(axis=0)[None]
        one, two = (self.parts_by_cluster(who, scorer, where=both) for who in (a, b))
        asked = np.unique(self.questions[both.any(axis=(0, 2))]).size
        return corpus_draws(one, two, figure, rows=None if self.clusters is None else asked)

    def both(self, first: str, second: str) -> tuple[np.ndarray, np.ndarray]:
        """Return two scorers' values of the answers that both scored."""
        everybody = range(self.candidates)
        has = self._scored(everybody, first) & self._scored(everybody, second)
        return self._values[first][has], self._values[second][has]

    # The whole of it

    def to_columns(self) -> dict[str, list[Any]]:
        """Return the table as columns of equal length, one line an answer; None where no value.

        As Parquet and Arrow want it: `candidate`, `row`, `trial`, `question`, and for each scorer
        `{scorer}` and `{scorer}/not_scored`.
        """
        places = np.argwhere(self.asked)
        candidate, row, trial = places.T
        columns: dict[str, list[Any]] = {
            "candidate": candidate.tolist(),
            "row": row.tolist(),
            "trial": trial.tolist(),
            "question": self.questions[row].tolist(),
        }
        for name in self.traits:
            values = self._values[name][candidate, row, trial]
            codes = self._why[name][candidate, row, trial]
            columns[name] = [None if v != v else v for v in values.tolist()]
            columns[f"{name}/not_scored"] = [self.reasons[code] or None for code in codes.tolist()]
        return columns

    def _scored(self, who: Sequence[int], scorer: str) -> np.ndarray:
        return np.asarray((self._why[scorer][who] == _SCORED) & self.asked[who])

    def _gap_codes(self) -> list[int]:
        return [code for reason, code in self._codes.items() if reason in DATA_GAPS]


def _distinct(numbers: np.ndarray) -> int:
    """Return how many numbers from 0 on there are; `np.unique` takes 50 bytes each."""
    return int(np.count_nonzero(np.bincount(numbers)))


def _several(candidate: int | Sequence[int]) -> list[int]:
    return [candidate] if isinstance(candidate, int) else list(candidate)


def table_of(
    plan: EvaluationPlan,
    scores: Scores,
    *,
    only: Container[Cell] | None = None,
    exams: Iterable[Exam] = (),
) -> ScoreTable:
    """Build an evaluation's table in one pass.

    Args:
        plan: The evaluation.
        scores: By cell; cells without any were not reached.
        only: The answers that were asked for; None: all of the plan. Where a comparison was decided
            early, the rest was not to be had.
        exams: What the examinations of its judges said.
    """
    table = ScoreTable(
        plan_traits(plan),
        candidates=len(plan.candidates),
        questions=plan.questions,
        clusters=plan.clusters,
        trials=plan.trials,
        doubts=doubts_of(exams),
    )
    for cell, by_name in scores.items():
        for score in by_name.values():
            table.set(cell, score)
    return table if only is None else table.only(only)
