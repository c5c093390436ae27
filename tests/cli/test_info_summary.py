from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from llmflowlab.cli.info_tables import answers, comparison_table, evaluated_table
from llmflowlab.cli.ui.plain import table_lines
from llmflowlab.evaluation.scorers.ranking import main_scorer
from llmflowlab.history.run_summaries import evaluation_from_run
from llmflowlab.history.summary import compare
from llmflowlab.tracking.stored_runs import StoredRun
from llmflowlab.tracking.summaries import EvaluationSummary, SessionSummary
from tests.known import known


def session(**changes: Any) -> SessionSummary:
    """A session of which everything is known."""
    whole = SessionSummary(
        session_id="s",
        run_id="r",
        provider="gemini",
        model_name="Gemini",
        model_id="flash",
        started="2026-01-01 10:00:00",
        turns=10,
        failed_turns=0,
        completion_tokens=100,
        total_tokens=150,
        cost=Decimal("0.10"),
        avg_inference_time=1.0,
        p95_inference_time=1.5,
        avg_time_to_first_token=0.2,
        tokens_per_second=50.0,
    )
    return replace(whole, **changes)


def evaluation(**changes: Any) -> EvaluationSummary:
    """A candidate's evaluation, scored on 72 rows."""
    whole = EvaluationSummary(
        evaluation_id="e",
        run_id="r",
        model="gemini:flash",
        provider="gemini",
        prompt=None,
        dataset="benchmark",
        digest="d1",
        finished="2026-01-01 10:00:00",
        rows=72,
        answered=72,
        scores={
            "contains": {"mean": 0.8, "coverage": 1.0, "ci_low": 0.7, "ci_high": 0.9, "scored": 72}
        },
    )
    return replace(whole, **changes)


def scored(mean: float | None, **more: Any) -> dict[str, dict[str, Any]]:
    return {"contains": {"mean": mean, "coverage": 1.0, "scored": 72, **more}}


def rival(**changes: Any) -> SessionSummary:
    return session(provider="ollama", model_id="llama", cost=Decimal(0), **changes)


def test_averages_are_weighted_by_answered_turns() -> None:
    sessions = [
        session(turns=1, avg_inference_time=10.0),
        session(turns=10, failed_turns=1, avg_inference_time=1.0),
        session(turns=5, failed_turns=5, avg_inference_time=None),
    ]
    (model,) = compare(sessions, []).models
    assert model.avg_time == pytest.approx(1.9)
    assert (model.sessions, model.turns, model.failed_turns) == (3, 16, 6)


def test_a_session_without_an_answer_has_no_cost_of_one() -> None:
    stopped = session(turns=1, answered_turns=0, avg_inference_time=None, cost=Decimal("0.000004"))
    comparison = compare([stopped, rival()], [])
    assert [model.cost_per_turn for model in comparison.models] == [None, Decimal(0)]
    assert comparison.cheapest == ("ollama:llama",)


def test_winners_are_found_among_known_values_and_ties_are_shared() -> None:
    sessions = [
        session(avg_inference_time=2.0, cost=None),
        rival(avg_inference_time=1.0),
        session(provider="guide", model_id="docs", avg_inference_time=1.0, cost=Decimal(0)),
        session(provider="azure", model_id="x", avg_inference_time=None, completion_tokens=None),
    ]
    comparison = compare(sessions, [])
    assert comparison.fastest == ("ollama:llama", "guide:docs")
    assert comparison.cheapest == ("ollama:llama", "guide:docs")
    assert comparison.most_tokens == ("gemini:flash", "ollama:llama", "guide:docs")
    assert comparison.best == ()


def test_a_cost_of_which_a_part_is_unknown_is_unknown() -> None:
    (model,) = compare([session(), session(cost=None)], []).models
    assert model.cost is None
    assert model.cost_per_turn is None
    assert model.unpriced_sessions == 1


def test_the_cheapest_is_found_per_answered_turn() -> None:
    much_used = session(turns=100, cost=Decimal(1))
    little_used = session(provider="openai", model_id="big", turns=2, cost=Decimal("0.5"))
    assert compare([much_used, little_used], []).cheapest == ("gemini:flash",)


def test_the_best_is_named_only_when_all_answered_the_same_questions() -> None:
    first = evaluation()
    second = evaluation(model="ollama:llama", scores=scored(0.9))
    assert compare([session(), rival()], [first, second]).best == ("ollama:llama",)
    other = replace(second, digest="d2")
    comparison = compare([session(), rival()], [first, other])
    assert comparison.best == ()
    assert not comparison.same_questions
    assert any("different questions" in sentence for sentence in comparison.advice)


def test_the_latest_evaluation_that_scored_something_counts() -> None:
    old = evaluation(scores=scored(0.5), finished="2026-01-01 10:00:00")
    new = evaluation(scores=scored(0.7), finished="2026-02-01 10:00:00")
    newest = evaluation(scores=scored(None), finished="2026-03-01 10:00:00")
    (model,) = compare([], [old, newest, new]).models
    assert model.quality is not None
    assert model.quality.mean == 0.7
    assert model.turns == 0


def test_correctness_stands_for_quality_where_it_was_judged() -> None:
    scores = {**scored(0.4), "correctness": {"mean": 0.9, "coverage": 0.95, "scored": 68}}
    (model,) = compare([], [evaluation(scores=scores)]).models
    assert model.quality is not None
    assert (model.quality.scorer, model.quality.mean) == ("correctness", 0.9)


@pytest.mark.parametrize(
    ("sessions", "evaluations", "sentence"),
    [
        pytest.param(
            [session(failed_turns=3)],
            [evaluation()],
            "gemini:flash: 3 of 10 turns failed; `python main.py doctor` checks the provider.",
            id="failures",
        ),
        pytest.param([session()], [], "Nothing was evaluated yet", id="no-evaluation"),
        pytest.param(
            [session(), rival()],
            [evaluation()],
            "Not evaluated yet: ollama:llama.",
            id="one-missing",
        ),
        pytest.param(
            [],
            [evaluation(scores=scored(0.9, coverage=0.6))],
            "gemini:flash: only 60.0 % of the answers could be scored by contains",
            id="low-coverage",
        ),
        pytest.param(
            [session(cost=None)],
            [evaluation()],
            "no price is known for 1 session; put its price into prices.json",
            id="unpriced",
        ),
        pytest.param(
            [session(avg_time_to_first_token=3.25)],
            [evaluation()],
            "the first token takes 3.2 s on average",
            id="slow-start",
        ),
        pytest.param(
            [session(p95_inference_time=9.0)],
            [evaluation()],
            "the slowest answers take 9.0 s, the average 1.0 s",
            id="long-tail",
        ),
        pytest.param([session(turns=2)], [evaluation()], "2 answers only", id="few-turns"),
    ],
)
def test_what_can_be_improved_is_found_in_the_data(
    sessions: list[Any], evaluations: list[Any], sentence: str
) -> None:
    assert any(sentence in line for line in compare(sessions, evaluations).advice)


def test_intervals_that_overlap_are_no_advice_to_take_the_cheaper_one() -> None:
    # Only a paired comparison of both tells whether one is no worse, and `evaluate` makes that.
    sessions = [session(), session(provider="openai", model_id="mini", cost=Decimal("0.01"))]
    evaluations = [
        evaluation(scores=scored(0.9, ci_low=0.8, ci_high=0.95)),
        evaluation(model="openai:mini", scores=scored(0.85, ci_low=0.75, ci_high=0.92)),
    ]
    assert compare(sessions, evaluations).advice == ()


@pytest.mark.parametrize(
    ("logged", "shown"),
    [
        pytest.param(("token_f1", "contains"), "contains", id="contains-before-token-f1"),
        pytest.param(("rouge_l", "bleu"), "rouge_l", id="else-the-first-of-the-plan"),
    ],
)
def test_quality_is_by_the_scorer_that_ranked_the_evaluation(logged, shown) -> None:
    # `info` once showed token_f1 of an evaluation whose leaderboard was by contains.
    metrics = {"rows": 10.0, "answered": 10.0}
    for number, name in enumerate(logged):
        metrics |= {f"{name}/mean": 0.5 + number / 10, f"{name}/coverage": 1.0}
    run = StoredRun(
        run_id="r",
        name="Eval",
        deleted=False,
        started_ms=0,
        ended_ms=1000,
        params={"scorers": ", ".join(logged)},
        metrics=dict(sorted(metrics.items())),
        tags={"llmflowlab.evaluation_id": "e", "llmflowlab.model": "guide:docs"},
    )
    evaluation = evaluation_from_run(run)
    assert evaluation is not None
    (model,) = compare([], [evaluation]).models
    assert model.quality is not None
    assert model.quality.scorer == shown == main_scorer(logged)


@pytest.mark.parametrize(
    ("tags", "coverage", "doubt"),
    [
        pytest.param({}, 1.0, None, id="nothing-remembered"),
        pytest.param({"llmflowlab.judge_exam": "correctness: passed"}, 1.0, None, id="believed"),
        pytest.param(
            {"llmflowlab.judge_exam": "preference: failed"}, 1.0, None, id="another-scorers-judge"
        ),
        pytest.param(
            {"llmflowlab.judge_exam": "preference: passed, correctness: failed"},
            1.0,
            "its judge did not pass its examination for correctness",
            id="failed",
        ),
        pytest.param(
            {"llmflowlab.judge_exam": "correctness: not finished"},
            1.0,
            "the examination of its judge was not finished for correctness",
            id="exam-not-finished",
        ),
        pytest.param(
            {"llmflowlab.partial": "true"}, 1.0, "its evaluation e is not whole", id="interrupted"
        ),
        pytest.param(
            {"llmflowlab.partial": "false"},
            0.5,
            "only 50.0 % of the answers could be scored by correctness",
            id="few-scored",
        ),
    ],
)
def test_nobody_is_best_by_what_its_evaluation_concludes_nothing_from(tags, coverage, doubt):
    """`info` ranked by a judge that its evaluation had not believed."""

    def run(model: str, mean: float, tags: dict[str, str], coverage: float) -> StoredRun:
        return StoredRun(
            run_id=model,
            name="Eval",
            deleted=False,
            started_ms=0,
            ended_ms=1000,
            params={"scorers": "correctness"},
            metrics={"rows": 10.0, "correctness/mean": mean, "correctness/coverage": coverage},
            tags={"llmflowlab.evaluation_id": "e", "llmflowlab.model": model, **tags},
        )

    runs = [run("openai:much", 0.9, tags, coverage), run("openai:less", 0.4, {}, 1.0)]
    comparison = compare([], [known(evaluation_from_run(stored)) for stored in runs])
    qualities = [known(model.quality) for model in comparison.models]
    assert [quality.doubt for quality in qualities] == [doubt, None]
    assert [quality.mean for quality in qualities] == [0.9, 0.4]
    assert comparison.best == (("openai:much",) if doubt is None else ("openai:less",))
    shown = "\n".join(table_lines(comparison_table(comparison, 0)))
    assert ("90.0 % in doubt" in shown) is (doubt is not None)
    assert doubt is None or f"In doubt, openai:much: {doubt}." in shown
    assert any(str(doubt) in line for line in comparison.advice) is (doubt is not None)
    alone = compare([], [known(evaluation_from_run(runs[0]))])
    assert (alone.best == ()) is (doubt is not None)
    said = "Best answers: unknown, what was measured is in doubt"
    assert (said in answers(alone)) is (doubt is not None)


def test_who_refuses_least_or_is_right_at_all_is_best() -> None:
    described = json.dumps([{"name": "shy", "kind": "refusal"}, {"name": "x", "kind": "bleu"}])
    runs = [
        StoredRun(
            run_id=model,
            name="Eval",
            deleted=False,
            started_ms=0,
            ended_ms=1000,
            params={"scorers": "shy"},
            metrics={"rows": 10.0, "shy/mean": mean, "shy/coverage": 1.0},
            tags={
                "llmflowlab.evaluation_id": "e",
                "llmflowlab.model": model,
                "llmflowlab.scorers": described,
            },
        )
        for model, mean in (("gemini:flash", 0.0), ("ollama:llama", 0.6))
    ]
    found = [known(evaluation_from_run(run)) for run in runs]
    assert found[0].lower_is_better == {"shy"}
    assert compare([], found).best == ("gemini:flash",)
    wrong = compare([], [evaluation(scores=scored(0.0))])
    assert wrong.best == ()
    assert "Best answers: unknown, no answer was right" in answers(wrong)


def test_good_numbers_give_no_advice() -> None:
    assert compare([session()], [evaluation()]).advice == ()


def test_the_comparison_is_shown_with_winners_and_what_is_missing() -> None:
    sessions = [session(cost=None), rival(turns=2, avg_inference_time=0.25, completion_tokens=None)]
    comparison = compare(sessions, [evaluation()])
    assert [line.rstrip() for line in table_lines(comparison_table(comparison, 2))] == [
        "Models compared",
        "model         turns  avg time   tokens     cost        quality",
        "------------  -----  --------  -------  -------  -------------",
        "gemini:flash     10     1.0 s    100 *  unknown       80.0 % *",
        "ollama:llama      2  250 ms *  unknown   free *  not evaluated",
        "* the best of its column",
        "From 2 sessions of chat. Tokens: generated. Cost: per answered turn.",
        "Quality: mean of contains in the latest evaluation.",
        "Fewer than 5 answers, read with care: ollama:llama.",
    ]
    assert answers(comparison) == [
        "Lowest average latency: ollama:llama, 250 ms",
        "Most tokens generated: gemini:flash, 100",
        "Cheapest per answered turn: ollama:llama, free",
        "Best answers: gemini:flash, 80.0 % (70.0 % to 90.0 %) contains on benchmark",
    ]


def test_what_nobody_knows_is_said_instead_of_zeros() -> None:
    empty = session(
        turns=1, failed_turns=1, cost=None, avg_inference_time=None, completion_tokens=None
    )
    assert answers(compare([empty], [])) == [
        "Lowest average latency: unknown, no answered turn is recorded",
        "Most tokens generated: unknown, no tokens are recorded",
        "Cheapest per answered turn: unknown, no cost is known",
        "Best answers: unknown, nothing was evaluated yet",
    ]


def test_a_quality_stands_with_its_interval_and_what_it_is_of() -> None:
    # Pins: a mean of three rows looked like one of a thousand.
    table = evaluated_table(compare([], [evaluation()]))
    assert table is not None
    assert (
        "gemini:flash: 80.0 % (70.0 % to 90.0 %) contains on benchmark, 72 answers scored."
        in table.notes
    )
