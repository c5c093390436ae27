"""A registered version behind the service: every door asks the version's own process."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from llmflowlab.lab.lab import Lab
from llmflowlab.lab.serve import servable
from llmflowlab.service.courier import deliver_all
from llmflowlab.serving.server import VersionFollower
from llmflowlab.settings import Settings, load_settings
from llmflowlab.tracking.registry import model_config_of
from llmflowlab.tracking.store import open_store
from tests.patience import PATIENCE
from tests.providers.test_mlflow_models import registered
from tests.service.running import Running, running

NAME = "llm_guide_chat"
ROOT = Path(__file__).parents[2]
ASKED: list[Any] = [{"role": "user", "content": "What is a token?"}]


@pytest.fixture(scope="module")
def settings(migrated_db: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home = tmp_path_factory.mktemp("registered")
    shutil.copy(migrated_db, home / "mlflow.db")
    found = load_settings({"LLMFLOWLAB_HOME": str(home)}, cwd=home, stdin_is_terminal=False)
    registered(found, "one", "two")
    return found


@pytest.fixture(scope="module")
def service(settings: Settings) -> Iterator[Running]:
    """Alias `staging` of two versions of the guide, looked at every tenth of a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv("LLMFLOWLAB_HOME", str(settings.home))
        found = servable(Lab(settings), f"{NAME}@staging")
        follower = VersionFollower(
            settings, found.wanted, found.version, every=0.1, tell=lambda sentence: None
        )
        try:
            with running(settings, follower=follower) as service:
                yield service
        finally:
            follower.stop()


def test_every_door_asks_the_version_and_each_answer_is_one_trace(
    service: Running, settings: Settings
) -> None:
    chatted = service.chat("What is a token?").json()
    assert (chatted["model"], chatted["cost_usd"]) == (f"{NAME}@staging", "0")
    client = openai.OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0)
    with client:
        completed = client.chat.completions.create(model=f"{NAME}@staging", messages=ASKED)
        responded = client.responses.create(model=f"{NAME}@staging", input="What is a token?")
        with client.responses.stream(model=f"{NAME}@staging", input="What is a token?") as stream:
            events = [each.type for each in stream]
            whole = stream.get_final_response()
    answer = chatted["answer"]
    assert answer
    assert completed.choices[0].message.content == answer
    assert responded.output_text == whole.output_text == answer
    assert events[0] == "response.created"
    assert events[-1] == "response.completed"
    assert completed.usage is not None
    assert completed.usage.total_tokens == chatted["usage"]["total_tokens"]
    passed = service.client.post("/invocations", json={"messages": ASKED})
    assert passed.headers["x-llmflowlab-model"] == f"{NAME}/2"
    assert passed.json()["choices"][0]["message"]["content"] == answer
    assert service.client.get("/ping").headers["x-llmflowlab-model"] == f"{NAME}/2"

    turns = service.turns()
    assert [turn["door"] for turn in turns] == ["chat", "chat.completions", *["responses"] * 2]
    deliver_all(settings)
    store = open_store(settings)
    version = servable(Lab(settings), f"{NAME}/2").version
    # Where the version's own model is, and not beside it.
    home = store.client.get_logged_model(str(version.source).rpartition("/")[2]).experiment_id
    traces = store.client.search_traces(locations=[home], include_spans=False)
    mine = [each for each in traces if each.info.tags.get("llmflowlab.door")]
    assert sorted(each.info.trace_id for each in mine) == sorted(t["trace_id"] for t in turns)
    assert {each.info.trace_metadata["mlflow.modelId"] for each in mine} == {
        str(version.source).rpartition("/")[2]
    }
    (run,) = store.client.search_runs([home], "tags.`mlflow.source.name` = 'llmflowlab serve'")
    assert run.data.metrics["turns"] == 4
    assert model_config_of(store, version)["task"] == "agent/v1/chat"


def test_what_the_version_refuses_has_its_status(service: Running) -> None:
    refused = service.client.post("/invocations", json={"messages": []})
    assert refused.status_code == 400
    assert "stack" not in refused.text
    # A key of the service is for nobody behind it, and a body has its bound here too.
    large = service.client.post("/invocations", content=b"x" * 5_000_000)
    assert large.status_code == 413


def test_an_alias_that_moves_under_many_clients_drops_no_answer(
    service: Running, settings: Settings
) -> None:
    moved_under(service, settings, clients=16)


def moved_under(service: Running, settings: Settings, *, clients: int) -> list[Any]:
    """Move the alias while so many ask at once; returns what was kept."""
    seen: Counter[int] = Counter()
    before = len(service.turns())
    ours = open_store(settings).client
    then = ours.get_model_version_by_alias(NAME, "staging").version
    other = "1" if str(then) == "2" else "2"
    line = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)

    def ask(_: int) -> None:
        answered = many.post("/v1/chat/completions", json={"messages": ASKED})
        seen[answered.status_code] += 1

    with (
        httpx.Client(base_url=service.url, limits=line, timeout=PATIENCE, trust_env=False) as many,
        ThreadPoolExecutor(clients) as pool,
    ):
        list(pool.map(ask, range(2 * clients)))
        ours.set_registered_model_alias(NAME, "staging", other)
        until = time.monotonic() + PATIENCE
        while service.state.default.candidate.model_id != f"{NAME}/{other}":
            assert time.monotonic() < until
            list(pool.map(ask, range(clients)))
        list(pool.map(ask, range(2 * clients)))
    assert set(seen) == {200}
    turns = service.turns()[before:]
    assert len(turns) == len({turn["trace_id"] for turn in turns}) == sum(seen.values())
    assert {turn["state"] for turn in turns} == {"complete"}
    # Each version has a run of its own.
    assert len({turn["deployment"] for turn in turns}) == 2
    return turns
