"""Several prompts on several models: rows fill templates, and it is said which is better on which model."""

from __future__ import annotations

import csv
import json
from contextlib import closing
from html import escape
from pathlib import Path

import pytest

from llmflowlab.candidate import Candidate
from llmflowlab.data.dataset import load_dataset
from llmflowlab.errors import InputError
from llmflowlab.evaluation.conclude.conclusions import headline
from llmflowlab.evaluation.reports.markdown import escaped, markdown_summary
from llmflowlab.evaluation.run.plan import Cell, EvaluationPlan, request_for
from llmflowlab.lab.evaluate import prepare, run
from llmflowlab.lab.evaluation_request import EvaluationRequest
from llmflowlab.lab.lab import Lab
from llmflowlab.messages import Message
from llmflowlab.prompts.prompt_registry import register_version
from llmflowlab.prompts.prompt_template import PromptTemplate
from llmflowlab.providers.scripted import ScriptedProvider


def write(file: Path, header: tuple[str, ...], rows) -> Path:
    with file.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows((header, *rows))
    return file


def candidate(system: str | None = None, user: str | None = None) -> Candidate:
    messages = () if user is None else (Message("user", user),)
    return Candidate(
        model="guide:docs", display_name="Guide", supplier="x", system=system, messages=messages
    )


def sent(one: Candidate, row) -> list[str]:
    return [m["content"] for m in request_for(one, row).openai_messages()]


def test_a_row_fills_a_template_from_its_columns(tmp_path):
    rows = [("Where?", "here", "Bonn {{question}}", "It is late.")]
    header = ("question", "answer", "city", "context")
    (row,) = load_dataset(write(tmp_path / "q.csv", header, rows)).rows
    asked = candidate("You serve {{city}}.", "In {{city}}: {{customer_query}}")
    assert sent(asked, row) == [
        "You serve Bonn {{question}}.",
        "Context:\nIt is late.\n\nQuestion: Where?".join(("In Bonn {{question}}: ", "")),
    ]
    # A template that shows the context itself gets the question alone.
    shown = candidate(user="{{context}} {{customer_query}}")
    assert sent(shown, row) == ["It is late. Where?"]


def test_an_answer_is_kept_under_what_filled_its_template(tmp_path):
    rows = [("Where?", "here", city) for city in ("Bonn", "Ulm", "Ulm")]
    data = load_dataset(write(tmp_path / "q.csv", ("question", "answer", "city"), rows))

    def keys(one: Candidate) -> list[str]:
        plan = EvaluationPlan(
            evaluation_id="e", dataset=data, candidates=(one,), scorers=("contains",), judge=None
        )
        return [plan.answer_key(Cell(0, row)) for row in range(3)]

    with_city = keys(candidate("You serve {{city}}.", "{{question}}"))
    assert len(set(with_city)) == 3
    # The second row of a question is told from the first whether or not anything fills a template.
    plain = keys(candidate(user="Say: {{question}}"))
    assert plain == [*dict.fromkeys(plain)]
    assert with_city[0] != plain[0] != keys(candidate())[0]


@pytest.fixture
def prompts(store):
    register_version(store, "plain", PromptTemplate.from_text("{{customer_query}}"))
    register_version(store, "better", PromptTemplate.from_text("[A] {{customer_query}}"))
    register_version(store, "needy", PromptTemplate.from_text("{{town}}, {{land}}: {{question}}"))
    return store


def model(name: str, *, follows: bool) -> ScriptedProvider:
    """A model that is right where it is told how to answer, or never."""

    def answer(request):
        said = request.messages[-1].content
        n = int(said.partition("What is ")[2].partition(" ")[0])
        return str(8 * n) if said.startswith("[A]") and follows else "no idea"

    return ScriptedProvider(default=answer, model=name)


@pytest.fixture
def compared(prompts, settings, tmp_path):
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


def test_it_is_said_which_prompt_is_better_on_which_model_at_every_door(compared, prompts):
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
    found = prompts.client.get_run(run_id)
    assert json.loads(found.data.tags["mlflow.linkedPrompts"]) == [
        {"name": "better", "version": "1"}
    ]
    assert json.loads(found.data.params["prompt_template"])["messages"][0]["content"] == (
        "[A] {{customer_query}}"
    )


def test_a_variable_that_no_column_fills_is_an_error_before_any_call(prompts, settings, tmp_path):
    file = write(tmp_path / "q.csv", ("question", "answer", "land"), [("Q?", "a", "DE")])
    provider = model("one", follows=True)
    lab = Lab(settings, build=lambda _: provider)
    request = EvaluationRequest(models=["scripted:one"], prompts=["needy"], data=file)
    with pytest.raises(InputError, match=r"needy@1 has no value for \{\{town\}\}; give the data"):
        prepare(lab, request)
    assert not provider.requests
