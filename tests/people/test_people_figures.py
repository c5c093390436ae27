"""What people say of an evaluation's answers, beside and together with its judge, from evaluation to pages."""

from __future__ import annotations

import json
import random
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from llmflowlab.cli import main
from llmflowlab.cli.evaluate.show_evaluation import result_tables
from llmflowlab.evaluation.reports.markdown import markdown_summary
from llmflowlab.evaluation.run.engine import run_evaluation
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.evaluation.run.replay import stored_result
from llmflowlab.people.answer_words import (
    HumanVerdict,
    keep_verdicts,
    kept_verdicts,
    open_words,
)
from llmflowlab.people.combined import people_estimates
from llmflowlab.people.strata import strata_of
from llmflowlab.settings import Settings, load_settings
from llmflowlab.tracking.store import open_store
from tests.evaluation.helpers import TableModel, bench, dataset, plan, spec
from tests.evaluation.test_judge_exam import Decides, sound
from tests.known import known

ROWS = 60
CSV = "question,answer\n" + "".join(
    f"The capital of land {n:02}?,Town{n:02}\n" for n in range(ROWS)
)
KNOWN = {f"land {n:02}": f"Town{n:02}." for n in range(ROWS)}


def knows(share: float, seed: int) -> dict[str, str]:
    source = random.Random(seed)
    return {land: town if source.random() < share else "Atlantis." for land, town in KNOWN.items()}


def evaluated(
    home: Settings, tmp_path: Path, decides: Any, name: str = "one", **options: Any
) -> str:
    """Evaluate two models on sixty questions with a judge."""
    models = [TableModel("good", home, knows(0.8, 1)), TableModel("poor", home, knows(0.5, 2))]
    judge = Decides(home, decides, name=f"judge-{name}")
    with closing(Ledger(home.ledger_file)) as ledger:
        made = plan(
            dataset(tmp_path, CSV),
            candidates=[spec(model.reference) for model in models],
            scorers=("correctness", "exact_match"),
            judge=judge.reference,
            evaluation_id=f"20260101-000000-{name}",
        )
        work = bench(home, models, ledger, tmp_path, judge=judge, **options)
        return run_evaluation(made, work).plan.evaluation_id


def say(home: Settings, evaluation: str, rows: range, person: str = "ada", **how: Any) -> None:
    """Let a person judge both models' answers soundly."""
    with closing(open_words(home)) as words, closing(Ledger(home.ledger_file)) as ledger:
        result = stored_result(ledger, evaluation)
        keep_verdicts(
            words,
            evaluation,
            [
                HumanVerdict(
                    cell=Cell(candidate, row),
                    person=person,
                    said="no" if "Atlantis" in result.answers[Cell(candidate, row)].text else "yes",
                    **how,
                )
                for row in rows
                for candidate in (0, 1)
            ],
        )


@pytest.fixture
def home(mlflow_home: Path) -> Settings:
    return load_settings({}, cwd=mlflow_home, stdin_is_terminal=False)


def command(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    capsys.readouterr()
    assert main([*arguments, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def by_chance(claim: str, shown: str) -> str:
    return random.Random(f"{claim} {shown} 5").choice(["yes", "no"])


def test_a_sound_judge_passes_beside_people_and_one_that_guesses_does_not(home, tmp_path, capsys):
    sounds = evaluated(home, tmp_path, sound)
    say(home, sounds, range(40))
    found = command(capsys, "review", "calibrate", sounds)
    [judge] = found["judges"]
    assert (judge["n"], judge["questions"], judge["passed"]) == (80, 40, True)
    assert judge["kappa"]["value"] == 1.0
    assert judge["kappa"]["ci_low"] > 0.5
    assert found["disagreements"] == []
    guesses = evaluated(home, tmp_path, by_chance, "two", exam=0)
    say(home, guesses, range(40))
    with closing(Ledger(home.ledger_file)) as ledger:
        assert stored_result(ledger, guesses).table.doubts == {}
    found = command(capsys, "review", "calibrate", guesses)
    [judge] = found["judges"]
    assert judge["passed"] is False
    assert len(found["disagreements"]) > 20
    # It shows its scores, and nothing is concluded from them any more, by whichever door.
    with closing(Ledger(home.ledger_file)) as ledger:
        result = stored_result(ledger, guesses)
    assert "cannot stand for people" in result.table.doubts["correctness"]
    assert known(result.candidates[0].scores["correctness"].mean) > 0
    [comparison] = [c for c in result.comparisons if c.scorer == "correctness"]
    assert comparison.verdict == "not_comparable"
    run = open_store(home).client.get_run(
        result.to_json()["candidates"][0]["run_id"] or runs(home, guesses)[0]
    )
    assert run.data.tags["llmflowlab.judge_exam"] == "correctness: unlike people"


def runs(home: Settings, evaluation: str) -> list[str]:
    with closing(Ledger(home.ledger_file)) as ledger:
        return list(ledger.evaluation(evaluation).runs["candidates"])


def test_the_combined_estimate_is_equal_through_every_door(home, tmp_path, capsys):
    evaluation = evaluated(home, tmp_path, sound)
    say(home, evaluation, range(20))
    reviewed = command(capsys, "review", evaluation)["people_and_judge"]
    good, poor, difference = reviewed
    assert (good["question"], good["scorer"], good["labelled"], good["of"]) == (
        *("correct", "correctness"),
        *(20, 60),
    )
    # The judge is right throughout: together they say what all answers come to.
    assert good["value"] == pytest.approx(good["judge"], abs=0.02)
    assert good["effective_n"] > 25
    assert good["ci_low"] > good["people_ci_low"]
    assert (
        good["said"] == f"judging 40 more narrows it to ±{100 * good['half_width_then']:.1f} points"
    )
    assert difference["against"] == 0
    assert difference["value"] == pytest.approx(poor["value"] - good["value"], abs=0.05)
    command(capsys, "review", "calibrate", evaluation)
    shown = f"{good['value']:.1%}"
    span = f"{good['ci_low']:.1%} to {good['ci_high']:.1%}"
    assert main(["report", evaluation]) == 0
    with closing(Ledger(home.ledger_file)) as ledger:
        result = stored_result(ledger, evaluation)
    assert result.to_json()["people"] == reviewed
    folder = home.state_dir / "evaluations" / evaluation
    page = (folder / "report.html").read_text("utf-8")
    screen = " ".join(map(str, result_tables(result)))
    for text in (page, screen, markdown_summary(result).replace("\\", "")):
        assert shown in text
        assert span in text
    metrics = open_store(home).client.get_run(runs(home, evaluation)[0]).data.metrics
    assert metrics["people/correct/combined"] == good["value"]
    assert metrics["people/correct/combined_ci_low"] == good["ci_low"]
    assert metrics["people/correct/effective_n"] == good["effective_n"]


def test_rows_drawn_by_the_judge_are_weighted_and_picked_ones_left_out(home, tmp_path):
    evaluation = evaluated(home, tmp_path, sound)
    with closing(Ledger(home.ledger_file)) as ledger:
        result = stored_result(ledger, evaluation)
    say(home, evaluation, range(30))
    wrong = [r for r in range(60) if "Atlantis" in result.answers[Cell(0, r)].text]
    say(home, evaluation, range(30, 60), person="bea", details={"order": "disagreement"})
    with closing(open_words(home)) as words:
        verdicts = kept_verdicts(words, evaluation)
    good = people_estimates(result, verdicts)[0]
    assert (good.labelled, good.of) == (30, 60)
    # Every answer of which the judge is not sure that it is right, and a few others: people's own mean
    # is far off, the estimate is not.
    strata = strata_of(result)
    sure = [row for row in range(60) if strata.names[strata.of[row]] == "yes"]
    chosen = [row for row in range(60) if row not in sure] + sure[:4]
    unequal = [
        HumanVerdict(
            cell=Cell(0, row),
            person="ada",
            said="no" if row in wrong else "yes",
            details={"order": "narrow"},
        )
        for row in chosen
    ]
    weighted = people_estimates(result, unequal)[0]
    assert known(weighted.people) < 0.75
    assert known(weighted.value) == pytest.approx(1 - len(wrong) / 60, abs=0.01)


def test_few_words_give_no_estimate_and_say_so(home, tmp_path, capsys):
    evaluation = evaluated(home, tmp_path, sound)
    assert main(["review", "calibrate", evaluation]) == 2
    assert "Nobody has judged" in capsys.readouterr().err
    say(home, evaluation, range(5))
    good = command(capsys, "review", evaluation)["people_and_judge"][0]
    assert (good["value"], good["people"] is not None) == (None, True)
    assert good["said"] == "5 of 60 questions judged: too few for an estimate"
    [judge] = command(capsys, "review", "calibrate", evaluation)["judges"]
    assert judge["passed"] is None
    assert main(["review", "calibrate", evaluation]) == 0
    assert "from 20 on the judge is examined" in capsys.readouterr().out


def test_people_who_agree_show_it(home, tmp_path, capsys):
    evaluation = evaluated(home, tmp_path, sound)
    say(home, evaluation, range(20))
    say(home, evaluation, range(10, 30), person="bea")
    found = command(capsys, "review", "calibrate", evaluation)
    [people] = found["people"]
    assert (people["people"], people["answers"], people["krippendorff_alpha"]) == (2, 20, 1.0)
