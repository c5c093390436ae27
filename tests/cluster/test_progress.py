"""What the screen shows of workers that are under way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from llmflowlab.cli.evaluate.live_view import waiting
from llmflowlab.cluster.coordinator import Coordinator
from llmflowlab.cluster.event_log import coordinator_log
from llmflowlab.cluster.leases import ClusterLimits, Lease, UnderWay
from llmflowlab.cluster.progress import ClusterProgress
from llmflowlab.cluster.storage import LocalStorage
from tests.evaluation.helpers import dataset, plan, spec

QUESTIONS = "question,answer\n" + "".join(f"Question {n}?,Answer {n}\n" for n in range(20))


def test_what_waits_for_a_limit_at_any_worker_is_shown_while_answers_come(tmp_path: Path) -> None:
    head = Coordinator(
        coordinator_log(LocalStorage(tmp_path / "shared"), "e"),
        ClusterLimits(start="one", shards=2, concurrency=8),
    )
    first, second = head.lease("one"), head.lease("two")
    assert isinstance(first, Lease)
    assert isinstance(second, Lease)
    head.beat(first.token, {0: UnderWay(done=3, in_flight=8, asking=2), 1: UnderWay(done=1)})
    head.beat(second.token, {0: UnderWay(done=4, in_flight=8, asking=5)})
    shown: list[Any] = []
    both = plan(dataset(tmp_path, QUESTIONS), candidates=[spec("table:one"), spec("table:two")])
    progress = ClusterProgress(both, shown.append)
    progress.watch(head.standing())
    one, two = shown[-1].candidates
    assert (one.done, one.asking, waiting(one)) == (7, 7, 9)
    assert (two.done, waiting(two)) == (1, 0)
    progress.show("recording")
    assert waiting(shown[-1].candidates[0]) == 0
