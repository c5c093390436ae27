"""`python -m benchmarks.confusables`: prints the table of `guardrails/confusables.py`.

Needs the package confusable-homoglyphs, which the lab itself does not.
"""

from __future__ import annotations

import importlib
import string
import unicodedata

_SCRIPTS = ("CYRILLIC", "GREEK", "LATIN", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU")


def folded(letter: str) -> str:
    """Return a letter as NFKC, case and accents leave it."""
    plain = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", letter).casefold())
    return unicodedata.normalize("NFC", "".join(c for c in plain if not "\u0300" <= c <= "\u036f"))


def lookalikes(letter: str) -> str:
    """Return the letters of other scripts that look like a Latin one, small or capital."""
    data = importlib.import_module("confusable_homoglyphs.confusables").confusables_data
    found = set()
    for form in (letter, letter.upper()):
        for entry in data.get(form, []):
            other = entry["c"]
            if len(other) != 1 or not other.isalpha() or other.isascii():
                continue
            rest = folded(other)
            if len(rest) == 1 and not rest.isascii() and any(s in entry["n"] for s in _SCRIPTS):
                found.add(other)
    return "".join(sorted(found))


if __name__ == "__main__":
    for each in string.ascii_lowercase:
        if same := lookalikes(each):
            print(f'    "{each}": "{same}",')
