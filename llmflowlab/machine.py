"""What belongs to this machine and its person: their account's name, its own addresses, their own certificates."""

from __future__ import annotations

import getpass
import ipaddress
import re

from llmflowlab.settings import Settings

__all__ = ["certificate_variables", "on_this_machine", "person"]


def person() -> str:
    """Return who sits here: the account's name, or `user` where the system does not tell."""
    try:
        return getpass.getuser() or "user"
    except (OSError, KeyError, ImportError):
        return "user"


def on_this_machine(host: str) -> bool:
    """Tell whether a host is this machine, for which no proxy is asked."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        # As 127.1, which every resolver takes.
        return re.fullmatch(r"127(\.\d{1,8}){1,2}", name, re.ASCII) is not None
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback or address.is_unspecified)


def certificate_variables(settings: Settings) -> tuple[str, ...]:
    """Return the variables that name certificates to be trusted instead of the usual ones.

    They are named for OpenSSL (`SSL_CERT_FILE`, `SSL_CERT_DIR`, which go together), else as requests and
    curl read it (`REQUESTS_CA_BUNDLE`, `CURL_CA_BUNDLE`: a file or a folder).
    """
    for names in (
        ("SSL_CERT_FILE", "SSL_CERT_DIR"),
        ("REQUESTS_CA_BUNDLE",),
        ("CURL_CA_BUNDLE",),
    ):
        if found := tuple(name for name in names if settings.get(name)):
            return found
    return ()
