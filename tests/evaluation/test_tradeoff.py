from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from llmflowlab.cli import main
from llmflowlab.data.dataset import load_dataset
from llmflowlab.errors import InputError
from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.conclude.counting import build_result
from llmflowlab.evaluation.conclude.joined import Member, join
from llmflowlab.evaluation.conclude.people_estimates import PeopleEstimate
from llmflowlab.evaluation.conclude.people_quality import PeopleQuality
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.evaluation.scores import Score
from llmflowlab.lab.lab import Lab
from llmflowlab.lab.tradeoffs import Limits, TradeoffRequest, WeighedUp, weigh_runs
from llmflowlab.settings import load_settings
from llmflowlab.statistics.intervals import Interval
from tests.cli.test_report_commands import keep
from tests.evaluation.helpers import plan, spec

ONE, TWO = "20260101-000000-aaaa", "20260102-000000-bbbb"

Made = tuple[str, int, str | None, float]
"""Name, right of all rows, USD an answer, seconds."""


def made(
    folder: Path,
    candidates: Sequence[Made],
    *,
    evaluation: str = ONE,
    questions: Sequence[int] = range(200),
    asked: int | None = None,
    scorers: tuple[str, ...] = ("contains",),
) -> EvaluationResult:
    """Return an evaluation; each candidate is right in its first rows, and asked in the first `asked`."""
    file = folder / f"{evaluation}.csv"
    file.write_text("question,answer\n" + "".join(f"q{i},a{i}\n" for i in questions), "utf-8")
    names = [spec(f"t:{name}") for name, *_ in candidates]
    planned = plan(load_dataset(file), candidates=names, scorers=scorers, evaluation_id=evaluation)
    answers, scores = {}, {}
    for index, (_, right, cost, seconds) in enumerate(candidates):
        for row, number in list(enumerate(questions))[:asked]:
            cell = Cell(index, row)
            answers[cell] = AnswerRecord(
                text="x",
                state="complete",
                latency=seconds,
                cost_usd=cost,
                prompt_tokens=1,
                completion_tokens=10,
                finish_reason="stop",
            )
            scores[cell] = {
                name: Score(scorer=name, value=float(number < right)) for name in scorers
            }
    interrupted = asked is not None
    return build_result(
        planned, answers, scores, reused=[0] * len(candidates), interrupted=interrupted
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


def weighed(
    home: Path, *results: EvaluationResult, names: Sequence[str] = (), **asked: Any
) -> WeighedUp:
    ledger = Ledger(home / ".llmflowlab" / "evaluations.db")
    for result in results:
        keep(ledger, result)
    ledger.close()
    lab = Lab(load_settings({}, cwd=home, stdin_is_terminal=False))
    request = TradeoffRequest(names=names or [r.plan.evaluation_id for r in results])
    return weigh_runs(lab, replace(request, **asked))


GOOD: Made = ("good", 180, "0.01", 2.0)
CHEAP: Made = ("cheap", 180, "0.001", 2.5)
POOR: Made = ("poor", 100, "0.002", 3.0)
FREE: Made = ("free", 60, "0", 0.1)


def places(found: WeighedUp) -> dict[str, str]:
    return {option.label: option.place for option in found.tradeoff.options}


def picks(found: WeighedUp) -> dict[str, str | None]:
    return {pick.asked: pick.candidate for pick in found.tradeoff.picks}


def test_the_front_is_who_is_beaten_by_nobody_in_three_things(home: Path) -> None:
    found = weighed(home, made(home, [GOOD, CHEAP, POOR, FREE]))
    assert places(found) == {
        "t:good": "front",
        "t:cheap": "front",
        "t:poor": "beaten",
        "t:free": "front",
    }
    first, second = found.sentences[:2]
    assert first == (
        "Beaten by nobody in contains, cost and p95 seconds at once: t:good, t:cheap, t:free."
    )
    assert second == "t:poor is beaten by t:cheap."
    document = found.to_json()
    assert document["front"] == ["t:good", "t:cheap", "t:free"]
    by_label = {one["label"]: one for one in document["candidates"]}
    assert by_label["t:cheap"]["cost_per_1000_usd"] == 1.0
    assert by_label["t:cheap"]["latency"]["p95"] == 2.5
    assert by_label["t:cheap"]["tokens_per_second"] == 4.0
    assert by_label["t:poor"]["shown_to_be_beaten_by"] == ["t:cheap"]
    assert by_label["t:free"]["system"] is None


def test_what_chance_may_have_made_is_not_called_beaten(home: Path) -> None:
    # One row of 200 apart, equal in cost and time: seen, and not shown.
    found = weighed(home, made(home, [GOOD, ("near", 179, "0.01", 2.0)]))
    assert places(found) == {"t:good": "front", "t:near": "not_shown"}
    assert "t:near is beaten by the figures of t:good, but not shown to be" in found.sentences[1]


def test_ties_and_unknown_figures_are_said(home: Path) -> None:
    twin: Made = ("twin", 180, "0.01", 2.0)
    found = weighed(home, made(home, [GOOD, twin, ("given", 190, None, 1.0)]))
    assert places(found) == {"t:good": "front", "t:twin": "front", "t:given": "unknown"}
    said = " ".join(found.sentences)
    assert "Equal in all three: t:good, t:twin." in said
    assert "t:given: its cost is unknown, so that it can neither beat nor be beaten." in said
    assert found.to_json()["candidates"][0]["cost_per_1000_usd"] is None


@pytest.mark.parametrize(
    ("than", "candidate", "words"),
    [
        pytest.param("t:good", "t:cheap", "t:cheap, $1.00 against $10.00 per 1,000", id="label"),
        pytest.param("1", "t:cheap", "t:cheap, $1.00", id="number"),
        pytest.param(f"run-{ONE}-0", "t:cheap", "t:cheap, $1.00", id="run"),
        pytest.param(f"{ONE}:1", "t:cheap", "t:cheap, $1.00", id="place"),
        pytest.param("t:cheap", "t:cheap", "itself; none of those", id="itself"),
        pytest.param("t:poor", "t:cheap", "t:cheap, $1.00 against $2.00", id="poor"),
    ],
)
def test_the_cheapest_that_is_not_worse(home: Path, than: str, candidate: str, words: str) -> None:
    found = weighed(home, made(home, [GOOD, CHEAP, POOR]), not_worse_than=than)
    assert picks(found) == {"not_worse_than": candidate}
    assert words in found.sentences[-1]


def test_of_those_that_cost_as_much_the_faster_is_named_and_why(home: Path) -> None:
    found = weighed(home, made(home, [GOOD, ("quick", 180, "0.01", 1.0)]), not_worse_than="t:good")
    assert picks(found) == {"not_worse_than": "t:quick"}
    assert found.sentences[-1].endswith("; it costs as much, and its p95 is shorter.")


def test_what_is_only_not_shown_to_be_worse_is_not_the_cheapest_that_is_not(home: Path) -> None:
    # Two points worse on 40 rows: nobody could tell it from four points worse.
    rows = range(160, 200)
    found = weighed(
        home,
        made(home, [("good", 196, "0.01", 1.0), ("maybe", 195, "0.001", 1.0)], questions=rows),
        not_worse_than="t:good",
    )
    assert picks(found) == {"not_worse_than": "t:good"}
    assert "nobody else was shown to be no worse by more than 3 points" in found.sentences[-1]


@pytest.mark.parametrize(
    ("limits", "candidate", "words"),
    [
        pytest.param(Limits(cost_per_1000=Decimal("1")), "t:cheap", "$1.00 per 1,000", id="cost"),
        pytest.param(Limits(seconds=2.0), "t:good", "Best under 2 s (p95): t:good", id="seconds"),
        pytest.param(
            Limits(cost_per_1000=Decimal("1"), seconds=2.0), "t:free", "and 2 s", id="both"
        ),
        pytest.param(Limits(seconds=0.01), None, "Nobody is under 0.01 s (p95).", id="nobody"),
    ],
)
def test_the_best_within_limits(
    home: Path, limits: Limits, candidate: str | None, words: str
) -> None:
    found = weighed(home, made(home, [GOOD, CHEAP, POOR, FREE]), limits=limits)
    assert picks(found) == {"best_under": candidate}
    assert words in found.sentences[-1]


def test_the_best_that_is_not_shown_to_be_better_says_so(home: Path) -> None:
    near: Made = ("near", 179, "0.01", 2.0)
    found = weighed(home, made(home, [GOOD, near]), limits=Limits(seconds=5.0))
    assert "not shown to be better than t:near" in found.sentences[-1]


def test_of_unknown_cost_it_is_said_that_it_is_unknown(home: Path) -> None:
    found = weighed(
        home,
        made(home, [GOOD, ("given", 190, None, 1.0)]),
        limits=Limits(cost_per_1000=Decimal(100)),
    )
    assert picks(found) == {"best_under": "t:good"}
    assert found.sentences[-1].endswith("unknown for t:given.")


def test_nothing_is_concluded_from_a_stopped_evaluation(home: Path) -> None:
    found = weighed(home, made(home, [GOOD, POOR], asked=150), not_worse_than="t:good")
    assert found.tradeoff.picks == []
    assert found.sentences[0] == "Nothing is concluded: the evaluation was interrupted."
    assert f"evaluate --resume {ONE}" in " ".join(found.sentences)
    assert not any(option.shown_by for option in found.tradeoff.options)


def test_where_nothing_is_concluded_nobody_is_on_the_front_through_any_door(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # The table called one of them "beaten by none" over "Nothing is concluded".
    made_one = made(home, [GOOD, POOR], asked=150)
    found = weighed(home, made_one)
    assert set(places(found).values()) == {"withheld"}
    assert found.to_json()["front"] == []
    monkeypatch.setenv("LLMFLOWLAB_HOME", str(home))
    page = home / "page.html"
    assert main(["compare", ONE, "--html", str(page)]) == 0
    shown = capsys.readouterr().out
    assert "beaten by none" not in shown
    assert shown.count("not concluded") == 2
    text = page.read_text("utf-8")
    assert "Nobody is shown as beaten by none: the evaluation was interrupted." in text
    assert "<polyline" not in text
    assert "dashed line" not in text


def test_one_that_alone_has_enough_scores_beats_nobody(home: Path) -> None:
    one = made(home, [GOOD, POOR])
    scores = {
        cell: {"contains": Score(scorer="contains", not_scored="scorer_failed")}
        if cell.candidate == 1 and cell.row < 20
        else by_name
        for cell, by_name in one.scores.items()
    }
    found = weighed(home, build_result(one.plan, one.answers, scores, reused=[0, 0]))
    assert places(found) == {"t:good": "withheld", "t:poor": "left_out"}
    assert found.sentences[0] == (
        "Nothing is concluded: only t:good has enough answers scored by contains to be set beside another."
    )
    assert found.sentences[1].startswith("t:poor is left out")


def test_runs_over_different_questions_are_held_together_on_the_common_ones(home: Path) -> None:
    one = made(home, [GOOD, POOR], questions=range(200))
    two = made(home, [CHEAP], evaluation=TWO, questions=range(150, 250))
    found = weighed(home, one, two)
    document = found.to_json()
    assert document["dataset"]["rows"] == 50
    assert document["evaluations"] == [ONE, TWO]
    assert "Only the 50 questions that all have in common count" in " ".join(found.sentences)
    # Of the questions 150 to 199 the first 30 are right.
    assert [one["quality"]["value"] for one in document["candidates"]] == [0.6, 0.6, 0.0]
    assert {one["run_id"] for one in document["candidates"]} == {
        f"run-{ONE}-0",
        f"run-{ONE}-1",
        f"run-{TWO}-0",
    }


def test_a_run_stands_for_its_candidate_and_one_name_twice_is_told_apart(home: Path) -> None:
    one = made(home, [GOOD, POOR])
    two = made(home, [GOOD], evaluation=TWO)
    other = replace(
        two,
        plan=replace(two.plan, candidates=(replace(two.plan.candidates[0], system="Be brief."),)),
    )
    found = weighed(home, one, other, names=[f"run-{ONE}-0", TWO])
    assert {option.label for option in found.tradeoff.options} == {
        f"t:good ({ONE})",
        f"t:good ({TWO})",
    }


@pytest.mark.parametrize(
    ("names", "message"),
    [
        pytest.param([f"{ONE}:1"], "One candidate alone has nobody", id="alone"),
        pytest.param([ONE, "nothing"], "neither a run nor an evaluation", id="unknown"),
        pytest.param([ONE, TWO], "same candidate in two of the evaluations", id="same"),
        pytest.param([f"{ONE}:2", f"{TWO}:2"], "no scorer in common", id="scorer"),
    ],
)
def test_what_cannot_be_compared_is_said(home: Path, names: list[str], message: str) -> None:
    one = made(home, [GOOD, POOR])
    two = made(home, [GOOD, CHEAP], evaluation=TWO, scorers=("exact_match",))
    with pytest.raises(InputError, match=message):
        weighed(home, one, two, names=names)


def test_no_question_in_common_is_said(home: Path) -> None:
    one = made(home, [GOOD])
    two = made(home, [CHEAP], evaluation=TWO, questions=range(300, 320))
    with pytest.raises(InputError, match="have no question in common"):
        weighed(home, one, two)


@pytest.mark.parametrize(("than", "problem"), [("nobody", "is none of"), ("9", "is none of")])
def test_a_reference_that_is_none_names_those_there_are(
    home: Path, than: str, problem: str
) -> None:
    with pytest.raises(InputError, match=f"{problem} the candidates.*1 t:good, 2 t:poor"):
        weighed(home, made(home, [GOOD, POOR]), not_worse_than=than)


def test_all_of_one_evaluation_are_that_evaluation_and_a_part_of_it_is_counted_alike(
    tmp_path: Path,
) -> None:
    result = made(tmp_path, [GOOD, CHEAP, POOR])
    members = [Member(result, index) for index in range(3)]
    assert join(members).result is result
    part = join(members[:2]).result
    for index in range(2):
        whole, counted = result.candidates[index], part.candidates[index]
        assert counted == whole


def test_compare_through_the_program(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(home / ".llmflowlab" / "evaluations.db")
    keep(ledger, made(home, [GOOD, CHEAP, POOR]))
    ledger.close()
    page = home / "compare.html"
    assert main(["compare", ONE, "--not-worse-than", "1", "--html", str(page)]) == 0
    shown = capsys.readouterr().out
    assert "Quality (contains, by scorer) against cost and time" in shown
    assert "$10.00" in shown
    assert "Cheapest that is not worse than t:good by more than 3 points: t:cheap" in shown
    text = page.read_text("utf-8")
    assert "Cheapest that is not worse than t:good" in text
    assert text.count("<svg") == 2
    assert "<script" not in text
    assert main(["compare", ONE, "--json", "--max-seconds", "2"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [pick["candidate"] for pick in document["picks"]] == ["t:good"]
    assert main(["compare", ONE, "--html", str(home)]) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert main(["compare", ONE, "--margin", "2"]) == 2


def told(
    candidate: int, value: float, half: float, *, against: int | None = None, **changed: Any
) -> PeopleEstimate:
    """Return what people and the scorer tell together, with an interval so wide on either side."""
    estimate = PeopleEstimate(
        asked="correct",
        scorer="contains",
        candidate=candidate,
        against=against,
        judge=0.5,
        people=value,
        people_interval=None,
        labelled=60,
        of=200,
        value=value,
        interval=Interval(value - half, value + half),
        effective=80.0,
        more=40,
        half_width=half / 2,
    )
    return replace(estimate, **changed)


def judged(home: Path, *people: PeopleEstimate, **asked: Any) -> WeighedUp:
    result = made(home, [GOOD, CHEAP])
    weighed(home, result)
    ledger = Ledger(home / ".llmflowlab" / "evaluations.db")
    ledger.set_people(ONE, people)
    ledger.close()
    lab = Lab(load_settings({}, cwd=home, stdin_is_terminal=False))
    return weigh_runs(lab, replace(TradeoffRequest(names=[ONE]), **asked))


def test_where_people_judged_enough_quality_is_what_they_and_the_scorer_tell_together(
    home: Path,
) -> None:
    # By the scorer both are equal, and the cheaper one was named.
    apart = told(1, -0.3, 0.1, against=0)
    limits = Limits(cost_per_1000=Decimal(100))
    found = judged(
        home,
        *(told(0, 0.9, 0.05), told(1, 0.6, 0.1), apart),
        limits=limits,
        not_worse_than="t:good",
    )
    quality = {option.label: option.quality for option in found.tradeoff.options}
    assert (quality["t:good"].value, quality["t:cheap"].value) == (0.9, 0.6)
    assert {each.source for each in quality.values()} == {"people and judge"}
    assert picks(found) == {"not_worse_than": "t:good", "best_under": "t:good"}
    assert "Best under" in found.tradeoff.picks[1].reason
    assert "people and contains 90.0%" in found.tradeoff.picks[1].reason
    assert "not shown to be better" not in found.tradeoff.picks[1].reason


def test_people_who_see_no_difference_leave_the_cheaper_one_no_worse(home: Path) -> None:
    alike = told(1, 0.0, 0.02, against=0)
    found = judged(
        home, told(0, 0.8, 0.05), told(1, 0.8, 0.05), alike, not_worse_than="t:good", margin=0.03
    )
    assert picks(found) == {"not_worse_than": "t:cheap"}
    wide = told(1, 0.0, 0.2, against=0)
    found = judged(
        home, told(0, 0.8, 0.05), told(1, 0.8, 0.05), wide, not_worse_than="t:good", margin=0.03
    )
    assert picks(found) == {"not_worse_than": "t:good"}


@pytest.mark.parametrize(
    "people",
    [
        pytest.param((told(0, 0.9, 0.05),), id="of one candidate alone"),
        pytest.param((told(0, 0.9, 0.05), told(1, 0.6, 0.1)), id="without the difference"),
        pytest.param(
            (
                told(0, 0.9, 0.05),
                replace(told(1, 0.6, 0.1), value=None, interval=None),
                told(1, -0.3, 0.1, against=0),
            ),
            id="too few words on one",
        ),
        pytest.param(
            (
                told(0, 0.9, 0.05, scorer="other"),
                told(1, 0.6, 0.1, scorer="other"),
                told(1, -0.3, 0.1, against=0, scorer="other"),
            ),
            id="with another scorer",
        ),
    ],
)
def test_what_people_say_of_some_candidates_alone_decides_nothing(
    home: Path, people: tuple[PeopleEstimate, ...]
) -> None:
    found = judged(home, *people)
    assert {option.quality.source for option in found.tradeoff.options} == {"scorer"}
    assert {option.quality.value for option in found.tradeoff.options} == {0.9}


def test_of_many_pairs_each_must_show_more_to_be_shown(home: Path) -> None:
    own = {index: told(index, 0.5, 0.1) for index in range(4)}
    edge = told(1, 0.11, 0.1, against=0)
    two = PeopleQuality(asked="correct", estimates=own, differences={(1, 0): edge})
    six = PeopleQuality(
        asked="correct",
        estimates=own,
        differences={(1, 0): edge}
        | {(a, b): told(a, 0.0, 0.1, against=b) for a in range(4) for b in range(a) if a != 1},
    )
    assert two.better() == {(1, 0)}
    assert six.better() == set()
