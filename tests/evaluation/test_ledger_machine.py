"""The ledger in any order of writes, kills, full disks and second openers: nothing acknowledged is lost."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from unittest import mock

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from llmflowlab.errors import TrackingError
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.ledger_file import LedgerFile
from tests.evaluation.helpers import answer

EVALUATIONS = st.sampled_from(["e1", "e2"])
KEYS = st.sampled_from(["k1", "k2", "k3", "k4"])


@contextmanager
def full_disk() -> Iterator[None]:
    """Let no connection take another page, as SQLite itself does on a full disk."""
    real = LedgerFile._connection

    @contextmanager
    def full(file: LedgerFile) -> Iterator[object]:
        with real(file) as connection:
            connection.execute("PRAGMA max_page_count = 1")
            try:
                yield connection
            finally:
                connection.execute("PRAGMA max_page_count = 1073741823")

    with mock.patch.object(LedgerFile, "_connection", full):
        yield


class LedgerMachine(RuleBasedStateMachine):
    """One process after another writes; each may be killed in the middle of a commit."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.lives = 0
        self.home = self._home()
        self.ledger = Ledger(self.home / "evaluations.db")
        self.answers: dict[tuple[str, str], int] = {}
        """Cents by evaluation and key, as the ledger has acknowledged them."""
        self.outcomes: dict[tuple[str, str], int] = {}
        self.paid = 0

    def _home(self) -> Path:
        self.lives += 1
        home = Path(self.folder.name) / str(self.lives)
        home.mkdir()
        return home

    def teardown(self) -> None:
        self.ledger.close()
        self.folder.cleanup()

    def _record(self, length: int = 1) -> dict[str, object]:
        self.paid += 1
        return asdict(answer("x" * length, cost_usd=str(Decimal(self.paid) / 100)))

    @rule(evaluation=EVALUATIONS, key=KEYS, second=st.booleans())
    def answered(self, evaluation: str, key: str, second: bool) -> None:
        """The first answer of a cell stays, whichever process brings it."""
        record = self._record()
        if second:
            with closing(Ledger(self.ledger.path)) as other:
                other.append("answers", evaluation, key, record).result()
        else:
            self.ledger.append("answers", evaluation, key, record).result()
        self.answers.setdefault((evaluation, key), self.paid)

    @rule(evaluation=EVALUATIONS, keys=st.lists(KEYS, min_size=2, max_size=4))
    def answered_at_once(self, evaluation: str, keys: list[str]) -> None:
        written = []
        for key in keys:
            written.append(self.ledger.append("answers", evaluation, key, self._record()))
            self.answers.setdefault((evaluation, key), self.paid)
        for done in written:
            done.result()

    @rule(evaluation=EVALUATIONS, key=KEYS)
    def scored(self, evaluation: str, key: str) -> None:
        """A row that is done again is recorded again."""
        self.paid += 1
        record = {"cell": [self.paid], "answer": {}, "scores": []}
        self.ledger.append("outcomes", evaluation, key, record).result()
        self.outcomes[evaluation, key] = self.paid

    @rule(evaluation=EVALUATIONS, key=KEYS)
    def answered_on_a_full_disk(self, evaluation: str, key: str) -> None:
        with full_disk():
            failed = self.ledger.append("answers", evaluation, key, self._record(200_000))
            error = failed.exception()
        if (evaluation, key) in self.answers:
            # There is nothing to write.
            assert error is None
        else:
            assert isinstance(error, TrackingError)
            assert "the disk is full" in error.message

    @rule(evaluation=EVALUATIONS)
    def forgotten(self, evaluation: str) -> None:
        self.ledger.forget(evaluation)
        for kept in (self.answers, self.outcomes):
            for owner, key in list(kept):
                if owner == evaluation:
                    del kept[owner, key]

    @rule()
    def opened_again(self) -> None:
        self.ledger.close()
        self.ledger = Ledger(self.ledger.path)

    @rule(evaluation=EVALUATIONS, key=KEYS, share=st.integers(0, 100))
    def killed_in_the_middle_of_a_commit(self, evaluation: str, key: str, share: int) -> None:
        """Of the last commit so much of its write-ahead file is on the disk, the rest is not."""
        log = self.ledger.path.with_name("evaluations.db-wal")
        before = log.stat().st_size if log.exists() else 0
        record = self._record(share * 100)
        self.ledger.append("answers", evaluation, key, record).result()
        home = self._home()
        shutil.copy(self.ledger.path, home)
        whole = log.read_bytes()
        torn = before + max(0, len(whole) - before) * share // 100
        (home / log.name).write_bytes(whole[:torn])
        self.ledger.close()
        self.ledger = Ledger(home / "evaluations.db")
        found = self.ledger.load("answers", [key], evaluation=evaluation)
        if (evaluation, key) not in self.answers and key in found:
            self.answers[evaluation, key] = self.paid

    @invariant()
    def what_was_acknowledged_is_there_once(self) -> None:
        for evaluation in ("e1", "e2"):
            mine = {key: n for (owner, key), n in self.answers.items() if owner == evaluation}
            found = self.ledger.load("answers", ["k1", "k2", "k3", "k4"], evaluation=evaluation)
            assert {key: record["cost_usd"] for key, (_, record) in found.items()} == {
                key: str(Decimal(n) / 100) for key, n in mine.items()
            }
            assert self.ledger.spent(evaluation) == Decimal(sum(mine.values())) / 100
            rows = [record["cell"][0] for _, record in self.ledger.outcomes(evaluation)]
            done = [n for (owner, _), n in self.outcomes.items() if owner == evaluation]
            assert rows == sorted(done)


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(max_examples=15, stateful_step_count=15, deadline=None)
