"""What an evaluation is going to do: who answers which rows how often, and who scores them."""

from __future__ import annotations

import hashlib
import json
import random
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, overload

from llmflowlab.candidate import Candidate
from llmflowlab.conversations import overlaid
from llmflowlab.data.dataset import Dataset, Row
from llmflowlab.errors import InputError
from llmflowlab.evaluation.run.clustering import cluster_numbers, cluster_values
from llmflowlab.evaluation.scorers.base import ScorerSpec
from llmflowlab.messages import Message, Request
from llmflowlab.template import refuse_unfilled
from llmflowlab.text.digests import digest_of

__all__ = [
    "Cell",
    "EvaluationPlan",
    "refuse_unfilled_rows",
    "request_for",
]


@dataclass(frozen=True, slots=True)
class Cell:
    """One answer to be had: candidate and row by index, and which repetition."""

    candidate: int
    row: int
    trial: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationPlan:
    """The whole of an evaluation, fixed before the first call."""

    evaluation_id: str
    dataset: Dataset
    candidates: tuple[Candidate, ...]
    scorers: tuple[str, ...]
    judge: str | None
    """Model reference of the judge, the same for all candidates; None where no scorer needs one."""
    panel: tuple[str, ...] = ()
    """Further judges beside `judge`."""
    judge_runs: int = 1
    """How often each judge is asked the same."""
    judge_combine: Literal["majority", "mean"] | None = None
    """How several verdicts become one; None: majority of yes and no, mean of grades."""
    scorer_specs: tuple[ScorerSpec, ...] = ()
    """What the scorers are that are more than a kind's name; see `spec`."""
    trials: int = 1
    fresh: bool = False
    """Take no answers from earlier evaluations."""
    until_decided: float | None = None
    """End a comparison of two as soon as it is decided; differences below this do not matter."""
    order_seed: int = 0
    """Of the random order in which such a comparison asks its rows."""
    margin: float = 0.02
    """How much worse than the best a cheaper candidate may be, in points of 1."""
    margin_asked: bool = False
    """Whether somebody named it: then "the same within it" is a verdict of comparisons."""
    cluster: str | None = None
    """The dataset's column whose value questions share that belong together, such as a passage."""
    drawn_from: int | None = None
    """Rows of the evaluation of which these alone are recorded; None where they are all there are."""
    questions: Sequence[int] = field(init=False, repr=False, compare=False, default=())
    """For each row, which question it asks, numbered from 0 as they come: rows that ask the same again
    share a number."""
    clusters: Sequence[int] = field(init=False, repr=False, compare=False, default=())
    """For each row, the cluster of its question; without a column each question is one of its own."""
    _repeats: Sequence[int] = field(init=False, repr=False, compare=False, default=())
    """For each row, how often the same was asked in rows before it."""

    def __post_init__(self) -> None:
        if not self.candidates:
            raise InputError(
                "Name at least one model to evaluate (--model provider:model) or --answers."
            )
        labels = [candidate.digest for candidate in self.candidates]
        if len(set(labels)) != len(labels):
            raise InputError("The same candidate is named twice; name each one once.")
        if self.trials > 1 and any(candidate.column for candidate in self.candidates):
            raise InputError(
                "An answer that is given is one trial, and counted again it is no new evidence; leave "
                "--trials out, or ask the models in an evaluation of their own and use --compare-to."
            )
        questions, repeats = _numbered(self.dataset.rows)
        object.__setattr__(self, "_repeats", repeats)
        object.__setattr__(self, "questions", questions)
        clusters = questions
        if self.cluster is not None:
            clusters = cluster_numbers(questions, cluster_values(self.dataset, self.cluster))
        object.__setattr__(self, "clusters", clusters)

    @property
    def repeats(self) -> Sequence[int]:
        """For each row, how often the same was asked in rows before it."""
        return self._repeats

    def repeating(self, repeats: Sequence[int]) -> EvaluationPlan:
        """Return this plan of a part of a file's rows with what was asked in the rows before them."""
        part = replace(self)
        object.__setattr__(part, "_repeats", array("q", repeats))
        return part

    @property
    def repeated(self) -> bool:
        """Whether any question is asked more than once, in trials or in rows, or shares its cluster."""
        return self.trials > 1 or self.cluster_count < len(self.clusters)

    @property
    def question_count(self) -> int:
        """How many questions there are: rows that ask the same again are one."""
        return max(self.questions, default=-1) + 1

    @property
    def cluster_count(self) -> int:
        """How many clusters of questions there are."""
        return max(self.clusters, default=-1) + 1

    def cluster_json(self) -> dict[str, Any] | None:
        """Return what documents say of the clusters; None without a column of them."""
        if self.cluster is None:
            return None
        return {"column": self.cluster, "clusters": self.cluster_count}

    @property
    def judges(self) -> tuple[str, ...]:
        """Model references of all judges."""
        return () if self.judge is None else (self.judge, *self.panel)

    @property
    def judge_label(self) -> str | None:
        """What tables and documents call the judge or judges; None without any."""
        return ", ".join(self.judges) or None

    def spec(self, scorer: str) -> ScorerSpec:
        """Return what a scorer is; one that is not described is its own kind."""
        found = (spec for spec in self.scorer_specs if spec.name == scorer)
        return next(found, ScorerSpec.plain(scorer))

    @property
    def row_order(self) -> Sequence[int]:
        """Indices of the rows in the order in which they are asked.

        A comparison that may end early asks in random order: files are often sorted, and its end must
        not depend on what happens to stand first. The rows of a cluster follow each other there.
        """
        if self.until_decided is None:
            return range(len(self.dataset.rows))
        order = list(range(len(self.dataset.rows)))
        random.Random(f"{self.dataset.digest}:{self.order_seed}").shuffle(order)  # noqa: S311
        if self.cluster is not None:
            first: dict[int, int] = {}
            for place, row in enumerate(order):
                first.setdefault(self.clusters[row], place)
            order.sort(key=lambda row: first[self.clusters[row]])
        return order

    @property
    def size(self) -> int:
        """How many answers there are to be had."""
        return len(self.dataset.rows) * len(self.candidates) * self.trials

    def cells(self) -> Sequence[Cell]:
        """Return every answer to be had, candidates side by side within a row."""
        return _Cells(self.row_order, len(self.candidates), self.trials)

    def given(self, cell: Cell) -> str | None:
        """Return the answer of a cell as it stands in the data file; None where a model is asked."""
        column = self.candidates[cell.candidate].column
        return None if column is None else self.dataset.rows[cell.row].given_answers[column]

    def answer_key(self, cell: Cell) -> str:
        """Return what the answer of a cell depends on: what is asked, of whom, which repetition."""
        row = self.dataset.rows[cell.row]
        asked = _asked(row)
        if self._repeats[cell.row]:
            # A question that stands in the file twice is two rows, with an answer each.
            asked.append(self._repeats[cell.row])
        if (given := self.given(cell)) is not None:
            asked.append({"given": given})
        candidate = self.candidates[cell.candidate]
        if candidate.variables:
            values, said = row.values, _custom_inputs(row)
            # What a conversation brings along stands in what is asked already.
            used = {n: values[n] for n in candidate.variables if n in values and n not in said}
            asked += [{"values": used}] if used else []
        return digest_of([asked, candidate.digest, cell.trial])

    def trace_id(self, cell: Cell) -> str:
        """Return the id of the cell's trace, the same at every attempt to record it."""
        name = digest_of([self.evaluation_id, cell.candidate, cell.row, cell.trial])
        return "tr-" + name[:32]

    def describe(self) -> dict[str, Any]:
        """Return the plan as JSON values, without the rows."""
        return {
            "evaluation_id": self.evaluation_id,
            "dataset": {
                "name": self.dataset.name,
                "path": str(self.dataset.path),
                "rows": len(self.dataset.rows),
                "digest": self.dataset.digest,
            },
            "candidates": [asdict(candidate) for candidate in self.candidates],
            "scorers": list(self.scorers),
            "scorer_specs": [spec.to_json() for spec in self.scorer_specs],
            "judge": self.judge,
            "panel": list(self.panel),
            "judge_runs": self.judge_runs,
            "judge_combine": self.judge_combine,
            "trials": self.trials,
            "fresh": self.fresh,
            "until_decided": self.until_decided,
            "order_seed": self.order_seed,
            "margin": self.margin,
            "margin_asked": self.margin_asked,
            "cluster": self.cluster,
            "drawn_from": self.drawn_from,
        }

    @classmethod
    def from_json(cls, values: dict[str, Any], dataset: Dataset) -> EvaluationPlan:
        """Build a plan from what `describe` returned and its dataset."""
        return cls(
            evaluation_id=values["evaluation_id"],
            dataset=dataset,
            candidates=tuple(Candidate.from_json(c) for c in values["candidates"]),
            scorers=tuple(values["scorers"]),
            judge=values["judge"],
            panel=tuple(values.get("panel", ())),
            judge_runs=values.get("judge_runs", 1),
            judge_combine=values.get("judge_combine"),
            scorer_specs=tuple(map(ScorerSpec.from_json, values.get("scorer_specs", ()))),
            trials=values["trials"],
            fresh=values["fresh"],
            until_decided=values.get("until_decided"),
            order_seed=values.get("order_seed", 0),
            margin=values.get("margin", 0.02),
            margin_asked=values.get("margin_asked", False),
            cluster=values.get("cluster"),
            drawn_from=values.get("drawn_from"),
        )


class _Cells(Sequence[Cell]):
    """The answers to be had, made when they are looked at: of a million rows they are 100 MB.

    Args:
        rows: In the order in which they are asked.
        candidates: How many there are.
        trials: How often each row is asked.
    """

    def __init__(self, rows: Sequence[int], candidates: int, trials: int) -> None:
        self._rows, self._candidates, self._trials = rows, candidates, trials

    def __len__(self) -> int:
        return len(self._rows) * self._candidates * self._trials

    def __iter__(self) -> Iterator[Cell]:
        for trial in range(self._trials):
            for row in self._rows:
                for candidate in range(self._candidates):
                    yield Cell(candidate, row, trial)

    @overload
    def __getitem__(self, place: int) -> Cell: ...

    @overload
    def __getitem__(self, place: slice) -> list[Cell]: ...

    def __getitem__(self, place: int | slice) -> Cell | list[Cell]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        trial, rest = divmod(range(len(self))[place], len(self._rows) * self._candidates)
        row, candidate = divmod(rest, self._candidates)
        return Cell(candidate, self._rows[row], trial)


def _numbered(rows: Sequence[Row]) -> tuple[Sequence[int], Sequence[int]]:
    """Return for each row the number of the question it asks, and how often that was asked before it."""
    # Imported here: plans are read where nothing is reckoned.
    import numpy as np

    # In place of the texts, of which the file may hold more than memory does; a set of them would too.
    digests = bytearray()
    for row in rows:
        digests += hashlib.sha256(json.dumps(_asked(row)).encode()).digest()[:16]
    count = len(rows)
    halves = np.sort(np.frombuffer(digests, dtype="<u8")[::2])
    if not (halves[1:] == halves[:-1]).any():
        # Each row asks a question of its own, as in most files: nothing has to be sorted out.
        return array("q", range(count)), array("q", bytes(8 * count))
    asked = np.frombuffer(digests, dtype=[("high", "<u8"), ("low", "<u8")])
    _, first, same = np.unique(asked, return_index=True, return_inverse=True)
    by_place = np.empty(first.size, dtype=np.int64)
    by_place[np.argsort(first)] = np.arange(first.size)
    order = np.argsort(same, kind="stable")
    begins = np.searchsorted(same[order], np.arange(first.size))
    repeats = np.empty(len(same), dtype=np.int64)
    repeats[order] = np.arange(len(same)) - begins[same[order]]
    return array("q", by_place[same].tobytes()), array("q", repeats.tobytes())


def _asked(row: Row) -> list[Any]:
    """Return what a row sends, as JSON values."""
    asked: list[Any] = [row.question, row.context]
    if row.conversation is not None:
        asked.append(row.conversation.to_json())
    return asked


def _custom_inputs(row: Row) -> Mapping[str, Any]:
    return (row.conversation and row.conversation.custom_inputs) or {}


def request_for(candidate: Candidate, row: Row) -> Request:
    """Return what a candidate is asked for a row.

    That is its conversation, as it is; else the question, under its context where it has one, unless
    the candidate's prompt shows that itself. The options of a multiple-choice question stand in the
    question itself.
    """
    values, said = row.values, row.conversation
    if said is not None:
        request = candidate.request(
            said.messages, values=values, parameters=overlaid(candidate.parameters, said.parameters)
        )
        return replace(
            request, system=said.system or request.system, custom_inputs=said.custom_inputs
        )
    text = row.question
    if row.context and row.context not in map(values.get, candidate.variables):
        text = f"Context:\n{row.context}\n\nQuestion: {row.question}"
    return candidate.request((Message("user", text),), values=values)


def refuse_unfilled_rows(candidate: Candidate, rows: Sequence[Row]) -> None:
    """Refuse a candidate whose prompt would be sent with a variable in it.

    Raises:
        InputError: A row has no value for a variable, or its prompt has no place for the question.
    """
    if not candidate.variables and not candidate.messages:
        return
    for row in rows:
        refuse_unfilled(
            None if row.conversation and row.conversation.system else candidate.system,
            candidate.messages,
            {*(candidate.values or {}), *row.values},
            what=candidate.prompt or "The system prompt",
            remedy=f"give the data file a column of that name (row {row.id} has none)",
        )
