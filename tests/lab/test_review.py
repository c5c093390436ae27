"""A review keeps every word at once, goes on where it stopped, and takes back what it is told to."""

from __future__ import annotations

import json
import re
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from llmflowlab.errors import InputError, TrackingError
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.lab.lab import Lab
from llmflowlab.lab.report import write_report
from llmflowlab.lab.review import Review, ReviewRequest, begin_review
from llmflowlab.lab.review_results import review_results
from llmflowlab.people.answer_words import HumanVerdict, keep_verdicts, kept_verdicts
from llmflowlab.people.rubric import Rubric, RubricQuestion
from llmflowlab.people.sheets import sheet_text
from llmflowlab.settings import Settings
from tests.evaluation.helpers import answer, spec
from tests.evaluation.test_gates import kept, result
from tests.full_disk import TROUBLES, no_writing
from tests.known import known

ROWS = 6
PAIR = [spec("table:first"), spec("table:second")]
ONE = Rubric((RubricQuestion(name="correct", ask="Is it?", scale="yes_no"),))


class Clock:
    """Ten seconds an answer."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 10
        return self.now


@pytest.fixture
def lab(settings: Settings) -> Lab:
    return Lab(settings)


@pytest.fixture
def found(settings: Settings) -> EvaluationResult:
    answers = {row: answer(f"answer {row}", latency=1.0) for row in range(ROWS)}
    made = result(settings.home, [1, 0] * (ROWS // 2), candidates=PAIR, answers=answers)
    with closing(kept(settings.state_dir, made)):
        pass
    return made


def begin(lab: Lab, found: EvaluationResult, **options: Any) -> Review:
    name = options.pop("name", found.plan.evaluation_id)
    request = ReviewRequest(name=name, person=options.pop("person", "ada"), **options)
    return begin_review(lab, request, clock=Clock())


def ended(review: Review) -> str | None:
    return review.done_because


def said(lab: Lab, found: EvaluationResult) -> list[tuple[str, str, str]]:
    with closing(lab.words()) as words:
        kept_ones = kept_verdicts(words, found.plan.evaluation_id)
    return [(v.question, v.said, v.comment) for v in kept_ones]


def test_every_word_is_kept_at_once_and_the_next_answer_comes_by_itself(
    lab: Lab, found: EvaluationResult
) -> None:
    with closing(begin(lab, found)) as review:
        assert (review.total, review.judged, review.place) == (2 * ROWS, 0, 1)
        assert review.shown.model is None
        review.say("yes")
        assert said(lab, found) == [("correct", "yes", "")]
        assert (review.place, review.asked and review.asked.name) == (1, "quality")
        review.say("4")
        assert (review.judged, review.place) == (1, 2)
        assert review.asked is not None
        assert review.asked.name == "correct"
        assert review.seconds_left


def test_it_goes_on_where_it_stopped_for_each_person(lab: Lab, found: EvaluationResult) -> None:
    with closing(begin(lab, found)) as review:
        for _ in range(3):
            review.say("yes")
            review.say("4")
        review.say("no")
        stopped = review.shown
    with closing(begin(lab, found)) as again:
        assert (again.judged, again.place, again.shown) == (3, 4, stopped)
        assert (again.given, again.asked and again.asked.name) == ({"correct": "no"}, "quality")
    with closing(begin(lab, found, person="bob")) as other:
        assert (other.judged, other.place) == (0, 1)


def test_undo_takes_back_a_verdict_a_discard_and_a_skip_with_what_was_before(
    lab: Lab, found: EvaluationResult
) -> None:
    with closing(begin(lab, found, show_models=True)) as review:
        first = review.shown
        review.write("hm")
        review.say("no")
        review.undo()
        assert (review.shown, review.comment, review.given) == (first, "hm", {})
        review.say("no")
        review.discard()
        assert (review.place, review.judged) == (2, 1)
        review.undo()
        assert (review.shown, review.given, review.discarded) == (first, {"correct": "no"}, False)
        review.skip()
        assert review.shown != first
        review.undo()
        assert (review.shown, review.comment) == (first, "hm")
        while review.undo():
            pass
        assert said(lab, found) == []
        assert not review.undo()


def test_undo_goes_on_with_what_was_done_in_earlier_sessions(
    lab: Lab, found: EvaluationResult
) -> None:
    with closing(begin(lab, found, show_models=True)) as review:
        first = review.shown
        review.say("no")
        review.write("hm")
        review.discard()
        review.say("yes")
        review.say("4")
        review.undo()
        review.say("2")
    with closing(begin(lab, found, show_models=True)) as again:
        assert again.undo()
        assert (again.place, again.given) == (2, {"correct": "yes"})
        assert again.undo()
        assert again.given == {}
    with closing(begin(lab, found, show_models=True)) as again:
        # What was undone there is not undone once more.
        assert again.undo()
        assert (again.shown, again.given, again.comment) == (first, {"correct": "no"}, "hm")
        again.say("3")
        again.undo()
        assert again.undo()
        assert (again.given, again.comment) == ({"correct": "no"}, "")
        assert again.undo()
        assert not again.undo()
    assert said(lab, found) == []


@pytest.mark.parametrize(("says", "why"), TROUBLES.items())
def test_a_verdict_that_no_disk_takes_is_not_said_and_all_before_it_stays(
    lab: Lab, found: EvaluationResult, says: str, why: str
) -> None:
    with closing(begin(lab, found)) as review:
        review.say("yes")
        with no_writing(says):
            for action in (lambda: review.say("4"), review.discard, review.undo):
                with pytest.raises(TrackingError, match=re.escape(why)) as caught:
                    action()
                assert "SQL" not in caught.value.message
                assert "\n" not in caught.value.message
                assert (review.given, review.place) == ({"correct": "yes"}, 1)
        assert said(lab, found) == [("correct", "yes", "")]
        review.say("4")
        review.undo()
        review.undo()
        assert said(lab, found) == []


def test_what_came_in_a_sheet_is_no_step_and_is_not_undone(
    lab: Lab, found: EvaluationResult
) -> None:
    with closing(begin(lab, found, rubric=ONE)) as review:
        review.say("no")
        review.say("no")
    with closing(lab.words()) as words:
        kept_ones = kept_verdicts(words, found.plan.evaluation_id)
        sheet = replace(kept_ones[1], said="yes", details={})
        keep_verdicts(words, found.plan.evaluation_id, [sheet])
    with closing(begin(lab, found, rubric=ONE)) as again:
        assert again.undo()
        assert not again.undo()
    assert [word for _, word, _ in said(lab, found)] == ["yes"]


def test_answers_that_are_not_whole_are_counted_by_why(lab: Lab, settings: Settings) -> None:
    answers = {row: answer("said", latency=1.0) for row in range(ROWS)}
    answers[0] = replace(answers[0], finish_reason="length")
    answers[1] = replace(answers[1], text=" ")
    made = result(settings.home, [1] * ROWS, candidates=PAIR, answers=answers)
    with closing(kept(settings.state_dir, made)):
        pass
    with closing(begin(lab, made)) as review:
        assert review.left_out == {"cut at the token limit": 2, "empty": 2}
        assert review.total == 2 * (ROWS - 2)
    with closing(begin(lab, made, name="run-0")) as review:
        assert sum(review.left_out.values()) == 2


def test_where_no_answer_is_whole_it_is_said_why(lab: Lab, settings: Settings) -> None:
    cut = {row: answer("said", latency=1.0, finish_reason="length") for row in range(ROWS)}
    made = result(settings.home, [1] * ROWS, candidates=PAIR, answers=cut)
    with closing(kept(settings.state_dir, made)):
        pass
    why = "as none is whole: 12 cut at the token limit"
    with pytest.raises(InputError, match=why):
        begin(lab, made)
    with pytest.raises(InputError, match=why):
        sheet_text(made)


def test_who_goes_back_may_change_a_verdict_and_it_counts_once(
    lab: Lab, found: EvaluationResult
) -> None:
    with closing(begin(lab, found, rubric=ONE)) as review:
        assert not review.back()
        review.say("yes")
        review.say("yes")
        assert review.back()
        assert review.back()
        review.say("no")
        assert (review.place, review.judged) == (3, 2)
    assert [word for _, word, _ in said(lab, found)] == ["yes", "no"]


def test_what_is_skipped_comes_again_after_all_others(lab: Lab, found: EvaluationResult) -> None:
    with closing(begin(lab, found, rubric=ONE, show_models=True)) as review:
        skipped = review.shown
        review.skip()
        for _ in range(2 * ROWS - 1):
            assert review.shown != skipped or review.judged == 2 * ROWS - 1
            review.say("yes")
        assert ended(review) is None
        review.say("yes")
        assert ended(review) == "All answers are judged."
        review.undo()
        assert (ended(review), review.judged) == (None, 2 * ROWS - 1)


def test_the_last_answer_can_be_skipped_as_well(lab: Lab, found: EvaluationResult) -> None:
    with closing(begin(lab, found, rubric=ONE, show_models=True)) as review:
        while review.forward():
            pass
        last = review.shown
        review.skip()
        assert review.shown != last
        for _ in range(2 * ROWS - 1):
            assert review.shown != last
            review.say("yes")
        assert review.shown == last


def test_a_comment_stands_on_its_own_until_there_is_a_verdict(
    lab: Lab, found: EvaluationResult
) -> None:
    with closing(begin(lab, found)) as review:
        review.write("unclear")
        assert said(lab, found) == [("note", "yes", "unclear")]
        review.say("no")
        assert said(lab, found) == [("correct", "no", "unclear")]
        review.write("")
        assert said(lab, found) == [("correct", "no", "")]


def test_a_run_names_its_candidate_s_answers_and_models_are_shown_when_asked(
    lab: Lab, found: EvaluationResult
) -> None:
    with closing(begin(lab, found, name="run-1", show_models=True)) as review:
        assert (review.total, review.shown.model) == (ROWS, "table:second")


def test_two_people_with_one_seed_see_the_same_answers_in_the_same_order(
    lab: Lab, found: EvaluationResult
) -> None:
    orders = []
    for person in ("ada", "bob"):
        with closing(begin(lab, found, person=person, rubric=ONE, sample=3)) as review:
            seen = []
            while review.done_because is None:
                seen.append((review.shown.question, review.place))
                review.say("yes")
            orders.append(seen)
    assert orders[0] == orders[1]
    assert len(orders[0]) == 6
    results = review_results(lab, found.plan.evaluation_id)
    [both] = [entry for entry in results.agreement if entry.people]
    assert (both.person, both.other, both.n, both.same) == ("ada", "bob", 6, 1.0)
    everybody = [m for m in results.means if m.person is None]
    assert [(m.mean, m.n) for m in everybody] == [(1.0, 3), (1.0, 3)]


def test_it_ends_by_itself_when_it_is_narrow_enough(settings: Settings, lab: Lab) -> None:
    made = result(settings.home, [1] * 40)
    kept(settings.state_dir, made).close()
    with closing(begin(lab, made, rubric=ONE, until=0.1)) as review:
        while review.done_because is None:
            review.say("yes")
        assert "as narrow as was asked for" in review.done_because
        # Wilson's interval of n of n is narrower than ±0.1 from 16 on.
        assert review.judged == 16
    with closing(begin(lab, made, rubric=ONE, until=0.1)) as again:
        assert again.done_because is not None
    with closing(begin(lab, made, rubric=ONE)) as further:
        assert (further.done_because, further.judged) == (None, 16)


def test_answers_picked_for_their_judges_say_nothing_of_the_others_until_their_turn_comes(
    lab: Lab, found: EvaluationResult
) -> None:
    with closing(begin(lab, found, rubric=ONE, order="disagreement", sample=2)) as review:
        while review.done_because is None:
            review.say("no")
    means = review_results(lab, found.plan.evaluation_id).means
    assert [(m.mean, m.n, m.picked) for m in means] == [(None, 0, 2), (None, 0, 2)]
    with closing(begin(lab, found, rubric=ONE)) as review:
        while review.done_because is None:
            review.say("yes")
    means = review_results(lab, found.plan.evaluation_id).means
    assert [known(m.mean) for m in means] == pytest.approx([4 / 6, 4 / 6])
    assert [(m.n, m.picked) for m in means] == [(ROWS, 0), (ROWS, 0)]


def test_the_spreadsheet_holds_every_word_and_runs_no_formula(
    lab: Lab, found: EvaluationResult
) -> None:
    with closing(begin(lab, found)) as review:
        review.write("=1+1")
        review.say("no")
        review.say("2")
    results = review_results(lab, found.plan.evaluation_id)
    assert results.file == lab.settings.state_dir / "evaluations" / found.plan.evaluation_id / (
        "review.csv"
    )
    text = results.file.read_text("utf-8-sig")
    assert text.splitlines()[0].startswith("row,question,expected,answer,model,trial,person,asked")
    assert text.count("'=1+1") == 2
    assert ",random," in text


def test_nothing_to_judge_is_said_in_a_sentence(lab: Lab, found: EvaluationResult) -> None:
    with pytest.raises(InputError, match="Nobody has judged"):
        review_results(lab, found.plan.evaluation_id)
    with pytest.raises(InputError, match="neither a run nor an evaluation"):
        begin(lab, found, name="nothing")
    with pytest.raises(InputError, match="Say who judges"):
        begin(lab, found, person=" ")
    with pytest.raises(InputError, match="no category and no language to stratify by"):
        begin(lab, found, order="stratified")


def test_labels_have_no_mean_and_are_compared_by_name(settings: Settings, lab: Lab) -> None:
    made = result(settings.home, [1] * 12)
    kept(settings.state_dir, made).close()
    tone = Rubric(
        (RubricQuestion(name="tone", ask="?", scale="labels", labels=("kind", "neutral", "rude")),)
    )
    said = {"ada": ["kind", "neutral", "rude", "rude"], "bob": ["kind", "neutral", "rude", "kind"]}
    for person, labels in said.items():
        with closing(begin(lab, made, person=person, rubric=tone)) as review:
            for label in labels * 3:
                review.say(label)
    results = review_results(lab, made.plan.evaluation_id)
    assert results.means == []
    [entry] = results.agreement
    # Chance agrees on kind (1/4 · 1/2), neutral (1/4 · 1/4) and rude (1/2 · 1/4).
    chance = 5 / 16
    assert (entry.same, entry.n) == (0.75, 12)
    assert entry.kappa == pytest.approx((0.75 - chance) / (1 - chance))
    assert known(entry.interval).low < known(entry.kappa) < known(entry.interval).high


def test_words_of_others_count_for_the_end_and_not_as_one_s_own(
    lab: Lab, found: EvaluationResult
) -> None:
    with closing(begin(lab, found)) as review:
        cell = review._item.cell
    other = HumanVerdict(cell=cell, person="bob", said="yes")
    with closing(lab.words()) as words:
        keep_verdicts(words, found.plan.evaluation_id, [other, replace(other, person="eve")])
    with closing(begin(lab, found)) as review:
        assert (review.judged, review.given, review.anything_said) == (0, {}, True)


def test_the_page_of_an_evaluation_has_what_people_said_as_soon_as_they_did(
    lab: Lab, found: EvaluationResult
) -> None:
    # They stood in ledger and MLflow, and the report and its document were those of before.
    evaluation = found.plan.evaluation_id
    write_report(lab, evaluation)
    folder = lab.settings.state_dir / "evaluations" / evaluation
    assert json.loads((folder / "evaluation.json").read_text("utf-8"))["people"] == []
    with closing(begin(lab, found, rubric=ONE)) as review:
        while review.done_because is None:
            review.say("yes")
    review_results(lab, evaluation)
    [first, *_] = json.loads((folder / "evaluation.json").read_text("utf-8"))["people"]
    assert (first["question"], first["people"]) == ("correct", 1.0)
    assert ">People<" in (folder / "report.html").read_text("utf-8")
