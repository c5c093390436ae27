"""What the events of a coordinator's log come to."""

from __future__ import annotations

import json

from llmflowlab.cluster.lease_book import LeaseBook

EVENTS = [
    {"start": "one"},
    {"lease": 0, "token": 1, "worker": "a"},
    {"lease": 1, "token": 2, "worker": "b"},
    {"commit": 1, "token": 2, "key": "1-2", "spent": "0.1", "whole": False},
    {"commit": 0, "token": 1, "key": "0-1", "spent": "0.2", "whole": True},
    {"start": "two"},
    {"lease": 1, "token": 3, "worker": "a"},
    {"money": 3, "spent": "0.3", "held": "0.4"},
]
COMMIT = {"commit": 1, "token": 3, "key": "1-3", "spent": "0.3", "whole": True}


def book(events):
    made = LeaseBook(lambda: 0.0)
    for event in events:
        made.apply(event)
    return made


def test_a_shard_that_is_committed_again_is_the_last_commit_and_its_old_rows_are_none():
    made = book([*EVENTS, COMMIT])
    assert list(made.commits(0)) == [(1, 0, "0-1"), (2, 1, "1-3")]
    assert list(made.commits(2)) == [(2, 1, "1-3")]
    assert list(made.commits(3)) == []
    assert [made.committed(key) for key in ("0-1", "1-2", "1-3")] == [True, False, True]


def test_the_sum_of_a_log_stands_for_its_events():
    whole, short = book(EVENTS), book(EVENTS[:5])
    # Through JSON, where the order of keys is nobody's promise.
    kept = json.loads(json.dumps(short.summed_up(), sort_keys=True))
    resumed = book([{"sum": kept}, *EVENTS[5:]])
    for made in (whole, resumed):
        made.apply(COMMIT)
    assert resumed.summed_up() == whole.summed_up()
    assert list(resumed.commits(0)) == list(whole.commits(0))
    assert (resumed.spent, resumed.leased) == (whole.spent, whole.leased)
