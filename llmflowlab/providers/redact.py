"""Takes secrets out of words that were written elsewhere: vendors echo keys in their error messages."""

from __future__ import annotations

import json
import re
from urllib.parse import quote, quote_plus, urlsplit

from llmflowlab.errors import InputError
from llmflowlab.settings import Settings

__all__ = ["HIDDEN", "redact", "refuse_secrets"]

HIDDEN = "[hidden]"
"""What stands where a secret stood."""

_SECRET_NAME = re.compile(
    r"KEY|TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|_(?:PASS|PWD)$", re.ASCII | re.IGNORECASE
)
_SURELY = re.compile(
    r".+_(?:API_?KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|PASS|PWD)", re.ASCII | re.IGNORECASE
)
"""Names whose values are secrets however short; other ones may hold ordinary words (`KEYBOARD=us`)."""
_SHORTEST = 3
_LONG = 8
"""Characters from which on a secret is hidden in the middle of a word too, and elsewhere known by its
name alone."""

# Keys by their vendors' own beginnings, also where the vendor has put stars into the middle.
_VENDOR_KEY = re.compile(
    r"\b(?:(?:sk|rk|pk|gsk|xai|hf|pplx|nvapi|ghp)[-_](?=[\w.*-]{8})[\w*-]+(?:\.[\w*-]+)*|AIza[\w*-]{6,})",
    re.ASCII,
)
_PATTERNS = (
    # The user's name and password inside an address.
    (re.compile(r"(?<=://)[^/\s@]+@", re.ASCII), f"{HIDDEN}@"),
    (re.compile(r"\b(bearer|basic)\s+[\w.~+/=*-]{8,}", re.ASCII | re.IGNORECASE), rf"\1 {HIDDEN}"),
    (
        re.compile(
            r"\b((?:[\w-]{0,40}key|token|secret|password|passwd|pwd)[\"']?\s*[=:]\s*[\"']?)"
            r"(?=[^\s\"'&,;]{0,200}\d)[^\s\"'&,;]{6,}",
            re.ASCII | re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
    (_VENDOR_KEY, HIDDEN),
    (re.compile(r"\beyJ[\w-]{6,}\.[\w-]+(?:\.[\w-]*)?", re.ASCII), HIDDEN),
    (re.compile(r"(?<![\w-])[\w-]*\*{3,}[\w*-]*", re.ASCII), HIDDEN),
    (re.compile(r"\b[0-9a-f]{32,}\b", re.ASCII | re.IGNORECASE), HIDDEN),
    (re.compile(r"\b(?=\w*\d)(?=\w*[A-Za-z])\w{40,}\b", re.ASCII), HIDDEN),
)


def redact(text: str, settings: Settings) -> str:
    """Return `text` without the secrets of the settings and without what looks like a key.

    Args:
        text: Words of a vendor, a server or an exception.
        settings: The configuration whose keys, tokens and passwords may have been echoed.
    """
    # The longest first: one secret may be the beginning of another.
    for secret in sorted(_secrets(settings), key=len, reverse=True):
        if len(secret) >= _LONG:
            text = text.replace(secret, HIDDEN)
        else:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", HIDDEN, text)
    for pattern, shown in _PATTERNS:
        text = pattern.sub(shown, text)
    return text


def refuse_secrets(text: str | None, settings: Settings, what: str) -> None:
    """Refuse a text that is to be kept or registered and holds a key.

    Args:
        text: The text.
        settings: The configuration whose secrets it may hold.
        what: Its name at a sentence's beginning, as in "The system prompt".

    Raises:
        InputError: It holds one of those secrets, or the key of a vendor.
    """
    if text and (
        any(len(secret) >= _LONG and secret in text for secret in _secrets(settings))
        or _REAL_KEY.search(text)
    ):
        raise InputError(
            f"{what} holds a key, which would stand in every run and in the registered version; take "
            "it out. Keys come from the environment, or from a file whose path is named as key_file."
        )


_REAL_KEY = re.compile(
    r"\b(?:(?:sk|gsk|xai|pplx|nvapi|ghp)[-_](?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{16,}|AIza[\w-]{20,})",
    re.ASCII,
)
"""A key that a person pasted, not an ordinary word that begins like one."""


def _secrets(settings: Settings) -> set[str]:
    """Return the secrets, in every form in which they are sent or written down."""
    found: set[str] = set()
    for name, value in settings.environment.items():
        secret = value.strip()
        shortest = _SHORTEST if _SURELY.fullmatch(name) else _LONG
        if _SECRET_NAME.search(name) and len(secret) >= shortest:
            found.add(secret)
        if "://" in value:
            found.update(_credentials(value))
    forms = (lambda s: quote(s, safe=""), quote_plus, lambda s: json.dumps(s)[1:-1])
    return found | {form(secret) for secret in found for form in forms}


def _credentials(address: str) -> set[str]:
    try:
        password = urlsplit(address).password
    except ValueError:
        return set()
    return {password} if password and len(password) >= _SHORTEST else set()
