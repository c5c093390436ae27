"""Writes an evaluation into MLflow: runs, traces, scores, metrics, files; and counts what arrived.

Imports MLflow, so it is itself imported only where recording happens: in the recorder process, or
where `mlflow.genai.evaluate` does the scoring.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.conclude.table import plan_traits
from llmflowlab.evaluation.reports.markdown import escaped
from llmflowlab.evaluation.run.closing import RunSummary
from llmflowlab.evaluation.run.harness import ScoredRow, evaluate_with_mlflow, prepare_environment
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.outcomes import Entry, Outcome
from llmflowlab.evaluation.run.plan import Cell, EvaluationPlan
from llmflowlab.evaluation.run.row_books import RowBooks
from llmflowlab.evaluation.run.row_traces import GIVEN_COLUMN, row_inputs, row_trace
from llmflowlab.evaluation.run.run_params import candidate_params, plan_params
from llmflowlab.evaluation.run.scoring import Scoring
from llmflowlab.settings import Settings
from llmflowlab.tracking.datasets import dataset_evaluated
from llmflowlab.tracking.evaluation_books import HeldTrace
from llmflowlab.tracking.evaluation_rows import Links
from llmflowlab.tracking.evaluation_runs import EvaluatedDataset, EvaluationRuns, RunSpec
from llmflowlab.tracking.logged_models import model_of
from llmflowlab.tracking.page_links import LOGGED_MODELS, candidate_note, note_of, prompt_tag
from llmflowlab.tracking.registered_candidates import candidate_tags
from llmflowlab.tracking.store import open_store

__all__ = ["Recording"]

_READ_BACK = 200
"""Rows that are compared with the store at a time."""
_SHOWN = 200
"""Rows named in a tag."""
_TAG_LENGTH = 5000
"""Characters that every store of MLflow takes in a tag."""


class Recording:
    """One evaluation's way into MLflow; every step may be repeated after a crash.

    Raises:
        TrackingError: From every method, where the store fails.
    """

    def __init__(self, plan: EvaluationPlan, settings: Settings, ledger: Ledger) -> None:
        self._plan = plan
        self._settings = settings
        self._store = open_store(settings)
        self._ledger = ledger
        stored = ledger.evaluation(plan.evaluation_id)
        created = datetime.strptime(stored.created, "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 - local
        self._mlflow = EvaluationRuns(
            self._store, plan.evaluation_id, created_ms=int(created.timestamp() * 1000)
        )
        self.parent: str | None = None
        self.runs: list[str] = []

    def open(self) -> None:
        """Make the runs, or find those of an earlier attempt."""
        plan = self._plan
        if len(plan.candidates) > 1:
            self.parent = self._mlflow.open_run(
                RunSpec(
                    name=f"Eval_{plan.dataset.name}",
                    key="parent",
                    params=plan_params(plan),
                    tags={
                        "llmflowlab.dataset": plan.dataset.name,
                        **note_of("\n".join(f"- {candidate_note(c)}" for c in plan.candidates)),
                    },
                ),
                parent=None,
            )
        for index, spec in enumerate(plan.candidates):
            run_id = self._mlflow.open_run(
                RunSpec(
                    name=f"Eval_{spec.display_name}_{plan.dataset.name}",
                    key=f"candidate-{index}",
                    params={**plan_params(plan), **candidate_params(spec)},
                    tags={
                        "llmflowlab.model": spec.model,
                        "llmflowlab.prompt": spec.prompt or "",
                        "llmflowlab.dataset": plan.dataset.name,
                        "llmflowlab.dataset_digest": plan.dataset.digest,
                        "llmflowlab.scorers": self._scorers(),
                        "llmflowlab.questions": str(plan.question_count),
                        **candidate_tags(spec),
                        **({GIVEN_COLUMN: spec.column} if spec.column is not None else {}),
                        "llmflowlab.clusters": str(plan.cluster_count),
                        **note_of(candidate_note(spec)),
                        **prompt_tag(spec.prompt),
                    },
                ),
                parent=self.parent,
            )
            self.runs.append(run_id)
        self._ledger.set_runs(plan.evaluation_id, self.run_ids())
        self._link()

    def _link(self) -> None:
        """Lead from the runs to the benchmark, and from each candidate's to its model and prompt."""
        dataset = self._dataset()
        if self.parent is not None:
            self._mlflow.log_inputs(self.parent, dataset, Links())
        for spec, run_id in zip(self._plan.candidates, self.runs, strict=True):
            model_id = None
            with self._store.if_known(LOGGED_MODELS):
                model_id = model_of(
                    self._settings, self._store, spec, experiment_id=self._mlflow.experiment_id
                )
            self._mlflow.log_inputs(run_id, dataset, Links(model_id=model_id, prompt=spec.prompt))

    def _dataset(self) -> EvaluatedDataset:
        data, dataset_id = self._plan.dataset, None
        with self._store.if_known("evaluation datasets"):
            dataset_id = dataset_evaluated(self._settings, self._store, data)
        return EvaluatedDataset(
            name=data.name,
            digest=data.digest,
            source=str(data.path),
            rows=len(data.rows),
            columns=data.columns,
            dataset_id=dataset_id,
        )

    def notes(self) -> list[str]:
        """Return what the store is too old for, in words; nothing of the evaluation lacks for it."""
        return self._store.too_old()

    def run_ids(self) -> dict[str, Any]:
        """Return `{"parent": run id or None, "candidates": [run id, …]}`."""
        return {"parent": self.parent, "candidates": list(self.runs)}

    def _scorers(self) -> str:
        """Return how each scorer's figures are made, for who recomputes them from the run alone."""
        plan = self._plan
        return json.dumps(
            [
                {**plan.spec(name).to_json(), "yes_no": traits.kind == "yes_no"}
                for name, traits in plan_traits(plan).items()
            ],
            ensure_ascii=False,
        )

    def write(self, outcomes: Sequence[Outcome]) -> None:
        """Write finished rows with their scores."""
        traces = [
            row_trace(self._plan, outcome, self.runs[outcome.cell.candidate], with_scores=True)
            for outcome in outcomes
        ]
        self._mlflow.write_traces(traces)

    def score_with_mlflow(
        self,
        answers: Mapping[Cell, AnswerRecord],
        scoring: Scoring,
        *,
        concurrency: int,
        tick: Callable[[], None],
    ) -> None:
        """Write the answers as traces and have `mlflow.genai.evaluate` score them."""
        prepare_environment(concurrency)
        for index, run_id in enumerate(self.runs):
            cells = sorted(
                (cell for cell in answers if cell.candidate == index),
                key=lambda cell: (cell.trial, cell.row),
            )
            if not cells:
                continue
            outcomes = [Outcome(cell, answers[cell], {}) for cell in cells]
            self._mlflow.write_traces(
                [row_trace(self._plan, o, run_id, with_scores=False) for o in outcomes]
            )
            tick()
            stored = self._store.traces([self._plan.trace_id(cell) for cell in cells])
            rows = [
                ScoredRow(
                    cell=cell,
                    answer=answers[cell],
                    inputs=row_inputs(self._plan, cell),
                    expected=self._plan.dataset.rows[cell.row].accepted or None,
                    trace=stored[self._plan.trace_id(cell)],
                )
                for cell in cells
            ]
            evaluate_with_mlflow(self._store.uri, run_id, rows, scoring, tick=tick)
            tick()

    def close(self, closing: RunSummary, entries: Iterable[Entry]) -> list[str]:
        """Write figures and files, read the books back, end the runs.

        A run is FINISHED only if every row of the plan was asked, scored and found in the store;
        FAILED where the store lacks one, KILLED where a stop or the budget left one out. Where a
        comparison was decided early, that goes for the rows that were asked.

        Args:
            closing: The figures.
            entries: Every row that came to an end; the store must hold a trace and all scores of
                each.

        Returns:
            What is missing in the store, in words; empty when the books balance.
        """
        books = RowBooks(self._plan, decided=closing.decided)
        left = iter(entries)
        while batch := list(islice(left, _READ_BACK)):
            self._read_back(batch, books)
        problems: list[str] = []
        statuses: list[str] = []
        end_ms = int(time.time() * 1000)
        files = {Path(file): "" for file in closing.files}
        files |= {Path(file): "plots" for file in closing.plots}
        for index, run_id in enumerate(self.runs):
            account = books.account(index)
            if account.not_stored:
                problems.append(
                    f"{self._plan.candidates[index].label}: {account.not_stored} of {account.ended} "
                    "answers are not whole in MLflow."
                )
            statuses.append(
                "FAILED" if account.not_stored else "KILLED" if account.left_out else "FINISHED"
            )
            self._mlflow.finish(
                run_id,
                metrics=closing.metrics[index],
                tags={
                    **closing.tags[index],
                    **self._partial(books.missing(index)),
                    **({} if self.parent is not None else self._conclusion(closing)),
                },
                files=files,
                status=statuses[-1],
                end_ms=end_ms,
            )
        if self.parent is not None:
            worst = next((s for s in ("FAILED", "KILLED") if s in statuses), "FINISHED")
            self._mlflow.finish(
                self.parent,
                metrics={"candidates": float(len(self.runs)), **closing.means},
                tags={
                    "llmflowlab.partial": "false" if worst == "FINISHED" else "true",
                    **self._conclusion(closing),
                },
                files=files,
                status=worst,
                end_ms=end_ms,
            )
        return problems

    def _read_back(self, entries: Sequence[Entry], books: RowBooks) -> None:
        for index, run_id in enumerate(self.runs):
            expected = {
                self._plan.trace_id(entry.cell): HeldTrace(entry.digest, entry.scores)
                for entry in entries
                if entry.cell.candidate == index
            }
            lost = self._mlflow.missing(run_id, expected) if expected else frozenset()
            for entry in entries:
                if entry.cell.candidate == index:
                    books.note(entry, stored=self._plan.trace_id(entry.cell) not in lost)

    def _conclusion(self, closing: RunSummary) -> dict[str, str]:
        """Return the tags of the run that stands for the whole; the page shows the first few lines."""
        one = self._plan.candidates[0] if self.parent is None else None
        first = [] if one is None else [candidate_note(one)]
        return {
            "llmflowlab.conclusion": closing.conclusion[:_TAG_LENGTH],
            **note_of("\n\n".join([*first, escaped(closing.conclusion), closing.summary])),
        }

    def _partial(self, missing: Iterable[Cell]) -> dict[str, str]:
        """Return the tags that say whether a run is whole, and which rows it lacks."""
        named: list[str] = []
        more = 0
        for cell in missing:
            if len(named) == _SHOWN:
                more += 1
                continue
            id_ = self._plan.dataset.rows[cell.row].id
            named.append(f"{id_}#{cell.trial + 1}" if self._plan.trials > 1 else id_)
        shown = ", ".join(named) + (f" and {more} more" if more else "")
        return {
            "llmflowlab.partial": "true" if named else "false",
            "llmflowlab.missing": shown[:_TAG_LENGTH],
        }
