"""A registered version behind the service, under as many clients as a small shop has."""

from __future__ import annotations

from collections import Counter

from llmflowlab.lab.lab import Lab
from llmflowlab.lab.serve import servable
from llmflowlab.service.courier import deliver_all
from llmflowlab.settings import Settings
from llmflowlab.tracking.store import open_store
from tests.service.running import Running
from tests.service.test_registered import NAME, moved_under, service, settings

__all__ = ["service", "settings"]
"""Fixtures."""


def test_an_alias_moved_under_200_clients_drops_no_request_and_every_trace_is_stored(
    service: Running,
    settings: Settings,
) -> None:
    turns = moved_under(service, settings, clients=200)
    deliver_all(settings)
    store = open_store(settings)
    sources = [str(servable(Lab(settings), f"{NAME}/{n}").version.source) for n in (1, 2)]
    homes = {
        store.client.get_logged_model(source.rpartition("/")[2]).experiment_id for source in sources
    }
    found: Counter[str] = Counter()
    token: str | None = None
    while token != "":
        page = store.client.search_traces(
            locations=sorted(homes), max_results=500, page_token=token, include_spans=False
        )
        found.update(trace.info.trace_id for trace in page)
        token = page.token or ""
    assert found == Counter(turn["trace_id"] for turn in turns)
