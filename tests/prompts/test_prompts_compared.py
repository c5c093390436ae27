"""Prompts as candidates: rows fill their templates."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from llmflowlab.candidate import Candidate
from llmflowlab.data.dataset import load_dataset
from llmflowlab.errors import InputError
from llmflowlab.evaluation.run.plan import Cell, EvaluationPlan, refuse_unfilled_rows, request_for
from llmflowlab.lab.evaluate import prepare
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


def test_what_is_expected_fills_no_template(tmp_path):
    rows = [("Where?", "here", "there")]
    (row,) = load_dataset(write(tmp_path / "q.csv", ("question", "answer", "answer_2"), rows)).rows
    assert sent(candidate("{{answer}} {{answer_2}}"), row)[0] == "{{answer}} {{answer_2}}"
    with pytest.raises(InputError, match=r"no value for \{\{answer\}\}, \{\{answer_2\}\}"):
        refuse_unfilled_rows(candidate("{{answer}} {{answer_2}}"), [row])


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


def register(store):
    """Register the prompts that are compared."""
    register_version(store, "plain", PromptTemplate.from_text("{{customer_query}}"))
    register_version(store, "better", PromptTemplate.from_text("[A] {{customer_query}}"))
    register_version(store, "needy", PromptTemplate.from_text("{{town}}, {{land}}: {{question}}"))
    return store


@pytest.fixture
def prompts(store):
    return register(store)


def model(name: str, *, follows: bool) -> ScriptedProvider:
    """A model that is right where it is told how to answer, or never."""

    def answer(request):
        said = request.messages[-1].content
        n = int(said.partition("What is ")[2].partition(" ")[0])
        return str(8 * n) if said.startswith("[A]") and follows else "no idea"

    return ScriptedProvider(default=answer, model=name)


def test_a_variable_that_no_column_fills_is_an_error_before_any_call(prompts, settings, tmp_path):
    file = write(tmp_path / "q.csv", ("question", "answer", "land"), [("Q?", "a", "DE")])
    provider = model("one", follows=True)
    lab = Lab(settings, build=lambda _: provider)
    request = EvaluationRequest(models=["scripted:one"], prompts=["needy"], data=file)
    with pytest.raises(InputError, match=r"needy@1 has no value for \{\{town\}\}; give the data"):
        prepare(lab, request)
    assert not provider.requests
