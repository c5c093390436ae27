"""One evaluation with everything that makes figures differ, and what each door says of it."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from llmflowlab.cli import main
from llmflowlab.cluster.crew import Crew
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.replay import stored_result
from llmflowlab.evaluation.run.wandb_evaluations import evaluation_runs
from llmflowlab.lab.cluster_worker import WorkerBench, travelling
from llmflowlab.lab.evaluation_request import RayRequest
from llmflowlab.lab.lab import Lab
from llmflowlab.settings import Settings, load_settings
from llmflowlab.tracking.wandb_run import WandbRun
from tests.cluster.threads import ThreadCrew
from tests.e2e.stored import Everything
from tests.loopback import LoopbackServer
from tests.loopback.scenario import Fault, Tokens

__all__ = [
    "GEMINI",
    "GPT",
    "JUDGE",
    "MOST",
    "PRICES",
    "SCORERS",
    "Evaluated",
    "crew_of_threads",
    "evaluate",
]

GPT, GEMINI, JUDGE = (
    "openai:gpt-4.1-mini",
    "gemini:gemini-2.5-flash",
    "anthropic:claude-haiku-4-5",
)
EMBEDDING = "embedding_similarity:model=openai:text-embedding-3-small"
SCORERS = ("contains", "correctness", "embedding_similarity")
MOST = 60
"""Tokens that an answer may have."""
PRICES = {
    GPT: (Decimal("0.4"), Decimal("1.6")),
    GEMINI: (Decimal("0.3"), Decimal("2.5")),
    JUDGE: (Decimal("1"), Decimal("5")),
}
"""USD a million tokens, prompt and completion."""
LONG = "Tell me of the sea."
ROWS = (
    *((f"What is {n} + {n}?", str(2 * n), "sums") for n in range(1, 40)),
    (LONG, "ends", "open"),
)
TOKENS = Tokens(prompt=1000, completion=40)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """What was evaluated, and where to look."""

    home: Path
    settings: Settings
    document: dict[str, Any]
    """What `evaluate --json` printed."""
    server: LoopbackServer

    @property
    def id(self) -> str:
        return str(self.document["evaluation_id"])

    def candidate(self, model: str) -> dict[str, Any]:
        """Return one candidate as the document has it."""
        return next(c for c in self.document["candidates"] if c["model"] == model)

    def run(self, model: str) -> Any:
        """Return a candidate's run in MLflow."""
        stored = Everything(self.settings)
        return stored.client.get_run(self.candidate(model)["run_id"])

    def traces(self, model: str) -> list[Any]:
        """Return the traces of a candidate's run."""
        return Everything(self.settings).traces_of(self.run(model))

    def copied(self, model: str) -> WandbRun:
        """Return a candidate's run as Weights & Biases is told of it."""
        with closing(Ledger(self.settings.ledger_file)) as ledger:
            runs = list(evaluation_runs(stored_result(ledger, self.id), started_ms=0))
        return next(run for run in runs if run.config.get("llmflowlab.model") == model)

    def copied_rows(self, model: str) -> list[dict[str, Any]]:
        """Return its table of answers."""
        table = self.copied(model).tables[0]
        return [dict(zip(table.columns, row, strict=True)) for row in table.rows]

    def command(self, *arguments: str, code: int = 0) -> Any:
        """Return the document that a command prints."""
        return json.loads(said(*arguments, "--json", code=code))

    def screen(self, *arguments: str, code: int = 0) -> str:
        """Return what a command shows a person."""
        return said(*arguments, code=code)

    def lines(self) -> list[dict[str, Any]]:
        """Return `results.jsonl`."""
        file = Path(self.document["files"]["answers_csv"]).with_name("results.jsonl")
        return [json.loads(line) for line in file.read_text("utf-8").splitlines()]

    def cells(self) -> list[dict[str, str]]:
        """Return `answers.csv`."""
        with Path(self.document["files"]["answers_csv"]).open(
            encoding="utf-8-sig", newline=""
        ) as f:
            return list(csv.DictReader(f))

    def page(self) -> dict[str, Any]:
        """Return what the report's page was made of."""
        text = Path(self.document["files"]["report_html"]).read_text("utf-8")
        found = re.search(r'<script[^>]*type="application/json"[^>]*>(.*?)</script>', text, re.S)
        assert found is not None
        return dict(json.loads(found.group(1)))

    def spent(self) -> Decimal:
        """Return what the ledger says was paid, which is what a budget counts."""
        with closing(Ledger(self.settings.state_dir / "evaluations.db")) as ledger:
            return ledger.spent(self.id)


def said(*arguments: str, code: int = 0) -> str:
    """Run the program and return its standard output."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        ended = main([*arguments])
    assert ended == code, err.getvalue()
    return out.getvalue()


def crew_of_threads(lab: Lab, request: RayRequest) -> tuple[Crew, int]:
    """Return workers as threads of this process, each with what a worker on its own machine has."""
    return ThreadCrew(WorkerBench(travelling(lab.settings))), request.workers or 1


def evaluate(home: Path, server: LoopbackServer, *more: str) -> Evaluated:
    """Evaluate two candidates over two trials, with whatever can go wrong.

    The environment names the home and the server already.

    Args:
        home: Where.
        server: Has all models.
        more: Arguments of the command.
    """
    scenario = server.scenario
    scenario.tokens = {
        "openai": TOKENS,
        "gemini": TOKENS,
        "anthropic": Tokens(prompt=300, completion=20),
    }
    scenario.answers = {q: f"It is {a}." for q, a, _ in ROWS} | {
        "What is 3 + 3?": "It is seven.",
        LONG: "The sea " + "rolls on and on and " * 40 + "ends.",
    }
    scenario.verdict = lambda whole: "seven" not in whole
    scenario.fail(
        # Accepted, then torn off without a word of what it took: paid for, nobody knows how much.
        Fault("reset", wire="openai", model="gpt-4.1-mini"),
        # Torn off after its first piece, which tells the tokens.
        Fault("drop", after=1, wire="gemini"),
        # Refused by a filter, without a word of what it took.
        Fault("blocked_prompt", wire="gemini"),
    )
    file = home / "sums.csv"
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(("question", "answer", "category"))
        writer.writerows(ROWS)
    names = ("contains", "correctness", EMBEDDING)
    document = said(
        *("evaluate", "--data", str(file), "--model", GPT, "--model", GEMINI),
        *("--judge", JUDGE, "--max-tokens", str(MOST), "--trials", "2", "--concurrency", "1"),
        *(part for name in names for part in ("--scorer", name)),
        *("--budget", "5", "--fail-under", "contains=0.5", "--json", *more),
    )
    settings = load_settings(dict(os.environ), cwd=home, stdin_is_terminal=False)
    return Evaluated(home=home, settings=settings, document=json.loads(document), server=server)
