"""No character a model prints may control the terminal or hide text."""

from __future__ import annotations

import json
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmflowlab.text.sanitize import escaped_in_json, is_formula, neutralise


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("a\x1b[31mred", "a␛[31mred", id="escape-sequence"),
        pytest.param("\x1b]0;title\x07", "␛]0;title␇", id="window-title"),
        pytest.param("a\x9b2Jb", "a⟨U+009B⟩2Jb", id="eight-bit-csi"),
        pytest.param("a\x7fb\x08", "a␡b␈", id="delete-and-backspace"),
        pytest.param("one\r\ntwo\rthree", "one\ntwo\nthree", id="carriage-returns"),
        pytest.param("user\u202etxt.exe", "user⟨U+202E⟩txt.exe", id="bidi-override"),
        pytest.param("\u2066a\u2069", "⟨U+2066⟩a⟨U+2069⟩", id="bidi-isolate"),
        pytest.param("a\u200bb\ufeff", "a⟨U+200B⟩b⟨U+FEFF⟩", id="zero-width"),
        pytest.param("\U000e0041", "⟨U+E0041⟩", id="tag-character"),
        pytest.param("a\ud800b", "a\ufffdb", id="lone-surrogate"),
        pytest.param("a\u2028b", "a\nb", id="line-separator"),
        pytest.param("a\tb\nc", "a\tb\nc", id="tab-and-line-feed-pass"),
        pytest.param("👩‍👩‍👧 ❤️ می‌خواهم", "👩‍👩‍👧 ❤️ می‌خواهم", id="emoji-and-persian-pass"),
        pytest.param("Grüße, 你好, שלום", "Grüße, 你好, שלום", id="scripts-pass"),
    ],
)
def test_dangerous_characters_become_visible(text: str, shown: str) -> None:
    assert neutralise(text) == shown


def test_a_single_line_can_be_asked_for() -> None:
    assert neutralise("a\r\nb\tc", keep="") == "a␊b␉c"


def test_no_control_or_surrogate_of_unicode_passes() -> None:
    dangerous = {"Cc", "Cs", "Zl", "Zp"}
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code)) in dangerous and chr(code) not in "\n\t":
            assert chr(code) not in neutralise(chr(code)), hex(code)


@given(st.text(), st.text())
def test_a_stream_cut_anywhere_is_as_safe_as_the_whole(first: str, second: str) -> None:
    # Only a \r\n cut in two may differ, by one line feed more.
    if not (first.endswith("\r") and second.startswith("\n")):
        assert neutralise(first) + neutralise(second) == neutralise(first + second)


@given(st.text())
def test_what_is_neutral_stays_as_it_is(text: str) -> None:
    once = neutralise(text)
    assert neutralise(once) == once


@given(st.dictionaries(st.text(), st.text()))
def test_a_document_that_is_escaped_says_the_same_and_is_neutral(values: dict[str, str]) -> None:
    text = escaped_in_json(json.dumps(values, ensure_ascii=False, indent=2))
    assert json.loads(text) == values
    assert neutralise(text) == text


@pytest.mark.parametrize(
    "cell",
    [
        *"=+-@",
        "=1+1",
        " =1",
        "\n=1",
        "\r\n\t =1",
        "\u00a0=1",
        "\u3000=1",
        "\ufeff=1",
        "\u200b@x",
        "\x00=1",
        *("\uff1d1", "\uff0b1", "\uff0d1", "\uff20x", " \uff1dcmd", "\ttab", "\rreturn", "\nline"),
    ],
)
def test_what_a_spreadsheet_may_run_is_known(cell: str) -> None:
    assert is_formula(cell)


@pytest.mark.parametrize("cell", ["", " ", "a=b", "1-2", "  text", "'=1", "x\n=1", "–1", "¿qué?"])
def test_what_it_shows_as_text_stays(cell: str) -> None:
    assert not is_formula(cell)
