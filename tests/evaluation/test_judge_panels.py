import itertools
import json

import pytest
from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa

from llmflowlab.errors import InputError
from llmflowlab.evaluation.conclude.judging_quality import judging_quality
from llmflowlab.evaluation.judging import KINDS, PREFERENCE, Judge, JudgeScorer, Panel
from llmflowlab.evaluation.judging.instructions import (
    parse_instructions,
    read_instructions,
    shipped,
)
from llmflowlab.evaluation.judging.judge_kinds import SUPPORT_JUDGES, own_kind
from llmflowlab.evaluation.judging.pairwise import PreferenceScorer
from llmflowlab.evaluation.scores import Score
from llmflowlab.statistics.krippendorff import krippendorff_alpha
from tests.evaluation.helpers import QUICK, TableModel, answer, dataset, metering
from tests.known import known


def verdict(result, rationale="because"):
    return json.dumps({"rationale": rationale, "result": result})


class Sayings(TableModel):
    """Says one thing after another."""

    def __init__(self, model, settings, said):
        super().__init__(model, settings, {})
        self._said = itertools.cycle(said)

    def stream(self, request):
        self.answers = {"": next(self._said)}
        yield from super().stream(request)


def judge(settings, name, *said):
    return Judge(Sayings(name, settings, said), policy=QUICK, metering=metering(settings))


def panel(settings, *said, **options):
    judges = [
        judge(settings, f"j{i}", *([s] if isinstance(s, str) else s)) for i, s in enumerate(said)
    ]
    return Panel(judges=tuple(judges), **options)


@pytest.fixture
def rows(tmp_path):
    return dataset(tmp_path).rows


YES, NO, TORN = verdict("yes"), verdict("no"), "hm"


@pytest.mark.parametrize(
    ("said", "value", "reason"),
    [
        pytest.param([YES, YES, NO], 1.0, None, id="majority-yes"),
        pytest.param([YES, NO, NO], 0.0, None, id="majority-no"),
        pytest.param([YES, NO], None, "judges_disagree", id="even"),
        pytest.param([YES, YES, TORN], None, "judge_unparseable", id="one-failed"),
    ],
)
def test_a_panel_decides_by_majority_and_never_with_an_empty_chair(
    settings, rows, said, value, reason
):
    score = JudgeScorer(KINDS["correctness"], panel(settings, *said)).score(rows[0], answer())
    assert (score.value, score.not_scored) == (value, reason)
    assert len(score.members) == len(said)
    assert score.judge == ", ".join(f"table:j{i}" for i in range(len(said)))
    assert "table:j0" in (score.rationale or "")


def test_a_panel_can_give_the_mean_and_is_then_no_yes_or_no(settings, rows):
    scorer = JudgeScorer(KINDS["correctness"], panel(settings, YES, NO, NO, NO, combine="mean"))
    assert not scorer.binary
    assert scorer.score(rows[0], answer()).value == 0.25


def test_grades_of_a_panel_are_averaged(settings, rows):
    scorer = JudgeScorer(KINDS["support_tone"], panel(settings, verdict(5), verdict(4)))
    assert scorer.score(rows[0], answer()).value == pytest.approx(0.875)


def test_a_judge_asked_several_times_is_asked_under_keys_of_its_own(settings, rows):
    scorer = JudgeScorer(KINDS["correctness"], panel(settings, [YES, YES, NO], runs=3))
    keys = [one.key for one in scorer.judgements(rows[0], answer())]
    assert len(set(keys)) == 3
    assert keys[0] == scorer.key(rows[0], answer())
    assert scorer.score(rows[0], answer()).value == 1.0


def test_what_a_panel_took_is_the_sum_of_its_verdicts(settings, rows):
    score = JudgeScorer(KINDS["correctness"], panel(settings, YES, YES)).score(rows[0], answer())
    assert score.prompt_tokens == 20
    assert Score.from_json(json.loads(json.dumps(score.to_json()))) == score


# Preference


def preferring(settings, *said):
    return PreferenceScorer(judge(settings, "p", *[verdict(s) for s in said]))


@pytest.mark.parametrize(
    ("in_order", "exchanged", "value"),
    [
        ("first", "second", 1.0),
        ("second", "first", 0.0),
        ("tie", "tie", 0.5),
        ("first", "first", 0.5),
        ("second", "second", 0.5),
        ("first", "tie", 0.5),
    ],
)
def test_only_a_preference_in_both_orders_counts(settings, rows, in_order, exchanged, value):
    scorer = preferring(settings, in_order, exchanged)
    members = [
        one.ask(stopper()) for one in scorer.judgements(rows[0], answer("A"), {1: answer("B")})
    ]
    assert scorer.combine(members).value == value


def stopper():
    from llmflowlab.asking.stopping import Stopper

    return Stopper()


def test_both_answers_of_a_pair_are_scored_from_the_same_two_verdicts(settings, rows):
    scorer = preferring(settings, "tie")
    mine = {one.key for one in scorer.judgements(rows[0], answer("A"), {1: answer("B")})}
    theirs = {one.key for one in scorer.judgements(rows[0], answer("B"), {0: answer("A")})}
    assert mine == theirs
    assert len(mine) == 2


def test_an_answer_without_an_opponent_is_not_scored(settings):
    scorer = preferring(settings, "tie")
    refused = scorer.refuses(answer("A"), {1: answer("", state="failed")})
    assert refused is not None
    assert refused.not_scored == "no_opponent"


def test_the_preferred_answer_stands_where_the_verdict_says(settings, rows):
    scorer = preferring(settings, "first")
    [one.ask(stopper()) for one in scorer.judgements(rows[0], answer("A1"), {1: answer("B2")})]
    asked = [request.messages[0].content for request in scorer.panel.judges[0].provider.requests]
    assert "<first_answer>A1</first_answer>" in asked[0]
    assert "<first_answer>B2</first_answer>" in asked[1]
    assert rows[0].expected in asked[0]


# How far judges can be believed


def scores_of(table, runs=1):
    """Return a score for each row of `table`: a list of verdicts for each judge."""
    return [
        Score(
            scorer="s",
            value=0.5,
            members=tuple(
                Score(scorer="s", value=value, judge=f"j{j}")
                for j, values in enumerate(row)
                for value in (values if isinstance(values, list) else [values])
            ),
        )
        for row in table
    ]


def test_agreement_of_a_panel_is_krippendorffs_alpha():
    # Two observers, ten units, two categories: Krippendorff 2011, section A, alpha = 0.095.
    a = [0, 1, 0, 0, 0, 0, 0, 0, 1, 0]
    b = [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]
    units = list(zip(map(float, a), map(float, b), strict=True))
    assert krippendorff_alpha(units) == pytest.approx(0.095, abs=5e-4)


def test_alpha_is_fleiss_kappa_corrected_for_the_size_of_the_sample():
    table = [[1, 1, 0], [0, 0, 0], [1, 1, 1], [1, 0, 0], [0, 0, 1], [1, 1, 1]]
    kappa = fleiss_kappa(aggregate_raters(table)[0])
    n = sum(len(row) for row in table)
    expected = 1 - (1 - kappa) * (n - 1) / n
    assert krippendorff_alpha([[float(v) for v in row] for row in table]) == pytest.approx(expected)


@pytest.mark.parametrize("units", [[], [[1.0]], [[1.0, 1.0], [1.0, 1.0]]])
def test_without_anything_to_differ_on_there_is_no_alpha(units):
    assert krippendorff_alpha(units) is None


def test_the_quality_of_a_panel_names_agreement():
    quality = judging_quality("s", scores_of([[1.0, 1.0], [0.0, 0.0], [1.0, 0.0], [0.0, 0.0]]))
    assert quality is not None
    assert quality.unanimous == 0.75
    assert quality.steady is None
    assert "75%" in known(quality.sentence())


def test_the_quality_of_repeated_verdicts_names_their_spread():
    quality = judging_quality("s", scores_of([[[1.0, 1.0]], [[1.0, 0.0]]]))
    assert quality is not None
    assert (quality.unanimous, quality.steady) == (None, 0.5)
    assert quality.spread == pytest.approx(0.5**0.5 / 2)


def test_position_bias_is_the_share_of_pairs_that_changed_with_the_order():
    def pair(first, exchanged):
        members = (
            Score(scorer=PREFERENCE, value=first, judge="j"),
            Score(scorer=PREFERENCE, value=exchanged, judge="j"),
        )
        return Score(scorer=PREFERENCE, value=0.5, members=members)

    quality = judging_quality(
        PREFERENCE,
        [pair(1.0, 0.0), pair(1.0, 1.0), pair(1.0, 1.0), pair(0.0, 0.0)],
        comparing=True,
    )
    assert quality is not None
    assert quality.flipped == 0.75
    assert quality.first_preferred == pytest.approx(2 / 3)


def test_single_verdicts_say_nothing_of_their_judge():
    assert judging_quality("s", [Score(scorer="s", value=1.0, judge="j")]) is None


# Instructions


def test_instructions_of_the_support_desk_are_versioned_and_ask_for_the_answer():
    assert len(SUPPORT_JUDGES) == 8
    for kind in SUPPORT_JUDGES:
        assert kind.title
        assert "answer" in shipped(kind.name).needs
        assert shipped(kind.name).version in kind.version


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("scale: 1-10\n\n{{answer}}", "1-10", id="scale"),
        pytest.param("Is it good?", "never show", id="no-answer"),
        pytest.param("{{answer}} {{price}}", "price", id="unknown-field"),
    ],
)
def test_instructions_that_cannot_be_used_are_refused_in_one_sentence(text, words):
    with pytest.raises(InputError, match=words):
        parse_instructions(text, source="mine.txt")


def test_a_users_own_judge_is_known_by_its_words_and_not_by_its_name(settings, rows):
    asked = panel(settings, YES)
    one = own_kind("brief", parse_instructions("Short? {{answer}}", source="a"))
    same = own_kind("short", parse_instructions("Short? {{answer}}", source="b"))
    other = own_kind("brief", parse_instructions("Brief? {{answer}}", source="a"))
    keys = [JudgeScorer(kind, asked).key(rows[0], answer()) for kind in (one, same, other)]
    assert keys[0] == keys[1] != keys[2]


def test_an_own_judge_needs_of_a_row_what_its_instructions_show(settings, rows):
    kind = own_kind("x", parse_instructions("{{answer}} {{expected}}", source="a"))
    score = JudgeScorer(kind, panel(settings, YES)).score(rows[3], answer())
    assert score.not_scored == "no_expected_answer"


def test_a_file_that_is_missing_or_no_text_is_said(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_instructions(tmp_path / "none.txt")
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="UTF-8"):
        read_instructions(tmp_path / "b.txt")
