"""A judge is examined before it judges; one that fails is shown and not believed."""

from __future__ import annotations

import json
import random
import re
import threading
from dataclasses import replace

import pytest

from llmflowlab.asking.stopping import Stopper
from llmflowlab.cli.evaluate.show_evaluation import result_tables
from llmflowlab.errors import ConnectionFailed
from llmflowlab.evaluation.conclude.conclusions import conclude, headline
from llmflowlab.evaluation.conclude.counting import build_result
from llmflowlab.evaluation.conclude.decide import weigh
from llmflowlab.evaluation.conclude.gates import check_thresholds, parse_threshold
from llmflowlab.evaluation.conclude.promotion import PromotionTerms, decide
from llmflowlab.evaluation.judging import Judge, Panel, PreferenceScorer
from llmflowlab.evaluation.judging.exam import Exam, ExamVerdict, exam_tasks
from llmflowlab.evaluation.reports.figures import figures_of
from llmflowlab.evaluation.reports.markdown import markdown_summary
from llmflowlab.evaluation.reports.page import report_page
from llmflowlab.evaluation.run.closing import closing_of
from llmflowlab.evaluation.run.engine import run_evaluation
from llmflowlab.evaluation.run.replay import stored_result
from llmflowlab.evaluation.run.scoring import Scoring
from llmflowlab.evaluation.scores import Score
from tests.evaluation.helpers import (
    QUICK,
    TableModel,
    answer,
    bench,
    dataset,
    metering,
    plan,
    spec,
)
from tests.known import known

CAPITALS = {
    "France": "Paris",
    "Italy": "Rome",
    "Spain": "Madrid",
    "Greece": "Athens",
    "Poland": "Warsaw",
    "Norway": "Oslo",
    "Peru": "Lima",
    "Egypt": "Cairo",
    "Kenya": "Nairobi",
    "Japan": "Tokyo",
    "Cuba": "Havana",
    "Ghana": "Accra",
}
CSV = "question,answer\n" + "".join(f"The capital of {k}?,{v}\n" for k, v in CAPITALS.items())
ONE = "question,answer\nThe capital of France?,Paris\n"


class Decides(TableModel):
    """Says what a function of (claim, answer) says."""

    def __init__(self, settings, decide, reason="because", name="judge"):
        super().__init__(name, settings, {})
        self._decide = decide
        self._reason = reason
        self._lock = threading.Lock()
        self.shown: list[tuple[str, str]] = []

    def stream(self, request):
        text = request.messages[-1].content
        found = re.search("<claim>(.*?)</claim>.*? - (.*?)</document>", text, re.S)
        if found is None:
            found = re.search(
                "<first_answer>(.*?)</first_answer>.*<second_answer>(.*?)</second_answer>",
                text,
                re.S,
            )
        # Of a judge of one text, such as that of safety, there is nothing to compare with.
        one, other = found.groups() if found is not None else ("", text)
        with self._lock:
            self.shown.append((one, other))
            said = self._decide(one, other)
            if isinstance(said, str):
                said = json.dumps({"rationale": self._reason, "result": said})
            self.answers = {"": said}
            events = list(super().stream(request))
        yield from events


def sound(claim, shown):
    return "yes" if claim in shown else "no"


def by_chance(seed):
    # The same coin for the same question: the order in which they are asked is not the same each time.
    return lambda claim, shown: random.Random(f"{seed} {claim} {shown}").choice(["yes", "no"])


def judge_of(model, home):
    return Judge(model, policy=replace(QUICK, max_tries=1), metering=metering(home))


def judged(home, ledger, tmp_path, judges, *, texts=None, scorers=("correctness",), **options):
    """Score one text a candidate and row; returns the result and the plan."""
    data = dataset(tmp_path, options.pop("csv", CSV))
    lists = texts or [[f"It is {row.expected}." for row in data.rows]]
    made = plan(
        data,
        candidates=[spec(f"table:m{i}") for i in range(len(lists))],
        scorers=scorers,
        judge=judges[0].reference,
        panel=tuple(judge.reference for judge in judges[1:]),
    )
    answers = {cell: answer(lists[cell.candidate][cell.row], cost_usd="0") for cell in made.cells()}
    panel = Panel(judges=tuple(judge_of(judge, home) for judge in judges))
    scoring = Scoring(made, panel, ledger, exam=options.pop("exam", 5))
    scoring.recall(answers)
    scoring.score_all(answers, concurrency=4)
    return build_result(
        made, answers, scoring.scores, reused=[0] * len(lists), exams=scoring.exams()
    )


@pytest.mark.parametrize(
    ("decides", "reason", "passed"),
    [
        pytest.param(sound, "because", True, id="sound"),
        pytest.param(lambda claim, shown: "yes", "because", False, id="always-yes"),
        pytest.param(lambda claim, shown: "no", "because", False, id="always-no"),
        pytest.param(sound, "", False, id="empty-reasons"),
        pytest.param(sound, " \n", False, id="blank-reasons"),
        pytest.param(by_chance(1), "because", False, id="by-chance"),
        pytest.param(lambda claim, shown: "perhaps", "because", False, id="unreadable"),
        pytest.param(
            lambda claim, shown: ConnectionFailed("away", provider="table"), "", False, id="away"
        ),
    ],
)
def test_a_sound_judge_passes_its_examination_and_a_biased_one_fails(
    home, ledger, tmp_path, decides, reason, passed
):
    judge = Decides(home, decides, reason)
    result = judged(home, ledger, tmp_path, [judge])
    exam = result.to_json()["judging"]["correctness"]["exam"]
    assert (exam["asked"], exam["passed"]) == (10, passed)
    assert exam["judges"][judge.reference]["passed"] is passed
    assert bool(result.table.doubts) is not passed


def test_a_right_and_a_wrong_answer_are_shown_for_rows_all_over_the_file(home, ledger, tmp_path):
    judge = Decides(home, sound)
    judged(home, ledger, tmp_path, [judge])
    examined = judge.shown[:10]
    claims = [claim for claim, _ in examined]
    assert {claim: claims.count(claim) for claim in claims} == dict.fromkeys(
        ("Paris", "Madrid", "Warsaw", "Cairo", "Tokyo"), 2
    )
    right = [shown for claim, shown in examined if claim == shown]
    wrong = [shown for claim, shown in examined if claim != shown]
    assert len(right) == len(wrong) == 5
    # Nothing of the candidate's was judged before the examination was over.
    assert all(shown in CAPITALS.values() for _, shown in examined)
    assert len(judge.shown) == 10 + len(CAPITALS)


@pytest.mark.parametrize(
    ("csv", "shown"),
    [
        pytest.param(ONE, 0, id="one-row"),
        pytest.param("question,answer\nA?,\nB?,\n", 0, id="no-expected-answers"),
        pytest.param("question,answer\nA?,Paris\nB?,paris!\n", 0, id="same-after-normalisation"),
        pytest.param("question,answer\nA?,York\nB?,New York\n", 0, id="one-within-the-other"),
        pytest.param("question,answer\nA?,York\nA?,Paris\n", 0, id="the-same-question"),
        pytest.param("question,answer\nA?,York\nB?,Paris\n", 4, id="two-rows"),
    ],
)
def test_nothing_is_called_wrong_that_may_be_right(home, ledger, tmp_path, csv, shown):
    judge = Decides(home, lambda claim, text: "yes")
    result = judged(home, ledger, tmp_path, [judge], csv=csv)
    assert sum(exam.asked for exam in result.exams) == shown
    # Who was not examined is believed as before.
    assert bool(result.table.doubts) is (shown > 0)


def test_an_examination_that_was_not_finished_says_that_alone():
    verdicts = tuple(
        ExamVerdict(right=right, score=Score(scorer="correctness", not_scored="budget_exhausted"))
        for right in (True, False)
    )
    # Pins: "recognised 0 of 0 right answers and 0 of 0 wrong ones; its scores are shown".
    assert Exam(scorer="correctness", judge="j", verdicts=verdicts).sentence() == (
        "correctness: the examination of the judge j was not finished: nothing is concluded from "
        "its scores."
    )


def best_and_worst(tmp_path):
    rows = dataset(tmp_path, CSV).rows
    return [[f"It is {row.expected}." for row in rows], ["It is Atlantis."] * len(rows)]


@pytest.mark.parametrize("reason", ["because", ""])
def test_nothing_is_concluded_from_a_judge_that_failed(home, ledger, tmp_path, reason):
    """A judge held to its form by a grammar gave empty reasons at full coverage, and was believed."""
    judge = Decides(home, sound, reason)
    result = judged(home, ledger, tmp_path, [judge], texts=best_and_worst(tmp_path))
    believed = bool(reason)
    # Shown as they are.
    assert [c.scores["correctness"].mean for c in result.candidates] == [1.0, 0.0]
    assert result.comparisons[0].verdict == ("a_better" if believed else "not_comparable")
    assert [rank.rank for rank in result.leaderboard["correctness"]] == [1, 2 if believed else 1]
    assert (result.recommendation is not None) is believed
    threshold = parse_threshold("correctness=0.5", side="at least")
    gate = check_thresholds(result, [threshold], min_coverage=0.9)[0]
    assert gate.passed is believed
    turned = judged(home, ledger, tmp_path, [judge], texts=best_and_worst(tmp_path)[::-1])
    decision = decide(turned, PromotionTerms())
    assert (decision.promoted, decision.verdict) == (
        (True, "better") if believed else (False, "not_compared")
    )
    alone = decide(judged(home, ledger, tmp_path, [judge]), PromotionTerms())
    assert alone.promoted is believed
    said = " ".join(conclude(result))
    assert ("it is not believed" in said) is not believed
    assert ("Nobody is recommended: the judge table:judge did not pass" in said) is not believed
    summary = markdown_summary(result)
    assert "recognised 5 of 5 right answers" in summary.replace("\\", "") or not believed
    tag = closing_of(result, []).tags[0]["llmflowlab.judge_exam"]
    assert tag == f"correctness: {'passed' if believed else 'failed'}"


@pytest.mark.parametrize("reason", ["because", ""])
def test_beside_scores_that_are_not_examined_stands_that_their_judge_failed_elsewhere(
    home, ledger, tmp_path, reason
):
    # Beside the doubted `correctness` the same judge's `safety` once stood without a mark.
    judge = Decides(home, sound, reason)
    result = judged(
        home, ledger, tmp_path, [judge], scorers=("correctness", "safety", "exact_match")
    )
    said = (
        "safety: no verdict is known beforehand to examine a judge with, and the judge table:judge did "
        "not pass that of correctness; read its reasons before you rely on these scores."
    )
    failed = not reason
    document = result.to_json()["judging"]
    assert (document.get("safety", {}).get("caveat") == said) is failed
    assert document["correctness"]["caveat"] is None
    assert "caveat" not in document.get("exact_match", {})
    scores = next(table for table in result_tables(result) if table.title == "Scores")
    assert (said in scores.notes) is failed
    assert (said in headline(result)) is failed
    # At the head, and beside the scores.
    shown = report_page(result, figures_of(result))
    assert shown.count("did not pass that of correctness") == (2 if failed else 0)
    assert ("did not pass that of correctness" in markdown_summary(result)) is failed


def test_a_judge_that_failed_allows_no_verdict_wherever_two_are_weighed(home, ledger, tmp_path):
    texts = best_and_worst(tmp_path)[::-1]
    table = judged(home, ledger, tmp_path, [Decides(home, sound, "")], texts=texts).table
    evidence = weigh(table.pairs("correctness", 0, 1), margin=0.02)
    assert known(evidence).verdict == "not_shown"
    assert known(evidence).withheld == "the judge table:judge did not pass its examination"


def test_of_a_panel_every_judge_must_pass(home, ledger, tmp_path):
    judges = [Decides(home, sound, name="good"), Decides(home, lambda *_: "yes", name="bad")]
    result = judged(home, ledger, tmp_path, judges)
    exam = result.to_json()["judging"]["correctness"]["exam"]
    assert {name: one["passed"] for name, one in exam["judges"].items()} == {
        "table:good": True,
        "table:bad": False,
    }
    assert exam["passed"] is False
    assert result.table.doubts == {
        "correctness": "the judge table:bad did not pass its examination"
    }


@pytest.mark.parametrize("said", ["first", "second", "tie"])
def test_a_judge_of_pairs_that_goes_by_the_place_fails(home, ledger, tmp_path, said):
    judge = Decides(home, lambda one, two: said)
    texts = best_and_worst(tmp_path)
    result = judged(home, ledger, tmp_path, [judge], texts=texts, scorers=("preference",))
    assert [exam.passed for exam in result.exams] == [False]


def test_a_judge_of_pairs_must_prefer_the_expected_answer_in_either_place(home, tmp_path):
    judge = judge_of(Decides(home, lambda one, two: "first" if one == "Paris" else "second"), home)
    rows = dataset(tmp_path, "question,answer\nFrance?,Paris\nItaly?,Rome\n").rows
    tasks = exam_tasks(PreferenceScorer(judge), judge, rows, 5)
    said = [(task.right, task.judgement.ask(Stopper()).value) for task in tasks]
    # It knows the one answer and not the other.
    assert said == [(True, 1.0), (False, 0.0), (True, 0.0), (False, 1.0)]


def test_verdicts_of_the_examination_are_paid_once_and_count_as_judging(home, ledger, tmp_path):
    judge = Decides(home, sound)
    models = [TableModel("one", home, CAPITALS)]
    made = plan(dataset(tmp_path, CSV), scorers=("correctness",), judge=judge.reference)
    first = run_evaluation(made, bench(home, models, ledger, tmp_path, judge=judge, exam=5))
    # Five rows were answered as expected: the verdict of the examination serves.
    assert len(judge.requests) == len(CAPITALS) + 5
    assert first.judge_usage["calls"]["sent"] == len(judge.requests)
    assert first.judge_usage["tokens"]["prompt"] == 10 * len(judge.requests)
    assert first.to_json()["judging"]["correctness"]["exam"]["passed"] is True
    assert stored_result(ledger, made.evaluation_id).to_json()["judging"] == dict(
        first.to_json()["judging"]
    )
    asked = len(judge.requests)
    resumed = run_evaluation(made, bench(home, models, ledger, tmp_path, judge=judge, exam=5))
    assert len(judge.requests) == asked
    assert resumed.judge_usage == first.judge_usage
    other = replace(made, evaluation_id="20260101-000000-beef")
    again = run_evaluation(other, bench(home, models, ledger, tmp_path, judge=judge, exam=5))
    assert len(judge.requests) == asked
    assert again.judge_usage["calls"]["sent"] == 0
    assert again.exams[0].passed is True


def test_an_examination_is_written_down_whole(home, ledger, tmp_path):
    exam = judged(home, ledger, tmp_path, [Decides(home, sound)]).exams[0]
    assert Exam.from_json(json.loads(json.dumps(exam.to_json()))) == exam
    ledger.set_exams("e", [exam])
    assert ledger.exams("e") == [exam]
    assert ledger.exams("another") == []


def test_a_judge_that_denies_what_is_exactly_right_is_said_to(home, ledger, tmp_path):
    judge = Decides(home, lambda claim, shown: "no" if claim == "Paris" else sound(claim, shown))
    texts = [[*list(CAPITALS.values())[:11], "Atlantis"]]
    result = judged(
        home, ledger, tmp_path, [judge], texts=texts, scorers=("correctness", "exact_match")
    )
    document = result.to_json()["judging"]["correctness"]
    assert document["contradicts"] == {"scorer": "exact_match", "rows": 1, "of": 11}
    assert any("contradicts exact_match on 1 row of 11" in said for said in conclude(result))
    assert "contradicts exact\\_match on 1 row" in markdown_summary(result)
