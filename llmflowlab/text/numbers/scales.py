"""Scale words: how many zeros `million`, `Mrd.`, `lakh` and `万` add, by language."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from functools import cache

from llmflowlab.text.numbers.cldr import base_of, compact_scales
from llmflowlab.text.numbers.lexicon import words_of

__all__ = ["scale_at"]

# The same wherever they are written. 12 stands for a dozen, which is no power of ten.
_EVERYWHERE: dict[int, str] = {
    2: "hundred hundreds hundert 百 백 सौ সৌ",
    3: "thousand thousands tausend тыс тысяч тысяча тысячи тысячу 千 仟 천 हज़ार हजार হাজার ألف آلاف الف "
    "mila mille mil duizend tysiąc tysiące tysięcy tys ribu nghìn ngàn",
    4: "万 萬 만 myriad",
    5: "lakh lakhs lac lacs लाख লাখ",
    6: "million millions millionen mio mln mn mill millón millones millon milione milioni milhão milhões "
    "milhao milhoes миллион миллиона миллионов млн milyon miljoen milion miliony milionów juta triệu "
    "مليون ملايين مليونا 百万 मिलियन मिल्यन",
    7: "crore crores cr करोड़ करोड কোটি 千万",
    8: "亿 億 억",
    9: "milliard milliards milliarde milliarden mrd mia mld bn miliardo miliardi миллиард миллиарда "
    "миллиардов млрд milyar miljard miliard miliardy miliardów miliar tỷ مليار مليارات مليارا بليون "
    "bilhão bilhões bilhao bilhoes अरब बिलियन mil_millones mil_milhões mil_millón thousand_million",
    11: "खरब lakh_crore",
    12: "billón billones billon bilione bilioni bilião biliões bio tn trn трлн триллион триллиона "
    "триллионов trilhão trilhões trilyun triliun تريليون ترليون 兆 조 万亿 萬億 lakh_crore mila_miliardi",
}
# The long scale of one language is the short scale of another.
_BY_LANGUAGE: dict[str, dict[int, str]] = {
    "short": {9: "billion billions", 12: "trillion trillions", 15: "quadrillion quadrillions"},
    "long": {
        12: "billion billions billionen biljoen bilion biliony bilionów",
        15: "billiarde billiarden billiard billiards",
        18: "trillion trillions trillionen trillón trillones triljoen trylion",
    },
}
_LONG = words_of("de fr es it nl pl da sv no nb nn fi hu cs sk sl hr ro")
_DOZENS = words_of("dozen dozens dutzend douzaine douzaines docena docenas dozzina dozzine dúzia")
_PARTS = {
    "halves": 2,
    "thirds": 3,
    "fifths": 5,
    "sixths": 6,
    "sevenths": 7,
    "eighths": 8,
    "ninths": 9,
    "tenths": 10,
    "hundredths": 100,
    "thousandths": 1000,
    "millionths": 10**6,
    "billionths": 10**9,
}
_DENSE = re.compile(r"\s?([百千万萬亿億兆만억조천백仟]+)")
_WORD = re.compile(
    r"[ \u00a0-]?([^\W\d_]+[\u0900-\u0983\u09be-\u09cd]*(?:[^\W\d_]|[\u0900-\u097f])*)(\.(?!\d))?"
)


def scale_at(text: str, place: int, language: str | None) -> tuple[int | Fraction, int] | None:
    """Return the factor of a scale word that begins at a place, and where it ends."""
    if dense := _DENSE.match(text, place):
        factor = 1
        for char in dense[1]:
            factor *= 10 ** _words(base_of(language))[char]
        return factor, dense.end()
    first = _WORD.match(text, place)
    if first is None:
        return None
    word = first[1].casefold()
    known = _words(base_of(language))
    second = _WORD.match(text, first.end()) if not first[2] else None
    if second and (power := known.get(f"{word}_{second[1].casefold()}")) is not None:
        return 10**power, _end(second)
    if word in _PARTS:
        return Fraction(1, _PARTS[word]), first.end(1)
    if word in _DOZENS:
        return 12, first.end()
    if (power := known.get(word)) is None or first[1] == "Mill":
        return None
    if word == "mill" and not first[2]:
        return None
    return 10**power, _end(first)


def _end(match: re.Match[str]) -> int:
    """Where an abbreviation ends: with its point, but not with that of the sentence."""
    short = len(match[1]) <= 4 and match[1].casefold() not in ("mil",)
    return match.end() if match[2] and short else match.end(1)


@cache
def _words(language: str | None) -> Mapping[str, int]:
    made: dict[str, int] = {}
    local = {w: n for w, n in compact_scales(language).items() if len(w) > 1 or not w.isascii()}
    system = "long" if language in _LONG else "short"
    for table in (_EVERYWHERE, _BY_LANGUAGE["short"], _BY_LANGUAGE[system]):
        for power, words in table.items():
            made.update(dict.fromkeys(words.split(), power))
    if language == "pt":
        made.update({"bi": 9, "tri": 12, "mi": 6})
    if language == "fr":
        made["md"] = 9
    for word, power in local.items():
        made.setdefault(word.replace("\u00a0", "_").replace(" ", "_"), power)
    if language not in ("es", "pt", "ca", "gl", None):
        made.pop("mil")
    return made
