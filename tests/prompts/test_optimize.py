"""Looking for a better version of a prompt."""

from __future__ import annotations

import csv
import json
from decimal import Decimal

import pytest

from llmflowlab.errors import InputError
from llmflowlab.lab.lab import Lab
from llmflowlab.lab.optimize_prompt import OptimizeRequest, optimize_prompt
from llmflowlab.prompts.optimizer import least_calls
from llmflowlab.prompts.prompt_registry import load_prompt, register_version, versions_of
from llmflowlab.prompts.prompt_template import PromptTemplate
from llmflowlab.providers.scripted import ScriptedProvider

BETTER = "[A] Give the number. {{question}}"


@pytest.fixture
def data(tmp_path, settings):
    rates = {"input_per_million": 0.1, "output_per_million": 0.1}
    prices = json.dumps({"scripted:model": rates})
    (settings.home / "prices.json").write_text(prices, encoding="utf-8")
    file = tmp_path / "sums.csv"
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(("question", "answer"))
        writer.writerows((f"What is {n} + {7 * n}?", str(8 * n)) for n in range(1, 25))
    return file


def model(rewriting: str, *, right: bool = True) -> ScriptedProvider:
    """A model that knows the answer where its prompt says how to give it, and how to rewrite prompts."""

    def answer(request):
        said = request.messages[-1].content
        if "is to be improved" in said:
            return f"```\n{rewriting}\n```"
        n = int(said.partition("What is ")[2].partition(" ")[0])
        return str(8 * n) if said.startswith("[A]") and right else "I would rather not say."

    return ScriptedProvider(default=answer)


def optimize(settings, data, provider, **wished):
    told: list[str] = []
    request = OptimizeRequest(
        **{
            "prompt": "sums",
            "models": ["scripted:model"],
            "data": data,
            "scorer": "exact_match",
            "budget": Decimal(1),
            "calls": least_calls(12),
            **wished,
        }
    )
    done = optimize_prompt(Lab(settings, build=lambda _: provider), request, tell=told.append)
    return done, told


@pytest.fixture
def begun(store):
    pytest.importorskip("gepa", reason="the extra `optimize` is not installed")
    register_version(store, "sums", PromptTemplate.from_text("Well? {{question}}"))
    return store


def test_a_version_is_written_where_held_out_rows_bear_it_out(begun, settings, data):
    done, told = optimize(settings, data, model(BETTER))
    assert done.version == 2
    assert load_prompt(begun, "sums").template.to_text() == BETTER
    (verdict,) = done.verdicts
    assert verdict.better
    assert verdict.to_json()["against"][0]["difference"] == 1.0
    assert (done.tuned_on, done.held_out) == (12, 12)
    assert "12 rows are held out" in told[-1]
    assert done.sentences()[0].startswith("sums@2 is written")


def test_what_does_no_better_on_held_out_rows_is_not_written(begun, settings, data):
    done, _ = optimize(settings, data, model(BETTER, right=False))
    assert done.version is None
    assert [v.version for v in versions_of(begun, "sums")] == [1]
    assert "stays" in done.sentences()[0]


@pytest.mark.parametrize(
    "rewriting",
    [
        pytest.param("[A] Give the number.", id="lost its variable"),
        pytest.param("[A] {{question}} {{other}}", id="a new variable"),
        pytest.param("[A] {{question}}" + "x" * 3000, id="too long"),
        pytest.param("[A] {{question}} {{> policy}}", id="an include of its own"),
    ],
)
def test_a_rewriting_that_cannot_be_used_is_never_asked_with(begun, settings, data, rewriting):
    provider = model(rewriting)
    done, _ = optimize(settings, data, provider)
    assert done.version is None
    assert not any(r.messages[-1].content.startswith("[A]") for r in provider.requests)


def test_what_was_paid_for_is_not_asked_again(begun, settings, data):
    first, second = model(BETTER, right=False), model(BETTER, right=False)
    optimize(settings, data, first)
    optimize(settings, data, second)
    asked = [r for r in second.requests if "is to be improved" not in r.messages[-1].content]
    assert not asked


def test_too_few_calls_are_refused_with_the_number(store, settings, data):
    register_version(store, "sums", PromptTemplate.from_text("Well? {{question}}"))
    needed = least_calls(12)
    assert needed == 12 + 3 * (3 + 12)
    with pytest.raises(InputError, match=f"give at least {needed}, or fewer rows"):
        optimize(settings, data, model(BETTER), calls=needed - 1)


def test_too_little_money_is_refused_with_what_it_takes(store, settings, data):
    register_version(store, "sums", PromptTemplate.from_text("Well? {{question}}"))
    with pytest.raises(
        InputError, match=r"\$0\.001 is too little .* 57 answers .* may cost \$0\.0"
    ):
        optimize(settings, data, model(BETTER), budget=Decimal("0.001"))
