"""What a refusal means, told by the vendor's own words: its status alone says too little.

Of 401 and 403 most are about a key, but a firewall, a country, a service that is switched off and a plan
that was not bought answer with the same; of 429 and 500 most pass, but no wait brings a quota back or
frees a full disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["access_refused", "is_lasting", "is_too_large", "is_used_up", "must_be_verified"]

_KEY = re.compile(
    r"(invalid|incorrect|wrong|missing|expired) (\w+[ -]){0,2}(key|token|credential)"
    r"|(key|token)s? (\w+ )?(not valid|(is |are )?(invalid|required|missing|expired))"
)
_VERIFIED = "must be verified"
_ACCESS = (
    (
        re.compile(r"\bcountry|\bregion\b|territory|location is not supported"),
        "does not serve the place that this request came from",
        "Ask from a place that it serves, or choose another provider.",
    ),
    (
        re.compile(
            r"firewall|virtual network|private (endpoint|link)|public (network )?access"
            r"|ip_address_blocked|\bip address|allow-?list|referr?er"
        ),
        "does not let this machine's network in",
        "Have its network rules changed, or ask from a network that they let in.",
    ),
    (
        re.compile(
            r"service_(disabled|blocked)|has not been used in project|api has been disabled"
            r"|(service|api|resource) (is|was|has been) (disabled|not enabled)"
        ),
        "has the service switched off for this key",
        "Switch it on there, and try again.",
    ),
    (
        re.compile(
            r"(requires?|needs?|without) (an? )?(\w+ )?subscription|\bupgrade (for|to|your)"
        ),
        "wants a subscription for this",
        "Subscribe there, or choose another model.",
    ),
    (
        re.compile(_VERIFIED),
        "wants the organization to be verified first",
        "Verify it there, or choose another model.",
    ),
    (
        re.compile(
            r"permission|not (allowed|authorized|permitted)|do(es)? not have access"
            r"|insufficient (scope|privilege)"
        ),
        "does not let this key do that",
        None,
    ),
)
_USED_UP = re.compile(
    r"credit balance is too low|out of call volume quota|quota (is |has been |was )?(exhausted|used up)"
    r"|insufficient[ _](quota|funds|balance|credits?)|(weekly|monthly|api) usage limits?\b|\blimit:? 0(?!\d|[.,]\d)"
)
_BY_DAY = re.compile(r"per ?day|\((r|t)pd\)|daily (limit|quota)")
_TOO_LARGE = re.compile(r"limit:? ([\d,]{1,15})\b.{0,40}\brequested:? ([\d,]{1,15})\b")
_LASTING = re.compile(
    r"system memory|no space left|disk quota exceeded|read-only file system|unable to load model"
    r"|(failed|error) (to load|loading) model"
)


def access_refused(text: str, codes: Iterable[str], *, key: str) -> tuple[str, str]:
    """Return what a vendor does who lets nobody in ("refused the key"), and what a person can do.

    Args:
        text: The vendor's words.
        codes: Its short names for what happened.
        key: What to do about a key.
    """
    said = " ".join([text, *codes]).lower()
    if not _KEY.search(said):
        for pattern, what, remedy in _ACCESS:
            if pattern.search(said):
                return what, remedy or key
    return "refused the key", key


def must_be_verified(text: str) -> bool:
    """Tell whether a vendor first wants to know who asks, whatever status it says so with."""
    return _VERIFIED in text.lower()


def is_used_up(text: str, *, wait: float | None) -> bool:
    """Tell whether a quota is used up that no wait of ours brings back: money, or a day's.

    Args:
        text: The vendor's words.
        wait: Seconds that it asks to wait; a day that slides says when there is room again.
    """
    said = text.lower()
    return bool(_USED_UP.search(said) or (wait is None and _BY_DAY.search(said)))


def is_too_large(text: str) -> bool:
    """Tell whether one request alone is larger than the whole of a limit."""
    said = text.lower()
    if found := _TOO_LARGE.search(said):
        limit, requested = (int(number.replace(",", "") or 0) for number in found.groups())
        return requested > limit
    return "request too large" in said


def is_lasting(text: str) -> bool:
    """Tell whether a server's failure is of the kind that no further try mends."""
    return _LASTING.search(text.lower()) is not None
