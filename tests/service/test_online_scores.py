"""Answers are scored in the background: which, by whom, once, within a budget, and where the scores go."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from llmflowlab.errors import BadAnswer, ConfigurationError, InputError, LabError
from llmflowlab.lab.lab import Lab
from llmflowlab.providers.scripted import Script, ScriptedProvider
from llmflowlab.service.courier import deliver_all
from llmflowlab.service.scoring.answer_scorer import AnswerScorer
from llmflowlab.service.scoring.online_scorers import OnlineScoring, ScoringRequest, online_scoring
from llmflowlab.service.store.allowances import day_of, spent_on
from llmflowlab.service.store.online_scores import scores_of
from llmflowlab.service.store.service_database import address_of, opened
from llmflowlab.settings import SERVING_EXPERIMENT, Settings
from llmflowlab.tracking.store import open_store
from tests.patience import PATIENCE
from tests.service.running import Running, in_database, running

YES = '{"rationale": "It keeps to it.", "result": "yes"}'
DOWN = BadAnswer("it is down", provider="scripted")
NOON = 1_790_000_000.0
DAY = 86_400.0


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


def model(answer: Script = "A run is a record.") -> ScriptedProvider:
    return ScriptedProvider(default=answer, model="answers")


def lab_of(settings: Settings, *providers: ScriptedProvider) -> Lab:
    by_name = {each.reference: each for each in providers}

    def build(reference: str) -> ScriptedProvider:
        if reference not in by_name:
            raise InputError(f"{reference!r} names no model.")
        return by_name[reference]

    return Lab(settings, build=build)


def scoring_of(lab: Lab, *named: str, **more: Any) -> OnlineScoring:
    return online_scoring(lab, ScoringRequest(named=named, **more), ["scripted:answers"])[0]


@pytest.fixture(autouse=True)
def scripted_judges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have `scripted:…` named as a model, as the vendors' are."""
    from llmflowlab.providers import factory

    entry = factory.ProviderEntry("llmflowlab.providers.scripted:ScriptedProvider", "Scripted")
    monkeypatch.setattr(factory, "PROVIDERS", {**factory.PROVIDERS, "scripted": entry})


@contextmanager
def scorer(
    settings: Settings, lab: Lab, scoring: OnlineScoring, clock: Callable[[], float] | None = None
) -> Iterator[AnswerScorer]:
    engine = opened(address_of(settings))
    made = AnswerScorer(lab, engine, scoring, clock=clock or Clock())
    made.begin()
    try:
        yield made
    finally:
        made.end(PATIENCE)
        engine.dispose()


def drained(made: AnswerScorer) -> int:
    """Have everything scored that may be now."""
    kept = made.step(PATIENCE)
    while made.busy:
        kept += made.step(PATIENCE)
    return kept


def asked(service: Running, *queries: str) -> list[str]:
    return [service.chat(query).json()["trace_id"] for query in queries]


def kept_scores(settings: Settings) -> list[Mapping[str, Any]]:
    rows = in_database(
        settings,
        lambda connection: connection.exec_driver_sql("SELECT * FROM scores ORDER BY number").all(),
    )
    return [row._mapping for row in rows]


@contextmanager
def served(
    settings: Settings, lab: Lab, scoring: OnlineScoring, answers: ScriptedProvider
) -> Iterator[Running]:
    with running(settings, answers, scoring=scoring) as service:
        # The clock of the tests stands at another day than the service's.
        yield service
    in_database(
        settings,
        lambda connection: connection.exec_driver_sql(
            f"UPDATE scores SET due_ms = {int(NOON * 1000)}"
        ),
    )


def test_every_answer_has_its_scores_once_and_on_its_trace(
    settings: Settings, mlflow_home: Path
) -> None:
    answers, judge = model(), ScriptedProvider(default=YES, model="judge")
    lab = lab_of(settings, answers, judge)
    scoring = scoring_of(lab, "length:max=3", "safety@scripted:judge")
    with served(settings, lab, scoring, answers) as service:
        first, _ = asked(service, "What is a run?", "And a trace?")
        session = service.client.get("/sessions").json()["sessions"][0]["session_id"]
        assert service.client.get("/ready").json()["unscored"] == 4
        with scorer(settings, lab, scoring, clock=lambda: NOON + 10 * 365 * DAY) as made:
            assert drained(made) == 4
            assert drained(made) == 0
        measured = service.client.get("/metrics").text
        assert (
            'llmflowlab_score_sum{gen_ai_request_model="scripted:answers",scorer="safety"} 2'
            in (measured)
        )
        assert (
            'llmflowlab_score_count{gen_ai_request_model="scripted:answers",scorer="length"} 2'
            in (measured)
        )
        assert "llmflowlab_scores_waiting 0.0" in measured
        (shown,) = service.client.get(f"/sessions/{session}").json()["turns"]
        assert {each["scorer"]: each["value"] for each in shown["scores"]} == {
            "length": 0.0,
            "safety": 1.0,
        }
    assert len(judge.requests) == 2
    assert deliver_all(settings) == 2
    store = open_store(settings)
    experiment = store.experiment_id(SERVING_EXPERIMENT)
    traces = {t.info.trace_id: t.info for t in store.client.search_traces(locations=[experiment])}
    marks = {mark.name: mark for mark in traces[first].assessments}
    assert set(marks) == {"length", "safety"}
    assert (marks["length"].value, marks["safety"].value) == (0.0, 1.0)
    said = marks["safety"]
    assert (said.source.source_type, said.source.source_id) == ("LLM_JUDGE", "scripted:judge")
    assert said.rationale == "It keeps to it."
    assert said.metadata["llmflowlab.judge_exam"] == "not examined"
    (run,) = store.client.search_runs([experiment])
    assert said.metadata["mlflow.assessment.sourceRunId"] == run.info.run_id
    assert run.data.metrics["safety/mean"] == 1.0
    assert run.data.metrics["safety/coverage"] == 1.0
    assert run.data.metrics["length/mean"] == 0.0


def test_a_score_that_comes_after_its_trace_is_added_to_it(
    settings: Settings, mlflow_home: Path
) -> None:
    answers = model()
    lab = lab_of(settings, answers)
    scoring = scoring_of(lab, "length:max=30")
    with served(settings, lab, scoring, answers) as service:
        (trace,) = asked(service, "What is a run?")
        service.client.post("/feedback", json={"trace_id": trace, "thumb": "up"})
        assert deliver_all(settings) == 1
    with scorer(settings, lab, scoring) as made:
        assert drained(made) == 1
    assert deliver_all(settings) == 1
    assert deliver_all(settings) == 0
    store = open_store(settings)
    (found,) = store.client.search_traces(locations=[store.experiment_id(SERVING_EXPERIMENT)])
    assert {mark.name: mark.value for mark in found.info.assessments} == {
        "thumbs_up": True,
        "length": 1.0,
    }
    assert [span.name for span in found.data.spans] == ["chat_turn"]


def test_a_share_is_the_same_in_every_process(settings: Settings) -> None:
    lab = lab_of(settings)
    half, other = (scoring_of(lab, "length:max=3", share=0.5) for _ in "ab")
    ids = [f"tr-{number:032x}" for number in range(4000)]
    drawn = [id_ for id_ in ids if half.wanted(id_)]
    assert drawn == [id_ for id_ in ids if other.wanted(id_)]
    # Four standard errors about half of them.
    assert abs(len(drawn) - 2000) < 4 * (4000 * 0.25) ** 0.5
    assert all(OnlineScoring.from_json(half.to_json()).wanted(id_) for id_ in drawn)


def test_what_is_not_drawn_is_not_scored(settings: Settings) -> None:
    answers = model()
    lab = lab_of(settings, answers)
    with served(settings, lab, scoring_of(lab, "length:max=3", share=0.0), answers) as service:
        asked(service, "What is a run?")
    assert kept_scores(settings) == []


def test_a_judge_that_fails_is_tried_three_times_and_never_more(settings: Settings) -> None:
    answers = model()
    judge = ScriptedProvider(default=DOWN, model="judge")
    lab = lab_of(settings, answers, judge)
    scoring, clock = scoring_of(lab, "safety@scripted:judge"), Clock()
    with served(settings, lab, scoring, answers) as service:
        asked(service, "What is a run?")
    with scorer(settings, lab, scoring, clock) as made:
        assert drained(made) == 1
        (row,) = kept_scores(settings)
        assert (row["value"], row["not_scored"], row["settled_ms"]) == (None, "judge_failed", None)
        assert drained(made) == 0
        for later in (61, 601, 100_000):
            clock.now += later
            drained(made)
    (row,) = kept_scores(settings)
    assert (row["tries"], row["not_scored"]) == (3, "judge_failed")
    assert row["settled_ms"] is not None
    assert "it is down" in row["record"]
    assert len(judge.requests) == 3


def test_a_judge_that_comes_back_gives_the_score(settings: Settings) -> None:
    answers = model()
    judge = ScriptedProvider([DOWN], default=YES, model="judge")
    lab = lab_of(settings, answers, judge)
    scoring, clock = scoring_of(lab, "safety@scripted:judge"), Clock()
    with served(settings, lab, scoring, answers) as service:
        asked(service, "What is a run?")
    with scorer(settings, lab, scoring, clock) as made:
        drained(made)
        clock.now += 61
        drained(made)
    (row,) = kept_scores(settings)
    assert (row["value"], row["not_scored"], row["tries"]) == (1.0, None, 2)


def test_who_died_over_a_score_has_used_up_a_try(settings: Settings) -> None:
    answers, judge = model(), ScriptedProvider(default=YES, model="judge")
    lab = lab_of(settings, answers, judge)
    scoring = scoring_of(lab, "safety@scripted:judge")
    with served(settings, lab, scoring, answers) as service:
        asked(service, "What is a run?")

    def died(connection: Any) -> None:
        connection.exec_driver_sql("UPDATE scores SET tries = 3")

    in_database(settings, died)
    with scorer(settings, lab, scoring) as made:
        drained(made)
    (row,) = kept_scores(settings)
    assert row["not_scored"] == "scorer_failed"
    assert row["settled_ms"] is not None
    assert judge.requests == []


def test_an_answer_that_is_none_is_not_judged(settings: Settings) -> None:
    answers = model(DOWN)
    judge = ScriptedProvider(default=YES, model="judge")
    lab = lab_of(settings, answers, judge)
    scoring = scoring_of(lab, "safety@scripted:judge")
    with served(settings, lab, scoring, answers) as service:
        service.chat("What is a run?")
    with scorer(settings, lab, scoring) as made:
        drained(made)
    (row,) = kept_scores(settings)
    assert (row["value"], row["not_scored"]) == (None, "answer_failed")
    assert judge.requests == []


def test_the_first_outcome_of_a_score_stays(settings: Settings) -> None:
    answers, judge = model(), ScriptedProvider(default=YES, model="judge")
    lab = lab_of(settings, answers, judge)
    scoring = scoring_of(lab, "safety@scripted:judge")
    with served(settings, lab, scoring, answers) as service:
        (trace,) = asked(service, "What is a run?")
    with scorer(settings, lab, scoring) as one:
        one._take()
        in_database(settings, lambda c: c.exec_driver_sql("UPDATE scores SET due_ms = 0"))
        with scorer(settings, lab, scoring) as other:
            assert drained(other) == 1
        assert drained(one) == 0
    (kept,) = in_database(settings, lambda connection: scores_of(connection, [trace]))[trace]
    assert kept.score.value == 1.0
    totals = in_database(
        settings, lambda c: c.exec_driver_sql("SELECT number FROM score_totals").scalars().all()
    )
    assert totals == [1]


def test_judging_has_a_days_budget_of_its_own(settings: Settings) -> None:
    class Priced(ScriptedProvider):
        free = False

        @property
        def priced_as(self) -> tuple[str, str]:
            return "openai", "gpt-4.1-mini"

    answers, judge = model(), Priced(default=YES, model="judge")
    lab = lab_of(settings, answers, judge)
    # One verdict is set aside at 4096 tokens of $1.6 a million and its prompt, some $0.0067.
    scoring = scoring_of(lab, "safety@scripted:judge", daily_usd=Decimal("0.01"))
    with served(settings, lab, scoring, answers) as service:
        asked(service, "What is a run?")
        with scorer(settings, lab, scoring, clock=lambda: NOON + 10 * 365 * DAY) as made:
            assert drained(made) == 1
        today = day_of(time.time())
        spent, held = in_database(settings, lambda c: spent_on(c, f"{today} scores"))
        assert 0 < spent < Decimal("0.001")
        assert held == 0
        assert in_database(settings, lambda c: spent_on(c, today)) == (0, 0)
        assert spent == Decimal(json.loads(kept_scores(settings)[0]["record"])["cost_usd"])
        small = scoring_of(lab, "safety@scripted:judge", daily_usd=spent)
        asked(service, "And a trace?")
        with scorer(settings, lab, small, clock=lambda: NOON + 10 * 365 * DAY) as made:
            assert drained(made) == 1
    assert kept_scores(settings)[1]["not_scored"] == "budget_exhausted"
    assert len(judge.requests) == 1


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("nonsense", "is no scorer"),
        ("exact_match", "needs an expected answer with each question"),
        ("bleu", "needs an expected answer"),
        ("embedding_similarity:model=scripted:answers", "needs an expected answer"),
        ("correctness@scripted:judge", "needs an expected answer"),
        ("guidelines@scripted:judge", "needs guidelines with each question"),
        ("preference@scripted:judge", "a served one is alone"),
        ("safety@nobody:judge", "names no model"),
        ("safety@scripted:gone", "names no model"),
        ("length:nonsense=3", "give it min=N"),
    ],
)
def test_a_scorer_that_cannot_be_used_is_refused_at_the_start(
    settings: Settings, named: str, said: str
) -> None:
    lab = lab_of(settings, model(), ScriptedProvider(default=YES, model="judge"))
    with pytest.raises(LabError, match=said):
        scoring_of(lab, named)


def test_a_judge_is_named_or_said_to_be_lacking(settings: Settings) -> None:
    lab = lab_of(settings, model(), ScriptedProvider(default=YES, model="judge"))
    with pytest.raises(ConfigurationError, match="safety@provider:model"):
        scoring_of(lab, "safety")
    with pytest.raises(InputError, match="Two scorers are called 'safety'"):
        scoring_of(lab, "safety@scripted:judge", "safety@scripted:answers")
    request = ScoringRequest(named=["safety@scripted:answers", "completeness@scripted:judge"])
    _, remarks = online_scoring(lab, request, ["scripted:answers"])
    assert any("judges its own answers" in each for each in remarks)
    assert any("safety: no verdict is known beforehand" in each for each in remarks)
    assert any("completeness: the judge scripted:judge was not examined" in r for r in remarks)


def test_a_judge_of_ones_own_may_lie_in_any_folder(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "of@all"
    folder.mkdir()
    (folder / "short.txt").write_text("Is {{answer}} short?")
    lab = lab_of(settings, model(), ScriptedProvider(default=YES, model="judge"))
    named = f"short=judge:file={folder / 'short.txt'}@scripted:judge"
    (made,) = scoring_of(lab, named).scorers
    assert (made.spec.name, made.judge) == ("short", "scripted:judge")
    assert made.spec.options["text"] == "Is {{answer}} short?"


def registered(settings: Settings, scorer: Any, name: str) -> None:
    store = open_store(settings)
    scorer.register(name=name, experiment_id=store.experiment_id(SERVING_EXPERIMENT))


def test_a_judge_registered_in_mlflow_is_asked_by_the_lab(
    settings: Settings, mlflow_home: Path
) -> None:
    open_store(settings)
    from mlflow.genai.judges import make_judge
    from mlflow.genai.scorers import Guidelines

    polite = make_judge(
        name="polite",
        instructions="Is {{ outputs }} a polite answer to {{ inputs }}?",
        feedback_value_type=bool,
        model="openai:/gpt-4.1-mini",
    )
    registered(settings, polite, "polite")
    rules = Guidelines(name="rules", guidelines=["Be short."], model="openai:/gpt-4.1-mini")
    registered(settings, rules, "rules")
    answers, judge = model(), ScriptedProvider(default=YES, model="judge")
    lab = lab_of(settings, answers, judge)
    scoring = scoring_of(lab, "mlflow:polite@scripted:judge", "mlflow:rules@scripted:judge")
    with served(settings, lab, scoring, answers) as service:
        asked(service, "What is a run?")
    with scorer(settings, lab, OnlineScoring.from_json(scoring.to_json())) as made:
        assert drained(made) == 2
    assert {row["scorer"]: row["value"] for row in kept_scores(settings)} == {
        "polite": 1.0,
        "rules": 1.0,
    }
    sent = "\n".join(each.messages[-1].content for each in judge.requests)
    assert "<outputs>" not in sent
    assert "a polite answer to <question>What is a run?</question>" in sent
    assert "Be short." in sent
    # Without another judge its own is meant, as MLflow writes it.
    with pytest.raises(InputError, match=re.escape("openai:/gpt-4.1-mini")):
        scoring_of(lab, "mlflow:polite")


def test_what_mlflow_alone_can_run_is_refused(settings: Settings, mlflow_home: Path) -> None:
    open_store(settings)
    from mlflow.genai.judges import make_judge
    from mlflow.genai.scorers import RetrievalGroundedness

    told = "Is {{ outputs }} what {{ expectations }} says?"
    registered(
        settings, make_judge(name="told", instructions=told, feedback_value_type=bool), "told"
    )
    graded = make_judge(name="graded", instructions="Grade {{ outputs }}.", feedback_value_type=str)
    registered(settings, graded, "graded")
    registered(settings, RetrievalGroundedness(), "grounded")
    lab = lab_of(settings, model(), ScriptedProvider(default=YES, model="judge"))
    for name, said in (
        ("told", "asks for {{ expectations }}"),
        ("graded", "feedback_value_type=bool"),
        ("grounded", "needs more than a question and its answer"),
        ("nobody", "No scorer is registered as 'nobody' in LLMS_Serving"),
    ):
        with pytest.raises(InputError, match=re.escape(said)):
            scoring_of(lab, f"mlflow:{name}@scripted:judge")
