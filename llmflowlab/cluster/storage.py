"""What the machines of a cluster share: small objects under one address, on a disk all see or in a bucket.

The one thing asked of it beyond reading and writing is a create that fails where the object is there:
a hard link on a disk, `If-None-Match: *` in a bucket.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from llmflowlab.errors import ConfigurationError, InputError, TrackingError

__all__ = ["LocalStorage", "Storage", "UrlStorage", "open_storage", "storage_at", "url_of"]

_URL = re.compile(r"([a-z][a-z0-9+.-]+):/+(.*)", re.DOTALL)
_INSTALL = "python -m pip install 'llmflowlab[ray]'"


class Storage(Protocol):
    """Objects by key, which has `/` between its parts; safe to use from many threads and machines.

    Raises:
        TrackingError: From every method, where the storage fails.
    """

    place: str
    """Its address, as it was given."""

    def read(self, key: str) -> bytes | None:
        """Return an object; None where there is none."""

    def open(self, key: str) -> BinaryIO:
        """Open an object to read parts of it."""

    def write(self, key: str, data: bytes) -> None:
        """Write an object, whole or not at all; one that is there is replaced."""

    def create(self, key: str, data: bytes) -> bool:
        """Write an object where none is; False where one is. Of two at once one wins."""

    def keys(self, folder: str) -> list[str]:
        """Return the keys under a folder, sorted."""

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; those that are gone are no error."""


def url_of(place: str | Path) -> str | None:
    """Return an address such as `s3://bucket/folder`, also where a `Path` took a slash from it; None of a path."""
    found = _URL.fullmatch(str(place))
    return None if found is None or found[1] == "file" else f"{found[1]}://{found[2]}"


def open_storage(place: str | Path) -> Storage:
    """Open shared storage and show that it can be written.

    Args:
        place: A folder, or an address that fsspec knows (`s3://bucket/folder`).

    Raises:
        ConfigurationError: It cannot be written, or what reads such addresses is not installed.
    """
    try:
        storage = storage_at(place)
        storage.write("probe", b"llmflowlab")
    except TrackingError as exc:
        raise ConfigurationError(
            f"{exc.message} Name storage with --storage that this machine and every worker can write."
        ) from exc
    return storage


def storage_at(place: str | Path) -> Storage:
    """Return shared storage as it is, without writing into it.

    Raises:
        ConfigurationError: What reads such addresses is not installed.
    """
    url = url_of(place)
    return LocalStorage(Path(place)) if url is None else UrlStorage(url)


@contextmanager
def _told(place: str) -> Iterator[None]:
    try:
        yield
    except (TrackingError, InputError, ConfigurationError):
        raise
    except Exception as exc:  # fsspec's file systems raise what their clients raise
        said = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
        words = said.splitlines()[0][:200] if said else type(exc).__name__
        raise TrackingError(f"The storage {place} cannot be used ({words}).") from exc


class LocalStorage:
    """A folder on a disk that every machine sees.

    Args:
        folder: Where; made at the first write.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = Path(str(folder).removeprefix("file://")).expanduser().resolve()
        self.place = str(self._folder)

    def read(self, key: str) -> bytes | None:
        with _told(self.place):
            try:
                return (self._folder / key).read_bytes()
            except FileNotFoundError:
                return None

    def open(self, key: str) -> BinaryIO:
        with _told(self.place):
            return (self._folder / key).open("rb")

    def write(self, key: str, data: bytes) -> None:
        with _told(self.place), self._beside(key, data) as written:
            written.replace(self._folder / key)

    def create(self, key: str, data: bytes) -> bool:
        with _told(self.place), self._beside(key, data) as written:
            try:
                os.link(written, self._folder / key)
            except FileExistsError:
                return False
            return True

    def keys(self, folder: str) -> list[str]:
        with _told(self.place):
            found = (self._folder / folder).rglob("*")
            return sorted(
                file.relative_to(self._folder).as_posix()
                for file in found
                if not file.name.startswith(".") and file.is_file()
            )

    def delete(self, keys: Iterable[str]) -> None:
        with _told(self.place):
            for key in keys:
                (self._folder / key).unlink(missing_ok=True)

    @contextmanager
    def _beside(self, key: str, data: bytes) -> Iterator[Path]:
        """Yield a file with the data, on disk, in the folder of a key."""
        folder = (self._folder / key).parent
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".", dir=folder)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            yield Path(name)
        finally:
            with suppress(FileNotFoundError):
                Path(name).unlink()


class UrlStorage:
    """A folder of a file system that fsspec knows.

    Args:
        url: Its address.

    Raises:
        ConfigurationError: fsspec, or what it needs for such addresses, is not installed.
    """

    def __init__(self, url: str) -> None:
        self.place = url.rstrip("/")
        try:
            # Imported here: only clusters on a bucket need it.
            from fsspec.core import url_to_fs

            # What other machines write has to be seen at once.
            self._fs: Any
            self._fs, self._root = url_to_fs(self.place, use_listings_cache=False)
        except ImportError as exc:
            raise ConfigurationError(
                f"{self.place} needs fsspec and its package for such addresses; install them with {_INSTALL}"
            ) from exc
        except ValueError as exc:
            raise ConfigurationError(f"{self.place} is no address of storage ({exc}).") from exc

    def read(self, key: str) -> bytes | None:
        with _told(self.place):
            try:
                return bytes(self._fs.cat_file(self._at(key)))
            except FileNotFoundError:
                return None

    def open(self, key: str) -> BinaryIO:
        with _told(self.place):
            opened: BinaryIO = self._fs.open(self._at(key), "rb")
            return opened

    def write(self, key: str, data: bytes) -> None:
        with _told(self.place):
            self._fs.pipe_file(self._at(key), data)

    def create(self, key: str, data: bytes) -> bool:
        with _told(self.place):
            try:
                self._fs.pipe_file(self._at(key), data, mode="create")
            except FileExistsError:
                return False
            return True

    def keys(self, folder: str) -> list[str]:
        with _told(self.place):
            self._fs.invalidate_cache()
            try:
                found = self._fs.find(self._at(folder))
            except FileNotFoundError:
                return []
            return sorted(name[len(self._root.rstrip("/")) + 1 :] for name in found)

    def delete(self, keys: Iterable[str]) -> None:
        gone = [self._at(key) for key in keys]
        with _told(self.place), suppress(FileNotFoundError):
            if gone:
                self._fs.rm(gone)

    def _at(self, key: str) -> str:
        return f"{self._root.rstrip('/')}/{key}"
