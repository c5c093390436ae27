"""A shard's ledger: on the worker's disk for the engine, and in shared storage before anything counts.

What a worker paid for is found there by whoever takes its shard over, so that nothing is asked twice but
what was in flight.
"""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from llmflowlab.cluster.storage import Storage
from llmflowlab.errors import TrackingError
from llmflowlab.evaluation.run.ledger import Ledger, Table

__all__ = ["EARLIER", "PaidRecord", "ShardLedger", "paid_key", "records_in", "text_of"]

EARLIER = "earlier"
"""Owner of what other evaluations paid for."""
_LINGER = 0.03
"""Seconds in which what comes together goes into one object."""

PaidRecord = dict[str, Any]
"""`table`, `key` and `record` of an answer or judgement, and `owner` where another evaluation paid."""


def records_in(data: bytes | None) -> list[PaidRecord]:
    """Return the records of an object of JSON lines."""
    return [json.loads(line) for line in (data or b"").splitlines() if line]


def text_of(records: Iterable[PaidRecord]) -> bytes:
    """Return records as JSON lines."""
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def paid_key(rows: str) -> str:
    """Return where stands what was paid for rows, given the key of these."""
    return rows.replace("/results/", "/paid/").replace(".parquet", ".jsonl")


class ShardLedger(Ledger):
    """The ledger of one attempt at a shard.

    Args:
        path: A file of this machine, which may be lost.
        storage: What outlives it.
        folder: Where all attempts at the shard leave what they paid for.
        token: The attempt's lease.
    """

    def __init__(self, path: Path, storage: Storage, folder: str, token: int) -> None:
        super().__init__(path)
        self._storage, self._folder, self._token = storage, folder, token
        self.paid: list[PaidRecord] = []
        """Everything that the shard's attempts paid for."""
        self._waiting: queue.SimpleQueue[tuple[PaidRecord, Future[None], Future[None]] | None] = (
            queue.SimpleQueue()
        )
        self._sender = threading.Thread(target=self._send, name="shard-journal", daemon=True)
        self._sender.start()

    def recall(self, evaluation: str, earlier: Iterable[PaidRecord]) -> None:
        """Take in what earlier attempts paid for, and what other evaluations did.

        Raises:
            TrackingError: The storage or the file fails.
        """
        for key in self._storage.keys(self._folder):
            self.paid += records_in(self._storage.read(key))
        written = [
            super(ShardLedger, self).append(one["table"], owner, one["key"], one["record"])
            for owner, records in ((evaluation, self.paid), (EARLIER, earlier))
            for one in records
        ]
        for done in written:
            done.result()

    def append(
        self, table: Table, evaluation: str, key: str, record: dict[str, Any]
    ) -> Future[None]:
        """Queue a record; the future of one that was paid for is done when other machines have it."""
        here = super().append(table, evaluation, key, record)
        if table == "outcomes":
            return here
        shared: Future[None] = Future()
        self._waiting.put(({"table": table, "key": key, "record": record}, here, shared))
        return shared

    def close(self) -> None:
        """Write what waits and close the file."""
        self._waiting.put(None)
        self._sender.join()
        super().close()

    def clear(self) -> None:
        """Forget what attempts left in shared storage: the shard's rows are committed.

        Raises:
            TrackingError: The storage fails.
        """
        self._storage.delete(self._storage.keys(self._folder))

    def _send(self) -> None:
        number, ended = 0, False
        while not ended:
            first = self._waiting.get()
            if first is None:
                return
            batch = [first]
            pause = threading.Event()
            pause.wait(_LINGER)
            while not self._waiting.empty():
                more = self._waiting.get()
                if more is None:
                    ended = True
                    break
                batch.append(more)
            number += 1
            self._send_together(batch, f"{self._folder}/{self._token:010d}-{number:06d}.jsonl")

    def _send_together(
        self, batch: list[tuple[PaidRecord, Future[None], Future[None]]], key: str
    ) -> None:
        try:
            self._storage.write(key, text_of(record for record, _, _ in batch))
            self.paid += [record for record, _, _ in batch]
        except TrackingError as exc:
            for _, _, shared in batch:
                shared.set_exception(exc)
            return
        for _, here, shared in batch:
            # The worker's own disk: whatever it says goes to whoever waits.
            error = here.exception()
            if error is None:
                shared.set_result(None)
            else:
                shared.set_exception(error)
