import multiprocessing
import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from llmflowlab.errors import InputError, TrackingError
from llmflowlab.evaluation.run.ledger import DamagedRecord, Ledger
from llmflowlab.evaluation.run.ledger_file import LedgerFile, Unwritable
from llmflowlab.evaluation.run.ledger_upkeep import clear
from tests.evaluation.helpers import dataset, plan, spec
from tests.patience import PATIENCE


@pytest.fixture
def ledger(tmp_path):
    opened = Ledger(tmp_path / "evaluations.db")
    yield opened
    opened.close()


def test_a_record_is_there_for_the_next_process(ledger, tmp_path):
    ledger.append("answers", "e1", "k1", {"text": "Paris"}).result()
    ledger.close()
    again = Ledger(tmp_path / "evaluations.db")
    assert again.load("answers", ["k1", "k2"]) == {"k1": ("e1", {"text": "Paris"})}
    again.close()


def test_the_first_record_of_a_cell_stays(ledger):
    ledger.append("answers", "e1", "k1", {"text": "first"}).result()
    ledger.append("answers", "e1", "k1", {"text": "second"}).result()
    assert ledger.load("answers", ["k1"])["k1"][1]["text"] == "first"


def test_an_evaluation_can_decline_what_others_paid_for(ledger):
    ledger.append("answers", "e1", "k1", {"text": "old"}).result()
    assert ledger.load("answers", ["k1"], evaluation="e2") == {}
    ledger.append("answers", "e2", "k1", {"text": "new"}).result()
    assert ledger.load("answers", ["k1"], evaluation="e2")["k1"][1]["text"] == "new"
    assert ledger.load("answers", ["k1"])["k1"] == ("e2", {"text": "new"})


def test_a_plan_comes_back_whole_whatever_became_of_its_file(ledger, tmp_path):
    first = plan(dataset(tmp_path), candidates=[spec("table:a"), spec("table:b")])
    ledger.begin(first, "2026-01-01 00:00:00")
    (tmp_path / "small.csv").unlink()
    assert ledger.plan(first.evaluation_id) == first


def test_an_unknown_evaluation_is_said_to_be_unknown(ledger):
    with pytest.raises(InputError, match="no evaluation 'nope'"):
        ledger.evaluation("nope")


def test_a_record_that_cannot_be_written_down_does_not_take_others_with_it(tmp_path, monkeypatch):
    # A batch failed whole, and what was no SQLite error ended the writer: who waited, waited for ever.
    gate = threading.Event()
    opened = LedgerFile(tmp_path / "t.db", "CREATE TABLE IF NOT EXISTS t (v TEXT);")
    make = opened._make
    monkeypatch.setattr(opened, "_make", lambda: gate.wait(PATIENCE) and make())
    sql = "INSERT INTO t (v) VALUES (?)"
    values: list[Any] = ["one", "half \ud83d", {"no": "text"}, "two"]
    done = [opened.append(sql, (value,)) for value in values]
    gate.set()
    assert [type(future.exception(30)) for future in done] == [
        type(None),
        Unwritable,
        Unwritable,
        type(None),
    ]
    assert opened.rows("SELECT v FROM t") == [("one",), ("two",)]
    opened.close()


def test_vectors_are_kept_until_all_is_forgotten(ledger):
    many = {f"k{n}": (float(n), 0.5) for n in range(1200)}
    ledger.keep_vectors(many)
    ledger.keep_vectors({"k1": (9.0, 9.0)})
    assert ledger.vectors([*many, "other"]) == many
    ledger.forget_vectors()
    assert ledger.vectors(many) == {}


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from llmflowlab.errors import TrackingError
from llmflowlab.evaluation.run.ledger import DamagedRecord, Ledger

ledger = Ledger(Path(sys.argv[1]))
ledger.append("answers", "e1", "k1", {"text": "kept"}).result()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
try:
    ledger.append("answers", "e1", "k2", {"text": "x" * 600_000}).result()
except TrackingError as exc:
    print(exc.message)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on a file's size")
def test_a_full_disk_is_an_error_of_the_append_and_loses_nothing_before_it(tmp_path):
    path = tmp_path / "full.db"
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert "make room there" in done.stdout
    assert "--resume" in done.stdout
    ledger = Ledger(path)
    assert list(ledger.load("answers", ["k1", "k2"])) == ["k1"]
    ledger.close()


def test_a_torn_last_record_is_dropped_and_the_rest_kept(tmp_path):
    path = tmp_path / "torn.db"
    ledger = Ledger(path)
    for i in range(50):
        ledger.append("answers", "e1", f"k{i}", {"text": "x" * 500}).result()
    wal = path.with_name("torn.db-wal")
    content, database = wal.read_bytes(), path.read_bytes()
    ledger.close()
    path.write_bytes(database)
    wal.write_bytes(content[: len(content) - 700])
    path.with_name("torn.db-shm").unlink(missing_ok=True)
    again = Ledger(path)
    kept = again.load("answers", [f"k{i}" for i in range(50)])
    assert 40 <= len(kept) < 50
    assert list(kept) == [f"k{i}" for i in range(len(kept))]
    again.close()


def _write(path, name):
    ledger = Ledger(path)
    futures = [ledger.append("answers", name, f"{name}-{i}", {"i": i}) for i in range(100)]
    for future in futures:
        future.result()
    ledger.close()


def test_two_processes_write_one_ledger_without_losing_a_record(tmp_path):
    path = tmp_path / "shared.db"
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_write, args=(path, name)) for name in ("a", "b")]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=PATIENCE)
        assert worker.exitcode == 0
    ledger = Ledger(path)
    assert ledger.counts() == {"answers": 200, "judgements": 0}
    ledger.close()


def test_another_writers_next_pause_is_not_missed(tmp_path, monkeypatch):
    # The recorder could not note its runs before all was answered: SQLite looks again after up to a tenth
    # of a second, and missed every moment between two transactions of an evaluation.
    file = tmp_path / "evaluations.db"
    mine = LedgerFile(file, "CREATE TABLE IF NOT EXISTS t (a TEXT)")
    mine.execute(("INSERT INTO t VALUES (?)", ("first",)))
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    looks: list[float] = []

    def sleep(seconds):
        looks.append(seconds)
        if len(looks) == 3:
            other.execute("COMMIT")

    monkeypatch.setattr("llmflowlab.evaluation.run.ledger_file.time.sleep", sleep)
    mine.execute(("INSERT INTO t VALUES (?)", ("second",)))
    assert len(looks) == 3
    assert max(looks) <= 0.002
    assert mine.rows("SELECT a FROM t") == [("first",), ("second",)]
    mine.close()
    other.close()


def test_a_file_that_is_no_ledger_is_refused_in_one_sentence(tmp_path):
    path = tmp_path / "evaluations.db"
    path.write_text("this is no database, but long enough to be looked at as one" * 20)
    with pytest.raises(TrackingError, match="the file is damaged; put a copy of it back"):
        Ledger(path)


@pytest.mark.parametrize(
    ("table", "damage"),
    [
        ("evaluations", "UPDATE evaluations SET plan = substr(plan, 1, 40)"),
        ("evaluations", "UPDATE evaluations SET plan = '{}'"),
        ("evaluations", "UPDATE evaluations SET runs = x'ff00'"),
        ("datasets", "UPDATE datasets SET content = '[]'"),
        ("answers", "UPDATE answers SET record = '{\"tex'"),
        ("answers", "UPDATE answers SET record = '{\"text\": 5}'"),
        ("judgements", "UPDATE judgements SET record = 'null'"),
        ("outcomes", "UPDATE outcomes SET record = '{\"cell\": [0, 0, 0]}'"),
    ],
)
def test_a_damaged_record_is_called_that_and_its_evaluation_can_be_forgotten(
    ledger, tmp_path, table, damage
):
    # 3 of 10 ended as "something unexpected".
    made = plan(dataset(tmp_path))
    ledger.begin(made, "2026-01-01 00:00:00")
    own = made.evaluation_id
    for name, record in (
        ("answers", {"text": "Paris", "state": "complete"}),
        ("judgements", {"scorer": "x", "value": 1}),
        ("outcomes", {"cell": [0, 0, 0], "answer": {}, "scores": []}),
    ):
        ledger.append(name, own, "k1#", record).result()
    ledger._file.execute((damage, ()))
    reads = {
        "evaluations": ledger.evaluations,
        "datasets": lambda: ledger.plan(own),
        "answers": lambda: ledger.spent(own),
        "judgements": lambda: ledger.judged_in_vain(own),
        "outcomes": lambda: ledger.outcomes(own),
    }
    with pytest.raises(
        DamagedRecord, match=rf"A record of {own} .* is damaged.*cache --clear {own}"
    ):
        reads[table]()
    clear(ledger, own)
    assert ledger.evaluations() == []
    assert ledger.counts() == {"answers": 0, "judgements": 0}


def test_a_file_that_is_damaged_is_called_that(tmp_path):
    path = tmp_path / "evaluations.db"
    first = Ledger(path)
    for number in range(2000):
        first.append("answers", "e1", f"k{number}", {"text": "x" * 200})
    first.close()
    content = bytearray(path.read_bytes())
    for place in range(4096, len(content), 4096):
        content[place : place + 400] = b"\xff" * 400
    path.write_bytes(content)

    def read():
        with closing(Ledger(path)) as again:
            return list(again.all_records("answers"))

    with pytest.raises(TrackingError, match=r"the file is damaged.*rename it") as found:
        read()
    assert "SELECT" not in found.value.message


def test_a_ledger_that_nobody_can_write_to_is_read_without_files_beside_it(tmp_path, monkeypatch):
    path = tmp_path / "evaluations.db"
    first = Ledger(path)
    first.append("answers", "e1", "k1", {"text": "Paris"}).result()
    first.close()
    # To root every folder is writable, whatever its mode.
    monkeypatch.setattr(os, "access", lambda file, mode: False)
    with closing(Ledger(path)) as ledger:
        assert ledger.load("answers", ["k1"])["k1"][1]["text"] == "Paris"
        with pytest.raises(TrackingError, match="it cannot be written; make the folder"):
            ledger.append("answers", "e1", "k2", {"text": "x"}).result()
        assert [file.name for file in tmp_path.iterdir()] == ["evaluations.db"]
