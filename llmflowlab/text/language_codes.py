"""The language that a row names: as a code of two letters, whatever way it is written."""

from __future__ import annotations

from functools import cache

__all__ = ["base_language", "is_language"]


def base_language(language: str | None) -> str:
    """Return the code of a language without its region; `en` where there is none.

    Codes with a region (`pt-BR`), of three letters (`deu`, `ger`) and English names (`German`) are
    those of Unicode's CLDR; what is none of them comes back in small letters.
    """
    named = (language or "en").strip()
    base = named.replace("_", "-").split("-")[0].lower()
    return base if len(base) == 2 else _codes().get(named.lower(), _codes().get(base, base))


def is_language(language: str) -> bool:
    """Tell whether it is a language at all: a code, or an English name."""
    base = base_language(language)
    return base.isascii() and base.isalpha() and (len(base) == 2 or base in _codes().values())


@cache
def _codes() -> dict[str, str]:
    # Imported here: nearly all rows have a code of two letters.
    from babel.core import Locale, get_global

    names = {str(code): str(name) for code, name in Locale("en").languages.items()}
    found = {name.lower(): code for code, name in names.items() if "_" not in code}
    renamed = get_global("language_aliases").items()
    aliases = {str(code): str(new) for code, new in renamed if "_" not in str(new)}
    return {**found, **aliases, **{code: code for code in names if "_" not in code}}
