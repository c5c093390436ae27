"""Counting tokens: at once, whatever tiktoken and the network do."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiktoken_ext import openai_public

from llmflowlab.text import tokens
from llmflowlab.text.token_estimate import estimate_tokens
from llmflowlab.text.tokens import TokenCounter
from tests.patience import PATIENCE


def small_encoding() -> dict[str, Any]:
    """Bytes only, so that the count of a text is that of its UTF-8 bytes."""
    return {
        "name": "bytes",
        "pat_str": r"[\s\S]",
        "mergeable_ranks": {bytes([i]): i for i in range(256)},
        "special_tokens": {"<|endoftext|>": 256},
    }


@pytest.fixture
def constructor(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Callable[[], Any]], None]:
    def replace(name: str, function: Callable[[], Any]) -> None:
        monkeypatch.setitem(openai_public.ENCODING_CONSTRUCTORS, name, function)

    return replace


def refused() -> Any:
    import requests

    raise requests.exceptions.ConnectionError("no network")


def test_without_a_loaded_encoding_counts_are_estimates() -> None:
    count = TokenCounter().count("How many tokens are these?", model="gpt-4.1-mini")
    assert (count.value, count.source, count.estimated) == (6, "estimate", True)


def test_after_loading_tiktoken_counts(constructor) -> None:
    constructor("o200k_base", small_encoding)
    counter = TokenCounter()
    counter.preload("gpt-4.1-mini")
    assert counter.wait("gpt-4.1-mini", timeout=PATIENCE)
    count = counter.count("Grüße", model="gpt-4.1-mini")
    assert (count.value, count.source) == (7, "tiktoken")
    assert counter.failure("gpt-4.1-mini") is None


def test_waiting_may_begin_before_the_loading_thread_does(constructor) -> None:
    # A wait that came first once made the thread believe that another was already loading.
    constructor("o200k_base", small_encoding)
    counter = TokenCounter()
    assert not counter.wait("gpt-4.1-mini", timeout=0.0)
    counter.preload("gpt-4.1-mini")
    assert counter.wait("gpt-4.1-mini", timeout=PATIENCE)


def test_models_unknown_to_tiktoken_are_counted_with_the_default_encoding(constructor) -> None:
    constructor("o200k_base", small_encoding)
    counter = TokenCounter()
    counter.preload("llama3.2")
    assert counter.wait("llama3.2", timeout=PATIENCE)
    assert counter.count("abc", model="gemini-2.5-flash").source == "tiktoken"


def test_an_encoding_that_is_not_loaded_is_not_replaced_by_another(constructor) -> None:
    constructor("o200k_base", small_encoding)
    counter = TokenCounter()
    counter.preload("gpt-4.1-mini")
    assert counter.wait("gpt-4.1-mini", timeout=PATIENCE)
    assert counter.count("abc", model="gpt-4").source == "estimate"


def test_a_failed_download_is_remembered_and_not_tried_again(constructor) -> None:
    tries: list[int] = []

    def counted() -> Any:
        tries.append(1)
        return refused()

    constructor("o200k_base", counted)
    counter = TokenCounter()
    for _ in range(3):
        counter.preload("gpt-4.1-mini")
        assert not counter.wait("gpt-4.1-mini", timeout=PATIENCE)
    assert counter.count("abc", model="gpt-4.1-mini").source == "estimate"
    assert "ConnectionError" in (counter.failure("gpt-4.1-mini") or "")
    for thread in threading.enumerate():
        if thread.name == "tiktoken-load":
            thread.join(PATIENCE)
    assert len(tries) == 1


def test_a_network_that_swallows_packets_holds_nothing_up(constructor) -> None:
    begun, release = threading.Event(), threading.Event()

    def hanging() -> Any:
        begun.set()
        release.wait(PATIENCE)
        return small_encoding()

    constructor("o200k_base", hanging)
    counter = TokenCounter()
    try:
        counter.preload("gpt-4.1-mini", timeout=0.0)
        assert begun.wait(PATIENCE)
        # Counting, and tiktoken's own registry, go on while the download hangs.
        assert counter.count("abc", model="gpt-4.1-mini").source == "estimate"
        assert not counter.wait("gpt-4.1-mini", timeout=0.0)
        from tiktoken import registry

        assert registry._lock.acquire(blocking=False)
        registry._lock.release()
    finally:
        release.set()
    assert not counter.wait("gpt-4.1-mini", timeout=PATIENCE)
    assert "was not there within 0 s" in (counter.failure("gpt-4.1-mini") or "")


def test_loading_threads_never_keep_the_program_alive(constructor) -> None:
    release = threading.Event()
    constructor("o200k_base", lambda: release.wait(PATIENCE) and small_encoding())
    counter = TokenCounter()
    counter.preload("gpt-4.1-mini")
    assert all(t.daemon for t in threading.enumerate() if t.name == "tiktoken-load")
    release.set()
    assert counter.wait("gpt-4.1-mini", timeout=PATIENCE)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("<|endoftext|>", id="special-token"),
        pytest.param("\ud800", id="lone-surrogate"),
        pytest.param("\0", id="nul"),
    ],
)
def test_odd_texts_are_counted_too(constructor, text: str) -> None:
    constructor("o200k_base", small_encoding)
    counter = TokenCounter()
    assert counter.count(text).value >= 0
    counter.preload()
    assert counter.wait(timeout=PATIENCE)
    assert (counter.count(text).value > 0) == bool(text)


def test_very_long_texts_are_estimated_even_with_tiktoken(constructor, monkeypatch) -> None:
    monkeypatch.setattr(tokens, "_LONGEST_ENCODED", 10)
    constructor("o200k_base", small_encoding)
    counter = TokenCounter()
    counter.preload()
    assert counter.wait(timeout=PATIENCE)
    assert counter.count("a" * 10).source == "tiktoken"
    assert counter.count("a" * 11).source == "estimate"


def test_a_conversation_counts_more_than_its_texts() -> None:
    counter = TokenCounter()
    messages = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}]
    texts = sum(counter.count(message["content"]).value for message in messages)
    assert counter.count_messages(messages).value == texts + 2 * 4 + 3
    assert counter.count_messages([]).value == 0


# Counts of o200k_base, measured with tiktoken 0.14.
MEASURED = [
    pytest.param(
        "All human beings are born free and equal in dignity and rights. They are endowed with "
        "reason and conscience and should act towards one another in a spirit of brotherhood.",
        33,
        id="en",
    ),
    pytest.param(
        "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft "
        "und Gewissen begabt und sollen einander im Geist der Brüderlichkeit begegnen.",
        38,
        id="de",
    ),
    pytest.param(
        "Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués "
        "de raison et de conscience et doivent agir les uns envers les autres dans un esprit de "
        "fraternité.",
        41,
        id="fr",
    ),
    pytest.param(
        "Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены "
        "разумом и совестью и должны поступать в отношении друг друга в духе братства.",
        41,
        id="ru",
    ),
    pytest.param(
        "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。人間は、理性と良心とを授けられており、"
        "互いに同胞の精神をもって行動しなければならない。",
        72,
        id="ja",
    ),
    pytest.param(
        "يولد جميع الناس أحرارا متساوين في الكرامة والحقوق. وقد وهبوا عقلا وضميرا وعليهم أن "
        "يعامل بعضهم بعضا بروح الإخاء.",
        42,
        id="ar",
    ),
]


@pytest.mark.parametrize(("text", "true_count"), MEASURED)
def test_the_estimate_is_within_30_percent_of_what_was_measured(text: str, true_count: int) -> None:
    assert abs(estimate_tokens(text) - true_count) <= 0.3 * true_count


@given(st.text())
def test_every_text_has_an_estimate(text: str) -> None:
    assert (estimate_tokens(text) > 0) == bool(text)


@given(st.text(), st.text())
def test_a_longer_text_has_at_least_about_as_many_tokens(text: str, more: str) -> None:
    # Joining can merge a word and a space run, at most two pieces.
    assert estimate_tokens(text + " x " + more) >= estimate_tokens(text) - 2
