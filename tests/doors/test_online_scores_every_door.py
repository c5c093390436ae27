"""Scores in the background: how many, their mean and what judging cost are one figure through every door."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from pathlib import Path

import pytest

from llmflowlab.lab.lab import Lab
from llmflowlab.messages import Request
from llmflowlab.providers.scripted import ScriptedProvider
from llmflowlab.service.courier import deliver_all
from llmflowlab.service.scoring.answer_scorer import AnswerScorer
from llmflowlab.service.scoring.online_scorers import ScoringRequest, online_scoring
from llmflowlab.service.store.allowances import day_of, spent_on
from llmflowlab.service.store.service_database import address_of, opened
from llmflowlab.settings import SERVING_EXPERIMENT, load_settings
from llmflowlab.tracking.store import open_store
from tests.doors.evaluated import said
from tests.doors.test_service_every_door import MODEL, TOKENS, measured
from tests.loopback import LoopbackServer
from tests.patience import PATIENCE
from tests.service.running import in_database, running

JUDGE = "openai:gpt-4.1-mini"


class Judging(ScriptedProvider):
    """Judges, at a price."""

    name = "openai"
    free = False


def verdict(asked: Request) -> str:
    result = "no" if "Second" in asked.messages[-1].content else "yes"
    return json.dumps({"rationale": "So it seems.", "result": result})


@pytest.mark.usefixtures("requests_allowed")
def test_scores_in_the_background_are_one_figure(
    mlflow_home: Path, loopback: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    loopback.scenario.tokens["openai"] = TOKENS
    variables = loopback.environment("openai")
    settings = load_settings(variables, cwd=mlflow_home, stdin_is_terminal=False)
    # Another process in truth: it must not ask on the loop that the service lends to all calls here.
    judge = Judging(default=verdict, model="gpt-4.1-mini")
    lab = Lab(settings, build=lambda reference: judge)
    request = ScoringRequest(named=[f"relevance_to_query@{JUDGE}"], daily_usd=Decimal(1))
    scoring, _ = online_scoring(lab, request, [MODEL])
    with running(settings, MODEL, scoring=scoring) as service:
        for query in ("First?", "Second?", "Third?"):
            assert service.chat(query, "s").status_code == 200
        engine = opened(address_of(settings))
        scorer = AnswerScorer(lab, engine, scoring)
        scorer.begin()
        kept = scorer.step(PATIENCE)
        while scorer.busy:
            kept += scorer.step(PATIENCE)
        scorer.end(PATIENCE)
        engine.dispose()
        scraped = measured(service.client.get("/metrics").text)
        assert service.client.get("/ready").json()["unscored"] == 0
    deliver_all(settings)
    store = open_store(settings)
    experiment = store.experiment_id(SERVING_EXPERIMENT)
    (run,) = store.client.search_runs([experiment])
    marks = [
        mark
        for trace in store.client.search_traces(locations=[experiment])
        for mark in trace.info.assessments
    ]
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LLMFLOWLAB_HOME", str(mlflow_home))
    report = json.loads(said("monitor", "report", "--since", "1d", "--json"))
    seen = report["total"]["scores"]["relevance_to_query"]
    rows = in_database(
        settings,
        lambda c: [json.loads(r) for r in c.exec_driver_sql("SELECT record FROM scores").scalars()],
    )

    numbers = {
        "kept": kept,
        "database": len(rows),
        "prometheus": scraped["llmflowlab_score_count"],
        "traces": len(marks),
        "monitor": seen["n"],
    }
    assert numbers == dict.fromkeys(numbers, 3)
    assert run.data.metrics["relevance_to_query/coverage"] == 1.0
    means = {
        "database": sum(row["value"] for row in rows) / 3,
        "prometheus": scraped["llmflowlab_score_sum"] / scraped["llmflowlab_score_count"],
        "metric": run.data.metrics["relevance_to_query/mean"],
        "traces": sum(mark.value for mark in marks) / 3,
        "monitor": seen["mean"],
    }
    assert means == dict.fromkeys(means, pytest.approx(2 / 3))
    spent, _ = in_database(settings, lambda c: spent_on(c, f"{day_of(time.time())} scores"))
    # Prompt and verdict, by the words that the script counts as tokens.
    sent = [f"{r.system or ''} {r.messages[-1].content}" for r in judge.requests]
    prompts = sum(len(text.split()) for text in sent)
    words = sum(len(verdict(r).split()) for r in judge.requests)
    expected = (Decimal(prompts) * Decimal("0.4") + Decimal(words) * Decimal("1.6")) / 1_000_000
    costs = {
        "database": float(sum(Decimal(row["cost_usd"]) for row in rows)),
        "budget": float(spent),
        "prometheus": scraped["llmflowlab_scoring_cost_usd_total"],
        "traces": sum(float(m.metadata["mlflow.assessment.judgeCost"]) for m in marks),
    }
    assert costs == dict.fromkeys(costs, pytest.approx(float(expected)))
