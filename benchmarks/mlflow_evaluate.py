"""The same 500 rows through `mlflow.genai.evaluate` itself, its pools raised, and through the lab."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from benchmarks.harness import bench, questions
from benchmarks.processes import timed
from benchmarks.table import Line

PROGRAM = """
import csv, sys
import mlflow
from mlflow.genai.scorers import scorer
from openai import OpenAI

client = OpenAI()
mlflow.set_tracking_uri(sys.argv[2])
mlflow.set_experiment("direct")

@mlflow.trace
def ask(question):
    answer = client.chat.completions.create(
        model="bench", messages=[{"role": "user", "content": question}]
    )
    return answer.choices[0].message.content

@scorer
def exact_match(outputs, expectations):
    return outputs == expectations["expected_response"]

with open(sys.argv[1], newline="") as file:
    rows = [
        {
            "inputs": {"question": row["question"]},
            "expectations": {"expected_response": row["answer"]},
        }
        for row in csv.DictReader(file)
    ]
result = mlflow.genai.evaluate(data=rows, predict_fn=ask, scorers=[exact_match])
assert result.metrics["exact_match/mean"] == 1.0, result.metrics
"""

RAISED = {
    "MLFLOW_GENAI_EVAL_MAX_WORKERS": "50",
    "MLFLOW_GENAI_EVAL_PREDICT_RATE_LIMIT": "0",
    "MLFLOW_GENAI_EVAL_SCORER_RATE_LIMIT": "0",
    "MLFLOW_GENAI_EVAL_SKIP_TRACE_VALIDATION": "true",
    "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE": "60",
    "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW": "60",
    "TQDM_DISABLE": "1",
}


def measure(*, quick: bool) -> Iterator[Line]:
    rows = 100 if quick else 500
    with bench() as own:
        data = questions(own.home, rows)
        store = "sqlite:///" + (own.home / "mlflow.db").as_posix()
        direct = timed(
            [sys.executable, "-W", "ignore", "-c", PROGRAM, str(data), store],
            {**own.env, **RAISED},
            cwd=own.home,
        )
        assert direct.code == 0, direct.output[-2000:]
        lab = own.evaluate(rows)
    yield Line(
        what=f"evaluation, {rows} rows, over `mlflow.genai.evaluate`",
        reached=lab.wall / direct.wall,
        unit="×",
        note=f"{lab.wall:.2f} s and {direct.wall:.2f} s; {lab.cpu / direct.cpu:.2f} × its processor "
        f"time ({direct.cpu / rows * 1000:.0f} ms a row there)",
    )
