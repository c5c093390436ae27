from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from llmflowlab.cluster.event_log import EventLog, Fenced
from llmflowlab.cluster.storage import LocalStorage, open_storage, url_of
from llmflowlab.errors import ConfigurationError
from tests.cluster.threads import MemoryStorage


def test_of_many_that_create_the_same_object_one_wins_and_the_others_know(tmp_path):
    storage = LocalStorage(tmp_path)
    with ThreadPoolExecutor(16) as pool:
        won = list(pool.map(lambda n: storage.create("a/b", str(n).encode()), range(64)))
    assert won.count(True) == 1
    assert storage.read("a/b") == str(won.index(True)).encode()
    assert storage.keys("a") == ["a/b"]


def test_objects_are_replaced_listed_and_deleted_and_what_is_missing_is_none(tmp_path):
    storage = LocalStorage(tmp_path)
    assert storage.read("x/1") is None
    assert storage.keys("x") == []
    for text in (b"one", b"two"):
        storage.write("x/1", text)
    storage.write("x/y/2", b"")
    assert storage.read("x/1") == b"two"
    assert storage.keys("x") == ["x/1", "x/y/2"]
    storage.delete(["x/1", "x/3"])
    assert storage.keys("x") == ["x/y/2"]


def test_storage_that_cannot_be_written_is_refused_before_anything_is_paid(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="--storage"):
        open_storage(tmp_path / "file" / "folder")


@pytest.mark.parametrize(
    ("place", "url"),
    [
        ("s3://bucket/folder", "s3://bucket/folder"),
        (Path("s3://bucket/folder"), "s3://bucket/folder"),
        ("gs://bucket", "gs://bucket"),
        ("/mnt/shared", None),
        ("file:///mnt/shared", None),
        ("C:/shared", None),
    ],
)
def test_an_address_is_told_from_a_folder(place, url):
    assert url_of(place) == url


def test_a_writer_that_was_followed_can_write_no_more_also_after_the_log_was_summed_up():
    storage = MemoryStorage()
    first, second = EventLog(storage, "log"), EventLog(storage, "log")
    first.begin()
    first.append({"n": 1})
    assert second.begin() == [{"begun": True}, {"n": 1}]
    second.append({"n": 2})
    second.sum_up({"total": 3})
    with pytest.raises(Fenced):
        first.append({"n": 10})
    assert EventLog(storage, "log").replay() == [{"sum": {"total": 3}}]


def test_a_log_is_summed_up_once_it_is_long_and_goes_on():
    storage = MemoryStorage()
    log = EventLog(storage, "log")
    log.begin()
    number = 0
    while not log.long:
        log.append({"n": number})
        number += 1
    log.sum_up({"numbers": number})
    log.append({"n": number})
    assert EventLog(storage, "log").begin() == [{"sum": {"numbers": number}}, {"n": number}]
    assert len(storage.objects) < 10
