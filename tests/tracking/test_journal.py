from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from llmflowlab.tracking.journal import Journal, read_journal
from tests.tracking.helpers import rating, start, turn


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    journal = Journal(tmp_path / "journals" / "chat-x.jsonl")
    assert journal.acquire()
    return journal


def test_what_was_written_is_read_back_whole(journal: Journal) -> None:
    begin, first = start(), turn(0, answer="zwei\nZeilen und 日本 \u2028")
    journal.append("start", begin)
    journal.append("turn", first)
    journal.append("rating", rating(first))
    journal.append("end", {"interrupted": True, "ended_ms": 5})
    contents = read_journal(journal.path)
    assert contents.start == begin
    assert contents.turns == [first]
    assert contents.ratings == [rating(first)]
    assert (contents.ended, contents.interrupted, contents.ended_ms) == (True, True, 5)
    assert contents.unreadable == 0


@pytest.mark.parametrize("cut", [1, 5, 100], ids=["line-end", "few", "many"])
def test_a_torn_last_line_is_ignored(journal: Journal, cut: int) -> None:
    journal.append("start", start())
    journal.append("turn", turn(0))
    journal.append("turn", turn(1))
    journal.path.write_bytes(journal.path.read_bytes()[:-cut])
    contents = read_journal(journal.path)
    assert [t.index for t in contents.turns] == [0]
    assert contents.unreadable == 0


def test_a_damaged_line_in_the_middle_is_counted_and_costs_no_other(journal: Journal) -> None:
    journal.append("start", start())
    journal.append("turn", turn(0))
    journal.append("turn", turn(1))
    lines = journal.path.read_bytes().splitlines(keepends=True)
    journal.path.write_bytes(lines[0] + b"\x00\xff garbage\n" + b"".join(lines[1:]))
    contents = read_journal(journal.path)
    assert [t.index for t in contents.turns] == [0, 1]
    assert contents.unreadable == 1


def test_lines_and_keys_of_a_later_version_do_no_harm(journal: Journal) -> None:
    journal.append("start", start())
    journal.append("surprise", {"new": 1})
    journal.append("turn", turn(0))
    text = journal.path.read_text(encoding="utf-8")
    journal.path.write_text(text.replace('"index": 0', '"index": 0, "mood": "fine"'), "utf-8")
    assert [t.index for t in read_journal(journal.path).turns] == [0]


def test_a_lone_surrogate_does_not_lose_the_turn(journal: Journal) -> None:
    journal.append("start", start())
    journal.append("turn", turn(0, prompt="caf\udce9"))
    assert read_journal(journal.path).turns[0].prompt == "caf?"


def test_a_full_disk_loses_nothing_once_there_is_room(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.append("start", start())
    journal.append("turn", turn(0))
    real, room = os.write, 40

    def nearly_full(descriptor: int, data: bytes) -> int:
        nonlocal room
        if room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = real(descriptor, bytes(data)[:room])
        room -= written
        return written

    monkeypatch.setattr(os, "write", nearly_full)
    with pytest.raises(OSError, match="No space left"):
        journal.append("turn", turn(1))
    assert [t.index for t in read_journal(journal.path).turns] == [0]
    assert journal.unsaved == 1
    monkeypatch.setattr(os, "write", real)
    journal.append("turn", turn(2))
    contents = read_journal(journal.path)
    assert [t.index for t in contents.turns] == [0, 1, 2]
    assert contents.unreadable == 0
    assert journal.unsaved == 0


def test_a_failed_sync_counts_as_not_written(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.append("start", start())

    def broken(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", broken)
        with pytest.raises(OSError, match="Input/output"):
            journal.append("turn", turn(0))
    journal.append("turn", turn(1))
    assert [t.index for t in read_journal(journal.path).turns] == [0, 1]


def test_a_journal_that_somebody_removed_is_written_again_whole(journal: Journal) -> None:
    journal.append("start", start())
    journal.append("turn", turn(0))
    journal.path.unlink()
    journal.append("turn", turn(1))
    contents = read_journal(journal.path)
    assert contents.start is not None
    assert [t.index for t in contents.turns] == [0, 1]


def test_a_live_journal_cannot_be_taken_and_a_released_one_can(journal: Journal) -> None:
    other = Journal(journal.path)
    assert not other.acquire()
    journal.release()
    assert other.acquire()
    other.release()


def test_deleting_leaves_neither_journal_nor_lock(journal: Journal) -> None:
    journal.append("start", start())
    journal.delete()
    assert list(journal.path.parent.iterdir()) == []


def test_every_line_is_one_json_object_with_a_kind(journal: Journal) -> None:
    journal.append("start", start())
    journal.append("turn", turn(0))
    kinds = [json.loads(line)["kind"] for line in journal.path.read_bytes().splitlines()]
    assert kinds == ["start", "turn"]
