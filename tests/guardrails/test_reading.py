"""What is read quickly is read as what it stands for would be."""

from __future__ import annotations

import random
import re

import pytest

from llmflowlab.guardrails import disguises, folding
from llmflowlab.guardrails.disguises import read
from llmflowlab.guardrails.folding import fold
from llmflowlab.guardrails.rule_files import one_of

SIGNS = " \t\r\n\x1c.!?;:<>|\"'“”’«。-_,/\\#*$@()0123 "


def texts(letters: str) -> list[str]:
    chance = random.Random(13)
    return ["".join(chance.choices(letters + SIGNS, k=chance.randint(1, 60))) for _ in range(800)]


@pytest.mark.parametrize("letters", ["abcxyz", "abéñ±×", "abдж世"])
def test_words_are_those_that_the_pattern_of_a_word_finds(letters: str) -> None:
    for text in texts(letters):
        listed = disguises._WORD.findall(disguises._signed(text))
        assert disguises._words(text) == [word.replace("'", "") for word in listed], text


@pytest.mark.parametrize(
    "letters", ["aBßéÑ", "аДΣσς世ﬁ½", "aＢ\u200b…Ⅻ", "".join(map(chr, range(192, 400)))]
)
def test_characters_replaced_at_once_are_those_replaced_one_by_one(letters: str) -> None:
    for text in texts(letters):
        clean, folded, places = fold(text, 5)
        each = [folding._FOLDS[char] for char in text]
        assert clean == "".join(cleaned for cleaned, _, _ in each)
        assert folded == "".join(plain for _, plain, _ in each)
        assert len(clean) == len(folded) == len(places) - 1
        assert places[-1] == 5 + len(text)


def test_a_letter_three_times_in_a_row_is_seen_wherever_it_stands() -> None:
    for text in texts("ab"):
        assert disguises._may_repeat(text) or not re.search(r"([a-z])\1\1", text), text
    assert not disguises._may_repeat(" a bb cc a a ")


def test_the_place_of_words_is_theirs_over_the_end_of_a_unit() -> None:
    both = read("It’s a “nice” day. ", 0) + read("And so ... on", 19)
    words = both.readings[0]
    assert words.joined == ' its a " nice " day . and so . on '
    assert len(words) == 11
    assert words.place(0, 0) == (0, 4)
    assert words.place(5, 7) == (14, 22)
    assert words.place(8, 10) == (23, 32)


def test_alternatives_that_begin_alike_keep_their_order() -> None:
    chance = random.Random(7)
    for _ in range(300):
        sources = ["".join(chance.choices("ab ", k=chance.randint(1, 5))) for _ in range(8)]
        sources += chance.choices(["a[^ .]* ", "\\. ", "[^ .]* ", "b"], k=2)
        chance.shuffle(sources)
        plain, grouped = re.compile(f"(?:{'|'.join(sources)})"), re.compile(one_of(sources))
        for text in ("".join(chance.choices("ab .", k=8)) for _ in range(20)):
            assert [m.span() for m in plain.finditer(text)] == [
                m.span() for m in grouped.finditer(text)
            ], (sources, text)
