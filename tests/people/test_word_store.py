"""What people say is kept: the last word counts, nothing is overwritten, and a word can be taken back."""

import sqlite3
import threading
from dataclasses import replace

import pytest

from llmflowlab.errors import TrackingError
from llmflowlab.people.word_store import WordStore
from llmflowlab.people.words import Target, Word

ANSWER = Target(kind="answer", within="20260101-000000-aaaa", key="0:3:0")


def word(said="yes", *, person="ada", question="correct", at_ms=1, target=ANSWER, **more):
    return Word(person=person, target=target, question=question, said=said, at_ms=at_ms, **more)


@pytest.fixture
def store(tmp_path):
    opened = WordStore(tmp_path / "people.db")
    yield opened
    opened.close()


def test_a_word_comes_back_as_it_was_said(store):
    said = word("4", question="quality", comment="too long ☂", seconds=2.5, details={"place": [1]})
    store.keep([said])
    assert store.words("answer") == [said]
    assert store.words("answer", ANSWER.within) == [said]
    assert store.words("answer", "another") == store.words("battle") == []


def test_the_last_word_counts_and_the_earlier_ones_stay(store):
    first, second = word("no", at_ms=1), word("yes", at_ms=2)
    store.keep([first])
    store.keep([second])
    assert store.words("answer") == [second]
    assert store.history("answer") == [first, second]


def test_people_and_questions_are_told_apart(store):
    said = [word(), word(person="bob"), word("3", question="quality")]
    store.keep(said)
    assert store.words("answer") == said


def test_a_word_taken_back_holds_no_more_and_may_be_said_again(store):
    store.keep([word("no"), word(None)])
    assert store.words("answer") == []
    store.keep([word("yes")])
    assert [each.said for each in store.words("answer")] == ["yes"]


def test_reading_makes_no_file(store):
    assert store.words("turn") == []
    assert not store.path.exists()


def test_words_that_are_kept_together_are_kept_all_or_none(store):
    bad = replace(word(), details={"what": object()})
    with pytest.raises(TypeError):
        store.keep([word(), bad])
    assert store.words("answer") == []


def test_several_people_at_once_lose_nothing(store):
    def judge(person):
        own = WordStore(store.path)
        for row in range(20):
            own.keep([word(person=person, target=replace(ANSWER, key=f"0:{row}:0"))])
        own.close()

    people = [threading.Thread(target=judge, args=(name,)) for name in ("ada", "bob", "eve")]
    for each in people:
        each.start()
    for each in people:
        each.join()
    assert len(store.words("answer")) == 60


def test_a_damaged_record_is_named_for_what_it_is(store):
    store.keep([word()])
    with sqlite3.connect(store.path) as file:
        file.execute("UPDATE words SET record = '{}'")
    with pytest.raises(TrackingError, match="not what was written there"):
        store.words("answer")
