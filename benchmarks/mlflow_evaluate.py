"""The same 500 rows through `mlflow.genai.evaluate` itself, its pools raised, and through the lab."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks.harness import environment, evaluate, migrated, questions, server, timed

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


def main(rows: int = 500, concurrency: int = 50) -> None:
    with tempfile.TemporaryDirectory() as folder, server() as url:
        home = Path(folder)
        env = environment(home, url)
        migrated(home)
        data = questions(home, rows)
        store = "sqlite:///" + (home / "mlflow.db").as_posix()
        direct = timed(
            [sys.executable, "-W", "ignore", "-c", PROGRAM, str(data), store],
            {**env, **RAISED},
            cwd=home,
        )
        assert direct.code == 0, direct.output[-2000:]
        options = ("--model", "openai:bench", "--scorer", "exact_match")
        lab = evaluate(data, home, env, *options, "--concurrency", str(concurrency))
        assert lab.code == 0, lab.output
    print(
        f"against mlflow.genai.evaluate, {rows} rows: {direct.wall / lab.wall:.1f} × faster "
        f"({lab.wall:.2f} s against {direct.wall:.2f} s), {direct.cpu / lab.cpu:.1f} × less "
        f"processor time ({direct.cpu / rows * 1000:.0f} ms a row there)"
    )


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:2]))
