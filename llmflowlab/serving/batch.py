"""Answers a file of requests with a registered version; a run that was killed goes on where it was.

Each answer is appended to a journal beside the output before it counts; the output itself is written
in one piece at the end, in the order of the input.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from llmflowlab.errors import InputError, LabError, ProviderError, TrackingError
from llmflowlab.files import write_atomically
from llmflowlab.serving.served_model import Piece, ServedModel

__all__ = ["BatchResult", "journal_of", "read_requests", "run_batch"]

_FIELDS = (
    *("row", "content", "model", "finish_reason", "prompt_tokens", "completion_tokens"),
    *("tokens_estimated", "error_reason", "error"),
)
_PROMPTS = ("prompt", "question")
_UNSAFE = ("=", "+", "-", "@", "\t", "\r")
_TABLE = 16
"""Rows of one call to a tabular model: what a kill costs at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult:
    """What came of a batch."""

    rows: int
    answered: int
    failed: int
    resumed: int
    """Rows that an earlier run had answered."""
    output: Path


def read_requests(file: Path) -> list[tuple[Any, Any]]:
    """Return each row's messages and params.

    Columns: `messages` (JSON of a list of role and content), or `prompt` for a single message; and
    `params` (JSON of an object) where there are any.

    Raises:
        InputError: The file cannot be read or has no such column.
    """
    rows = _read(file)
    if not rows:
        raise InputError(f"{file} holds no row.")
    names = set(rows[0])
    prompt = next((name for name in _PROMPTS if name in names), None)
    if "messages" not in names and prompt is None:
        raise InputError(f"{file} has neither a column 'messages' nor a column 'prompt'.")
    found = []
    for row in rows:
        messages = row.get("messages")
        if messages in (None, "") and prompt is not None:
            messages = [{"role": "user", "content": str(row.get(prompt) or "")}]
        params = row.get("params")
        found.append((messages, None if params in (None, "") else params))
    return found


def journal_of(output: Path) -> Path:
    """Return the journal that stands beside an output while its batch is not done."""
    return output.with_name(output.name + ".journal")


def run_batch(
    model: ServedModel,
    requests: Sequence[tuple[Any, Any]],
    output: Path,
    *,
    version: str,
    concurrency: int,
    tick: Callable[[int], None],
) -> BatchResult:
    """Answer every request and write the output.

    Args:
        model: The loaded version.
        requests: As `read_requests` returns them.
        output: `.csv`, or JSON lines.
        version: `NAME/VERSION`; a journal of another version is not gone on with.
        concurrency: Requests under way at once.
        tick: Told how many rows are done.

    Raises:
        InputError: The journal belongs to another batch.
        TrackingError: Journal or output cannot be written.
    """
    digest = hashlib.sha256(
        # Escaped, so that half a character (a lone surrogate) in a row can be written too.
        json.dumps([list(map(list, requests)), version], default=str).encode()
    ).hexdigest()
    journal = journal_of(output)
    with _alone(journal, output):
        return _run(model, requests, output, journal, digest, version, concurrency, tick)


@contextmanager
def _alone(journal: Path, output: Path) -> Iterator[None]:
    """Keep a journal to this process.

    Raises:
        InputError: Another batch writes to it.
        TrackingError: The folder cannot be written.
    """
    place = journal.with_name(journal.name + ".lock")
    lock = FileLock(place)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as exc:
        raise InputError(
            f"Another batch is writing {output}; wait for its end, or name another file."
        ) from exc
    except OSError as exc:
        raise TrackingError(f"{output} cannot be written ({exc.strerror or exc}).") from exc
    try:
        yield
    finally:
        lock.release()
        place.unlink(missing_ok=True)


def _run(
    model: ServedModel,
    requests: Sequence[tuple[Any, Any]],
    output: Path,
    journal: Path,
    digest: str,
    version: str,
    concurrency: int,
    tick: Callable[[int], None],
) -> BatchResult:
    done = _resume(journal, digest)
    resumed = len(done)
    tick(resumed)
    left = [number for number in range(len(requests)) if number not in done]
    try:
        with journal.open("a", encoding="utf-8") as file:
            if file.tell() == 0:
                _append(file, {"digest": digest, "version": version})
            for number, answer in _answers(model, requests, left, concurrency):
                done[number] = answer
                _append(file, {"row": number, "answer": answer})
                tick(len(done))
        write_atomically(output, _rendered(output, [done[n] for n in range(len(requests))]))
        journal.unlink(missing_ok=True)
    except OSError as exc:
        raise TrackingError(
            f"{output} cannot be written ({exc.strerror or exc}); what was answered is in {journal}."
        ) from exc
    failed = sum(answer["error"] is not None for answer in done.values())
    return BatchResult(
        rows=len(requests),
        answered=len(requests) - failed,
        failed=failed,
        resumed=resumed,
        output=output,
    )


def _answers(
    model: ServedModel, requests: Sequence[tuple[Any, Any]], left: Sequence[int], concurrency: int
) -> Iterator[tuple[int, dict[str, Any]]]:
    size = _TABLE if model.kind == "table" else 1
    parts = [left[start : start + size] for start in range(0, len(left), size)]
    # A table's rows go out at once already.
    workers = 1 if model.kind == "table" else concurrency
    pool = ThreadPoolExecutor(workers, thread_name_prefix="batch")
    try:
        waiting = {pool.submit(_part, model, [requests[n] for n in part]): part for part in parts}
        for future in as_completed(waiting):
            yield from zip(waiting[future], future.result(), strict=True)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _part(model: ServedModel, requests: Sequence[tuple[Any, Any]]) -> list[dict[str, Any]]:
    try:
        if model.kind == "table":
            return [_from_table(document) for document in model.documents(requests)]
        return [_one(model, messages, params) for messages, params in requests]
    except LabError as exc:
        return [_failed(exc) for _ in requests]
    except Exception as exc:  # noqa: BLE001 - a model of anybody's; the other rows get their answers
        return [_failed(InputError(f"The model failed ({type(exc).__name__}).")) for _ in requests]


def _one(model: ServedModel, messages: Any, params: Any) -> dict[str, Any]:
    try:
        said = _json(messages, "messages", list)
        asked = {} if params is None else _json(params, "params", dict)
        pieces = list(model.answer(said, asked))
    except LabError as exc:
        return _failed(exc)
    except Exception as exc:  # noqa: BLE001 - one row's failure stays in its row, whatever it is
        return _failed(InputError(f"The model failed ({type(exc).__name__})."))
    return _joined(pieces)


def _joined(pieces: Sequence[Piece]) -> dict[str, Any]:
    def last(name: str) -> Any:
        found = [getattr(piece, name) for piece in pieces if getattr(piece, name) is not None]
        return found[-1] if found else None

    prompt, completion = last("prompt_tokens"), last("completion_tokens")
    return {
        "content": "".join(piece.text for piece in pieces),
        "model": last("model"),
        "finish_reason": last("finish_reason"),
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "tokens_estimated": None,
        "error_reason": None,
        "error": None,
    }


def _from_table(document: Mapping[str, Any]) -> dict[str, Any]:
    usage, error = document.get("usage") or {}, document.get("error") or {}
    if isinstance(error, str):
        error = {"reason": "failed", "message": error}
    return {
        "content": document.get("content"),
        "model": document.get("model"),
        "finish_reason": document.get("finish_reason"),
        "prompt_tokens": usage.get("prompt_tokens"),
        "completion_tokens": usage.get("completion_tokens"),
        "tokens_estimated": usage.get("estimated"),
        "error_reason": error.get("reason"),
        "error": error.get("message"),
    }


def _failed(exc: LabError) -> dict[str, Any]:
    reason = exc.reason if isinstance(exc, ProviderError) else "bad_input"
    return {
        **dict.fromkeys(_FIELDS[1:]),
        "error_reason": reason if isinstance(exc, ProviderError | InputError) else "failed",
        "error": exc.message,
    }


def _json(value: Any, what: str, kind: type) -> Any:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as exc:
            raise InputError(f"The {what} are no JSON.") from exc
    if not isinstance(value, kind):
        raise InputError(f"The {what} must be {'a list' if kind is list else 'an object'}.")
    return value


def _resume(journal: Path, digest: str) -> dict[int, dict[str, Any]]:
    """Return the rows that were answered before; failed ones are asked again."""
    if not journal.is_file() or journal.stat().st_size == 0:
        return {}
    whole = journal.read_bytes()
    kept, newline, rest = whole.rpartition(b"\n")
    if rest:
        # A line that a kill cut off: the row is asked again.
        with journal.open("r+b") as file:
            file.truncate(len(kept) + len(newline))
    # Not `splitlines`: an answer may hold other line separators.
    lines = [line for line in kept.decode("utf-8", errors="replace").split("\n") if line]
    if not lines:
        return {}
    done: dict[int, dict[str, Any]] = {}
    try:
        header = json.loads(lines[0])
        if header["digest"] != digest:
            raise InputError(
                f"{journal} belongs to a batch of other rows or another version "
                f"({header.get('version')}); finish that one, or delete the file."
            )
        for line in lines[1:]:
            entry = json.loads(line)
            if entry["answer"]["error"] is None:
                done[int(entry["row"])] = entry["answer"]
    except (ValueError, KeyError, TypeError) as exc:
        raise InputError(f"{journal} is no journal of a batch; move it away.") from exc
    return done


def _append(file: Any, entry: Mapping[str, Any]) -> None:
    file.write(json.dumps(entry) + "\n")
    file.flush()
    os.fsync(file.fileno())


def _rendered(output: Path, answers: Sequence[Mapping[str, Any]]) -> bytes:
    rows = [{"row": number, **answer} for number, answer in enumerate(answers, 1)]
    if output.suffix.lower() == ".csv":
        text = io.StringIO()
        writer = csv.DictWriter(text, _FIELDS, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({name: _cell(value) for name, value in row.items()})
        return text.getvalue().encode("utf-8-sig", errors="replace")
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    return "".join(lines).encode("utf-8", errors="replace")


def _cell(value: Any) -> Any:
    # Spreadsheets run cells that begin so.
    return "'" + value if isinstance(value, str) and value.startswith(_UNSAFE) else value


def _read(file: Path) -> list[dict[str, Any]]:
    try:
        if file.suffix.lower() == ".parquet":
            import pandas as pd

            table = pd.read_parquet(file)
            rows = json.loads(table.to_json(orient="records", force_ascii=False))
            return [dict(row) for row in rows]
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError, ValueError, ImportError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "it is no UTF-8 text or no such table"
        raise InputError(f"{file} cannot be read ({why}).") from exc
    if file.suffix.lower() in {".jsonl", ".ndjson"}:
        return [_line(file, number, line) for number, line in _lines(text)]
    try:
        return [dict(row) for row in csv.DictReader(io.StringIO(text, newline=""))]
    except csv.Error as exc:
        raise InputError(f"{file} is no CSV that can be read ({exc}).") from exc


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, line


def _line(file: Path, number: int, line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError as exc:
        raise InputError(f"{file}, line {number}: this is no JSON.") from exc
    if not isinstance(value, dict):
        raise InputError(f"{file}, line {number}: a row must be a JSON object.")
    return value
