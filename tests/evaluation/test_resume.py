"""Killed, stopped and resumed evaluations, each in a process of its own."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from llmflowlab.errors import ExitCode, InputError
from llmflowlab.evaluation.run.engine import run_evaluation
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.settings import load_settings
from tests.evaluation import faulty
from tests.evaluation.faulty import ID, Options
from tests.evaluation.helpers import TableModel, bench
from tests.patience import PATIENCE

KILLS = 6
IN_FLIGHT = 3 * 4
"""Two candidates and the judge, with four workers each."""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL and SIGINT")


@pytest.fixture
def home(mlflow_home):
    return mlflow_home


@pytest.fixture
def untouched(migrated_db, tmp_path_factory):
    """What an evaluation that nobody disturbed leaves, and how many seconds it took."""
    if not _books:
        _books.append(_undisturbed(migrated_db, tmp_path_factory))
    return _books[0]


_books = []
"""The evaluation takes seconds, so the tests of a process share one."""


def _undisturbed(migrated_db, tmp_path_factory):
    home = tmp_path_factory.mktemp("untouched")
    shutil.copy(migrated_db, home / "mlflow.db")
    began = time.monotonic()
    assert faulty.finish(Options(home=str(home))) == {"problems": [], "interrupted": False}
    seconds = time.monotonic() - began
    sent = faulty.requests(home)
    # 60 rows for each candidate; a judgement serves both where they say the same.
    assert len(sent) == 2 * 60 + 79
    return faulty.stored_books(home), faulty.answers_file(home), len(sent), seconds


def test_killed_at_any_instant_it_asks_only_for_what_is_missing_and_ends_the_same(home, untouched):
    books, answers, needed, seconds = untouched
    options = Options(home=str(home))
    drawn = random.Random(20260131)
    kills = 0
    for _ in range(KILLS):
        process = faulty.start(options)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=drawn.uniform(0.1, 1) * seconds)
        process.kill()
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
        kept = faulty.in_ledger(home)
        sent = faulty.requests(home)
        assert len(sent) - kept["answers"] - kept["judgements"] <= kills * IN_FLIGHT
    assert kills
    assert faulty.finish(options) == {"problems": [], "interrupted": False}
    assert len(faulty.requests(home)) <= needed + kills * IN_FLIGHT
    assert faulty.in_ledger(home) == {"answers": 120, "judgements": 79}
    assert faulty.stored_books(home) == books
    assert faulty.answers_file(home) == answers


def until_sent(home: Path, process: subprocess.Popen[str], number: int) -> None:
    """Wait until the program has sent so many requests."""
    while len(faulty.requests(home)) < number:
        assert process.poll() is None, process.communicate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.01)


def test_after_one_ctrl_c_what_is_in_flight_is_kept_and_the_rest_left_for_later(home, untouched):
    books, answers, needed, _ = untouched
    options = Options(home=str(home), latency=0.2)
    process = faulty.start(options)
    until_sent(home, process, 20)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    assert '"interrupted": true' in out
    assert '"problems": []' in out
    sent = faulty.requests(home)
    kept = faulty.in_ledger(home)
    assert len(sent) == kept["answers"] + kept["judgements"] < needed
    stopped = faulty.stored_books(home)
    for key in ("parent", "candidate-0", "candidate-1"):
        assert stopped[key]["status"] == "KILLED"
        assert stopped[key]["tags"]["llmflowlab.partial"] == "true"
    missing = stopped["candidate-0"]["tags"]["llmflowlab.missing"]
    assert missing.endswith("58, 59, 60")
    # Resumed, it sends exactly what was left, and nothing shows that it was ever stopped.
    assert faulty.finish(Options(home=str(home))) == {"problems": [], "interrupted": False}
    assert len(faulty.requests(home)) == needed
    assert faulty.stored_books(home) == books
    assert faulty.answers_file(home) == answers


def test_a_second_ctrl_c_leaves_at_once_and_loses_nothing_that_was_answered(home):
    options = Options(home=str(home), latency=30, judge=False, rows=6, candidates=("one",))
    process = faulty.start(options)
    until_sent(home, process, 4)
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    assert "stopping" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    # The models would take another half minute.
    process.communicate(timeout=PATIENCE)
    assert process.returncode == ExitCode.INTERRUPTED
    ledger = Ledger(home / ".llmflowlab" / "evaluations.db")
    assert ledger.evaluation(ID).state == "interrupted"
    ledger.close()
    again = Options(home=str(home), latency=0)
    assert faulty.finish(again) == {"problems": [], "interrupted": False}
    assert len(faulty.requests(home)) == 6 + 4
    assert faulty.stored_books(home)["candidate-0"]["status"] == "FINISHED"


def test_two_processes_cannot_work_on_one_evaluation(home):
    options = Options(home=str(home), judge=False, rows=30, candidates=("one",), latency=0.2)
    first = faulty.start(options)
    until_sent(home, first, 1)
    settings = load_settings({}, cwd=home, stdin_is_terminal=False)
    ledger = Ledger(settings.state_dir / "evaluations.db")
    model = TableModel("one", settings, {})
    plan = ledger.plan(ID)
    with pytest.raises(InputError, match=f"{ID} is being worked on by another process"):
        run_evaluation(plan, bench(settings, [model], ledger, home))
    assert ledger.evaluation(ID).state == "running"
    ledger.close()
    assert model.requests == []
    first.communicate(timeout=PATIENCE)
    assert first.returncode == 0
    assert len(faulty.requests(home)) == 30
