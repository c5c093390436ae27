"""The finished rows of a shard as a Parquet file: columns for whoever reads it, and all that the lab kept.

Figures need no text. They are counted from the columns `answer` and `scores`, which hold an answer and its
scores as JSON without the texts; `text` and `said` hold these.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

from llmflowlab.cluster.shards import Stage
from llmflowlab.cluster.storage import Storage
from llmflowlab.evaluation.run.outcomes import Outcome
from llmflowlab.evaluation.run.plan import Cell, EvaluationPlan

__all__ = ["Held", "InVain", "RowFiles", "places_of", "read_rows", "rows_file"]

_TEXT = "…"
"""Stands for the text of an answer that has some."""
_HELD = 2
"""Files of which rows are held."""
_IN_VAIN = b"llmflowlab.in_vain"
_FACTS = ("state", "reason", "finish_reason", "prompt_tokens", "completion_tokens", "latency")


@dataclass(frozen=True, slots=True)
class InVain:
    """What a shard paid for without a row that says so, as JSON values."""

    judgements: Sequence[Mapping[str, Any]] = ()
    answers: Mapping[str, Sequence[Mapping[str, Any]]] | None = None
    """By the answer's key."""


def rows_file(
    plan: EvaluationPlan, outcomes: Iterable[Outcome], first: int, in_vain: InVain
) -> bytes:
    """Return a shard's rows as a Parquet file.

    Args:
        plan: The shard's.
        outcomes: Its finished rows.
        first: The number of its first row among all.
        in_vain: What it paid for beside them.
    """
    # Imported here: whoever runs on one machine needs none of it.
    import pyarrow as pa
    from pyarrow import parquet

    lines = [_line(plan, one, first) for one in sorted(outcomes, key=lambda one: _place(one.cell))]
    table = pa.Table.from_pylist(lines, schema=_schema(plan, pa))
    kept = {"judgements": list(in_vain.judgements), "answers": in_vain.answers or {}}
    table = table.replace_schema_metadata({_IN_VAIN: json.dumps(kept).encode()})
    out = BytesIO()
    parquet.write_table(table, out, compression="zstd")
    return out.getvalue()


def _schema(plan: EvaluationPlan, pa: Any) -> Any:
    text, whole, real = pa.string(), pa.int64(), pa.float64()
    fields = [("candidate", pa.int32()), ("row", whole), ("trial", pa.int32())]
    fields += [("model", text), ("id", text), ("question", text), ("text", text)]
    fields += [("answered", pa.bool_()), ("reused", pa.bool_())]
    fields += [("state", text), ("reason", text), ("finish_reason", text), ("prompt_tokens", whole)]
    fields += [("completion_tokens", whole), ("latency", real), ("cost_usd", real)]
    for scorer in plan.scorers:
        fields += [(scorer, real), (f"{scorer}/not_scored", text)]
    return pa.schema([*fields, ("answer", text), ("scores", text), ("said", text)])


def _line(plan: EvaluationPlan, outcome: Outcome, first: int) -> dict[str, Any]:
    cell, values = outcome.cell, outcome.to_json()
    row, answer = plan.dataset.rows[cell.row], values["answer"]
    spent = outcome.answer.spent
    text = answer["text"]
    brief = json.dumps(_brief(values["scores"]))
    said = json.dumps(values["scores"])
    return {
        "candidate": cell.candidate,
        "row": cell.row + first,
        "trial": cell.trial,
        "model": plan.candidates[cell.candidate].label,
        "id": row.id,
        "question": _plain(row.question),
        "text": _plain(text),
        "answered": outcome.answer.answered,
        "reused": outcome.reused,
        **{name: answer.get(name) for name in _FACTS},
        "cost_usd": None if spent is None else float(spent),
        **{name: score.value for name, score in outcome.scores.items()},
        **{f"{name}/not_scored": score.not_scored for name, score in outcome.scores.items()},
        "answer": json.dumps({**answer, "text": _TEXT if text.strip() else ""}),
        "scores": brief,
        # Where nothing was said, the two are the same, and one of them is enough.
        "said": None if said == brief else said,
    }


def _plain(text: str) -> str:
    """Return a text that a Parquet file takes: half a character is not."""
    return text.encode("utf-8", "replace").decode()


def _brief(scores: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    brief = []
    for score in scores:
        one = {**score, "rationale": None}
        if score.get("members"):
            one["members"] = _brief(score["members"])
        brief.append(one)
    return brief


def _place(cell: Cell) -> tuple[int, int, int]:
    return cell.trial, cell.row, cell.candidate


def read_rows(storage: Storage, key: str) -> tuple[list[dict[str, Any]], InVain]:
    """Return a shard's rows, texts included, as `Outcome.to_json` has them, and what it paid in vain.

    Raises:
        TrackingError: The storage fails.
    """
    table, in_vain = _read(storage, key, ("reused", "text", "answer", "scores", "said"))
    found = []
    for line in table.to_pylist():
        values = _values(line, line["said"] or line["scores"])
        values["answer"]["text"] = line["text"]
        found.append(values)
    return found, in_vain


_PLACE = ("candidate", "row", "trial")


def _read(storage: Storage, key: str, columns: Sequence[str]) -> tuple[Any, InVain]:
    """Return where a file's rows stand and some of their columns, and what was paid in vain."""
    from pyarrow import parquet

    with storage.open(key) as source:
        file = parquet.ParquetFile(source)
        # A file is small: threads would save no time, and each keeps memory of its own.
        table = file.read(columns=[*_PLACE, *columns], use_threads=False)
        kept = json.loads((file.schema_arrow.metadata or {}).get(_IN_VAIN, b"{}"))
    return table, InVain(kept.get("judgements", ()), kept.get("answers"))


def _values(line: Mapping[str, Any], scores: str) -> dict[str, Any]:
    return {
        "cell": [line[name] for name in _PLACE],
        "answer": json.loads(line["answer"]),
        "scores": json.loads(scores),
        "reused": line["reused"],
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a file holds, read without its texts."""

    cells: Sequence[Cell]
    answered: Sequence[bool]
    reused: Sequence[bool]
    costs: Sequence[float | None]
    in_vain: InVain

    def counts(self) -> Iterator[tuple[int, bool, bool, Decimal]]:
        """Yield each answer's candidate, whether it came and was reused, and USD as far as it is known."""
        lines = zip(self.cells, self.answered, self.reused, self.costs, strict=True)
        for cell, answered, reused, cost in lines:
            yield cell.candidate, answered, reused, Decimal(str(cost or 0))


def places_of(storage: Storage, key: str) -> Held:
    """Return which cells a file holds, and what is counted while others are under way.

    Raises:
        TrackingError: The storage fails.
    """
    table, in_vain = _read(storage, key, ("answered", "reused", "cost_usd"))
    columns = table.to_pydict()
    return Held(
        cells=[Cell(*place) for place in zip(*(columns[name] for name in _PLACE), strict=True)],
        answered=columns["answered"],
        reused=columns["reused"],
        costs=columns["cost_usd"],
        in_vain=in_vain,
    )


class RowFiles:
    """The committed files of an evaluation as the source of `StoredOutcomes`, without their texts.

    Args:
        storage: Where.
        stage: Which evaluation.
        files: The key of each shard's file.
    """

    def __init__(self, storage: Storage, stage: Stage, files: Mapping[int, str]) -> None:
        self.path = Path(storage.place)
        self._storage, self._stage, self._files = storage, stage, files
        self._held: OrderedDict[int, dict[str, dict[str, Any]]] = OrderedDict()

    def forget(self, shard: int) -> None:
        """Read a shard anew: it has another file."""
        self._held.pop(shard, None)

    def outcomes_at(self, evaluation: str, keys: Sequence[str]) -> list[dict[str, Any]]:
        """Return finished rows by where they stand; what their texts said is left out."""
        found = []
        for key in keys:
            shard = int(key.split(":")[1]) // self._stage.shard_rows
            line = self._shard(shard).get(key)
            if line is not None:
                found.append(_values(line, line["scores"]))
        return found

    def _shard(self, shard: int) -> dict[str, dict[str, Any]]:
        lines = self._held.get(shard)
        if lines is None:
            table, _ = _read(self._storage, self._files[shard], ("reused", "answer", "scores"))
            lines = {
                Outcome.key_of(Cell(*(line[name] for name in _PLACE))): line
                for line in table.to_pylist()
            }
            self._held[shard] = lines
            if len(self._held) > _HELD:
                self._held.popitem(last=False)
        return lines
