"""What all SDKs on httpx share: waits asked for, and vendors' words made fit for a message."""

from __future__ import annotations

import email.utils
import time
from pathlib import Path

import pytest

from llmflowlab.providers.transport import because, retry_after_seconds, vendor_text
from llmflowlab.settings import Settings, load_settings


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        (" 1.5 ", 1.5),
        ("0", 0.0),
        ("-3", 0.0),
        ("nan", None),
        ("inf", 1e9),
        ("soon", None),
        ("", None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("Thu, 99 Foo 2025", None),
    ],
)
def test_retry_after_is_read(text: str, seconds: float | None):
    assert retry_after_seconds({"retry-after": text}) == seconds


def test_no_header_asks_for_no_wait():
    assert retry_after_seconds({}) is None


def test_retry_after_may_be_a_date():
    text = email.utils.formatdate(time.time() + 3600, usegmt=True)
    seconds = retry_after_seconds({"retry-after": text})
    assert seconds is not None
    assert 3000 < seconds <= 3600


def test_words_become_one_short_line_without_secrets(tmp_path: Path):
    key = "AIza-not-a-real-key-1234567890"
    settings = load_settings({"GEMINI_API_KEY": key}, cwd=tmp_path)
    text = vendor_text(f"  bad\n\tkey {key} " + "x" * 1000, settings)
    assert key not in text
    assert text.startswith("bad key ")
    assert text.endswith("…")
    assert len(text) <= 240


def test_a_secret_at_the_place_where_a_long_text_is_cut_is_not_shown_by_half(tmp_path: Path):
    secret = "ordinary" * 1000
    settings = load_settings({"MY_SECRET": secret}, cwd=tmp_path)
    assert vendor_text(f"bad {secret} {secret}", settings) == "bad"


@pytest.mark.parametrize(
    ("said", "ending"),
    [
        ("no such model", ": no such model."),
        ("Try again!", ": Try again!"),
        ("", "."),
        (None, ": None."),
        ("<!doctype html><h1>502</h1>", "."),
    ],
)
def test_a_reason_ends_its_sentence(said: object, ending: str, settings: Settings):
    assert because(said, settings) == ending
