from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from llmflowlab.lab.cluster_batch import answered_on_cluster
from llmflowlab.lab.evaluation_request import RayRequest
from llmflowlab.lab.lab import Lab
from llmflowlab.settings import load_settings
from tests.cluster.threads import ThreadCrew, building
from tests.evaluation.helpers import TableModel, dataset, plan

ROWS = "question\n" + "".join(f"Question {n}?\n" for n in range(50))


@pytest.fixture
def batch(tmp_path, monkeypatch):
    """Returns what answers a batch, and the models that were asked."""
    settings = load_settings({}, cwd=tmp_path, stdin_is_terminal=False)
    asked: list[str] = []

    class Model(TableModel):
        def stream(self, request):
            asked.append(request.messages[-1].content)
            yield from super().stream(request)

    def crew() -> ThreadCrew:
        return ThreadCrew(building(settings, lambda: [Model("one", settings, {"7?": "seven"})]))

    monkeypatch.setattr("llmflowlab.lab.cluster_evaluation.load_ray", lambda: None)
    monkeypatch.setattr("llmflowlab.lab.cluster_batch.crew_for", lambda lab, asked: (crew(), 3))
    whole = plan(dataset(tmp_path, ROWS), scorers=(), evaluation_id="batch-1")

    def run(tick: Any = lambda done: None) -> Any:
        return answered_on_cluster(
            Lab(settings),
            RayRequest(shard_rows=8),
            whole,
            cap=None,
            concurrency=4,
            tick=tick,
        )

    return run, asked


def test_workers_answer_every_request_once_and_what_is_done_is_not_asked_again(batch):
    run, asked = batch
    found = run()
    assert sorted(found.answers) == list(range(50))
    assert found.answers[7].text == "seven"
    assert (found.before, found.interrupted) == (0, False)
    assert found.spent == Decimal(0)
    assert sorted(asked) == sorted(f"Question {n}?" for n in range(50))
    again = run()
    assert again.answers == found.answers
    assert again.before == 50
    assert len(asked) == 50


def test_a_batch_that_is_stopped_goes_on_where_it_was(batch):
    run, asked = batch

    def stop(done: int) -> None:
        raise KeyboardInterrupt

    pressed: list[int] = []

    def once(done: int) -> None:
        if not pressed:
            pressed.append(done)
            stop(done)

    first = run(once)
    assert first.interrupted
    whole = run()
    assert sorted(whole.answers) == list(range(50))
    assert len(asked) == 50
