"""The package index that pip uses here, asked for the files of a project.

Spoken is the "Simple repository API" (packaging.python.org), as JSON or as HTML.
"""

from __future__ import annotations

import base64
import json
import re
import ssl
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any
from urllib.error import HTTPError
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit
from urllib.request import (
    BaseHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    ProxyHandler,
    Request,
    build_opener,
)

from llmflowlab.errors import NotConfigured
from llmflowlab.machine import on_this_machine
from llmflowlab.program import interpreted
from llmflowlab.settings import Settings

__all__ = ["PackageIndex", "index_of"]

DEFAULT_INDEX = "https://pypi.org/simple"
_ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.5"
_MOST_BYTES = 20_000_000
_PIP_PATIENCE = 20.0


class _KeepsPasswords(HTTPRedirectHandler):
    """Follows to where an index keeps its files, without its password where that is another server."""

    def redirect_request(self, req: Request, *told: Any) -> Request | None:
        found = super().redirect_request(req, *told)
        if found and urlsplit(found.full_url)[:2] != urlsplit(req.full_url)[:2]:
            found.remove_header("Authorization")
        return found


@dataclass(frozen=True, slots=True)
class PackageIndex:
    """Where packages come from."""

    url: str
    """May hold a name and a password: never print it."""
    certificates: str | None
    """A file of certificates to trust; None: the system's."""
    patience: float
    """Seconds of silence after which an answer is given up."""

    @property
    def host(self) -> str:
        """As a person may read it."""
        return urlsplit(self.url).hostname or "the package index"

    def open(self, url: str, headers: Mapping[str, str] | None = None) -> Any:
        """Send a GET request; a name and password in the address become a header.

        Raises:
            OSError: No answer, or one of 400 and above.
        """
        parts = urlsplit(url)
        sent = dict(headers or {})
        if parts.username:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            sent["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
            parts = parts._replace(netloc=parts.netloc.rpartition("@")[2])
        asked = Request(urlunsplit(parts), headers=sent)  # noqa: S310 - `index_of` lets http(s) through only
        ways: list[BaseHandler] = [_KeepsPasswords()]
        if parts.scheme == "https" and self.certificates:
            ways.append(HTTPSHandler(context=ssl.create_default_context(cafile=self.certificates)))
        if on_this_machine(parts.hostname or ""):
            ways.append(ProxyHandler({}))
        try:
            return build_opener(*ways).open(asked, timeout=self.patience)
        except HTTPError as exc:
            exc.close()
            raise

    def address_of(self, project: str, file: str) -> str | None:
        """Return the address of a project's file; None where the index has no such file.

        Raises:
            OSError: The index does not answer.
        """
        page = self.url.rstrip("/") + f"/{project}/"
        with self.open(page, {"Accept": _ACCEPT}) as answer:
            text = answer.read(_MOST_BYTES).decode("utf-8", errors="replace")
            at = answer.geturl()
        links = _links(text)
        found = next((link for link in links if _file_of(link) == file), None)
        if found is None:
            return None
        address = urljoin(at, found).partition("#")[0]
        own, other = urlsplit(self.url), urlsplit(address)
        if own.username and own.hostname == other.hostname and not other.username:
            # A private index wants the same name and password for its files.
            user = own.netloc.rpartition("@")[0]
            address = urlunsplit(other._replace(netloc=f"{user}@{other.netloc}"))
        return address if other.scheme in {"http", "https"} else None


def index_of(settings: Settings) -> PackageIndex:
    """Return pip's index: `PIP_INDEX_URL`, else what pip's configuration says, else PyPI.

    Raises:
        NotConfigured: Its address is none that can be asked.
    """
    url, certificates = settings.get("PIP_INDEX_URL"), settings.get("PIP_CERT")
    if url is None or certificates is None:
        configured = _pip_configuration(settings)
        url = url or configured.get("index-url", DEFAULT_INDEX)
        certificates = certificates or configured.get("cert")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise NotConfigured(
            "pip's index-url is no web address; set PIP_INDEX_URL to one.", provider="local"
        )
    return PackageIndex(url, certificates, settings.token_timeout)


def _pip_configuration(settings: Settings) -> dict[str, str]:
    """Return what pip's own files say, by name; empty where there is no pip."""
    command = interpreted("pip", "--disable-pip-version-check", "config", "list")
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=_PIP_PATIENCE,
            env=dict(settings.environment),
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    lines = re.findall(r"^(?:global|install|download)\.([\w-]+)=(['\"])(.*)\2$", done.stdout, re.M)
    return {name: value for name, _, value in lines}


def _links(page: str) -> list[str]:
    try:
        files = json.loads(page)["files"]
        return [file["url"] for file in files]
    except (ValueError, KeyError, TypeError):
        reader = _Anchors()
        reader.feed(page)
        return reader.found


def _file_of(link: str) -> str:
    return unquote(urlsplit(link).path.rpartition("/")[2])


class _Anchors(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if tag == "a" and name == "href" and value]
