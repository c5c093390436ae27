"""Which offer answers, of models and prompts that are picked one by one."""

from __future__ import annotations

from typing import Any

import pytest

from llmflowlab.page.offer_choice import Choices


def offer(name: str, model: str, prompt: str | None = None) -> dict[str, Any]:
    own = {"model": model, "prompt": prompt, "guarded": True}
    return {"id": name, "owned_by": "Nobody", "llmflowlab": own}


GRID = (
    offer("a:1", "a:1", "kind@1"),
    offer("a:1+brief@2", "a:1", "brief@2"),
    offer("b:1", "b:1", "kind@1"),
    offer("b:1+brief@2", "b:1", "brief@2"),
)


def test_of_one_offer_nothing_is_picked() -> None:
    choices = Choices(GRID[:1])
    assert choices.pickers() == {}
    assert choices.chosen({}) == "a:1"
    assert Choices(()).chosen({"model": "a:1"}) is None


def test_models_and_prompts_are_picked_apart() -> None:
    choices = Choices(GRID)
    picked = choices.pickers("b:1+brief@2")
    assert {kind: [p.id for p in items if p.chosen] for kind, items in picked.items()} == {
        "model": ["b:1"],
        "prompt": ["brief@2"],
    }
    assert [item.id for item in picked["model"]] == ["a:1", "b:1"]
    assert picked["model"][0].about == "by Nobody · guardrails on"
    assert choices.chosen({"model": "b:1", "prompt": "kind@1"}) == "b:1"
    assert choices.chosen({"model": "a:1", "prompt": "brief@2"}) == "a:1+brief@2"
    assert choices.chosen({"model": "b:1"}) == "b:1"
    # What was chosen before and is gone gives way to the default.
    assert [item.id for item in choices.pickers("c:1")["model"] if item.chosen] == ["a:1"]


def test_a_pair_that_is_not_on_offer_is_refused_and_not_replaced() -> None:
    choices = Choices((*GRID, offer("llm@champion", "llm@champion")))
    assert choices.chosen({"model": "llm@champion", "prompt": "none"}) == "llm@champion"
    with pytest.raises(ValueError, match="it has no prompt"):
        choices.chosen({"model": "llm@champion", "prompt": "brief@2"})
    with pytest.raises(ValueError, match="no longer on offer"):
        choices.chosen({"model": "c:1", "prompt": "brief@2"})


def test_what_a_prompt_wants_to_know_is_asked_for_and_sent_with_it_alone() -> None:
    wanting = {**offer("a:1+letter@1", "a:1", "letter@1"), "custom_inputs": ["name", "shop"]}
    choices = Choices((*GRID, wanting))
    assert choices.inputs == ["name", "shop"]
    values = {"name": " Ada ", "shop": "Books", "other": "x"}
    assert choices.filled("a:1+letter@1", values) == {"name": "Ada", "shop": "Books"}
    assert choices.filled("a:1", values) == {}
    assert choices.filled(None, values) == {}
    with pytest.raises(ValueError, match="wants to know: shop"):
        choices.filled("a:1+letter@1", {"name": "Ada", "shop": " "})
    assert Choices((wanting,)).filled(None, values) == {"name": "Ada", "shop": "Books"}
