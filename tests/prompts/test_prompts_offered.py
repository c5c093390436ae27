"""Several prompts behind the service: each model is on offer with each of them."""

from __future__ import annotations

from llmflowlab.providers.scripted import ScriptedProvider
from llmflowlab.settings import Settings
from llmflowlab.tracking.store import Store
from tests.service.running import running


def test_each_model_is_offered_with_each_prompt(settings: Settings, store: Store) -> None:
    for text in ("Be kind.", "Be brief."):
        store.client.register_prompt("tone", text)
    one, two = (ScriptedProvider(default=name, model=name) for name in ("one", "two"))
    prompts = ("tone@1", "tone@2")
    with running(settings, one, two, wanted={"prompts": prompts}) as service:
        offered = {
            each["id"]: each["llmflowlab"]
            for each in service.client.get("/v1/models").json()["data"]
        }
        assert {name: (own["model"], own["prompt"]) for name, own in offered.items()} == {
            "scripted:one": ("scripted:one", "tone@1"),
            "scripted:one+tone@2": ("scripted:one", "tone@2"),
            "scripted:two": ("scripted:two", "tone@1"),
            "scripted:two+tone@2": ("scripted:two", "tone@2"),
        }
        assert service.chat("Hi", "s").status_code == 200
        assert service.chat("Hi", "s", model="scripted:two+tone@2").json()["answer"] == "two"
        turns = service.client.get("/sessions/s").json()["turns"]
    assert [turn["model"] for turn in turns] == ["scripted:one", "scripted:two+tone@2"]
    assert [one.requests[0].system, two.requests[0].system] == ["Be kind.", "Be brief."]
    assert one.closed
    assert two.closed
