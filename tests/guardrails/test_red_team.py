"""The red-team set that ships with the lab: its size and spread, and that nobody is hurt by it."""

from __future__ import annotations

import base64
import json
import re
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from llmflowlab.data.near import near_pairs
from llmflowlab.data.question_keys import same_text

FILE = Path(__file__).parents[2] / "llmflowlab" / "guardrails" / "red_team.jsonl"
CASES: list[dict[str, Any]] = [
    json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()
]
HARMFUL = [case for case in CASES if case["harmful"]]
HARMLESS = [case for case in CASES if not case["harmful"]]
CATEGORIES = {"toxicity", "profanity", "injection", "malicious", "personal_data", "secrets"}
LANGUAGES = {*("ar", "de", "en", "es", "fr", "it", "ja", "nl", "pl", "pt", "ru", "sv", "tr", "zh")}
DISGUISES = {
    *("spacing", "homoglyph", "zero_width", "leetspeak", "base64", "hex", "rot13"),
    *("reversed", "fullwidth", "masked", "repeated"),
}


def test_each_case_has_every_field_and_no_other() -> None:
    kinds = {
        **dict.fromkeys(("text", "direction", "category", "language", "disguise", "note"), str),
        "harmful": bool,
    }
    for case in CASES:
        assert {name: type(value) for name, value in case.items()} == kinds
        assert case["text"].strip() == case["text"] != ""
        assert case["note"]
        assert case["direction"] in {"in", "out"}
        assert case["language"] in LANGUAGES
        assert case["disguise"] in DISGUISES | {"none"}
        assert case["harmful"] == (case["category"] in CATEGORIES)
        assert case["harmful"] or case["category"] == "none"


def test_it_is_large_and_spread() -> None:
    assert len(HARMFUL) >= 220
    assert len(HARMLESS) >= 110
    for category in CATEGORIES:
        own = [case for case in HARMFUL if case["category"] == category]
        assert len(own) >= 40
        assert {case["direction"] for case in own} == {"in", "out"}
        assert len({case["language"] for case in own}) >= 12
        disguised = Counter(case["disguise"] for case in own)
        assert disguised.total() - disguised["none"] >= 5
        assert disguised["none"] >= 25
    assert {case["language"] for case in HARMFUL} == LANGUAGES
    assert {case["disguise"] for case in HARMFUL} == DISGUISES | {"none"}


def test_every_category_has_harmless_cases_that_come_near_it() -> None:
    near = Counter(case["note"].partition(":")[0] for case in HARMLESS)
    assert set(near) == CATEGORIES
    assert min(near.values()) >= 10
    assert {case["language"] for case in HARMLESS} == LANGUAGES
    assert sum(case["direction"] == "out" for case in HARMLESS) >= 10


def test_some_of_either_kind_are_long() -> None:
    for cases in (HARMFUL, HARMLESS):
        assert sum(len(case["text"]) > 400 for case in cases) >= 6


def test_no_two_cases_are_one_with_a_word_changed() -> None:
    texts = [same_text(case["text"]) for case in CASES]
    assert len(set(texts)) == len(texts)
    assert near_pairs(texts) == []


def test_what_is_said_to_be_disguised_is_and_nothing_else() -> None:
    for case in CASES:
        text, disguise = case["text"], case["disguise"]
        names = [unicodedata.name(sign, "") for sign in text]
        latin = case["language"] not in {"ar", "ja", "ru", "zh"}
        assert (disguise == "homoglyph") == (latin and any("CYRILLIC" in name for name in names))
        assert (disguise == "zero_width") == any(sign in "\u200b\u200d\u2060" for sign in text)
        if latin:
            assert (disguise == "fullwidth") == any("FULLWIDTH" in name for name in names)
        if disguise == "base64":
            (run,) = re.findall(r"[A-Za-z0-9+/]{16,}={0,2}", text)
            assert base64.b64decode(run, validate=True).decode().isprintable()
        if disguise == "hex":
            (run,) = re.findall(r"[0-9a-f]{24,}", text)
            assert bytes.fromhex(run).decode().isprintable()


def figures(pattern: str, category: str = "personal_data") -> list[str]:
    return [
        re.sub(r"[ -]", "", found)
        for case in HARMFUL
        if case["category"] == category
        for found in re.findall(pattern, unicodedata.normalize("NFKC", case["text"]))
    ]


def luhn(number: str) -> bool:
    figures = [int(sign) for sign in reversed(number)]
    doubled = [sum(divmod(2 * figure, 10)) for figure in figures[1::2]]
    return (sum(figures[::2]) + sum(doubled)) % 10 == 0


# Of the payment networks' own test pages: no account has one.
TEST_CARDS = {
    *("4111111111111111", "4012888888881881", "4242424242424242", "5555555555554444"),
    *("6011111111111117", "3530111333300000", "378282246310005"),
}


def test_cards_are_test_numbers_and_near_misses_fail_the_checksum() -> None:
    found = figures(r"(?<![A-Z\d+])(?<!\d )[3-6](?:[ -]?\d){14,15}(?!\d)")
    assert len(found) >= 7
    assert set(found) <= TEST_CARDS
    assert all(map(luhn, found))
    assert not luhn("4111111111111112")


def test_account_numbers_are_the_examples_of_the_standard() -> None:
    text = "\n".join(case["text"] for case in HARMFUL if case["category"] == "personal_data")
    plain = re.sub("[\u200b\u200d\u2060 ]", "", text)
    found = set(re.findall(r"[A-Z]{2}\d{2}[A-Z0-9]{11,27}", plain))
    assert {number[:2] for number in found} >= {"GB", "DE", "FR", "ES", "IT", "PT", "NL"}
    for number in found:
        turned = number[4:] + number[:4]
        assert int("".join(str(int(sign, 36)) for sign in turned)) % 97 == 1, number


# Set apart by the regulators for films and books: Ofcom, NANPA, BNetzA, ARCEP, PTS.
RESERVED = (
    r"020 ?7946 ?0\d{3}|\+44 ?7700 ?900\d{3}|\(?\d{3}\)?[ -]555-01\d{2}|030 ?23125 ?\d{3}"
    r"|\+49 ?171 ?39200\d{2}|06 ?39 ?98 ?\d\d ?\d\d|01 ?99 ?00 ?\d\d ?\d\d|08-465 ?004 ?\d\d"
)


def test_telephones_are_of_reserved_ranges_and_addresses_of_nobody() -> None:
    for case in HARMFUL:
        text = re.sub("[\u200b\u200d\u2060]", "", case["text"])
        assert all(
            domain.endswith(".example")
            for domain in re.findall(r"@([\w-]+(?:\.[\w-]+)+)", text)
            if not re.fullmatch(r"[\d.]+", domain)
        ), text
        if "telephone" in case["note"] or "mobile" in case["note"]:
            assert re.search(RESERVED, text) or case["disguise"] == "masked", text


def test_scanners_of_repositories_find_no_key_in_the_file() -> None:
    """Each invented key is broken by an escape, so that no push is refused for it."""
    written = FILE.read_text(encoding="utf-8")
    tokens = r"gh[ps]_\w{36}|github_pat_|sk_live_|xox[bp]-\d|glpat-\w|AKIA(?!IOSFODNN7EXAMPLE)[A-Z2-7]{16}|npm_\w{36}"
    assert re.search(rf"\b(?:{tokens}|-----BEGIN)", written) is None
    read = "\n".join(case["text"] for case in HARMFUL if case["category"] == "secrets")
    assert len(re.findall(rf"(?:{tokens}|-----BEGIN)", read)) >= 12


def test_answers_that_agree_to_help_break_off_before_anything_works() -> None:
    for case in HARMFUL:
        if (case["category"], case["direction"]) == ("malicious", "out"):
            assert case["text"].endswith("...")
            assert len(case["text"].split()) <= 30


@pytest.mark.parametrize("sign", ["\u200b", "\u200d", "\u2060", "\u202e", "\ufeff"])
def test_what_nobody_sees_is_written_as_an_escape(sign: str) -> None:
    assert sign not in FILE.read_text(encoding="utf-8")
