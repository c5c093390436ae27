"""Takes secrets out of words that were written elsewhere: vendors echo keys in their error messages."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

from llmflowlab.settings import Settings

__all__ = ["HIDDEN", "redact"]

HIDDEN = "[hidden]"
"""What stands where a secret stood."""

_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL", re.ASCII | re.IGNORECASE)
_PROVIDER_KEY = re.compile(r".+_API_KEY", re.ASCII)
_SHORTEST_KEY = 4
_SHORTEST_SECRET = 8
"""Other variables may hold ordinary words (`KEYBOARD=us`), which must stay readable."""

_PATTERNS = (
    # The user's name and password inside an address.
    (re.compile(r"(?<=://)[^/\s@]+@", re.ASCII), f"{HIDDEN}@"),
    (re.compile(r"\b(bearer|basic)\s+[\w.~+/=*-]{8,}", re.ASCII | re.IGNORECASE), rf"\1 {HIDDEN}"),
    (
        re.compile(
            r"\b((?:[\w-]{0,40}key|token|secret|password)[\"']?\s*[=:]\s*[\"']?)"
            r"(?=[^\s\"'&,;]{0,200}\d)[^\s\"'&,;]{6,}",
            re.ASCII | re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
    # Keys by their vendors' own beginnings, also where the vendor has put stars into the middle.
    (
        re.compile(
            r"\b(?:sk|rk|pk|gsk|xai|hf|pplx|nvapi|ghp)[-_](?=[\w.*-]{8})[\w*-]+(?:\.[\w*-]+)*",
            re.ASCII,
        ),
        HIDDEN,
    ),
    (re.compile(r"\bAIza[\w*-]{6,}", re.ASCII), HIDDEN),
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
        text = text.replace(secret, HIDDEN)
    for pattern, shown in _PATTERNS:
        text = pattern.sub(shown, text)
    return text


def _secrets(settings: Settings) -> set[str]:
    found: set[str] = set()
    for name, value in settings.environment.items():
        shortest = _SHORTEST_KEY if _PROVIDER_KEY.fullmatch(name) else _SHORTEST_SECRET
        secret = value.strip()
        if _SECRET_NAME.search(name) and len(secret) >= shortest:
            found.add(secret)
        if "://" in value:
            found.update(_credentials(value))
    return found | {quote(secret, safe="") for secret in found}


def _credentials(address: str) -> set[str]:
    try:
        password = urlsplit(address).password
    except ValueError:
        return set()
    return {password} if password and len(password) >= _SHORTEST_KEY else set()
