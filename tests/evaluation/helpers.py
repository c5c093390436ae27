"""Small plans over scripted models."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from llmflowlab.asking.calling import CallPolicy
from llmflowlab.asking.metering import Metering
from llmflowlab.candidate import Candidate
from llmflowlab.data.dataset import Dataset, load_dataset
from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.judging import Judge
from llmflowlab.evaluation.run.engine import EngineResources
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.plan import EvaluationPlan
from llmflowlab.messages import Request
from llmflowlab.providers.base import Finished, Provider, Readiness, TextDelta, Usage, UsageReport
from llmflowlab.settings import Settings
from llmflowlab.text.cost import Prices
from llmflowlab.text.tokens import TokenCounter

CSV = """question,answer,category,language,guidelines
What is the capital of France?,Paris,facts,en,
What is 2 + 2?,4,arithmetic,en,
Was ist die Hauptstadt von Österreich?,Wien,facts,de,Answer in German.
Name a colour of the sky.,,facts,en,
"""

QUICK = CallPolicy(max_tries=2, backoff_base=0.001, backoff_max=0.002)


def dataset(tmp_path: Path, text: str = CSV, name: str = "small.csv") -> Dataset:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    return load_dataset(file)


class TableModel(Provider):
    """Answers by question from a table; a value that is an exception is raised."""

    name = "table"
    display_name = "Table"
    supplier = "Tests"

    def __init__(
        self, model: str, settings: Settings, answers: Mapping[str, str | Exception]
    ) -> None:
        super().__init__(model, settings)
        self.answers = dict(answers)
        self.requests: list[Request] = []

    @classmethod
    def readiness(cls, settings, timeout):
        return Readiness(True, "ready")

    def list_models(self):
        return []

    def stream(self, request):
        self.requests.append(request)
        text = request.messages[-1].content
        found = next((a for q, a in self.answers.items() if q in text), "I do not know.")
        if isinstance(found, Exception):
            raise found
        yield TextDelta(found)
        yield UsageReport(Usage(prompt_tokens=10, completion_tokens=len(found.split())))
        yield Finished("stop", f"{self.model}-001")


def spec(model: str = "table:one") -> Candidate:
    return Candidate(model=model, display_name="Table", supplier="Tests")


def plan(
    data: Dataset,
    *,
    candidates: Sequence[Candidate] | None = None,
    scorers: Sequence[str] = ("exact_match", "contains", "token_f1"),
    judge: str | None = None,
    **options: Any,
) -> EvaluationPlan:
    return EvaluationPlan(
        evaluation_id=str(options.pop("evaluation_id", "20260101-000000-abcd")),
        dataset=data,
        candidates=tuple(candidates or (spec(),)),
        scorers=tuple(scorers),
        judge=judge,
        **options,
    )


def metering(settings: Settings) -> Metering:
    return Metering(TokenCounter(), Prices(settings))


def bench(
    settings: Settings,
    providers: Sequence[Provider | None],
    ledger: Ledger,
    tmp_path: Path,
    *,
    judge: Provider | None = None,
    **options: Any,
) -> EngineResources:
    meter = metering(settings)
    return EngineResources(
        settings=settings,
        providers=providers,
        judge=None if judge is None else Judge(judge, policy=QUICK, metering=meter),
        ledger=ledger,
        metering=meter,
        policy=QUICK,
        concurrency=4,
        output=tmp_path / "out",
        **options,
    )


def rows_in(ledger: Ledger, sql: str) -> list[tuple[object, ...]]:
    """Return what stands in a ledger's file, past the ledger."""
    with closing(sqlite3.connect(ledger.path)) as connection:
        return connection.execute(sql).fetchall()


def answer(text: str = "Paris", **values: Any) -> AnswerRecord:
    return AnswerRecord(text=text, **{"state": "complete", "latency": 0.5, **values})
