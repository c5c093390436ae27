"""A home that version 0.1.0 wrote: opened, resumed, reported, promoted and served, and nothing paid twice.

`golden_0_1_0.json` holds what 0.1.0 printed. Its `figures` and `digests` are never edited. A figure that is
meant to be another one now stands under `changed`, by document and path, with the value of today and
the reason: `{"report finished": {"candidates[0].cost_usd": {"now": 0.0008, "why": "..."}}}`; the value of
what is no longer there is "(absent)".
"""

from __future__ import annotations

import csv
import json
import socket
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from llmflowlab.cli import main
from llmflowlab.lab import deliverer
from tests.cli.pseudo_terminal import MAIN
from tests.homes.pins import digests, kept_keys
from tests.homes.unpacked import OldHome, unpacked
from tests.loopback import LoopbackServer
from tests.patience import PATIENCE

GOLDEN = json.loads((Path(__file__).parent / "golden_0_1_0.json").read_text("utf-8"))
ABSENT = "(absent)"
TRACES_OF_RUN = (
    "SELECT COUNT(*) FROM trace_request_metadata WHERE key = 'mlflow.sourceRun' AND value = ?"
)
_TIMES = frozenset({"at", "created", "last_used", "started"})


@pytest.fixture(scope="module")
def read_only(tmp_path_factory: pytest.TempPathFactory) -> OldHome:
    return unpacked(tmp_path_factory.mktemp("looked-at"))


@pytest.fixture(scope="module")
def with_sessions(tmp_path_factory: pytest.TempPathFactory) -> OldHome:
    return unpacked(tmp_path_factory.mktemp("talked-with"))


@pytest.fixture
def looked_at(read_only: OldHome, monkeypatch: pytest.MonkeyPatch) -> OldHome:
    """The old home, shared by commands that leave it as it is."""
    monkeypatch.setenv("LLMFLOWLAB_HOME", str(read_only.path))
    return read_only


@pytest.fixture
def connected(
    loopback: LoopbackServer, monkeypatch: pytest.MonkeyPatch, requests_allowed: None
) -> None:
    """Every provider is at the loopback server."""
    for name, value in loopback.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", str(MAIN.parent))


@pytest.fixture(autouse=True)
def left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """What 0.1.0 left undelivered is delivered where a test is about it, not by whoever looks."""
    monkeypatch.setattr(deliverer, "start", lambda settings: None)


@pytest.fixture
def talked_with(
    with_sessions: OldHome, monkeypatch: pytest.MonkeyPatch, connected: None
) -> OldHome:
    """The old home, shared by commands that at most add sessions to it."""
    monkeypatch.setenv("LLMFLOWLAB_HOME", str(with_sessions.path))
    return with_sessions


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, connected: None) -> OldHome:
    """The old home, one's own, for whoever pays or changes something."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("LLMFLOWLAB_HOME", str(folder))
    monkeypatch.chdir(folder)
    return unpacked(folder)


def document(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    capsys.readouterr()
    code = main([*arguments, "--json"])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return json.loads(captured.out)


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """Return every leaf of a document by its path, as in `candidates[0].scores.contains.mean`."""
    if isinstance(value, dict) and value:
        parts = [flat(inner, f"{path}.{name}" if path else name) for name, inner in value.items()]
    elif isinstance(value, list) and value:
        parts = [flat(inner, f"{path}[{number}]") for number, inner in enumerate(value)]
    else:
        return {path: value}
    return {name: leaf for part in parts for name, leaf in part.items()}


def golden(name: str) -> dict[str, Any]:
    """Return what a document must say: as 0.1.0 said it, but for what was changed since for a reason."""
    changed = GOLDEN["changed"].get(name, {})
    assert all(change["why"].strip() for change in changed.values())
    figures: dict[str, Any] = GOLDEN["figures"][name]
    return figures | {path: change["now"] for path, change in changed.items()}


def assert_golden(name: str, found: Any) -> None:
    """Check a document against what 0.1.0 printed; what has been added since is not looked at."""
    # Times of day in the zone of whoever looks.
    today = {
        path: leaf for path, leaf in flat(found).items() if path.rpartition(".")[2] not in _TIMES
    }
    expected = golden(name)
    different = {
        path: (value, today.get(path, ABSENT))
        for path, value in expected.items()
        if not same(value, today.get(path, ABSENT))
    }
    assert different == {}, f"{name}: (0.1.0 or as changed since, now)"


def same(expected: Any, found: Any) -> bool:
    if isinstance(expected, float) and isinstance(found, int | float):
        return bool(found == pytest.approx(expected, rel=1e-9, abs=1e-12))
    return bool(expected == found)


def rows(file: Path, sql: str, *values: Any) -> list[Any]:
    with closing(sqlite3.connect(file)) as db:
        return db.execute(sql, values).fetchall()


def kept(home: OldHome, table: str, evaluation: str) -> set[str]:
    sql = f"SELECT key FROM {table} WHERE evaluation = ?"
    found = rows(home.path / ".llmflowlab" / "evaluations.db", sql, evaluation)
    # What was paid for an answer that did not come is kept under its key and a mark of its own.
    return {key for (key,) in found if "#" not in key}


def asked(loopback: LoopbackServer) -> dict[str, int]:
    """Count the requests that cost money or time, by wire, those for vectors among them."""
    counts = Counter(request.wire for request in loopback.chats())
    counts.update(
        "vectors" for request in loopback.requests if request.path.endswith("/embeddings")
    )
    return dict(counts)


def test_every_key_under_which_something_was_kept_is_still_the_same(tmp_path: Path) -> None:
    assert digests(tmp_path) == GOLDEN["digests"]


@pytest.mark.parametrize(
    ("which", "missing"),
    [
        pytest.param("finished", 2, id="finished"),  # the two that a filter refused
        pytest.param("conversations", 0, id="conversations"),
        pytest.param("killed", 7, id="killed"),
        pytest.param("promotion", 12, id="promotion"),  # the champion's stand in the one before
    ],
)
def test_what_an_old_evaluation_kept_is_found_under_the_keys_of_today(
    looked_at: OldHome, which: str, missing: int
) -> None:
    evaluation = looked_at.made[which]
    keys = kept_keys(looked_at.path, evaluation)
    answers = kept(looked_at, "answers", evaluation)
    assert keys["file"] == keys["dataset"]
    assert answers <= keys["answers"]
    assert len(keys["answers"] - answers) == missing
    assert keys["outcomes"] == kept(looked_at, "outcomes", evaluation)
    store = looked_at.path / "mlflow.db"
    sql = "SELECT request_id, value FROM trace_tags WHERE key = 'llmflowlab.digest'"
    # Where they differ, a delivery would take a row that is stored for another one.
    assert keys["traces"].items() <= dict(rows(store, sql)).items()
    if which == "finished":
        with (looked_at.path / "sheet.csv").open(encoding="utf-8", newline="") as file:
            assert {row["key"] for row in csv.DictReader(file)} <= keys["sheet"]


@pytest.mark.parametrize("which", ["finished", "conversations", "promotion"])
def test_an_old_report_is_written_again_with_the_same_figures(
    looked_at: OldHome, which: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = document(capsys, "report", looked_at.made[which], "--output", str(tmp_path))["files"]
    found = json.loads(Path(files["evaluation_json"]).read_text("utf-8"))
    del found["files"]
    assert_golden(f"report {which}", found)
    assert len(Path(files["results_jsonl"]).read_text("utf-8").splitlines()) == sum(
        candidate["rows"] for candidate in found["candidates"]
    )


def test_two_old_candidates_are_compared(
    looked_at: OldHome, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_golden(
        "diff", document(capsys, "diff", f"{looked_at.finished}:1", f"{looked_at.finished}:2")
    )


def test_old_candidates_are_compared_on_quality_and_cost(
    looked_at: OldHome, capsys: pytest.CaptureFixture[str]
) -> None:
    found = document(capsys, "compare", looked_at.finished)
    assert len(found["candidates"]) == 2
    for one in found["candidates"]:
        # Nobody looked at machines then.
        assert one["system"] is None
        assert one["tokens_per_second"] is not None
        assert one["quality"]["value"] is not None


def test_what_is_kept_and_was_paid_is_listed(
    looked_at: OldHome, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_golden("cache", document(capsys, "cache")["evaluations"])


def test_old_runs_agree_with_their_traces(
    looked_at: OldHome, capsys: pytest.CaptureFixture[str]
) -> None:
    found = document(capsys, "verify", looked_at.finished)
    assert found["equal"]
    for run in found["runs"]:
        figures = {check["figure"] for check in run["checks"]}
        assert figures >= {
            "contains/mean",
            "correctness/ci_low",
            "total_cost_estimate",
            "near/coverage",
        }


def test_info_says_of_old_sessions_and_evaluations_what_it_said(
    looked_at: OldHome, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_golden("info", document(capsys, "info"))


def test_old_versions_stages_aliases_and_evidence_are_there(
    looked_at: OldHome, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_golden("registry list", document(capsys, "registry", "list"))
    assert_golden("registry show", document(capsys, "registry", "show", "llm_guide_chat@champion"))


def test_an_evaluation_that_is_whole_sends_nothing_when_it_is_resumed(
    home: OldHome, loopback: LoopbackServer, capsys: pytest.CaptureFixture[str]
) -> None:
    found = document(capsys, "evaluate", "--resume", home.conversations)
    del found["files"]
    assert_golden("report conversations", found)
    assert asked(loopback) == {}


def test_only_what_failed_is_asked_again_when_a_finished_evaluation_is_resumed(
    home: OldHome, loopback: LoopbackServer, capsys: pytest.CaptureFixture[str]
) -> None:
    found = document(capsys, "evaluate", "--resume", home.finished)
    # Two answers that a filter refused, and what follows from them: one judgement of two equal texts and
    # the vector of that text. And one verdict that could not be read, of two equal answers.
    assert asked(loopback) == {"gemini": 2, "anthropic": 2, "vectors": 1}
    assert found["evaluation_id"] == home.finished
    assert [candidate["run_id"] for candidate in found["candidates"]] == home.made["finished_runs"]
    assert [candidate["answered"] for candidate in found["candidates"]] == [50, 50]
    untouched = found["candidates"][0]
    old = golden("report finished")
    assert untouched["cost_usd"] == pytest.approx(old["candidates[0].cost_usd"])
    # Scored anew, and by today's rule: the two answers that were cut at their limit are not scored now.
    said = untouched["scores"]["contains"]
    assert said["not_scored"]["answer_cut"] == 2
    assert said["mean"] == pytest.approx(17 / 18)
    assert old["candidates[0].scores.contains.scored"] - said["scored"] == 2


def test_the_same_questions_asked_in_a_new_evaluation_pay_only_for_what_failed(
    home: OldHome, loopback: LoopbackServer, capsys: pytest.CaptureFixture[str]
) -> None:
    near = "near=embedding_similarity:model=openai:text-embedding-3-small"
    found = document(
        capsys,
        *("evaluate", "--model", "openai:gpt-4.1-mini", "--model", "gemini:gemini-2.5-flash"),
        *("--system", "Be brief; antworte kurz.", "--max-tokens", "60"),
        *("--scorer", "contains", "--scorer", near, "--scorer", "correctness"),
        *("--data", "questions.csv", "--judge", "anthropic:claude-haiku-4-5"),
    )
    # The answer that a filter refused, its judgement and its vector, and the verdict that could not be
    # read; all else is taken over.
    assert asked(loopback) == {"gemini": 1, "anthropic": 2, "vectors": 1}
    calls = [candidate["calls"] for candidate in found["candidates"]]
    assert calls == [{"sent": 0, "reused": 25}, {"sent": 1, "reused": 24}]


def test_a_killed_evaluation_is_resumed_and_only_what_is_missing_is_paid(
    home: OldHome, loopback: LoopbackServer, capsys: pytest.CaptureFixture[str]
) -> None:
    before = home.made["killed_kept"]
    missing = before["rows"] - before["answers"]
    found = document(capsys, "evaluate", "--resume", home.killed)
    (candidate,) = found["candidates"]
    assert candidate["answered"] == before["rows"]
    assert asked(loopback) == {
        "openai": missing,
        "anthropic": before["rows"] - before["judgements"],
    }
    store = home.path / "mlflow.db"
    assert rows(store, TRACES_OF_RUN, candidate["run_id"]) == [(before["rows"],)]
    sql = "SELECT COUNT(*) FROM runs WHERE name = 'Eval_OpenAI_twelve'"
    assert rows(store, sql) == [(1,)]


def test_journals_that_were_left_are_delivered_once(
    home: OldHome, loopback: LoopbackServer, capsys: pytest.CaptureFixture[str]
) -> None:
    journals = home.path / ".llmflowlab" / "journals"
    assert sorted(file.name for file in journals.glob("*.jsonl")) == home.made["journals"]
    ids = [name.removeprefix("chat-").removesuffix(".jsonl") for name in home.made["journals"]]
    for _ in range(2):
        document(capsys, "chat", "--model", "guide:docs", "--message", "What is a token?")
        assert list(journals.glob("*.jsonl")) == []
    assert asked(loopback) == {}
    found = {session: delivered(home, session) for session in ids}
    assert sorted(found.values()) == [
        ("Chat_Ollama", "FINISHED", ["Say yes."], 1),
        ("Chat_OpenAI", "KILLED", ["What is 2 + 2?", "What is 3 + 3?"], 2),
    ]


def delivered(home: OldHome, session: str) -> tuple[str, str, list[str], int]:
    """Return name and state of a session's only run, its prompts in `artifacts/`, and its traces."""
    store = home.path / "mlflow.db"
    sql = (
        "SELECT runs.run_uuid, name, status FROM runs JOIN tags ON tags.run_uuid = runs.run_uuid "
        "WHERE tags.key = 'llmflowlab.session_id' AND tags.value = ?"
    )
    ((run, name, status),) = rows(store, sql, session)
    provider = name.removeprefix("Chat_").lower()
    records = json.loads((home.path / f"artifacts/{provider}_artifacts.json").read_text("utf-8"))
    ((traces,),) = rows(store, TRACES_OF_RUN, run)
    prompts = [record["prompt"] for record in records if record["run_id"] == run]
    return name, status, prompts, traces


@pytest.mark.parametrize(
    ("version", "kind"),
    [
        pytest.param("llm_guide_chat@champion", "chat", id="chat"),
        pytest.param("llm_openai_chat@live", "chat", id="chat of a session"),
        pytest.param("agent_panel@live", "chat", id="panel"),
        pytest.param("agent_json@live", "table", id="json"),
        pytest.param("agent_responses@live", "responses", id="responses"),
    ],
)
def test_old_versions_of_every_kind_are_loaded_and_answer(
    talked_with: OldHome,
    version: str,
    kind: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    checked = document(capsys, "registry", "check", version)
    assert [step["ok"] for step in checked["steps"]] == [True] * 4, checked
    assert checked["steps"][0]["text"].startswith(f"loads as {kind}")
    said = document(capsys, "chat", "--model", f"mlflow:{version}", "--message", "What is a token?")
    assert [turn["state"] for turn in said["turns"]] == ["complete"]
    assert said["turns"][0]["answer"]


def test_the_champion_can_be_replaced_by_answers_that_are_there(
    home: OldHome, loopback: LoopbackServer, capsys: pytest.CaptureFixture[str]
) -> None:
    found = document(
        capsys,
        *("registry", "promote", "llm_guide_chat/1", "--benchmark", "runs.csv"),
        *("--scorer", "contains", "--margin", "0.5"),
    )
    assert (found["promoted"], found["champion_before"]) == (True, "2")
    sent = [candidate["calls"]["sent"] for candidate in found["evaluation"]["candidates"]]
    assert sent == [0, 0]
    assert document(capsys, "registry", "rollback", "llm_guide_chat")["after"] == "2"


def test_an_old_sheet_is_read_again(looked_at: OldHome, capsys: pytest.CaptureFixture[str]) -> None:
    sheet = ("--import-sheet", str(looked_at.path / "sheet.csv"), "--judge-name", "Ada")
    found = document(capsys, "evaluate", *sheet)
    assert (found["evaluation_id"], found["new"], found["changed"]) == (looked_at.finished, 0, 0)
    assert_golden("sheet", found)


def test_an_old_version_is_served(talked_with: OldHome) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, str(MAIN), "registry", "serve", "agent_responses@live"]
    front = subprocess.Popen(
        [*command, "--port", str(port)],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert front.stderr is not None
    try:
        assert any("answers at" in line for line in front.stderr)
        payload = {"input": [{"role": "user", "content": "What is a token?"}]}
        answered = httpx.post(
            f"http://127.0.0.1:{port}/invocations", json=payload, timeout=PATIENCE
        )
        assert answered.headers["x-llmflowlab-model"] == "agent_responses/1"
        (said,) = answered.json()["output"]
        assert said["content"][0]["text"] == "You said: What is a token?"
    finally:
        front.kill()
        front.wait()
        front.stderr.close()
