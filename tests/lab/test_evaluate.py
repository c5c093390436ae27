"""Evaluating without a screen: from a request to a result."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from llmflowlab import program
from llmflowlab.data import shipped
from llmflowlab.data.shipped import shipped_benchmark
from llmflowlab.errors import InputError, TrackingError
from llmflowlab.evaluation.run.recorder_client import RecorderProcess
from llmflowlab.lab.compare import compare_evaluations
from llmflowlab.lab.evaluate import default_data, prepare, run
from llmflowlab.lab.evaluation_request import EvaluationRequest
from llmflowlab.lab.lab import Lab
from llmflowlab.lab.unfinished import unfinished_evaluations
from llmflowlab.lab.upkeep import clear_evaluations, kept_file, named_evaluations
from llmflowlab.settings import Settings


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    file = tmp_path / "q.csv"
    file.write_text("question,answer\nWhat is a run?,run\nWhat is a trace?,trace\n", "utf-8")
    return file


def test_a_request_becomes_a_result_that_is_kept_and_can_be_compared(
    mlflow_home: Path, settings: Settings, questions: Path
) -> None:
    lab = Lab(settings)
    request = EvaluationRequest(models=["guide:docs"], data=questions, scorers=["contains"])
    ids, phases = [], []
    for _ in range(2):
        recorder = RecorderProcess(settings, settings.ledger_file)
        with closing(prepare(lab, request, recorder=recorder)) as prepared:
            result = run(prepared, lambda snapshot: phases.append(snapshot.phase))
        ids.append(result.plan.evaluation_id)
        assert result.candidates[0].answered == 2
        assert not result.problems
    assert (phases[0], phases[-1]) == ("answering", "done")
    # What the first one paid for is not paid for again.
    assert result.candidates[0].reused == 2
    found = compare_evaluations(lab, *ids)
    assert found.count("same") == 2
    assert found.verdict == "no_difference_shown"
    assert unfinished_evaluations(lab) == []
    kept = kept_file(lab)
    assert kept is not None
    assert [entry.stored.id for entry in kept.evaluations] == ids[::-1]
    assert clear_evaluations(lab, named_evaluations(lab, "all")).compacted
    after = kept_file(lab)
    assert after is not None
    assert after.evaluations == []


def test_what_was_prepared_in_vain_lets_go_of_its_ledger(
    settings: Settings, questions: Path
) -> None:
    with closing(
        prepare(Lab(settings), EvaluationRequest(models=["guide:docs"], data=questions))
    ) as prepared:
        ledger = prepared.bench.ledger
    with pytest.raises(TrackingError, match="is closed"):
        ledger.append("answers", "e", "k", {}).result(5)


def test_a_question_about_nothing_makes_no_ledger(settings: Settings) -> None:
    lab = Lab(settings)
    assert kept_file(lab) is None
    with pytest.raises(InputError, match="No evaluation was made"):
        compare_evaluations(lab, "a", "b")
    assert not lab.has_evaluations


def test_the_homes_own_benchmark_comes_before_the_one_that_is_shipped(settings: Settings) -> None:
    assert default_data(settings) == shipped_benchmark()
    settings.home.mkdir(parents=True, exist_ok=True)
    own = settings.home / "benchmark.csv"
    own.write_text("question\nx\n", encoding="utf-8")
    assert default_data(settings) == own


def test_an_installation_has_its_benchmark_and_takes_nobody_elses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The wheel held none, and `evaluate` of an installed lab ended with code 2.
    packages = tmp_path / "site-packages"
    module = packages / "llmflowlab" / "data" / "shipped.py"
    module.parent.mkdir(parents=True)
    monkeypatch.setattr(shipped, "__file__", str(module))
    monkeypatch.setattr(program, "__file__", str(packages / "llmflowlab" / "program.py"))
    (packages / "benchmark.csv").write_text("somebody else's", encoding="utf-8")
    assert shipped_benchmark() is None
    module.with_name("benchmark.csv").write_text("question\nx\n", encoding="utf-8")
    assert shipped_benchmark() == module.with_name("benchmark.csv")
