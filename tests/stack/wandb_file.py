"""Reads a run file of Weights & Biases: LevelDB's log format, with one protocol buffer a record."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["RunFile", "run_files"]

_BLOCK, _HEAD = 32_768, 7


@dataclass(slots=True)
class RunFile:
    """What one run file says."""

    folder: Path
    id: str = ""
    name: str = ""
    group: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    exit_code: int | None = None
    """None where the run was never ended."""

    def table(self, name: str) -> list[dict[str, Any]]:
        """Return a table's rows."""
        (file,) = (self.folder / "files" / "media" / "table").glob(f"{name}_*.table.json")
        read = json.loads(file.read_text("utf-8"))
        return [dict(zip(read["columns"], row, strict=True)) for row in read["data"]]


def run_files(folder: Path) -> dict[str, RunFile]:
    """Return the runs that were written while there was no network, by id."""
    found = [_read(file) for file in sorted(folder.glob("offline-run-*/*.wandb"))]
    assert len({run.id for run in found}) == len(found)
    return {run.id: run for run in found}


def _read(file: Path) -> RunFile:
    from wandb.proto import wandb_internal_pb2

    run = RunFile(file.parent)
    for data in _records(file.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            run.id, run.name = record.run.run_id, record.run.display_name
            run.group = record.run.run_group
            _put(run.config, record.run.config.update)
        elif kind == "config":
            _put(run.config, record.config.update)
        elif kind == "summary":
            _put(run.summary, record.summary.update)
        elif kind == "history":
            run.history.append({})
            _put(run.history[-1], record.history.item)
        elif kind == "exit":
            run.exit_code = record.exit.exit_code
    return run


def _put(into: dict[str, Any], items: Any) -> None:
    for item in items:
        name = item.key or "/".join(item.nested_key)
        # A name with a slash of its own comes as one part.
        into[name] = json.loads(item.value_json)


def _records(raw: bytes) -> Iterator[bytes]:
    assert raw[:4] == b":W&B"
    at, whole = _HEAD, b""
    while at + _HEAD <= len(raw):
        left = _BLOCK - at % _BLOCK
        if left < _HEAD:
            at += left
            continue
        _, size, kind = struct.unpack("<IHB", raw[at : at + _HEAD])
        piece = raw[at + _HEAD : at + _HEAD + size]
        at += _HEAD + size
        whole = piece if kind in (1, 2) else whole + piece
        if kind in (1, 4):
            yield whole
