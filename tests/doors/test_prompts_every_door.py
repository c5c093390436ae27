"""Which prompt is better on which model: one verdict at every door."""

from __future__ import annotations

import json
from contextlib import closing
from html import escape
from pathlib import Path

import pytest

from llmflowlab.evaluation.conclude.conclusions import headline
from llmflowlab.evaluation.reports.markdown import escaped, markdown_summary
from llmflowlab.lab.evaluate import prepare, run
from llmflowlab.lab.evaluation_request import EvaluationRequest
from llmflowlab.lab.lab import Lab
from llmflowlab.settings import load_settings
from llmflowlab.tracking.store import open_store
from tests.prompts.test_prompts_compared import model, register, write


@pytest.fixture
def settings(mlflow_home):
    return load_settings({}, cwd=mlflow_home, stdin_is_terminal=False)


@pytest.fixture
def store(settings):
    return register(open_store(settings))


@pytest.fixture
def compared(store, settings, tmp_path):
    rows = [(f"What is {n} + {7 * n}?", str(8 * n)) for n in range(1, 21)]
    file = write(tmp_path / "sums.csv", ("question", "answer"), rows)
    models = {
        "scripted:one": model("one", follows=True),
        "scripted:two": model("two", follows=False),
    }
    request = EvaluationRequest(
        models=list(models), prompts=["plain", "better@1"], data=file, scorers=["exact_match"]
    )
    lab = Lab(settings, build=lambda reference: models[reference])
    with closing(prepare(lab, request)) as prepared:
        return run(prepared)


def test_it_is_said_which_prompt_is_better_on_which_model_at_every_door(compared, store):
    one, two = compared.to_json()["prompts"]
    assert (one["model"], one["prompt"]) == ("scripted:one", "better@1")
    (against,) = one["against"]
    assert (against["prompt"], against["better"], against["difference"]) == ("plain@1", True, 1.0)
    assert 0 < against["ci_low"] <= against["ci_high"] <= 1
    assert "better than plain@1 (+100 points, 95 % CI " in one["said"]
    assert (two["model"], two["against"][0]["better"]) == ("scripted:two", False)
    assert "not shown to differ from" in two["said"]
    # The figure is the evaluation's own: that of its comparison of the two.
    (pair,) = [
        c
        for c in compared.comparisons
        if {c.a, c.b} == {against["a"], against["b"]} and c.scorer == "exact_match"
    ]
    assert pair.p_adjusted == against["p_adjusted"]
    assert abs(pair.test.difference) == against["difference"]
    for said in (one["said"], two["said"]):
        assert said in headline(compared)
        assert escaped(said) in markdown_summary(compared)
    page = Path(compared.files["report_html"])
    text = page.read_text("utf-8")
    assert '<section id="prompts"' in text
    assert text.count(escape(one["said"])) == 2
    drawn = (page.parent / "plots" / "prompts.svg").read_text("utf-8")
    assert "Prompts on scripted:two: exact_match" in drawn
    run_id = next(c.run_id for c in compared.candidates if c.spec.prompt == "better@1")
    found = store.client.get_run(run_id)
    assert json.loads(found.data.tags["mlflow.linkedPrompts"]) == [
        {"name": "better", "version": "1"}
    ]
    assert json.loads(found.data.params["prompt_template"])["messages"][0]["content"] == (
        "[A] {{customer_query}}"
    )
