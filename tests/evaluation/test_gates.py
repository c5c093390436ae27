"""Gates hold what they promise: no pass for want of evidence, and files that CI systems can read."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from llmflowlab.errors import InputError
from llmflowlab.evaluation.conclude.baseline import check_baseline, earlier_baseline
from llmflowlab.evaluation.conclude.counting import build_result
from llmflowlab.evaluation.conclude.gates import (
    check_known,
    check_thresholds,
    parse_threshold,
    reason_line,
)
from llmflowlab.evaluation.reports.junit import junit_xml
from llmflowlab.evaluation.reports.markdown import escaped, markdown_summary
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.outcomes import Outcome
from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.evaluation.scores import Score
from tests.evaluation.helpers import answer, dataset, plan, spec
from tests.known import known

BEFORE = "20260101-000000-aaaa"


def questions(n, first=0):
    return "question,answer\n" + "".join(f"Question {i}?,{i}\n" for i in range(first, first + n))


def result(tmp_path, values, *, text=None, answers=None, candidates=None, **options):
    """An evaluation in which `values` are the scores by row (a reason where there is none)."""
    data = dataset(tmp_path, text or questions(len(values)))
    made = plan(data, scorers=("contains",), candidates=candidates, **options)
    scores, given = {}, {}
    for cell in made.cells():
        value = values[cell.row]
        given[cell] = (answers or {}).get(cell.row, answer("said", latency=1.0))
        by_value = {"not_scored": value} if isinstance(value, str) else {"value": float(value)}
        scores[cell] = {"contains": Score(scorer="contains", **by_value)}
    reused = [0] * len(made.candidates)
    return build_result(made, given, scores, reused=reused)


def kept(tmp_path, found):
    """The ledger in which an evaluation was kept."""
    ledger = Ledger(tmp_path / "evaluations.db")
    ledger.begin(found.plan, "2026-01-01 00:00:00")
    for cell, record in found.answers.items():
        outcome = Outcome(cell, record, found.scores[cell])
        ledger.append("outcomes", found.plan.evaluation_id, outcome.key, outcome.to_json()).result()
    runs = [f"run-{i}" for i in range(len(found.plan.candidates))]
    ledger.set_runs(found.plan.evaluation_id, {"parent": None, "candidates": runs})
    return ledger


def check(found, text, *, side="at least", min_coverage=0.95):
    [gate] = check_thresholds(found, [parse_threshold(text, side=side)], min_coverage=min_coverage)
    return gate


@pytest.mark.parametrize(
    ("text", "side", "read"),
    [
        pytest.param("contains=0.8", "at least", "contains.mean>=0.8", id="mean"),
        pytest.param("contains.ci_low=0.75", "at least", "contains.ci_low>=0.75", id="ci_low"),
        pytest.param("contains>=1", "at least", "contains.mean>=1", id="sign"),
        pytest.param("latency.p95=2.0", "at most", "latency.p95<=2", id="latency"),
        pytest.param("cost_usd<=0.5", "at most", "cost_usd<=0.5", id="cost"),
    ],
)
def test_a_gate_is_read(text, side, read):
    assert str(parse_threshold(text, side=side)) == read


@pytest.mark.parametrize(
    ("text", "side", "why"),
    [
        pytest.param("contains", "at least", "is no gate", id="no value"),
        pytest.param("contains=", "at least", "is no gate", id="empty value"),
        pytest.param("=0.5", "at least", "is no gate", id="no scorer"),
        pytest.param("contains=high", "at least", "'high' is no number", id="word"),
        pytest.param("contains=nan", "at least", "'nan' is no number", id="nan"),
        pytest.param("contains=80", "at least", "80 % is 0.8", id="percent"),
        pytest.param("contains.p95=0.8", "at least", "a scorer has mean", id="figure of latency"),
        pytest.param("latency.ci_low=1", "at most", "latency has mean", id="figure of scorers"),
        pytest.param("cost_usd.mean=1", "at most", "leave .mean out", id="one figure"),
        pytest.param("contains<=0.8", "at least", "is no gate", id="wrong way"),
    ],
)
def test_a_malformed_gate_is_refused(text, side, why):
    with pytest.raises(InputError, match=why):
        parse_threshold(text, side=side)


def test_a_gate_on_an_unknown_scorer_is_refused_with_the_nearest_name():
    with pytest.raises(InputError, match=r"Did you mean contains\?"):
        check_known([parse_threshold("contain=0.5", side="at least")], ["exact_match", "contains"])


def test_a_mean_at_the_bound_meets_its_gate_and_below_it_does_not(tmp_path):
    found = result(tmp_path, [1, 1, 1, 0])
    assert check(found, "contains=0.75").passed
    gate = check(found, "contains=0.76")
    assert not gate.passed
    assert gate.to_json()["value"] == 0.75
    assert gate.reason == "table:one: contains is 0.75, below 0.76"


def test_the_interval_can_be_asked_for(tmp_path):
    found = result(tmp_path, [1] * 20)
    assert check(found, "contains.ci_low=0.8").passed
    assert not check(found, "contains.ci_low=0.9").passed


def test_low_coverage_fails_a_gate_whose_mean_is_high_enough(tmp_path):
    found = result(tmp_path, [1, 1, 1, "judge_failed"])
    gate = check(found, "contains=0.5")
    assert not gate.passed
    assert "75% of the answers only" in gate.reason
    assert check(found, "contains=0.5", min_coverage=0.75).passed


def test_rows_that_the_benchmark_gives_nothing_to_score_by_are_no_lost_coverage(tmp_path):
    found = result(tmp_path, [1, 1, 1, "no_expected_answer"])
    assert check(found, "contains=0.5").passed


def test_a_scorer_without_any_score_fails_even_a_bound_of_zero(tmp_path):
    gate = check(result(tmp_path, ["judge_failed"] * 3), "contains=0", min_coverage=0)
    assert (gate.passed, gate.value) == (False, None)
    gate = check(result(tmp_path, ["no_expected_answer"] * 3), "contains=0", min_coverage=0)
    assert not gate.passed


def test_an_unknown_cost_is_not_below_any_bound(tmp_path):
    gate = check(result(tmp_path, [1, 1]), "cost_usd=100", side="at most")
    assert (gate.passed, gate.value) == (False, None)


def test_latency_is_bounded_from_above(tmp_path):
    found = result(tmp_path, [1, 1])
    assert check(found, "latency.p95=1.0", side="at most").passed
    assert not check(found, "latency=0.9", side="at most").passed


def test_each_candidate_must_pass(tmp_path):
    found = result(tmp_path, [1, 0], candidates=[spec("table:one"), spec("table:two")])
    gates = [
        gate.to_json()
        for gate in check_thresholds(
            found, [parse_threshold("contains=0.9", side="at least")], min_coverage=0.95
        )
    ]
    assert [gate["candidate"] for gate in gates] == ["table:one", "table:two"]
    line = reason_line(gates)
    assert known(line).startswith("2 of 2 gates were not met: table:one")
    assert "\n" not in known(line)
    assert reason_line([{**gate, "passed": True} for gate in gates]) is None


# Against an earlier evaluation


def compared(tmp_path, before, now, *, margin=0.02, named=BEFORE, **options):
    ledger = kept(tmp_path, result(tmp_path, before, evaluation_id=BEFORE))
    try:
        found = result(tmp_path, now, **options)
        baseline = earlier_baseline(ledger, found.plan, named)
    finally:
        ledger.close()
    [gate] = check_baseline(found, baseline, margin=margin, min_coverage=0.95)
    return gate


@pytest.mark.parametrize("named", [BEFORE, "run-0"])
def test_the_same_answers_on_many_rows_are_shown_to_be_no_worse(tmp_path, named):
    values = [1, 0, 1, 1] * 75
    gate = compared(tmp_path, values, values, named=named)
    assert gate.passed, gate.reason
    assert gate.details["n"] == 300


def test_a_candidate_that_got_worse_fails_and_is_called_worse(tmp_path):
    gate = compared(tmp_path, [1] * 200, [1, 0] * 100)
    assert not gate.passed
    assert "worse than table:one" in gate.reason
    assert "not shown" not in gate.reason
    assert (gate.value, gate.details["worse"]) == (-0.5, 100)


def test_too_few_rows_show_nothing(tmp_path):
    gate = compared(tmp_path, [1, 1, 1], [1, 1, 1])
    assert not gate.passed
    assert "not shown" in gate.reason


@pytest.mark.parametrize(("rows", "passed"), [(19, False), (20, True)])
def test_a_wide_margin_lets_nobody_pass_on_a_handful_of_questions(tmp_path, rows, passed):
    gate = compared(tmp_path, [1] * rows, [1] * rows, margin=0.5, text=questions(rows))
    assert gate.passed is passed
    assert ("20 are the least" in gate.reason) is not passed


def test_no_row_in_common_is_not_shown_and_has_no_value(tmp_path):
    gate = compared(tmp_path, [1] * 50, [1] * 50, text=questions(50, first=1000))
    assert (gate.passed, gate.value, gate.details["n"]) == (False, None, 0)
    assert "no scored row in common" in gate.reason


def test_rows_are_matched_by_content_wherever_they_stand(tmp_path):
    before = [1] * 100 + [0] * 100
    lines = questions(200).splitlines()
    turned = "\n".join([lines[0], *reversed(lines[1:])]) + "\n"
    gate = compared(tmp_path, before, before[::-1], text=turned)
    assert gate.passed, gate.reason
    assert (gate.details["better"], gate.details["worse"]) == (0, 0)


def test_an_unknown_baseline_is_refused(tmp_path):
    with pytest.raises(InputError, match="neither a run nor an evaluation"):
        compared(tmp_path, [1], [1], named="nothing")


def test_another_candidate_among_several_must_be_named_by_its_run(tmp_path):
    pair = [spec("table:x"), spec("table:y")]
    ledger = kept(tmp_path, result(tmp_path, [1, 1], evaluation_id=BEFORE, candidates=pair))
    found = result(tmp_path, [1, 1])
    with pytest.raises(InputError, match="2 candidates, none of which is table:one"):
        earlier_baseline(ledger, found.plan, BEFORE)
    assert earlier_baseline(ledger, found.plan, "run-1").references[0].label == "table:y"
    ledger.close()


def test_scores_of_another_judge_are_not_compared_with(tmp_path):
    data = dataset(tmp_path, questions(2))
    old = plan(data, scorers=("correctness",), judge="table:a", evaluation_id=BEFORE)
    ledger = Ledger(tmp_path / "judged.db")
    ledger.begin(old, "2026-01-01 00:00:00")
    new = plan(data, scorers=("correctness",), judge="table:b")
    with pytest.raises(InputError, match="was judged by table:a, not by table:b"):
        earlier_baseline(ledger, new, BEFORE)
    ledger.close()


# Files for CI systems


def mixed(tmp_path):
    """A row each: right, wrong, failed, not scored; texts that XML and Markdown do not bear."""
    text = 'question,answer\nRight\x01?,1\n"Wrong <b>|`@team`?",2\nFailed?,3\nUnscored?,\n'
    failed = answer("", state="failed", error="The key\x0b was refused.", reason="authentication")
    found = result(
        tmp_path,
        [1, 0, "answer_failed", "no_expected_answer"],
        text=text,
        answers={2: failed, 1: answer("]]> \ud800 \ufffe", latency=1.0)},
    )
    gates = check_thresholds(
        found,
        [parse_threshold(t, side="at least") for t in ("contains=0.9", "contains.ci_high=0")],
        min_coverage=0.5,
    )
    return replace(found, gates=[gate.to_json() for gate in gates])


ALLOWED = {
    # Apache Ant's schema as CI systems check it: attributes that must be and that may be there.
    "testsuites": (set(), {"name", "time", "tests", "failures", "errors", "disabled"}),
    "testsuite": (
        {"id", "name", "package", "timestamp", "hostname", "tests", "failures", "errors", "time"},
        {"skipped"},
    ),
    "property": ({"name", "value"}, set()),
    "testcase": ({"name", "classname", "time"}, set()),
    "failure": ({"type"}, {"message"}),
    "error": ({"type"}, {"message"}),
    "skipped": (set(), {"message"}),
    "properties": (set(), set()),
    "system-out": (set(), set()),
    "system-err": (set(), set()),
}


def test_the_junit_file_keeps_the_common_schema(tmp_path):
    root = ET.fromstring(junit_xml(mixed(tmp_path), timestamp="2026-01-01T00:00:00").encode())
    for element in root.iter():
        required, optional = ALLOWED[element.tag]
        assert required <= set(element.keys()) <= required | optional, element.tag
    for suite in root:
        tags = [child.tag for child in suite]
        cases = ["testcase"] * (len(tags) - 3)
        assert tags == ["properties", *cases, "system-out", "system-err"]
        assert int(known(suite.get("tests"))) == len(cases)
        for case in suite.iter("testcase"):
            assert len(case) <= 1
            assert float(known(case.get("time"))) >= 0


def test_gates_come_first_and_each_row_has_its_outcome(tmp_path):
    root = ET.fromstring(junit_xml(mixed(tmp_path), timestamp="2026-01-01T00:00:00").encode())
    cases = [
        (known(case.get("name")).partition(" ")[0], case[0].tag if len(case) else "passed")
        for case in root.iter("testcase")
    ]
    assert cases == [
        ("contains.mean>=0.9", "failure"),
        ("contains.ci_high>=0", "passed"),
        *(("1:", "passed"), ("2:", "failure"), ("3:", "error"), ("4:", "skipped")),
    ]
    counts = [root.get(name) for name in ("tests", "failures", "errors")]
    assert counts == ["6", "2", "1"]


def test_characters_that_xml_forbids_are_replaced(tmp_path):
    text = junit_xml(mixed(tmp_path), timestamp="2026-01-01T00:00:00")
    text.encode("utf-8")
    assert not set("\x01\x0b\ufffe") & set(text)
    assert "Right\ufffd?" in text
    assert "The key\ufffd was refused." in text


def test_the_summary_says_the_gates_and_cannot_be_broken_by_names(tmp_path):
    found = mixed(tmp_path)
    dataset_ = replace(found.plan.dataset, name="a|b <img src=x> @team")
    text = markdown_summary(replace(found, plan=replace(found.plan, dataset=dataset_)))
    assert "❌ 1 of 2 gates not met" in text
    assert "contains is 0.5, below 0.9" in text
    assert "<img" not in text.replace("\\<img", "")
    assert "@team" not in text
    for line in text.splitlines():
        if line.startswith("| table:one"):
            assert line.replace("\\|", "").count("|") == 8


def test_text_is_escaped_for_markdown():
    assert escaped("a|b\n*c* <x> `d`") == "a\\|b \\*c\\* \\<x\\> \\`d\\`"
    assert escaped("@team") == "@\u200bteam"


def test_gates_are_kept_so_that_a_later_delivery_says_them_too(tmp_path):
    from llmflowlab.evaluation.run.closing import closing_of
    from llmflowlab.evaluation.run.replay import stored_result

    found = mixed(tmp_path)
    ledger = kept(tmp_path, found)
    ledger.set_gates(found.plan.evaluation_id, found.gates)
    again = stored_result(ledger, found.plan.evaluation_id)
    ledger.close()
    assert list(again.gates) == list(found.gates)
    assert closing_of(again, []).tags[0]["llmflowlab.gates"] == "failed"
    assert again.scores[Cell(0, 0)]["contains"].value == 1.0
