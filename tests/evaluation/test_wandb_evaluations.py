"""What Weights & Biases is told of an evaluation: MLflow's figures, and every row."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from llmflowlab.cli import main
from llmflowlab.errors import TrackingError
from llmflowlab.evaluation.run import wandb_evaluations
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.replay import stored_result
from llmflowlab.evaluation.run.runs_left import await_runs, runs_left
from llmflowlab.evaluation.run.wandb_evaluations import deliver_runs, evaluation_runs
from llmflowlab.lab.deliverer import deliver
from llmflowlab.settings import Settings, load_settings
from llmflowlab.tracking import wandb_run
from llmflowlab.tracking.wandb_run import WandbRun, WandbTable
from tests.e2e.stored import Everything

SYSTEMS = ("Be brief.", "Be kind.")


@pytest.fixture
def both(mlflow_home: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(wandb_run, "wandb_installed", lambda: True)
    monkeypatch.setenv("LLMFLOWLAB_TRACKERS", "mlflow,wandb")
    monkeypatch.setenv("LLMFLOWLAB_HOME", str(mlflow_home))
    return load_settings(cwd=mlflow_home, stdin_is_terminal=False)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[WandbRun]:
    found: list[WandbRun] = []
    monkeypatch.setattr(
        wandb_evaluations, "write_wandb_run", lambda settings, run: found.append(run)
    )
    return found


def evaluated(systems: Sequence[str] = SYSTEMS) -> None:
    named = [part for each in systems for part in ("--system", each)]
    scorers = ["--scorer", "contains", "--scorer", "token_f1"]
    code = main(["evaluate", "--model", "guide", *named, *scorers, "--sample", "6", "--json"])
    assert code == 0


def rows_of(table: WandbTable) -> list[dict[str, object]]:
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def test_prompt_variants_are_runs_with_mlflows_figures_and_one_that_compares_them(
    both: Settings, written: list[WandbRun], capsys: pytest.CaptureFixture[str]
) -> None:
    evaluated()
    assert runs_left(both) == []
    whole, *candidates = written
    evaluation = whole.group
    assert [run.id for run in written] == [f"{evaluation}-{end}" for end in ("all", 0, 1)]
    assert {run.group for run in written} == {evaluation}
    stored = Everything(both)
    kept = {run.data.tags["llmflowlab.run_key"]: run for run in stored.evaluations()}
    for index, run in enumerate(candidates):
        other = kept[f"candidate-{index}"]
        assert run.name == other.info.run_name
        assert run.summary == other.data.metrics
        assert dict(other.data.params).items() <= dict(run.config).items()
        rows = rows_of(run.tables[0])
        assert len(rows) == 6
        scored = [row["contains"] for row in rows if row["contains"] is not None]
        mean = sum(map(float, scored)) / len(scored)  # type: ignore[arg-type] # numbers
        assert mean == pytest.approx(run.summary["contains/mean"])
        traces = {trace.info.trace_id for trace in stored.traces_of(other)}
        assert {row["trace_id"] for row in rows} == traces
    means = {n: v for n, v in kept["parent"].data.metrics.items() if "/mean/" in n}
    assert {n: v for n, v in whole.summary.items() if "/mean/" in n} == means
    table = rows_of(whole.tables[0])
    assert [row["system_prompt"] for row in table] == list(SYSTEMS)
    assert [row["contains/mean"] for row in table] == [
        r.summary["contains/mean"] for r in candidates
    ]
    shown = {chart.value for chart in whole.charts}
    assert {"contains/mean", "token_f1/mean", "latency/mean"} <= shown
    assert all(chart.value in whole.tables[0].columns for chart in whole.charts)
    (comparisons,) = [table for table in whole.tables if table.name == "comparisons"]
    assert {"scorer", "difference", "p_adjusted", "verdict"} <= set(comparisons.columns)


def test_one_that_fails_is_tried_again_and_mlflow_does_not_wait(
    both: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def away(settings: Settings, run: WandbRun) -> None:
        raise TrackingError("Weights & Biases could not take a run.")

    monkeypatch.setattr(wandb_evaluations, "write_wandb_run", away)
    evaluated(SYSTEMS[:1])
    assert not deliver(both, linger=0.0, patience=0.0, sleep=lambda seconds: None)
    (evaluation,) = runs_left(both)
    assert len(Everything(both).evaluations()) == 1
    got: list[str] = []
    monkeypatch.setattr(
        wandb_evaluations, "write_wandb_run", lambda settings, run: got.append(run.id)
    )
    assert deliver(both, linger=0.0, patience=0.0, sleep=lambda seconds: None)
    assert got == [f"{evaluation}-0"]


def test_what_is_written_again_is_the_same(
    both: Settings, written: list[WandbRun], capsys: pytest.CaptureFixture[str]
) -> None:
    evaluated(SYSTEMS[:1])
    evaluation = written[0].group
    await_runs(both, evaluation)
    deliver_runs(both, evaluation)
    assert written[0] == written[1]
    with closing(Ledger(both.ledger_file)) as ledger:
        (run,) = evaluation_runs(stored_result(ledger, evaluation), started_ms=0)
    assert run.summary == written[0].summary


def test_one_of_which_nothing_is_known_is_forgotten(
    both: Settings, written: list[WandbRun]
) -> None:
    await_runs(both, "20260101-000000-abcd")
    assert runs_left(both) == ["20260101-000000-abcd"]
    deliver_runs(both, "20260101-000000-abcd")
    assert (runs_left(both), written) == ([], [])
