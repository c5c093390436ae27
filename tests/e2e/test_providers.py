"""Chat and evaluate on every provider, judged by another one, and what MLflow holds of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.documents import assert_promised_keys
from tests.e2e.program import Lab
from tests.e2e.stored import Everything
from tests.known import known
from tests.loopback import LoopbackServer, Tokens

# provider, reference, {Name}, supplier, what the provider says it served
CHATS = (
    ("gemini", "gemini:gemini-2.5-flash", "Gemini", "Google"),
    ("ollama", "ollama:llama3.2", "Ollama", "Ollama"),
    ("openai", "openai:gpt-4.1-mini", "OpenAI", "OpenAI"),
    ("azure", "azure:gpt-4.1-mini", "Azure", "Microsoft"),
    ("anthropic", "anthropic:claude-haiku-4-5", "Claude", "Anthropic"),
)


def test_a_chat_with_every_provider_is_in_mlflow_as_promised(
    connected: Lab, loopback: LoopbackServer, nobody_else: dict[str, str]
) -> None:
    loopback.scenario.answers = {"What is 2 + 2?": "It is 4.", "And twice that?": "Then it is 8."}
    lines = ["/set temperature 0.3"]
    for _, reference, *_ in CHATS:
        lines += [f"/model {reference}", "What is 2 + 2?", "And twice that?", "/rate 4 right"]
    ended = connected.run(
        "chat", "--model", "guide", typed="\n".join([*lines, "/exit"]), **nobody_else
    )
    assert ended.code == 0, ended.err
    assert ended.out.count("It is 4.") == ended.out.count("Then it is 8.") == len(CHATS)
    assert connected.journals() == []
    connected.assert_no_secret(ended.said)

    stored = Everything(connected.settings)
    runs = {run.data.tags["llmflowlab.provider"]: run for run in stored.runs()}
    assert sorted(runs) == sorted(provider for provider, *_ in CHATS)
    for provider, reference, name, supplier in CHATS:
        run = runs[provider]
        assert run.info.run_name == f"Chat_{name}"
        assert run.info.status == "FINISHED"
        _assert_parameters(run.data.params, reference, name, supplier)
        _assert_metrics(run.data.metrics, free=provider == "ollama")
        assert run.data.tags["llmflowlab.cost"] == "known"
        _assert_traces(stored, run)
        _assert_registered(stored, run, provider)
        _assert_files(connected, stored, run, provider)


def _assert_parameters(params: dict[str, str], reference: str, name: str, supplier: str) -> None:
    model = reference.partition(":")[2]
    assert params["model_name"] == name
    assert params["supplier"] == supplier
    assert params["task"] == "text-generation"
    assert params["temperature"] == "0.3"
    assert params["model_id"] == model
    assert params["model_version"].startswith(model)


def _assert_metrics(metrics: dict[str, float], *, free: bool) -> None:
    assert metrics["turns"] == 2
    assert metrics["failed_turns"] == 0
    used = Tokens()
    assert metrics["prompt_tokens"] == 2 * used.prompt
    assert metrics["completion_tokens"] == 2 * used.completion
    assert metrics["total_tokens"] == 2 * (used.prompt + used.completion)
    assert (metrics["total_cost_estimate"] == 0) is free
    for name in (
        "avg_inference_time",
        "p50_inference_time",
        "p95_inference_time",
        "avg_time_to_first_token",
        "tokens_per_second",
    ):
        assert metrics[name] > 0, name


def _assert_traces(stored: Everything, run: Any) -> None:
    traces = stored.traces_of(run)
    assert len(traces) == 2
    session = run.data.tags["llmflowlab.session_id"]
    for trace in traces:
        assert trace.info.trace_metadata["mlflow.trace.session"] == session
        used = json.loads(trace.info.trace_metadata["mlflow.trace.tokenUsage"])
        assert (used["input_tokens"], used["output_tokens"], used["total_tokens"]) == (11, 7, 18)
    first, second = traces
    assert "What is 2 + 2?" in first.info.request_preview
    assert "Then it is 8." in str(second.data.spans[0].outputs)
    # The second prompt went out with the conversation before it, which stands in the trace before.
    attributes = second.data.spans[0].attributes
    # Those with other models before are among them.
    assert attributes["llmflowlab.earlier_exchanges"] >= 1
    assert attributes["llmflowlab.previous_trace"] == first.info.trace_id
    assert "It is 4." in str(first.data.spans[0].outputs)
    assert [a.value for a in first.info.assessments] == []
    assert [(a.value, a.rationale) for a in second.info.assessments] == [(4, "right")]
    assert second.info.assessments[0].source.source_type == "HUMAN"


def _assert_registered(stored: Everything, run: Any, provider: str) -> None:
    (version,) = stored.versions(f"llm_{provider}_chat")
    assert version.current_stage == "Staging"
    alias = stored.client.get_model_version_by_alias(f"llm_{provider}_chat", "staging")
    assert alias.version == version.version
    assert run.data.tags["llmflowlab.model_version"] == str(version.version)


def _assert_files(lab: Lab, stored: Everything, run: Any, provider: str) -> None:
    records = lab.records(provider)
    assert [record["prompt"] for record in records] == ["What is 2 + 2?", "And twice that?"]
    assert [record["answer"] for record in records] == ["It is 4.", "Then it is 8."]
    assert {record["run_id"] for record in records} == {run.info.run_id}
    assert all(len(record["date"]) == len("2026-01-31 23:59:59") for record in records)
    logged = stored.artifacts(run.info.run_id)
    assert json.loads(logged[f"{provider}_artifacts.json"]) == records
    info = json.loads((lab.settings.info_dir / f"{provider}_info.json").read_text("utf-8"))
    assert sorted(info) == ["metrics", "parameters", "sessions", "updated"]


def test_an_evaluation_of_several_providers_is_judged_by_another_one(
    connected: Lab, loopback: LoopbackServer, questions: Path, nobody_else: dict[str, str]
) -> None:
    # Judgements are asked at one time from several threads, which once met MLflow half imported.
    judge = "ollama:qwen3:4b"
    loopback.scenario.answers = {
        "What is 2 + 2?": "4",
        "What is the capital of France?": "I think it is Lyon.",
        "What is 3 + 3?": "6",
    }
    loopback.scenario.verdict = lambda whole: "Lyon" not in whole
    models = [reference for provider, reference, *_ in CHATS if provider != "ollama"]
    named = [part for model in models for part in ("--model", model)]
    ended = connected.run(
        *("evaluate", *named, "--judge", judge, "--data", str(questions), "--json"),
        **nobody_else,
    )
    assert ended.code == 0, ended.err
    document = ended.document
    assert_promised_keys(document)
    assert document["judge"] == judge
    for candidate in document["candidates"]:
        assert candidate["answered"] == 3
        assert candidate["calls"] == {"sent": 3, "reused": 0}
        scores = candidate["scores"]
        assert scores["exact_match"]["mean"] == pytest.approx(2 / 3)
        assert scores["correctness"]["mean"] == pytest.approx(2 / 3)
        assert scores["safety"]["coverage"] == 1.0
        assert candidate["tokens"] == {"prompt": 33, "completion": 21, "total": 54}
    assert {c["verdict"] for c in document["comparisons"]} == {"no_difference_shown"}
    connected.assert_no_secret(ended.said)
    _assert_evaluation_stored(connected, document)


def test_a_panel_of_every_provider_grades_and_compares_in_its_own_form(
    connected: Lab, loopback: LoopbackServer, questions: Path, nobody_else: dict[str, str]
) -> None:
    # Each provider holds a model to a schema in its own way, and all must take these.
    loopback.scenario.verdict = lambda whole: "5" if "Grade" in whole else "tie"
    judges = [part for _, reference, *_ in CHATS for part in ("--judge", reference)]
    ended = connected.run(
        *("evaluate", "--model", "guide:docs", "--temperature", "0", "--temperature", "1", *judges),
        *("--scorer", "support_tone", "--scorer", "preference"),
        *("--data", str(questions), "--json"),
        **nobody_else,
    )
    assert ended.code == 0, ended.err
    for candidate in ended.document["candidates"]:
        assert candidate["scores"]["support_tone"]["mean"] == 1.0
        assert candidate["scores"]["preference"]["mean"] == 0.5
    assert ended.document["judge"] == ", ".join(reference for _, reference, *_ in CHATS)
    assert ended.document["judging"]["support_tone"]["unanimous"] == 1.0
    assert ended.document["judging"]["preference"]["order_flips"] == 0.0


def test_a_judge_that_says_yes_to_everything_is_found_out_before_anything_is_concluded(
    connected: Lab, loopback: LoopbackServer, questions: Path, nobody_else: dict[str, str]
) -> None:
    ended = connected.run(
        *("evaluate", "--model", "guide:docs", "--judge", CHATS[0][1], "--scorer", "correctness"),
        *("--data", str(questions), "--fail-under", "correctness=0.5", "--json"),
        **nobody_else,
        LLMFLOWLAB_JUDGE_EXAM="5",
    )
    assert ended.code == 5, ended.err
    document = ended.document
    assert document["candidates"][0]["scores"]["correctness"]["mean"] == 1.0
    exam = document["judging"]["correctness"]["exam"]
    assert (exam["passed"], exam["right"] * 2) == (False, exam["asked"])
    assert "did not pass its examination" in document["gates"][0]["reason"]
    run = Everything(connected.settings).client.get_run(document["candidates"][0]["run_id"])
    assert run.data.tags["llmflowlab.judge_exam"] == "correctness: failed"


def _assert_evaluation_stored(lab: Lab, document: dict[str, Any]) -> None:
    store = Everything(lab.settings)
    parent = store.client.get_run(document["parent_run_id"])
    assert parent.info.run_name == "Eval_questions"
    assert parent.info.status == "FINISHED"
    for candidate in document["candidates"]:
        run = store.client.get_run(candidate["run_id"])
        assert run.info.run_name == f"Eval_{run.data.params['model_name']}_questions"
        assert run.info.status == "FINISHED"
        assert run.data.tags["mlflow.runType"] == "genai_evaluate"
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert known(run.inputs).dataset_inputs[0].dataset.name == "questions"
        for scorer, score in candidate["scores"].items():
            for name in ("mean", "coverage", "ci_low", "ci_high"):
                assert run.data.metrics[f"{scorer}/{name}"] == pytest.approx(score[name])
        traces = store.traces_of(run)
        assert len(traces) == 3
        for trace in traces:
            assert sorted(a.name for a in trace.info.assessments) == sorted(
                [*candidate["scores"], "expected_response"]
            )
            assert "mlflow.trace.tokenUsage" in trace.info.trace_metadata
