"""An evaluation as a process of its own, to be killed and resumed: `python -m tests.evaluation.faulty`.

Its one argument is JSON, see `Options`. Each request is noted in the home's `requests.log` when it is
sent, so that it is counted whatever becomes of the process.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from llmflowlab.candidate import Candidate
from llmflowlab.data.dataset import load_dataset
from llmflowlab.evaluation.run.engine import EvaluationSnapshot, run_evaluation
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.plan import EvaluationPlan
from llmflowlab.evaluation.run.recorder_client import RecorderProcess
from llmflowlab.providers.base import (
    Finished,
    Provider,
    Readiness,
    TextDelta,
    Usage,
    UsageReport,
)
from llmflowlab.settings import Settings, load_settings
from tests.evaluation.helpers import bench, spec
from tests.known import known
from tests.patience import PATIENCE
from tests.warm import SITE

ROOT = Path(__file__).parents[2]
ID = "20260101-000000-abcd"
GO_ON = "go-on"
SCORERS = ("exact_match", "token_f1", "correctness")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    home: str
    rows: int = 60
    candidates: tuple[str, ...] = ("one", "two")
    """Models; `draft` is the column of that name, whose answers are given."""
    judge: bool = True
    latency: float = 0.0
    """Seconds a model takes."""
    held_after: int | None = None
    """Requests beyond so many in the home's log are answered only once it holds a file `go-on`."""
    environment: dict[str, str] = field(default_factory=dict)
    file_size: int | None = None
    """The recorder may let no file grow beyond so many bytes, as on a disk that is full."""


class CountedModel(Provider):
    """Answers what the question ends with, after a while; notes each request on disk first."""

    name = "table"
    display_name = "Table"
    supplier = "Tests"
    latency = 0.0
    held_after: int | None = None

    @classmethod
    def readiness(cls, settings, timeout):
        return Readiness(True, "ready")

    def list_models(self):
        return []

    def stream(self, request):
        text = request.messages[-1].content
        note(self.settings.home, self.model, text)
        # How long a model takes, not a wait for something to happen.
        threading.Event().wait(self.latency)
        while self._held():
            threading.Event().wait(0.02)
        answer = self.answer(text)
        yield TextDelta(answer)
        yield UsageReport(Usage(prompt_tokens=10, completion_tokens=len(answer.split())))
        yield Finished("stop", f"{self.model}-001")

    def _held(self) -> bool:
        if self.held_after is None or (self.settings.home / GO_ON).exists():
            return False
        return len(requests(self.settings.home)) > self.held_after

    def answer(self, text: str) -> str:
        if self.model == "judge":
            result = "no" if "n7" in text else "yes"
            return json.dumps({"rationale": f"because {result}", "result": result})
        number = text.rpartition(" ")[2]
        # The second candidate agrees with the first on all but every third question.
        wrong = self.model == "two" and int(number) % 3 == 0
        return f"It is {'m' if wrong else 'n'}{number}"


def note(home: Path, model: str, text: str) -> None:
    """Write a request down so that neither a kill nor another process can lose or tear it."""
    question = next((line for line in text.splitlines() if "Question number" in line), text)
    line = json.dumps([model, question.strip()]) + "\n"
    handle = os.open(home / "requests.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        os.write(handle, line.encode())
    finally:
        os.close(handle)


def requests(home: Path) -> list[tuple[str, str]]:
    """Return (model, question) of each request sent so far."""
    file = home / "requests.log"
    if not file.exists():
        return []
    return [tuple(json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]


def write_data(home: Path, rows: int) -> Path:
    """Write questions; the last one stands in the file twice.

    Every third answer of the column `draft` is wrong, and one is missing.
    """
    file = home / "questions.csv"
    numbers = [*range(rows - 1), rows - 2]
    drafts = ["" if n == 7 else f"It is {'m' if n % 3 == 0 else 'n'}{n}" for n in numbers]
    pairs = zip(numbers, drafts, strict=True)
    lines = ["question,answer,draft", *(f"Question number {n},It is n{n},{d}" for n, d in pairs)]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def command(options: Options) -> list[str]:
    return [sys.executable, "-m", "tests.evaluation.faulty", json.dumps(asdict(options))]


def start(options: Options, **more: Any) -> subprocess.Popen[str]:
    """Start the program; its standard output is the result as JSON."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"}
    return subprocess.Popen(
        command(options),
        cwd=options.home,
        env={**kept, **options.environment, "PYTHONPATH": f"{ROOT}{os.pathsep}{SITE}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


def finish(options: Options) -> dict[str, Any]:
    """Run the program to its end."""
    process = start(options)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found


def made(options: Options) -> EvaluationPlan:
    given = ["draft"] if "draft" in options.candidates else []
    data = load_dataset(write_data(Path(options.home), options.rows), answers=given)
    return EvaluationPlan(
        evaluation_id=ID,
        dataset=data,
        candidates=tuple(
            Candidate.of_column(name) if name in given else spec(f"table:{name}")
            for name in options.candidates
        ),
        scorers=SCORERS if options.judge else SCORERS[:2],
        judge="table:judge" if options.judge else None,
    )


def main(options: Options) -> int:
    home = Path(options.home)
    CountedModel.latency = options.latency
    CountedModel.held_after = options.held_after
    settings = load_settings({**os.environ, "LLMFLOWLAB_HOME": options.home}, cwd=home)
    ledger = Ledger(settings.state_dir / "evaluations.db")
    known = [stored.id for stored in ledger.evaluations()]
    plan = ledger.plan(ID) if ID in known else made(options)
    models = [None if c.column else CountedModel(c.model_id, settings) for c in plan.candidates]
    work = bench(
        settings,
        models,
        ledger,
        home,
        judge=CountedModel("judge", settings) if options.judge else None,
        recorder=_recorder(options, settings, ledger),
    )
    said = ""

    def tell(snapshot: EvaluationSnapshot) -> None:
        nonlocal said
        if snapshot.detail != said:
            said = snapshot.detail
            _say(said)

    try:
        result = run_evaluation(plan, work, on_progress=tell)
    except KeyboardInterrupt:
        return 130
    _say(json.dumps({"problems": result.problems, "interrupted": result.interrupted}))
    ledger.close()
    return 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _recorder(options: Options, settings: Settings, ledger: Ledger) -> RecorderProcess:
    if options.file_size is None:
        return RecorderProcess(settings, ledger.path)
    import resource

    # A process begins with the limits of the one that starts it.
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (options.file_size, before[1]))
    try:
        return RecorderProcess(settings, ledger.path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def stored_books(home: Path, uri: str | None = None) -> dict[str, Any]:
    """Return all that MLflow holds of the evaluation, without run ids and times."""
    import mlflow

    client = mlflow.MlflowClient(uri or f"sqlite:///{(home / 'mlflow.db').as_posix()}")
    experiment = known(client.get_experiment_by_name("LLMS_Evaluation"))
    runs = client.search_runs(
        [experiment.experiment_id], f"tags.`llmflowlab.evaluation_id` = '{ID}'"
    )
    books: dict[str, Any] = {}
    for run in runs:
        key = run.data.tags["llmflowlab.run_key"]
        assert key not in books, f"two runs are {key}"
        traces = []
        token = None
        while token != "":
            page = client.search_traces(
                locations=[experiment.experiment_id],
                run_id=run.info.run_id,
                max_results=500,
                page_token=token,
            )
            traces += page
            token = page.token or ""
        books[key] = {
            "status": run.info.status,
            "params": run.data.params,
            "metrics": {
                k: v
                for k, v in run.data.metrics.items()
                # What takes time never takes the same twice.
                if not k.startswith(("latency", "tokens_per_second"))
            },
            # The conclusion may name the fastest, which differs from run to run.
            "tags": {
                k: v
                for k, v in run.data.tags.items()
                if k.startswith("llmflowlab.") and k != "llmflowlab.conclusion"
            },
            "described": "mlflow.note.content" in run.data.tags,
            "datasets": [i.dataset.name for i in known(run.inputs).dataset_inputs],
            "models": _models(client, run, traces),
            "rows kept": _rows_kept(client, experiment.experiment_id, run),
            "files": sorted(file.path for file in client.list_artifacts(run.info.run_id)),
            "traces": sorted(json.dumps(_trace(trace), sort_keys=True) for trace in traces),
        }
    return books


def _models(client: Any, run: Any, traces: list[Any]) -> list[Any]:
    """Return the logged models of a run, with their figures of it and how many traces name them."""
    named = [trace.info.trace_metadata.get("mlflow.modelId") for trace in traces]
    found = []
    for linked in known(run.inputs).model_inputs:
        model = client.get_logged_model(linked.model_id)
        figures = [m.key for m in model.metrics or [] if m.run_id == run.info.run_id]
        found.append([model.name, str(model.status), sorted(figures), named.count(model.model_id)])
    assert len(found) <= 1
    return found


def _rows_kept(client: Any, experiment_id: str, run: Any) -> list[int]:
    """Return the records of the evaluation datasets: one of them, which the run leads to."""
    kept = client.search_datasets(experiment_ids=[experiment_id])
    sources = [json.loads(i.dataset.source)["dataset_id"] for i in run.inputs.dataset_inputs[:1]]
    assert [dataset.dataset_id for dataset in kept] == sources
    return [json.loads(dataset.profile)["num_records"] for dataset in kept]


def _trace(trace: Any) -> dict[str, Any]:
    info = trace.info
    return {
        "id": info.trace_id,
        "state": str(info.state),
        "request": info.request_preview,
        "response": info.response_preview,
        "tokens": info.trace_metadata.get("mlflow.trace.tokenUsage"),
        "row": [info.tags["llmflowlab.row"], info.tags["llmflowlab.trial"]],
        "spans": sorted(
            [s.name, str(s.status.status_code), str(s.outputs)] for s in trace.data.spans
        ),
        "assessments": sorted(_assessment(a) for a in info.assessments),
    }


def _assessment(found: Any) -> list[Any]:
    value = found.expectation.value if found.expectation else found.feedback.value
    error = found.feedback.error.error_code if found.feedback and found.feedback.error else None
    metadata = {k: v for k, v in (found.metadata or {}).items() if "Run" not in k}
    return [
        found.name,
        str(value),
        str(error),
        str(found.rationale),
        found.source.source_id,
        json.dumps(metadata, sort_keys=True),
    ]


def answers_file(home: Path) -> list[list[str]]:
    """Return `answers.csv` without the columns of seconds."""
    with (home / "out" / "answers.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    kept = [i for i, name in enumerate(rows[0]) if not name.endswith(" seconds")]
    return [[row[i] for i in kept] for row in rows]


def in_ledger(home: Path) -> Counter[str]:
    """Return how many whole answers and judgements are on disk."""
    file = home / ".llmflowlab" / "evaluations.db"
    if not file.exists():
        return Counter()
    ledger = Ledger(file)
    try:
        return Counter(ledger.counts())
    finally:
        ledger.close()


if __name__ == "__main__":
    sys.exit(main(Options(**json.loads(sys.argv[1]))))
