"""Whether expected words stand in an answer: whole ones, in scripts without spaces as well.

Where words are not parted by spaces (Chinese, Japanese, Thai, Lao, Khmer, Burmese; the particles of
Korean) nothing short of a dictionary finds all boundaries. What is certain without one is used: the end
of a run of one script, function words and particles, place suffixes, numerals, and what the question
itself shows to be a word. Of what remains, a single character left beside the expected text belongs to
its word (京都 is not in 東京都), and more than one leaves it open.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from llmflowlab.text.language_codes import base_language
from llmflowlab.text.normalise import Rules, pieces

__all__ = ["stands_in"]

_ALL = Rules()
_SCRIPTS = (
    (
        "han",
        re.compile(r"[\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]"),
    ),
    ("hiragana", re.compile(r"[\u3040-\u309f]")),
    ("katakana", re.compile(r"[\u30a0-\u30ff]")),
    ("hangul", re.compile(r"[\u1100-\u11ff\uac00-\ud7af]")),
    ("southern", re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")),
)
_HAN = re.compile(r"[\u3005\u3007\u3400-\u9fff]{2}")
_NUMERALS = frozenset("〇零一二三四五六七八九十百千万萬億亿兆")
# Characters and words that never are part of the word after or before them.
_HAN_BEFORE = re.compile(r"(?:[是为為叫乃选選答]|名叫|就是|位于|等于|首都|省会|答案|结果)$")
# These also begin words of two characters (和平, 有机), so beside a single one they say nothing.
_HAN_BETWEEN = re.compile(r"(?:[在和与與或及了於于有即的到从從被把称稱]|以及|还有|還有)$")
_HAN_AFTER = re.compile(r"[是为為在和与與或及了的有也都就等吧呢吗嗎個个名]|以及|位于")
_PLACE = re.compile(
    r"[市県县府都省区區町村州国國川江河山島岛湖駅站港](?![\u3005\u3007\u3400-\u9fff])"
)
_HIRAGANA_BEFORE = re.compile(
    r"(?:は|が|を|に|で|と|も|の|へ|や|か|から|より|だと|では|には|として|という|いう|たぶん|おそらく|それは|これは)$"
)
_HIRAGANA_AFTER = re.compile(
    r"(?:は|が|を|に|で|と|も|の|へ|や|か|から|まで|より|だ|です|でし|である|じゃ|なの|ね|よ|という|って|など)"
)
_HANGUL_AFTER = re.compile(
    r"(?:은|는|이|가|을|를|에|의|도|로|으로|와|과|랑|이랑|만|부터|까지|에서|에게|보다|처럼|이나|나|란|이란|라고|이라고|"
    r"이다|다|입니다|이에요|예요|이야|야|이죠|죠|이며|며|이고|고|인|였다|이었다|였습니다|이었습니다|일|님|씨)$"
)
_SOUTHERN_BEFORE = re.compile(r"(?:คือ|เป็น|ที่|ของ|และ|หรือ|ใน|ว่า|ชื่อ|ได้แก่|แม่น|ແມ່ນ|ຄື|គឺ|ជា|က|သည်)$")
_SOUTHERN_AFTER = re.compile(r"(?:ครับ|ค่ะ|คะ|และ|หรือ|เป็น|คือ|ที่|ใน|ของ|ຄັບ|និង|ဖြစ်|သည်|ပါ)")


def stands_in(
    answer: str,
    expected: str,
    *,
    language: str | None,
    rules: Rules = _ALL,
    question: str = "",
) -> bool | None:
    """Return whether the expected words stand in the answer, whole and in order.

    None where they stand in a run of a script without spaces and it cannot be told whether as words.
    """
    wanted = pieces(expected, language=language, rules=rules)
    given = pieces(answer, language=language, rules=rules)
    kana = re.search(r"[\u3040-\u30ff]", answer + question)
    around = _Around(
        known="".join(pieces(question, language=language, rules=rules)) if question else "",
        # Japanese writes its particles in kana: 和 in 和歌山 is no "and".
        chinese=base_language(language) != "ja" and not kana,
    )
    width = len(wanted)
    found: set[bool | None] = {False}
    for i in range(len(given) - width + 1):
        found |= _at(given[i : i + width], wanted, around)
    return True if True in found else None if None in found else False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Around:
    known: str
    """What the question holds: its words are words."""
    chinese: bool
    """Whether Chinese function words may stand in the answer."""


def _at(given: Sequence[str], wanted: Sequence[str], around: _Around) -> set[bool | None]:
    """Return how the expected words stand at one place, for each way they can."""
    if given == wanted:
        return {True}
    first, last = wanted[0], wanted[-1]
    if len(wanted) == 1:
        return {
            _both(
                _begins(given[0], m.start(), around),
                _ends(given[0], m.start() + len(first), around),
            )
            for m in re.finditer(rf"(?={re.escape(first)})", given[0])
        }
    if (
        given[1:-1] != wanted[1:-1]
        or not given[0].endswith(first)
        or not given[-1].startswith(last)
    ):
        return set()
    begins = _begins(given[0], len(given[0]) - len(first), around)
    return {_both(begins, _ends(given[-1], len(last), around))}


def _both(one: bool | None, other: bool | None) -> bool | None:
    if False in (one, other):
        return False
    return None if None in (one, other) else True


def _script(char: str) -> str | None:
    return next((name for name, form in _SCRIPTS if form.match(char)), None)


def _begins(text: str, at: int, around: _Around) -> bool | None:
    """Return whether a word begins at a place of a run; None where that cannot be told."""
    if at == 0:
        return True
    before, after = _script(text[at - 1]), _script(text[at])
    left = text[:at]
    if before != after:
        # Between other scripts' letters and an unspaced one a word ends; Latin on both sides is one.
        return bool(before or after)
    if before is None or before in ("katakana", "hangul"):
        return False
    if before == "hiragana":
        return True if _HIRAGANA_BEFORE.search(left) else None
    if before == "southern":
        return True if _SOUTHERN_BEFORE.search(left) else None
    if text[at - 1] in _NUMERALS and text[at] in _NUMERALS:
        return False
    single = _HAN.fullmatch(text[at : at + 2]) is None
    if around.chinese and (_HAN_BEFORE.search(left) or (not single and _HAN_BETWEEN.search(left))):
        return True
    return _beside(re.split(r"[^\u3005\u3400-\u9fff]", left)[-1][-2:], around.known)


def _ends(text: str, at: int, around: _Around) -> bool | None:
    """Return whether a word ends at a place of a run; None where that cannot be told."""
    if at == len(text):
        return True
    before, after = _script(text[at - 1]), _script(text[at])
    right = text[at:]
    if after == "hiragana":
        # A Chinese character and its inflection are one word: 食べる is more than 食.
        return True if _HIRAGANA_AFTER.match(right) else None
    if after == "hangul":
        return bool(_HANGUL_AFTER.fullmatch(right))
    if before != after:
        return bool(before or after)
    if before is None or before == "katakana":
        return False
    if before == "southern":
        return True if _SOUTHERN_AFTER.match(right) else None
    if text[at - 1] in _NUMERALS and text[at] in _NUMERALS:
        return False
    if _PLACE.match(right) or (around.chinese and _HAN_AFTER.match(right)):
        return True
    return _beside(re.split(r"[^\u3005\u3400-\u9fff]", right)[0][:2], around.known)


def _beside(rest: str, known: str) -> bool | None:
    """Return whether what stands beside the expected text is a word of its own."""
    if len(rest) < 2:
        return False
    return True if rest in known else None
