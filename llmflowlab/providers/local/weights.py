"""The model files of a home: every GGUF file in `models/`, by its name without the ending."""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass
from pathlib import Path

from llmflowlab.errors import NotConfigured
from llmflowlab.files import write_atomically
from llmflowlab.program import program_name
from llmflowlab.providers.local.gguf import NotGguf, Paper, read_paper
from llmflowlab.settings import Settings

__all__ = ["ENDING", "ModelFile", "digest_of_file", "found_in", "named"]

ENDING = ".gguf"
_CHUNK = 1 << 20
_hashing = threading.Lock()


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file that can be loaded."""

    path: Path
    paper: Paper

    @property
    def name(self) -> str:
        """As it stands behind `local:`."""
        return self.path.name[: -len(ENDING)]


def found_in(settings: Settings) -> list[ModelFile]:
    """Return the home's model files, the smallest first; what is no GGUF file is left out."""
    found = []
    for path in _files(settings):
        try:
            found.append((path.stat().st_size, path.name, ModelFile(path, read_paper(path))))
        except (OSError, NotGguf):
            continue
    return [model for _, _, model in sorted(found, key=lambda each: each[:2])]


def named(name: str, settings: Settings) -> ModelFile:
    """Return the model file of a name.

    Raises:
        NotConfigured: There is none, or it cannot be used.
    """
    wanted = name.removesuffix(ENDING)
    path = next((path for path in _files(settings) if path.name == wanted + ENDING), None)
    if path is None:
        raise NotConfigured(_missing(wanted, settings), provider="local")
    try:
        return ModelFile(path, read_paper(path))
    except (OSError, NotGguf) as exc:
        why = exc.strerror if isinstance(exc, OSError) else exc
        raise NotConfigured(
            f"{path} cannot be used as a model ({why}); put a whole GGUF file in its place.",
            provider="local",
        ) from exc


def digest_of_file(path: Path, settings: Settings) -> str:
    """Return a file's SHA-256 in hexadecimal; reckoned once, until its size or date changes.

    Raises:
        OSError: It cannot be read.
    """
    status = path.stat()
    known = settings.state_dir / "weights.json"
    mark = [status.st_size, status.st_mtime_ns]
    with _hashing:
        try:
            kept = json.loads(known.read_bytes())
            mark_then, digest = kept[path.name]
            if mark_then == mark and isinstance(digest, str):
                return digest
        except (OSError, ValueError, KeyError, TypeError):
            kept = {}
        hashing = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                hashing.update(chunk)
        digest = hashing.hexdigest()
        kept = {**(kept if isinstance(kept, dict) else {}), path.name: [mark, digest]}
        try:
            write_atomically(known, json.dumps(kept, indent=2).encode() + b"\n")
        except OSError:
            # A home that cannot be written to costs a second's reckoning each time.
            return digest
    return digest


def _files(settings: Settings) -> list[Path]:
    try:
        return sorted(
            path
            for path in settings.models_dir.iterdir()
            if path.name.endswith(ENDING) and not path.name.startswith(".") and path.is_file()
        )
    except OSError:
        return []


def _missing(name: str, settings: Settings) -> str:
    from llmflowlab.providers.local.shelf import SHELF

    if name in SHELF:
        remedy = f"`{program_name()} models fetch` brings it ({SHELF[name].megabytes} MB)"
    else:
        remedy = "put the GGUF file there"
    others = [path.name.removesuffix(ENDING) for path in _files(settings)]
    there = f"; there: {', '.join(others)}" if others else ""
    return f"{settings.models_dir} holds no {name}{ENDING}: {remedy}{there}."
