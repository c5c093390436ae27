"""What `info` says of two models that answered the same questions, and of what answers took."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from llmflowlab.cli.info_tables import answers, evaluated_table, paired_lines
from llmflowlab.cli.ui.plain import table_lines
from llmflowlab.errors import InputError
from llmflowlab.evaluation.reports import write_files
from llmflowlab.history.head_to_head import model_pairs
from llmflowlab.history.summary import compare
from llmflowlab.settings import Settings
from tests.cli.test_info_summary import evaluation
from tests.evaluation.report_data import made_result
from tests.known import known

MODELS = ("gemini:gemini-2.5-flash", "ollama:llama3.2", "azure:gpt-4.1-mini")


def nobody(name: str) -> Mapping[str, Any]:
    raise InputError(f"{name} is not known here.")


def evaluated(name: str, *models: str) -> list[Any]:
    return [evaluation(evaluation_id=name, model=model) for model in models]


def kept(settings: Settings, name: str, *, candidates: int, seed: int = 7) -> dict[str, Any]:
    """Leave an evaluation's files behind; returns its document."""
    result = made_result(60, candidates=candidates, evaluation_id=name, seed=seed)
    folder = settings.state_dir / "evaluations" / name
    write_files(result, folder)
    return dict(json.loads((folder / "evaluation.json").read_text("utf-8")))


def test_each_two_models_have_the_newest_verdict_that_evaluate_gave(settings: Settings) -> None:
    old, new = kept(settings, "old", candidates=3), kept(settings, "new", candidates=2, seed=8)
    known_of = [*evaluated("old", *MODELS), *evaluated("new", *MODELS[:2])]
    found = model_pairs(settings, known_of, nobody).found
    assert {(p.evaluation_id, frozenset(p.models)) for p in found} == {
        ("new", frozenset(MODELS[:2])),
        ("old", frozenset((MODELS[0], MODELS[2]))),
        ("old", frozenset(MODELS[1:])),
    }
    documents = {"old": old, "new": new}
    for pair in found:
        (own,) = [
            c
            for c in documents[pair.evaluation_id]["comparisons"]
            if (c["a"], c["b"], c["scorer"]) == (pair.a, pair.b, "correctness")
        ]
        assert (pair.verdict, pair.said, pair.n) == (own["verdict"], own["said"], own["n"])
        assert f"- {own['said']}" in paired_lines(model_pairs(settings, known_of, nobody))


def test_an_evaluation_that_ended_before_both_had_a_score_hides_no_older_one(
    settings: Settings,
) -> None:
    known_of = [*evaluated("old", *MODELS[:2]), *evaluated("new", *MODELS)]
    kept(settings, "old", candidates=2)
    document = kept(settings, "new", candidates=3)
    for comparison in document["comparisons"]:
        comparison["n"] = 0
    file = settings.state_dir / "evaluations" / "new" / "evaluation.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    found = model_pairs(settings, known_of, nobody).found
    assert {(p.evaluation_id, frozenset(p.models)) for p in found} == {
        ("old", frozenset(MODELS[:2])),
        ("new", frozenset((MODELS[0], MODELS[2]))),
        ("new", frozenset(MODELS[1:])),
    }


def test_a_document_that_says_too_little_is_counted_again(settings: Settings) -> None:
    document = kept(settings, "old", candidates=2)
    file = settings.state_dir / "evaluations" / "old" / "evaluation.json"
    for comparison in document["comparisons"]:
        del comparison["said"]
    file.write_text(json.dumps(document), encoding="utf-8")
    again = made_result(60, candidates=2, evaluation_id="old").to_json()
    asked: list[str] = []

    def count(name: str) -> Mapping[str, Any]:
        asked.append(name)
        return again

    (pair,) = model_pairs(settings, evaluated("old", *MODELS[:2]), count).found
    assert asked == ["old"]
    assert pair.said in {c["said"] for c in again["comparisons"]}


@pytest.mark.parametrize(
    ("evaluations", "why"),
    [
        pytest.param(evaluated("e", MODELS[0]), "fewer than two models were evaluated", id="one"),
        pytest.param(
            [*evaluated("e", MODELS[0]), *evaluated("f", MODELS[1])],
            "no evaluation holds two models; give them to one: "
            "python main.py evaluate --model A --model B",
            id="apart",
        ),
        pytest.param(
            evaluated("e", *MODELS[:2]), "evaluation e is not kept in this home", id="elsewhere"
        ),
    ],
)
def test_where_nothing_is_compared_one_line_says_why(
    settings: Settings, evaluations: list[Any], why: str
) -> None:
    found = model_pairs(settings, evaluations, nobody)
    assert found.why_none == why
    assert paired_lines(found) == [f"No comparison of two models: {why}."]


def test_a_torn_document_does_not_end_info(settings: Settings) -> None:
    kept(settings, "older", candidates=2)
    kept(settings, "torn", candidates=2)
    (settings.state_dir / "evaluations" / "torn" / "evaluation.json").write_text("{", "utf-8")
    known_of = [*evaluated("older", *MODELS[:2]), *evaluated("torn", *MODELS[:2])]
    (pair,) = model_pairs(settings, known_of, nobody).found
    assert pair.evaluation_id == "older"


def test_what_answers_took_is_weighted_by_answers_and_unknown_is_left_out() -> None:
    found = [
        evaluation(answered=10, latency=1.0, completion_tokens=100, cost_per_answer=Decimal("0.2")),
        evaluation(
            evaluation_id="f", answered=30, latency=2.0, completion_tokens=600, cost_per_answer=None
        ),
        evaluation(evaluation_id="g", answered=0, latency=None),
        evaluation(model="ollama:llama", answered=5, latency=0.5, cost_per_answer=Decimal(0)),
    ]
    comparison = compare([], found)
    flash = known(comparison.models[0].evaluated)
    assert (flash.evaluations, flash.answers, flash.avg_time) == (2, 40, 1.75)
    assert (flash.tokens_per_answer, flash.cost_per_answer) == (17.5, 0.2)
    assert comparison.fastest_evaluated == comparison.cheapest_evaluated == ("ollama:llama",)
    assert [line.split() for line in table_lines(known(evaluated_table(comparison)))[3:5]] == [
        ["gemini:flash", "40", "1.8", "s", "18", "$0.2", "80.0", "%", "*"],
        ["ollama:llama", "5", "500", "ms", "*", "unknown", "free", "*", "80.0", "%", "*"],
    ]
    assert answers(comparison)[:2] == [
        "Fastest in evaluations: ollama:llama, 500 ms",
        "Cheapest in evaluations: ollama:llama, free",
    ]
