from __future__ import annotations

import threading

import pytest

from llmflowlab.evaluation.run.workers import Workers
from tests.patience import hold


def test_jobs_are_done_and_their_failures_handed_back():
    workers = Workers(2, name="test")
    done = []
    good = workers.submit(lambda: done.append(1))
    bad = workers.submit(lambda: [][0])
    workers.close()
    assert good.result() is None
    assert done == [1]
    with pytest.raises(IndexError):
        bad.result()


def test_more_workers_take_the_jobs_that_wait():
    workers = Workers(1, name="test")
    barrier = threading.Barrier(3)
    # Each job waits for the two others, so none can end before three threads work.
    jobs = [workers.submit(lambda: hold(barrier)) for _ in range(3)]
    workers.grow_to(3)
    workers.close()
    assert [job.result() for job in jobs] == [None, None, None]


def test_no_more_threads_are_made_than_there_are_jobs():
    before = threading.active_count()
    workers = Workers(50, name="test")
    event = threading.Event()
    job = workers.submit(lambda: hold(event))
    assert threading.active_count() == before + 1
    event.set()
    workers.close()
    assert job.result() is None
    with pytest.raises(RuntimeError):
        workers.submit(lambda: None)
