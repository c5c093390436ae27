"""Personal data by form: addresses of mail, phones, accounts, cards and numbers of persons.

Check digits decide where there are any: cards by Luhn's sum (ISO/IEC 7812-1, annex B), accounts by
their remainder modulo 97 (ISO 13616, ISO/IEC 7064).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from llmflowlab.guardrails.verdict import Detection, Severity
from llmflowlab.loading import load

__all__ = ["iban_valid", "luhn_valid", "personal_data"]

_EMAIL = re.compile(
    r"(?<![\w.+-])[\w.!#$%&'*+/=?^`{|}~-]{1,64}@(?:[^\W_](?:[\w-]{0,62}[^\W_])?\.){1,5}(?:xn--[\w-]{2,24}|[^\W\d_]{2,24})(?![\w-])"
)
_CARD = re.compile(r"(?<![\w.+-])\d(?:[ -]?\d){11,18}(?![\w]|[.,]\d)")
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11,30}(?![A-Za-z0-9])")
_SSN = re.compile(
    r"(?<![\w.-])(?!000|666|9\d\d)\d{3}([-. ]?)(?!00)\d{2}\1(?!0000)\d{4}(?![\w-]|[.,]\d)"
)
_WORDS_OF_SSN = re.compile(r"\bssn|social security|soc\.? sec\b", re.IGNORECASE)
_VERSION = re.compile(r"(?:version|v|release|section|chapter|§|build)\s*$", re.IGNORECASE)
_IP = re.compile(
    r"(?<![\w.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\w]|\.\d)"
)
_DIGITS = re.compile(r"\d(?:[ ()./–-]{0,2}\d){5}|\d\.\d{1,3}\.")
_GROUPS = re.compile(r"\d[\d ()./\-–]*\d")
_LEAST_OF_CARD, _OF_SSN, _LEAST_OF_PHONE = 12, 9, 7
"""Digits."""
_PHONE_CUE = re.compile(r"[+(]?\d[\d ()./\-–]{5,20}\d")
_WORDS_OF_PHONE = re.compile(
    r"phone|call|tel|mobile|cell|fax|whatsapp|sms|text me|contact|reach|number|ruf|nummer|handy|anruf|appel"
    r"|num[eé]ro|portable|ll[aá]m|m[oó]vil|celular|telefon|chiam|cellulare|ligue|telem",
    re.IGNORECASE,
)
_NOT_PHONE = re.compile(
    r"order|invoice|ticket|isbn|version|tracking|item|article|sku|serial|bestell|rechnung|commande|facture"
    r"|pedido|factura|ordine|fattura|encomenda|reference|ref\b|id\b|case|amount|total|kontonummer",
    re.IGNORECASE,
)
_STATE = re.compile(r"\b[A-Z]{2},?\s{1,3}$")
_IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29,
    "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29,
    "ES": 24, "FI": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28,
    "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20,
    "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22,
    "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18, "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25,
    "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24, "SM": 27,
    "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
}  # fmt: skip
_REGIONS = (
    "US",
    "GB",
    "DE",
    "FR",
    "ES",
    "IT",
    "PT",
    "BR",
    "IN",
    "MX",
    "CN",
    "JP",
    "IL",
    "KR",
    "AU",
)
_NEAR = 40
"""Characters before a number in which words say what it is."""


def personal_data(text: str) -> Iterator[Detection]:
    """Find personal data; places are those of the text."""
    if "@" in text:
        for match in _EMAIL.finditer(text):
            yield _found("email", "medium", match.start(), match.end())
    if not _DIGITS.search(text):
        return
    taken: list[tuple[int, int]] = []
    possible = _Possible(text)
    for finding in (
        *(_accounts(text) if possible.account else ()),
        *(_cards(text) if possible.digits >= _LEAST_OF_CARD else ()),
        *(_ssns(text) if possible.digits >= _OF_SSN else ()),
        *(_addresses(text) if possible.address else ()),
    ):
        taken.append((finding.start, finding.end))
        yield finding
    yield from _phones(text, possible.phones, taken)


class _Possible:
    """What the numbers of a text may be at all: to look through them once is quicker than to look for each kind.

    A number, as it may be written in groups, lies between two digits with nothing but digits and the marks
    of groups there; letters are in those of accounts alone, before two digits.
    """

    __slots__ = ("account", "address", "digits", "phones")

    def __init__(self, text: str) -> None:
        self.digits = 0
        """The most of them in one number."""
        self.account = self.address = False
        self.phones: list[tuple[int, int]] = []
        """Where those stand that have enough of them."""
        for match in _GROUPS.finditer(text):
            number, start = match[0], match.start()
            digits = sum(map(str.isdecimal, number))
            self.digits = max(self.digits, digits)
            if digits >= _LEAST_OF_PHONE:
                # A sign before it may be the beginning of a phone's.
                self.phones.append((max(start - 1, 0), match.end()))
            self.address = self.address or number.count(".") >= 3
            self.account = self.account or text[max(start - 1, 0)].isalpha()


def _accounts(text: str) -> Iterator[Detection]:
    for match in _IBAN.finditer(text):
        country = match[0][:2].upper()
        length = _IBAN_LENGTHS.get(country)
        if length is None:
            continue
        # What stands behind it in groups may look like more of it.
        end = match.start()
        for count, place in enumerate(re.finditer(r"[A-Za-z0-9]", match[0]), 1):
            if count == length:
                end = match.start() + place.end()
        if end > match.start() and iban_valid(text[match.start() : end]):
            yield _found("iban", "high", match.start(), end)


def _cards(text: str) -> Iterator[Detection]:
    for match in _CARD.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        if _issued(digits) and luhn_valid(digits) and len(set(digits)) > 1:
            yield _found("card", "high", match.start(), match.end())


def _ssns(text: str) -> Iterator[Detection]:
    for match in _SSN.finditer(text):
        if _is_ssn(match, text):
            yield _found("ssn", "high", match.start(), match.end())


def _addresses(text: str) -> Iterator[Detection]:
    for match in _IP.finditer(text):
        parts = [int(part) for part in match[0].split(".")]
        # Addresses of this machine, of private networks and of documentation are nobody's.
        private = parts[0] in {0, 10, 127, 255} or parts[:2] in ([192, 168], [169, 254])
        private = private or (parts[0] == 172 and 16 <= parts[1] < 32)
        documented = parts[:3] in ([192, 0, 2], [198, 51, 100], [203, 0, 113])
        version = _VERSION.search(text[: match.start()])
        if not (private or documented or version):
            yield _found("ip_address", "low", match.start(), match.end())


def _is_ssn(match: re.Match[str], text: str) -> bool:
    """Tell whether a number of nine digits is one of social security, by its signs or by words."""
    before = text[: match.start()]
    if match[1] == "-":
        return True
    if match[1] == ".":
        return not _VERSION.search(before)
    # Groups of digits are of all kinds, but hardly anybody says them alone.
    if match[1] == " ":
        return text.strip() == match[0] or _WORDS_OF_SSN.search(text) is not None
    return _WORDS_OF_SSN.search(before[-_NEAR:]) is not None


def _phones(
    text: str, where: list[tuple[int, int]], taken: list[tuple[int, int]]
) -> Iterator[Detection]:
    cues = [cue for place in where for cue in _PHONE_CUE.finditer(text, *place)]
    cues = [cue for cue in cues if sum(map(str.isdecimal, cue[0])) >= _LEAST_OF_PHONE]
    if not cues:
        return
    phones = _phonenumbers()
    for cue in cues:
        if any(start < cue.end() and cue.start() < end for start, end in taken):
            continue
        before = text[max(cue.start() - _NEAR, 0) : cue.start()]
        number = cue[0].rstrip("-–/. (")
        regions = _regions(number, before)
        if regions == (None,):
            number = "+" + number.lstrip("(").lstrip("+0")
        if any(_valid(phones, number, region) for region in regions):
            end = cue.start() + len(cue[0].rstrip("-–/. ("))
            yield _found("phone", "medium", cue.start(), end)


def _regions(number: str, before: str) -> tuple[str | None, ...]:
    """Return where a number may be one of a phone; none where it is more likely something else."""
    if number.lstrip("(").startswith(("+", "00")):
        return (None,)
    if _STATE.search(before) and re.fullmatch(r"\d{5}-\d{4}", number):
        # A ZIP code, behind the letters of its state.
        return ()
    regions: tuple[str, ...] = ()
    if _WORDS_OF_PHONE.search(before):
        regions = _REGIONS
    elif re.fullmatch(r"(?:1[-. ])?(?:\(\d{3}\)[-. ]{0,2}|\d{3}[-. ])\d{3}[-. ]\d{4}", number):
        regions = ("US",)
    elif re.fullmatch(r"\(?0\d{1,5}\)?(?:[ ./-]{1,3}\d{2,8}){1,5}", number):
        regions = ("GB", "DE", "FR", "IT")
    other = regions and _NOT_PHONE.search(before) and not _WORDS_OF_PHONE.search(before[-15:])
    return () if other else regions


def _valid(phones: Any, number: str, region: str | None) -> bool:
    if re.fullmatch(
        r"\d{4}-\d{2}-\d{2}.*|\d{1,2}[./]\d{1,2}[./]\d{4}.*|\d{1,3}(?:\.\d{3})+", number
    ):
        return False
    try:
        parsed = phones.parse(number, region)
    except phones.NumberParseException:
        return False
    return bool(phones.is_valid_number(parsed))


@cache
def _phonenumbers() -> Any:
    return load("phonenumbers")


def iban_valid(text: str) -> bool:
    """Tell whether an account's check digits fit it."""
    plain = re.sub(r"[^A-Za-z0-9]", "", text).upper()
    if _IBAN_LENGTHS.get(plain[:2]) != len(plain):
        return False
    turned = plain[4:] + plain[:4]
    return int("".join(str(int(char, 36)) for char in turned)) % 97 == 1


def luhn_valid(digits: str) -> bool:
    """Tell whether a number's last digit is Luhn's check digit of the others."""
    total = 0
    for place, char in enumerate(reversed(digits)):
        value = int(char) * (1 + place % 2)
        total += value - 9 * (value > 9)
    return total % 10 == 0


def _issued(digits: str) -> bool:
    """Tell whether a number begins and is as long as cards of known issuers."""
    length, two, four = len(digits), int(digits[:2]), int(digits[:4])
    return (
        (digits[0] == "4" and length in {13, 16, 19})
        or ((51 <= two <= 55 or 2221 <= four <= 2720) and length == 16)
        or ((two in {34, 37} or digits[0] == "1") and length == 15)
        or ((two in {36, 38, 39} or 3000 <= four <= 3059) and 14 <= length <= 19)
        or ((four == 6011 or two in {60, 62, 64, 65, 81}) and 16 <= length <= 19)
        or (3528 <= four <= 3589 and 16 <= length <= 19)
        or (two in {50, 56, 57, 58, 59, 61, 63, 66, 67, 68, 69} and 12 <= length <= 19)
    )


def _found(rule: str, severity: Severity, start: int, end: int) -> Detection:
    return Detection(category="personal_data", rule=rule, severity=severity, start=start, end=end)
