"""The provider behind an agent: built from the environment or a key file, and again when a key changes."""

from __future__ import annotations

import re
import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from llmflowlab.errors import (
    AuthenticationFailed,
    ConfigurationError,
    InputError,
    LabError,
    NotConfigured,
)
from llmflowlab.providers.base import Provider
from llmflowlab.providers.factory import ModelReference, build, provider_class
from llmflowlab.settings import Settings, load_settings

__all__ = ["LiveProvider", "key_variable"]

T = TypeVar("T")

# A key alone may end in "=", and so is no assignment.
_ASSIGNMENT = re.compile(r"^\s*(?:export\s+)?[A-Z][A-Z0-9_]*\s*=\s*[^=\s]", re.ASCII | re.MULTILINE)

_Stamp = tuple[int, int, int]


class _Lent:
    """A provider with the calls that are using it, so that it is closed after the last of them."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self._lock = threading.Lock()
        self._users = 0
        self._retired = False

    def take(self) -> bool:
        """Begin to use it; False where it was replaced meanwhile."""
        with self._lock:
            self._users += not self._retired
            return not self._retired

    def give_back(self) -> None:
        with self._lock:
            self._users -= 1
            over = self._retired and self._users == 0
        if over:
            self.provider.close()

    def retire(self) -> None:
        """Close it as soon as nobody uses it."""
        with self._lock:
            over = not self._retired and self._users == 0
            self._retired = True
        if over:
            self.provider.close()


def key_variable(provider: str) -> str | None:
    """Return the variable of a provider's key; None where it has none."""
    # Of two names for one key the last is the vendor's own.
    return next(reversed(provider_class(provider).key_variables), None)


class LiveProvider:
    """Lends a provider to calls; safe to use from several threads at once.

    The environment and the key file are read when it is made. The file is read again as soon as it
    changes, and both after a key was refused: then the call is made once more, if anything is new.

    Args:
        reference: The model.
        key_file: A file of `NAME=value` lines, or of nothing but the provider's key (as secrets are
            mounted in containers). It goes before the environment.
        bare_key: Whether the file may be of the second kind; where several providers share it, a key
            would reach the wrong one.

    Raises:
        NotConfigured: The key or address is in neither.
        ConfigurationError: The key file cannot be read or used.
        InputError: The reference names no model.
    """

    def __init__(
        self, reference: ModelReference, *, key_file: str | None = None, bare_key: bool = True
    ) -> None:
        self._reference = reference
        self._file = None if key_file is None else Path(key_file).expanduser()
        self._bare_key = bare_key
        self._lock = threading.Lock()
        self._stamp = self._file_stamp()
        self._settings = self._read()
        self._lent = [_Lent(build(reference, self._settings))]
        # Whoever drops a model cannot be asked to close it: MLflow has no such call.
        weakref.finalize(self, _retire, self._lent)

    @property
    def settings(self) -> Settings:
        """The configuration that holds now; it has keys in it."""
        return self._settings

    def use(self, ask: Callable[[Provider], T]) -> T:
        """Return what `ask` makes of the provider; asked again where a refused key was replaced.

        Raises:
            LabError: Whatever `ask` raised.
        """
        if self._file is not None and self._file_stamp() != self._stamp:
            self._follow_file()
        lent = self._borrowed()
        try:
            return ask(lent.provider)
        except AuthenticationFailed:
            if not self._renewed(lent):
                raise
        finally:
            lent.give_back()
        lent = self._borrowed()
        try:
            return ask(lent.provider)
        finally:
            lent.give_back()

    def _borrowed(self) -> _Lent:
        while not (lent := self._lent[0]).take():
            # Replaced between the look and the grasp.
            continue
        return lent

    def _renewed(self, refused: _Lent) -> bool:
        """Say whether there is now a provider with other settings than the one that was refused."""
        with self._lock:
            if self._lent[0] is not refused:
                return True
            stamp = self._file_stamp()
            try:
                settings = self._read()
                if settings.environment == self._settings.environment:
                    return False
                self._take(settings, stamp)
            except LabError:
                # The refusal is what the caller must hear of.
                return False
            return True

    def _follow_file(self) -> None:
        with self._lock:
            stamp = self._file_stamp()
            if stamp == self._stamp:
                return
            try:
                self._take(self._read(), stamp)
            except LabError:
                # Half written or away for the moment: the key that was read before may still be good,
                # and where it is not, the provider says so.
                return

    def _take(self, settings: Settings, stamp: _Stamp | None) -> None:
        new, old = _Lent(build(self._reference, settings)), self._lent[0]
        self._lent[0], self._settings, self._stamp = new, settings, stamp
        old.retire()

    def _file_stamp(self) -> _Stamp | None:
        if self._file is None:
            return None
        try:
            found = self._file.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> Settings:
        settings = load_settings(stdin_is_terminal=False)
        # This code came with a model that somebody loaded from there; what it holds comes with it.
        trusted = {"LLMFLOWLAB_TRUST_STORE": settings.tracking_uri}
        settings = replace(settings, environment={**settings.environment, **trusted})
        if self._file is None:
            return settings
        added = self._from_file(self._file)
        names = provider_class(self._reference.provider).key_variables
        # Names of one key: the one in the file must not lose against another in the environment.
        hidden = set(names).difference(added) if set(names) & set(added) else set()
        kept = {k: v for k, v in settings.environment.items() if k not in hidden}
        return replace(settings, environment={**kept, **added})

    def _from_file(self, file: Path) -> Mapping[str, str]:
        try:
            text = file.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as exc:
            why = exc.strerror if isinstance(exc, OSError) else "it is no UTF-8 text"
            raise ConfigurationError(
                f"The key file {file} cannot be read ({why}); mend it or change key_file."
            ) from exc
        if _ASSIGNMENT.search(text):
            # Imported here: most models have no key file.
            from io import StringIO

            from dotenv import dotenv_values

            found = dotenv_values(stream=StringIO(text), interpolate=False)
            return {name: value for name, value in found.items() if value}
        return self._bare(text.strip(), file)

    def _bare(self, key: str, file: Path) -> Mapping[str, str]:
        variable = key_variable(self._reference.provider)
        if not key or len(key.split()) != 1:
            raise ConfigurationError(
                f"The key file {file} holds no key; write NAME=value lines, or the key alone."
            )
        if variable is None:
            raise NotConfigured(
                f"{self._reference} needs no key, but a key file is named; take key_file out.",
                provider=self._reference.provider,
            )
        if not self._bare_key:
            raise InputError(
                f"The key file {file} holds a key without a name, and several providers share it; "
                "write NAME=value lines."
            )
        return {variable: key}


def _retire(lent: list[_Lent]) -> None:
    lent[0].retire()
