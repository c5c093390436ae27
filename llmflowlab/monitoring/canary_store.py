"""Where canaries stand: a folder each under the home, with what the canary is and a line for each round.

A line counts when it is whole, its end included. What a crash left behind the last whole one is cut off before
the next is written.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llmflowlab.errors import InputError, TrackingError
from llmflowlab.files import exclusive, sync_folder, write_atomically
from llmflowlab.monitoring.canary_plan import Canary
from llmflowlab.monitoring.canary_rounds import Round
from llmflowlab.program import program_name
from llmflowlab.settings import Settings

__all__ = ["CanaryFolder", "all_canaries"]

_PLAN, _ROUNDS = "canary.json", "rounds.jsonl"


class CanaryFolder:
    """One canary's files.

    Args:
        settings: Names the home.
        name: The canary's, as it is typed.

    Raises:
        InputError: That is no name.
    """

    def __init__(self, settings: Settings, name: str) -> None:
        if not re.fullmatch(r"[\w.:/@ -]{1,200}", name):
            raise InputError(
                f"{name!r} is no name of a canary; use letters, digits and . : / @ - _ alone."
            )
        self.name = name
        self._settings = settings
        self._slug = _slug(name)
        self.path = _home(settings) / self._slug

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep the canary to this process.

        Raises:
            InputError: Another one has it.
        """
        try:
            with exclusive(self._settings, f"canary-{self._slug}", patience=0.0):
                yield
        except TrackingError as exc:
            raise InputError(
                f"Another process runs the canary {self.name}; wait for its end, or end it."
            ) from exc

    @property
    def exists(self) -> bool:
        return (self.path / _PLAN).is_file()

    def begin(self, canary: Canary) -> Path | None:
        """Write a new canary; return where the one that was there is kept.

        Raises:
            TrackingError: The home does not take it.
        """
        try:
            kept = self._set_aside() if self.path.exists() else None
            text = json.dumps({"name": self.name, **canary.to_json()}, ensure_ascii=False, indent=1)
            write_atomically(self.path / _PLAN, text.encode("utf-8", errors="replace"))
        except OSError as exc:
            raise self._unwritable(exc) from exc
        return kept

    def _set_aside(self) -> Path:
        number = 1
        while (kept := self.path.with_name(f"{self._slug}.before-{number}")).exists():
            number += 1
        self.path.rename(kept)
        return kept

    def canary(self) -> Canary:
        """Read the canary.

        Raises:
            InputError: There is none of that name, or its file was changed.
        """
        try:
            values = json.loads((self.path / _PLAN).read_bytes())
            return Canary.from_json({k: v for k, v in values.items() if k != "name"})
        except FileNotFoundError as exc:
            raise InputError(
                f"There is no canary {self.name}; begin one with `{program_name()} monitor canary init`."
            ) from exc
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise InputError(
                f"{self.path / _PLAN} is no canary ({exc}); begin anew with `{program_name()} monitor "
                "canary init --again`."
            ) from exc

    def rounds(self) -> list[Round]:
        """Read the rounds, in their order.

        Raises:
            InputError: A whole line is no round.
        """
        file = self.path / _ROUNDS
        found: list[Round] = []
        for number, line in enumerate(_whole_lines(file)[0], 1):
            try:
                found.append(Round.from_json(json.loads(line)))
            except (ValueError, KeyError, TypeError) as exc:
                raise InputError(
                    f"Line {number} of {file} is no round; mend it, or begin anew with "
                    f"`{program_name()} monitor canary init --again`."
                ) from exc
        return found

    def append(self, one: Round) -> None:
        """Bring a round to the disk before returning.

        Raises:
            TrackingError: The disk does not take it.
        """
        file = self.path / _ROUNDS
        text = json.dumps(one.to_json(), ensure_ascii=False, allow_nan=False)
        try:
            whole = _whole_lines(file)[1]
            new = not file.exists()
            with file.open("r+b" if not new else "xb") as opened:
                opened.truncate(whole)
                opened.seek(whole)
                opened.write(text.encode("utf-8", errors="replace") + b"\n")
                opened.flush()
                os.fsync(opened.fileno())
            if new:
                sync_folder(self.path)
        except OSError as exc:
            raise self._unwritable(exc) from exc

    def _unwritable(self, exc: OSError) -> TrackingError:
        return TrackingError(
            f"{self.path} cannot be written ({exc.strerror or exc}); make room or rights there."
        )


def all_canaries(settings: Settings) -> list[CanaryFolder]:
    """Return the canaries of a home, by name; none that was set aside."""
    names = []
    for file in _home(settings).glob(f"*/{_PLAN}"):
        values: Mapping[str, Any]
        try:
            values = json.loads(file.read_bytes())
            name = str(values["name"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if _slug(name) == file.parent.name:
            names.append(name)
    return [CanaryFolder(settings, name) for name in sorted(names)]


def _home(settings: Settings) -> Path:
    return settings.state_dir / "canaries"


def _slug(name: str) -> str:
    # Injective, so that no two names meet in one folder: what is no letter is written as its number,
    # and so is a dot that would name the folder itself.
    return re.sub(r"^\.|[^a-z0-9.]", lambda found: f"_{ord(found[0]):x}_", name)


def _whole_lines(file: Path) -> tuple[list[bytes], int]:
    """Return the whole lines, and how many bytes they take."""
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return [], 0
    whole = data.rfind(b"\n") + 1
    return data[:whole].split(b"\n")[:-1], whole
