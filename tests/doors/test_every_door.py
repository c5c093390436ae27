"""One cost, one count, one mean, one interval, one main scorer, one verdict, through every door.

A door is whatever tells somebody a figure: the document, the screen, the spreadsheet, the lines, the page, `info`,
`cache`, the ledger that a budget counts with, MLflow's metrics and traces, `verify`, a gate, promotion. A new
figure, or a new door, belongs in here. All of it holds on this machine and on a cluster's workers.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from html import escape
from pathlib import Path
from typing import Any

import pytest

from llmflowlab.asking.metering import Metering
from llmflowlab.evaluation.conclude.leaderboards import BEST_ASSUMES, chance
from llmflowlab.evaluation.conclude.promotion import PromotionTerms, decide
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.replay import stored_result
from llmflowlab.lab import cluster_evaluation
from llmflowlab.lab.evaluate import prepare
from llmflowlab.lab.evaluation_request import EvaluationRequest, RayRequest
from llmflowlab.lab.lab import Lab
from llmflowlab.messages import Message, Parameters, Request
from llmflowlab.providers.base import allow_requests
from llmflowlab.providers.factory import build
from llmflowlab.settings import load_settings
from llmflowlab.text.cost import Prices
from llmflowlab.text.money import dollars
from llmflowlab.text.tokens import TokenCounter
from tests.doors.evaluated import (
    GEMINI,
    GPT,
    MOST,
    PRICES,
    ROWS,
    SCORERS,
    TOKENS,
    Evaluated,
    crew_of_threads,
    evaluate,
)
from tests.loopback import LoopbackServer

MODELS = (GPT, GEMINI)
MILLION = Decimal(1_000_000)


RUNNERS = {"here": (), "cluster": ("--runner", "ray", "--workers", "2", "--shard-rows", "7")}


@contextmanager
def evaluated(home: Path, database: Path, runner: str = "here") -> Iterator[Evaluated]:
    """Evaluate in a home of its own."""
    shutil.copy(database, home / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch, LoopbackServer() as server:
        patch.chdir(home)
        patch.setenv("LLMFLOWLAB_HOME", str(home))
        patch.setenv("LLMFLOWLAB_JUDGE_EXAM", "0")
        for name, value in server.environment().items():
            patch.setenv(name, value)
        patch.setattr(cluster_evaluation, "load_ray", lambda: None)
        patch.setattr(cluster_evaluation, "crew_for", crew_of_threads)
        allow_requests(True)
        found = evaluate(home, server, *RUNNERS[runner])
        assert (found.settings.state_dir / "cluster").is_dir() == (runner == "cluster")
        yield found


@pytest.fixture(scope="module", params=RUNNERS)
def once(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, migrated_db: Path
) -> Iterator[Evaluated]:
    with evaluated(tmp_path_factory.mktemp("home"), migrated_db, request.param) as found:
        yield found


@pytest.fixture
def seen(once: Evaluated, monkeypatch: pytest.MonkeyPatch, requests_allowed: None) -> Evaluated:
    """The evaluation, with the environment in which its doors are opened."""
    monkeypatch.setenv("LLMFLOWLAB_HOME", str(once.home))
    for name, value in once.server.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(once.home)
    return once


def price(model: str, prompt: int, completion: int) -> Decimal:
    sent, written = PRICES[model]
    return (prompt * sent + completion * written) / MILLION


def worst_case(seen: Evaluated, model: str) -> Decimal:
    """Return what a try costs of which nobody knows what it took, and that is charged the most it can."""
    with closing(build(model, seen.settings)) as provider:
        request = Request(
            messages=(Message("user", ROWS[0][0]),), parameters=Parameters(max_tokens=MOST)
        )
        meter = Metering(TokenCounter(), Prices(seen.settings))
        most = meter.worst_case(provider, request)
    assert most is not None
    return most


def expected_cost(seen: Evaluated, model: str) -> Decimal:
    """Return what a candidate cost, from the prices and from what the server was told to do."""
    answers, whole = 2 * len(ROWS), price(model, TOKENS.prompt, TOKENS.completion)
    if model == GPT:
        return answers * whole + worst_case(seen, GPT)
    # One answer was torn off after it had told what the prompt took, and one refused without a word of it:
    # that of the same row, unless others asked in between.
    torn = price(model, TOKENS.prompt, MOST)
    (failed,) = [x for x in seen.lines() if x["model"] == model and x["state"] == "failed"]
    refused = Decimal(str(failed["cost_usd"]))
    refused -= torn if refused > torn else 0
    assert price(model, 1, MOST) < refused <= worst_case(seen, model)
    return (answers - 1) * whole + torn + refused


def test_what_is_left_and_what_was_spent_is_announced_where_it_is_gone_on_with(
    seen: Evaluated, tmp_path: Path
) -> None:
    storage = seen.settings.state_dir / "cluster"
    ray = RayRequest(storage=str(storage)) if storage.is_dir() else None
    failed = sum(line["state"] == "failed" for line in seen.lines())
    assert failed
    # Here, and in a home that knows nothing of it but the storage.
    for home in (seen.home, *([] if ray is None else [tmp_path])):
        where = {**os.environ, "LLMFLOWLAB_HOME": str(home)}
        lab = Lab(load_settings(where, cwd=home, stdin_is_terminal=False))
        with closing(prepare(lab, EvaluationRequest(resume=seen.id, ray=ray))) as prepared:
            figures = prepared.estimate
            assert prepared.bench.budget.spent == seen.spent()
        assert figures.calls + figures.reused == prepared.plan.size
        # Elsewhere the other answers of such a row are not known to be there.
        each = 1 if home == seen.home else len(MODELS) * prepared.plan.trials
        assert failed <= figures.calls <= failed * each


@pytest.mark.parametrize("model", MODELS)
def test_what_a_candidate_cost_is_one_figure(seen: Evaluated, model: str) -> None:
    cost = expected_cost(seen, model)
    assert cost > 70 * price(model, TOKENS.prompt, TOKENS.completion)
    index = MODELS.index(model)
    traces = [
        json.loads(t.info.trace_metadata.get("mlflow.trace.cost", "{}")) for t in seen.traces(model)
    ]
    doors = {
        "document": seen.candidate(model)["cost_usd"],
        "lines": sum(line["cost_usd"] for line in seen.lines() if line["model"] == model),
        "spreadsheet": sum(float(row[f"{model} cost_usd"] or 0) for row in seen.cells()),
        "page": sum(trial[4] or 0 for row in seen.page()["rows"] for trial in row["a"][index]),
        "metric": seen.run(model).data.metrics["total_cost_estimate"],
        "wandb": seen.copied(model).summary["total_cost_estimate"],
        "wandb's table": sum(row["cost_usd"] or 0 for row in seen.copied_rows(model)),
        "traces": sum(cost["total_cost"] for cost in traces if cost),
    }
    assert doors == {door: pytest.approx(float(cost)) for door in doors}


def test_what_all_of_it_cost_is_one_figure(seen: Evaluated) -> None:
    document = seen.document
    (kept,) = seen.command("cache")["evaluations"]
    whole = float(sum(expected_cost(seen, model) for model in MODELS))
    judged = document["judge_usage"]["cost_usd"]
    assert judged > 0
    doors = {
        "document": sum(c["cost_usd"] for c in document["candidates"]) + judged,
        "cache": kept["cost_usd"],
        "budget": float(seen.spent()),
    }
    assert doors == {door: pytest.approx(whole + judged) for door in doors}


@pytest.mark.parametrize("model", MODELS)
def test_tokens_are_one_count(seen: Evaluated, model: str) -> None:
    lines = [
        line for line in seen.lines() if line["model"] == model and line["state"] == "complete"
    ]
    total = len(lines) * (TOKENS.prompt + TOKENS.completion)
    used = [
        json.loads(trace.info.trace_metadata["mlflow.trace.tokenUsage"])["total_tokens"]
        for trace in seen.traces(model)
        if "mlflow.trace.tokenUsage" in trace.info.trace_metadata
    ]
    doors = {
        "document": seen.candidate(model)["tokens"]["total"],
        "lines": sum(line["tokens"]["prompt"] + line["tokens"]["completion"] for line in lines),
        "spreadsheet": sum(int(row[f"{model} tokens"] or 0) for row in seen.cells()),
        "metric": seen.run(model).data.metrics["total_tokens"],
        "wandb": seen.copied(model).summary["total_tokens"],
        "wandb's table": sum(
            row["prompt_tokens"] + row["completion_tokens"]
            for row in seen.copied_rows(model)
            if row["state"] == "complete"
        ),
        "traces": sum(used),
    }
    assert doors == dict.fromkeys(doors, total)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("scorer", SCORERS)
def test_a_mean_its_interval_and_its_coverage_are_one_figure(
    seen: Evaluated, model: str, scorer: str
) -> None:
    said = seen.candidate(model)["scores"][scorer]
    by_row: dict[str, list[float]] = {}
    lines = [line for line in seen.lines() if line["model"] == model]
    for line in lines:
        if (value := line["scores"][scorer]["value"]) is not None:
            by_row.setdefault(line["row"], []).append(value)
    scored = sum(map(len, by_row.values()))
    # The question is the unit: its trials are averaged before anything else is.
    mean = sum(sum(values) / len(values) for values in by_row.values()) / len(by_row)
    metrics = seen.run(model).data.metrics
    assessed = [
        a.value
        for trace in seen.traces(model)
        for a in trace.info.assessments
        if a.name == scorer and a.value is not None
    ]
    board = seen.document["leaderboard"][scorer]
    entry = next(rank for rank in board if rank["candidate"] == model)
    exam = {
        check["figure"]: check
        for run in seen.command("verify", seen.candidate(model)["run_id"])["runs"]
        for check in run["checks"]
    }
    assert said["mean"] == pytest.approx(mean)
    assert {
        "metric": metrics[f"{scorer}/mean"],
        "leaderboard": entry["mean"],
        "verify": exam[f"{scorer}/mean"]["recomputed"],
    } == dict.fromkeys(("metric", "leaderboard", "verify"), pytest.approx(said["mean"]))
    for end in ("ci_low", "ci_high"):
        assert metrics[f"{scorer}/{end}"] == entry[end] == said[end]
        assert exam[f"{scorer}/{end}"]["recomputed"] == pytest.approx(said[end])
    assert said["scored"] == scored == len(assessed)
    coverage = scored / len(lines)
    assert metrics[f"{scorer}/coverage"] == said["coverage"] == pytest.approx(coverage)
    assert seen.copied(model).summary == metrics
    copied = [row[scorer] for row in seen.copied_rows(model) if row[scorer] is not None]
    assert sorted(copied) == sorted(assessed)


def test_the_scorer_that_ranks_is_one(seen: Evaluated) -> None:
    document = seen.document
    quality = {model["model"]: model["quality"] for model in seen.command("info")["models"]}
    page = seen.page()
    # Of equal means nobody is recommended, and the report says by which scorer.
    report = Path(document["files"]["report_html"]).read_text("utf-8")
    why = re.search(r"Nobody is recommended: by (\w+) the best are equal", report)
    assert {
        "recommendation": why and why[1],
        "page": page["scorers"][page["main"]],
        **{f"info {model}": quality[model]["scorer"] for model in MODELS},
    } == dict.fromkeys(
        ("recommendation", "page", *(f"info {model}" for model in MODELS)), "correctness"
    )
    for model in MODELS:
        said = seen.candidate(model)["scores"]["correctness"]
        assert {
            name: quality[model][name] for name in ("mean", "ci_low", "ci_high", "coverage")
        } == {name: said[name] for name in ("mean", "ci_low", "ci_high", "coverage")}


def test_the_screen_ranks_by_the_same_scorer_and_shows_the_same_cost(
    tmp_path: Path, migrated_db: Path, requests_allowed: None
) -> None:
    # One of its own, because whoever goes on with an evaluation asks again for what was refused,
    # and a copied home still names the files of MLflow where they were.
    with evaluated(tmp_path, migrated_db) as own:
        before = len(own.server.chats("openai"))
        shown = own.screen("evaluate", "--resume", own.id)
        assert len(own.server.chats("openai")) == before
    assert shown.partition("Leaderboard by ")[2].split()[0] == "correctness"
    row = next(line for line in shown.splitlines() if GPT in line and line.split()[0] == "1")
    assert row.endswith(f"${own.candidate(GPT)['cost_usd']:.4f}")
    mean = own.candidate(GPT)["scores"]["correctness"]["mean"]
    assert f"{100 * mean:.1f}%" in row


def test_a_gate_sees_the_mean_and_the_coverage_of_the_document(seen: Evaluated) -> None:
    gates = {gate["candidate"]: gate for gate in seen.document["gates"]}
    for model in MODELS:
        said = seen.candidate(model)["scores"]["contains"]
        assert (gates[model]["value"], gates[model]["coverage"]) == (said["mean"], said["coverage"])


def test_comparison_promotion_and_recommendation_come_to_one_verdict(seen: Evaluated) -> None:
    with closing(Ledger(seen.settings.state_dir / "evaluations.db")) as ledger:
        result = stored_result(ledger, seen.id)
    found = next(c for c in seen.document["comparisons"] if c["scorer"] == "correctness")
    decision = decide(result, PromotionTerms(margin=0.02, scorer="correctness", min_coverage=0.9))
    diff = seen.command("diff", f"{seen.id}:1", f"{seen.id}:2")
    assert decision.paired is not None
    assert found["verdict"] == "no_difference_shown"
    assert {
        "promotion": decision.paired.difference,
        "diff": diff["test"]["difference"],
    } == dict.fromkeys(("promotion", "diff"), pytest.approx(found["difference"]))
    assert {decision.paired.n, diff["test"]["n"]} == {found["n"]}
    # So few questions cannot show that two points are not lost: nobody may be called no worse.
    assert not decision.promoted
    assert seen.document["recommendation"] is None
    assert found["difference"] == 0


def test_info_counts_and_concludes_what_the_evaluation_did(seen: Evaluated) -> None:
    info = seen.command("info")
    for model in MODELS:
        said = seen.candidate(model)
        (taken,) = [m["evaluated"] for m in info["models"] if m["model"] == model]
        metrics = seen.run(model).data.metrics
        lines = [line for line in seen.lines() if line["model"] == model]
        whole = sum(line["scores"]["contains"]["value"] is not None for line in lines)
        assert taken["answers"] == said["answered"] == metrics["answered"]
        assert taken["avg_time"] == pytest.approx(said["latency"]["mean"])
        assert taken["avg_time"] == pytest.approx(metrics["latency/mean"])
        assert taken["tokens_per_answer"] == said["tokens"]["completion"] / said["answered"]
        # Shared out among the whole ones, failed tries included.
        cost = float(expected_cost(seen, model)) / whole
        assert taken["cost_per_answer"] == pytest.approx(cost)
        assert metrics["cost_per_answer"] == pytest.approx(cost)
    (found,) = [c for c in seen.document["comparisons"] if c["scorer"] == "correctness"]
    (paired,) = info["paired"]
    for key in ("a", "b", "scorer", "n", "verdict", "said"):
        assert paired[key] == found[key]
    assert (paired["evaluation_id"], info["no_paired_because"]) == (seen.id, None)
    screen = seen.screen("info")
    assert f"- {found['said']}" in screen
    page = Path(seen.document["files"]["report_html"]).read_text("utf-8")
    assert escape(found["said"]) in page


def test_compare_has_the_figures_of_evaluation_info_and_runs(seen: Evaluated) -> None:
    compared = seen.command("compare", seen.id, "--max-cost-per-1000", "1000")
    info = {m["model"]: m["evaluated"] for m in seen.command("info")["models"]}
    page = Path(seen.document["files"]["report_html"]).read_text("utf-8")
    screen = seen.screen("compare", seen.id)
    assert compared["dataset"] == seen.document["dataset"]
    for one in compared["candidates"]:
        model = one["model"]
        said, metrics = seen.candidate(model), seen.run(model).data.metrics
        score = said["scores"]["correctness"]
        assert one["run_id"] == said["run_id"]
        assert one["quality"]["scorer"] == compared["scorer"] == "correctness"
        assert one["quality"]["source"] == "judge"
        assert {
            "document": score["mean"],
            "metric": metrics["correctness/mean"],
        } == dict.fromkeys(("document", "metric"), one["quality"]["value"])
        for end in ("ci_low", "ci_high"):
            assert one["quality"][end] == score[end]
        thousand = one["cost_per_1000_usd"]
        assert {
            "metric": 1000 * metrics["cost_per_answer"],
            "info": 1000 * info[model]["cost_per_answer"],
        } == dict.fromkeys(("metric", "info"), pytest.approx(thousand))
        assert f">{dollars(Decimal(str(thousand)))}</td>" in page
        assert dollars(Decimal(str(thousand))) in screen
        assert one["latency"]["p95"] == said["latency"]["p95"] == metrics["latency/p95"]
        assert one["tokens_per_second"] == said["tokens_per_second"] == metrics["tokens_per_second"]
    # The limit is above what both cost, so the best of both is the best there is.
    (pick,) = compared["picks"]
    assert pick["candidate"] in {None, *MODELS}
    assert (pick["candidate"] is None) == (compared["withheld"] is not None)


def test_who_is_probably_the_best_is_one_figure_and_verify_leaves_it_to_all_runs(
    seen: Evaluated,
) -> None:
    page = Path(seen.document["files"]["report_html"]).read_text("utf-8")
    given = 0
    for scorer in SCORERS:
        for entry in seen.document["leaderboard"][scorer]:
            said = entry["probability_best"]
            metrics = seen.run(entry["candidate"]).data.metrics
            assert metrics.get(f"{scorer}/probability_best") == said
            if said is not None:
                given += 1
                assert f">{escape(str(chance(said)))}</td>" in page
    assert given
    assert escape(BEST_ASSUMES) in page
    for comparison in seen.document["comparisons"]:
        effect = comparison["effect_size"]
        assert effect is None or f"= {effect['value']:+.2f}</td>" in page
        assert comparison["equivalence"]["margin"] == 0.02
    for run in seen.command("verify", seen.id)["runs"]:
        assert not [c for c in run["checks"] if c["figure"].endswith("/probability_best")]


def test_every_row_is_in_every_door_once(seen: Evaluated) -> None:
    for model in MODELS:
        lines = Counter(
            (line["row"], line["trial"]) for line in seen.lines() if line["model"] == model
        )
        traces: Counter[Any] = Counter(
            (t.info.tags["llmflowlab.row"], int(t.info.tags["llmflowlab.trial"]) + 1)
            for t in seen.traces(model)
        )
        assert lines == traces
        assert set(lines.values()) == {1}
        assert len(lines) == seen.candidate(model)["rows"] == 2 * len(ROWS)
