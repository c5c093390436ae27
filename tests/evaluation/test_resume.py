"""Killed, stopped and resumed evaluations, each in a process of its own."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import pytest

from llmflowlab.errors import ExitCode, InputError
from llmflowlab.evaluation.run.engine import run_evaluation
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.settings import load_settings
from tests.evaluation import faulty
from tests.evaluation.faulty import ID, Options
from tests.evaluation.helpers import TableModel, bench
from tests.patience import PATIENCE

KILLED_AT = (1, 110)
"""Requests sent so far: while it begins, and among answers and judgements."""
IN_FLIGHT = 3 * 4
"""Two candidates and the judge, with four workers each."""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL and SIGINT")


@pytest.fixture
def home(mlflow_home):
    return mlflow_home


@pytest.fixture
def untouched(migrated_db, tmp_path_factory):
    """What an evaluation that nobody disturbed leaves."""
    if not _books:
        _books.append(_undisturbed(migrated_db, tmp_path_factory))
    return _books[0]


_books: list[tuple[dict[str, Any], list[list[str]], int]] = []
"""The evaluation takes seconds, so the tests of a process share one."""


def _undisturbed(migrated_db, tmp_path_factory):
    home = tmp_path_factory.mktemp("untouched")
    shutil.copy(migrated_db, home / "mlflow.db")
    assert faulty.finish(Options(home=str(home))) == {"problems": [], "interrupted": False}
    sent = faulty.requests(home)
    # 60 rows for each candidate; a judgement serves both where they say the same.
    assert len(sent) == 2 * 60 + 79
    return faulty.stored_books(home), faulty.answers_file(home), len(sent)


def test_killed_at_any_instant_it_asks_only_for_what_is_missing_and_ends_the_same(home, untouched):
    books, answers, needed = untouched
    options = Options(home=str(home), latency=0.04)
    for kills, number in enumerate(KILLED_AT, start=1):
        process = faulty.start(options)
        until_sent(home, process, number)
        kill(process)
        assert unsaved(home) <= kills * IN_FLIGHT
    # Once more with all that was asked for on its way into MLflow.
    process = faulty.start(options)
    until(process, lambda: faulty.in_ledger(home)["judgements"] == 79)
    kill(process)
    kills = len(KILLED_AT) + 1
    assert faulty.finish(options) == {"problems": [], "interrupted": False}
    assert len(faulty.requests(home)) <= needed + kills * IN_FLIGHT
    assert faulty.in_ledger(home) == {"answers": 120, "judgements": 79}
    assert faulty.stored_books(home) == books
    assert faulty.answers_file(home) == answers


def test_killed_while_given_answers_are_judged_it_asks_only_for_what_is_missing(home):
    options = Options(home=str(home), rows=20, candidates=("draft", "one"), held_after=8)
    process = faulty.start(options)
    until_sent(home, process, 9)
    kill(process)
    (home / faulty.GO_ON).touch()
    # The file is not read again: what was given is in the ledger.
    (home / "questions.csv").unlink()
    assert faulty.finish(options) == {"problems": [], "interrupted": False}
    sent = faulty.requests(home)
    # 20 answers; of 19 questions a verdict on the right one, and on 7 wrong drafts.
    assert len([model for model, _ in sent if model == "one"]) <= 20 + 4
    assert len(sent) <= 20 + 19 + 7 + IN_FLIGHT
    assert faulty.in_ledger(home) == {"answers": 40, "judgements": 19 + 7}
    books = faulty.stored_books(home)
    draft, one = books["candidate-0"], books["candidate-1"]
    assert (draft["status"], one["status"]) == ("FINISHED", "FINISHED")
    assert len(draft["traces"]) == len(one["traces"]) == 20
    assert draft["metrics"]["exact_match/not_scored/answer_empty"] == 1
    assert draft["metrics"]["total_cost_estimate"] == 0
    assert one["metrics"]["exact_match/mean"] == 1.0


def until(process: subprocess.Popen[str], reached: Callable[[], bool]) -> None:
    """Wait until the program under way has come so far."""
    while not reached():
        assert process.poll() is None, process.communicate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.01)


def until_sent(home: Path, process: subprocess.Popen[str], number: int) -> None:
    until(process, lambda: len(faulty.requests(home)) >= number)


def until_said(stream: IO[str], words: str) -> None:
    """Read until a line says it; notes that a slow machine adds come before."""
    assert any(words in line for line in stream)


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def unsaved(home: Path) -> int:
    """Return how many requests were sent of which nothing is kept."""
    kept = faulty.in_ledger(home)
    return len(faulty.requests(home)) - kept["answers"] - kept["judgements"]


def test_after_one_ctrl_c_what_is_in_flight_is_kept_and_the_rest_left_for_later(home, untouched):
    books, answers, needed = untouched
    options = Options(home=str(home), held_after=20)
    process = faulty.start(options)
    # Whoever asks from now on is held.
    until_sent(home, process, 21)
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    until_said(process.stdout, "stopping")
    (home / faulty.GO_ON).touch()
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
    options = Options(home=str(home), held_after=0, judge=False, rows=6, candidates=("one",))
    process = faulty.start(options)
    until_sent(home, process, 4)
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    until_said(process.stdout, "stopping")
    process.send_signal(signal.SIGINT)
    # The models would never answer.
    process.communicate(timeout=PATIENCE)
    assert process.returncode == ExitCode.INTERRUPTED
    ledger = Ledger(home / ".llmflowlab" / "evaluations.db")
    assert ledger.evaluation(ID).state == "interrupted"
    ledger.close()
    again = Options(home=str(home))
    assert faulty.finish(again) == {"problems": [], "interrupted": False}
    assert len(faulty.requests(home)) == 6 + 4
    assert faulty.stored_books(home)["candidate-0"]["status"] == "FINISHED"


def test_two_processes_cannot_work_on_one_evaluation(home):
    options = Options(home=str(home), judge=False, rows=30, candidates=("one",), held_after=0)
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
    (home / faulty.GO_ON).touch()
    first.communicate(timeout=PATIENCE)
    assert first.returncode == 0
    assert len(faulty.requests(home)) == 30
