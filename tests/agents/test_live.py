"""Keys: where they are looked up, and when again."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from llmflowlab.agents import live
from llmflowlab.agents.live import LiveProvider
from llmflowlab.errors import (
    AuthenticationFailed,
    ConfigurationError,
    InputError,
    NotConfigured,
)
from llmflowlab.providers.base import Provider
from llmflowlab.providers.factory import ModelReference
from llmflowlab.providers.scripted import ScriptedProvider
from llmflowlab.settings import Settings
from tests.patience import PATIENCE

GEMINI = ModelReference("gemini", "gemini-2.5-flash")


class Keyed(ScriptedProvider):
    """Knows with which key it was built."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(default="Yes", settings=settings)
        # In the vendor's order.
        self.key = settings.get("GOOGLE_API_KEY") or settings.get("GEMINI_API_KEY")


@pytest.fixture(autouse=True)
def built(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    keys: list[str | None] = []

    def build(reference: Any, settings: Settings) -> Keyed:
        provider = Keyed(settings)
        keys.append(provider.key)
        return provider

    monkeypatch.setattr(live, "build", build)
    return keys


def taking(good: str) -> Callable[[Provider], str]:
    def ask(provider: Provider) -> str:
        assert isinstance(provider, Keyed)
        if provider.key != good:
            raise AuthenticationFailed("The key was refused.", provider="gemini")
        return f"answered with {provider.key}"

    return ask


def rotate(file: Path, text: str) -> None:
    """Replace a file as secret stores do: at once, whatever the clock says."""
    new = file.with_name("new")
    new.write_text(text, encoding="utf-8")
    os.utime(new, ns=(1, file.stat().st_mtime_ns + 1 if file.exists() else 1))
    new.replace(file)


def test_the_key_is_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "first")
    assert LiveProvider(GEMINI).use(taking("first")) == "answered with first"


def test_after_a_refusal_the_environment_is_looked_at_again(
    monkeypatch: pytest.MonkeyPatch, built: list[str | None]
) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "first")
    provider = LiveProvider(GEMINI)
    monkeypatch.setenv("GEMINI_API_KEY", "second")
    assert provider.use(taking("second")) == "answered with second"
    assert built == ["first", "second"]
    assert provider.use(taking("second")) == "answered with second"
    assert built == ["first", "second"]


def test_a_refused_key_that_is_still_the_only_one_is_not_tried_twice(
    monkeypatch: pytest.MonkeyPatch, built: list[str | None]
) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "first")
    provider = LiveProvider(GEMINI)
    with pytest.raises(AuthenticationFailed):
        provider.use(taking("another"))
    assert built == ["first"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("filed", id="bare"),
        pytest.param("filed\n", id="bare-with-newline"),
        pytest.param("GEMINI_API_KEY=filed\n", id="assignment"),
        pytest.param("# keys\nexport GEMINI_API_KEY='filed'\nOTHER=1\n", id="shell"),
        pytest.param("\ufeffGOOGLE_API_KEY=filed", id="byte-order-mark"),
    ],
)
def test_a_key_file_goes_before_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "environment")
    monkeypatch.setenv("GOOGLE_API_KEY", "environment")
    file = tmp_path / "key"
    file.write_text(text, encoding="utf-8")
    provider = LiveProvider(GEMINI, key_file=str(file))
    assert provider.use(taking("filed")) == "answered with filed"


def test_a_bare_key_may_end_in_equals_signs(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("QUJDRA==", encoding="utf-8")
    provider = LiveProvider(GEMINI, key_file=str(tmp_path / "key"))
    assert provider.use(taking("QUJDRA==")) == "answered with QUJDRA=="


def test_a_rotated_key_file_is_read_before_the_next_call(
    tmp_path: Path, built: list[str | None]
) -> None:
    file = tmp_path / "key"
    rotate(file, "first")
    provider = LiveProvider(GEMINI, key_file=str(file))
    provider.use(taking("first"))
    rotate(file, "second")
    provider.use(taking("second"))
    assert built == ["first", "second"]


def test_a_key_file_changed_unnoticed_is_read_after_a_refusal(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("first1", encoding="utf-8")
    seen = file.stat()
    provider = LiveProvider(GEMINI, key_file=str(file))
    # Same size, time and inode: nothing but the content tells.
    file.write_text("second", encoding="utf-8")
    os.utime(file, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    assert provider.use(taking("second")) == "answered with second"


@pytest.mark.parametrize("text", [None, "", "two words"], ids=["gone", "empty", "half-written"])
def test_a_key_file_in_the_middle_of_its_rotation_leaves_the_old_key_in_force(
    tmp_path: Path, text: str | None
) -> None:
    file = tmp_path / "key"
    rotate(file, "first")
    provider = LiveProvider(GEMINI, key_file=str(file))
    file.unlink()
    if text is not None:
        rotate(file, text)
    assert provider.use(taking("first")) == "answered with first"
    rotate(file, "second one"[:6])
    assert provider.use(taking("second")) == "answered with second"


def test_eight_threads_with_a_refused_key_build_one_new_provider(
    monkeypatch: pytest.MonkeyPatch, built: list[str | None]
) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "first")
    provider = LiveProvider(GEMINI)
    monkeypatch.setenv("GEMINI_API_KEY", "second")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: provider.use(taking("second")), range(40)))
    assert set(answers) == {"answered with second"}
    assert built == ["first", "second"]


@pytest.mark.parametrize(
    ("text", "provider", "bare", "error", "words"),
    [
        pytest.param(None, "gemini", True, ConfigurationError, "cannot be read", id="missing"),
        pytest.param(b"\xff\xfe", "gemini", True, ConfigurationError, "no UTF-8", id="binary"),
        pytest.param(b" \n", "gemini", True, ConfigurationError, "holds no key", id="empty"),
        pytest.param(b"secret", "guide", True, NotConfigured, "needs no key", id="no-key-needed"),
        pytest.param(b"secret", "gemini", False, InputError, "several providers", id="shared"),
    ],
)
def test_a_key_file_that_cannot_be_used_is_refused_without_showing_it(
    tmp_path: Path,
    text: bytes | None,
    provider: str,
    bare: bool,
    error: type[Exception],
    words: str,
) -> None:
    if text is not None:
        (tmp_path / "key").write_bytes(text)
    with pytest.raises(error, match=words) as raised:
        LiveProvider(ModelReference(provider, "m"), key_file=str(tmp_path / "key"), bare_key=bare)
    assert "secret" not in str(raised.value)


def test_a_replaced_provider_is_closed_after_its_last_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "first")
    provider = LiveProvider(GEMINI)
    under_way, go_on = threading.Event(), threading.Event()
    used: list[Provider] = []

    def slowly(lent: Provider) -> None:
        used.append(lent)
        under_way.set()
        assert go_on.wait(PATIENCE)

    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(provider.use, slowly)
        assert under_way.wait(PATIENCE)
        monkeypatch.setenv("GEMINI_API_KEY", "second")
        provider.use(taking("second"))
        (old,) = used
        assert isinstance(old, Keyed)
        assert not old.closed
        go_on.set()
        call.result()
    assert old.closed


def test_a_model_that_is_dropped_closes_its_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "first")
    provider = LiveProvider(GEMINI)
    used: list[Provider] = []
    provider.use(used.append)
    del provider
    gc.collect()
    assert isinstance(used[0], Keyed)
    assert used[0].closed
