"""Spark answers a table with a registered version, as `docs/cluster.md` says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.loopback.scenario import Scenario
from tests.loopback.server import LoopbackServer
from tests.stack.ray_cluster import ROOT

# Not in requirements-stack.txt: it is half a gigabyte.
pytest.importorskip("pyspark", reason="pyspark is not installed; run: pip install pyspark==4.2.0")

BEGIN = """
from pyspark.sql import SparkSession

spark = (
    SparkSession.builder.master("local[2]")
    .config("spark.ui.enabled", "false")
    .config("spark.driver.host", "127.0.0.1")
    .getOrCreate()
)
"""


def documented() -> tuple[list[str], str]:
    """Return the words that register the version, and the job."""
    page = (ROOT / "docs" / "cluster.md").read_text("utf-8")
    words = re.search(r"^python main\.py (registry register --kind json.*)$", page, re.M)
    job = re.search(r"^```python\n(.*?spark_udf.*?)^```", page, re.M | re.DOTALL)
    assert words
    assert job
    return words[1].split(), job[1]


def test_spark_answers_parquet_with_a_version_and_each_row_has_its_answer_or_its_error(
    migrated_db: Path, tmp_path: Path
) -> None:
    if shutil.which("java") is None:
        pytest.skip("Java is missing; run: apt-get install default-jre-headless")
    from pyarrow import parquet, table

    asked = [[{"role": "user", "content": f"Question {n}?"}] for n in range(30)]
    texts = [json.dumps(one) for one in asked] + ["not JSON"]
    parquet.write_table(table({"id": range(31), "messages": texts}), tmp_path / "rows.parquet")
    shutil.copy(migrated_db, tmp_path / "mlflow.db")
    (tmp_path / "support.yaml").write_text("provider: openai\nmodel: gpt-4.1-mini\n")
    register, job = documented()
    with LoopbackServer(Scenario()) as model:
        environment = {
            **os.environ,
            **model.environment(),
            "LLMFLOWLAB_HOME": str(tmp_path),
            "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'mlflow.db'}",
            "PYSPARK_PYTHON": sys.executable,
        }
        for command in ([str(ROOT / "main.py"), *register], ["-c", BEGIN + job]):
            done = subprocess.run(
                [sys.executable, *command],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, done.stderr[-3000:]
        # Beside them the example that a version is asked when it is registered.
        assert len(model.chats()) == 30 + 1
    answers = {
        row["id"]: json.loads(row["answer"])
        for row in parquet.read_table(tmp_path / "answers.parquet").to_pylist()
    }
    assert {n: answers[n]["content"] for n in range(30)} == {
        n: f"You said: Question {n}?" for n in range(30)
    }
    assert answers[30]["error"]["reason"] == "bad_input"
