from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from llmflowlab.cli import main
from llmflowlab.settings import Settings, load_settings
from llmflowlab.tracking.store import open_store
from tests.cli.fakes import Typing
from tests.patience import PATIENCE
from tests.providers.test_mlflow_models import registered
from tests.warm import SITE, SOURCE, warm

NAME = "llm_guide_chat"
VERSION = {"mlflow.trace_schema.version"}
ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(mlflow_home: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with two versions of the guide."""
    registered(settings, "one", "two")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return mlflow_home


@pytest.fixture(scope="module")
def two_versions(migrated_db: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("two-versions")
    shutil.copy(migrated_db, home / "mlflow.db")
    registered(load_settings({}, cwd=home, stdin_is_terminal=False), "one", "two")
    return home


@pytest.fixture
def looked_at(two_versions: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home with two versions of the guide, shared by commands that leave it as it is."""
    monkeypatch.setenv("LLMFLOWLAB_HOME", str(two_versions))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def registry(*arguments: str) -> int:
    return main(["registry", *arguments])


def document(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    capsys.readouterr()
    assert registry(*arguments, "--json") == 0
    return json.loads(capsys.readouterr().out)


def test_the_commands_that_look(looked_at: None, capsys: pytest.CaptureFixture[str]) -> None:
    (model,) = document(capsys, "list")["models"]
    assert [v["version"] for v in model["versions"]] == ["2", "1"]
    assert model["aliases"] == {"staging": "2"}
    shown = document(capsys, "show", f"{NAME}@staging")
    assert shown["configuration"]["system_prompt"] == "two"
    assert shown["evaluations"] == []
    compared = document(capsys, "compare", f"{NAME}/1", f"{NAME}/2")
    assert compared["differing"] == ["system_prompt"]
    for command in (["list"], ["show", f"{NAME}/1"], ["compare", f"{NAME}/1", f"{NAME}/2"]):
        assert registry(*command) == 0
    assert "differs" in capsys.readouterr().out


def test_the_commands_that_change(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert document(capsys, "alias", f"{NAME}/1", "live")["after"] == "1"
    assert document(capsys, "alias", f"{NAME}/2", "live")["before"] == "1"
    assert document(capsys, "rollback", NAME, "--alias", "live")["after"] == "1"
    made = document(capsys, "register", "--model", "guide:docs", "--temperature", "0.5")
    (entry,) = made["registered"]
    assert (entry["name"], entry["version"]) == (NAME, "3")
    # The same candidate once more is the same version.
    again = document(capsys, "register", entry["run_id"])
    assert again["registered"][0]["version"] == "3"
    assert document(capsys, "archive", f"{NAME}/3")["stage"] == "Archived"
    assert registry("delete", f"{NAME}/3") == 2
    assert "give --yes" in capsys.readouterr().err
    assert document(capsys, "delete", f"{NAME}/3", "--yes")["deleted"]


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        pytest.param(["show", "nothing"], "names no model version", id="no-version"),
        pytest.param(["show", f"{NAME}/9"], "There is no model version", id="missing"),
        pytest.param(["list", "nobody"], "no registered model", id="no-model"),
        pytest.param(["alias", f"{NAME}/1", "champion"], "by evidence only", id="champion"),
        pytest.param(["register"], "Name runs", id="nothing-to-register"),
        pytest.param(["register", "no-run"], "There is no run", id="no-run"),
        pytest.param(
            ["register", "--model", "guide:docs", "--guardrails", "nowhere.yaml"],
            "there is no file nowhere.yaml",
            id="no-policy",
        ),
        pytest.param(
            ["register", "some-run", "--guardrails", "on"], "A run says itself", id="run-and-policy"
        ),
        pytest.param(["rollback", NAME], "never moved here", id="no-rollback"),
        pytest.param(["promote", f"{NAME}/1"], "--benchmark", id="no-benchmark"),
        pytest.param(
            ["promote", f"{NAME}/1", "--benchmark", "x.csv", "--margin", "2"],
            "--margin",
            id="margin",
        ),
        pytest.param(
            ["batch", f"{NAME}/1", "--input", "x.csv", "--output", "y.txt"], "must end in", id="txt"
        ),
    ],
)
def test_bad_input_is_one_sentence(
    looked_at: None, command: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert registry(*command) == 2
    captured = capsys.readouterr()
    assert reason in captured.err
    assert captured.out == ""


def test_a_check_goes_the_way_of_a_server(
    looked_at: None, capsys: pytest.CaptureFixture[str]
) -> None:
    checked = document(capsys, "check", f"{NAME}@staging")
    assert [(s["step"], s["ok"]) for s in checked["steps"]] == [
        ("load", True),
        ("input example", True),
        ("payload", True),
        ("prediction", True),
    ]


def test_the_screen_leads_to_a_version_and_back(
    looked_at: None, typed: Typing, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(f"{NAME}\n2\nshow\nback\nback\n")
    assert registry() == 0
    assert "It was not evaluated yet." in capsys.readouterr().out
    typed("1\n")
    assert registry() == 0


def questions(home: Path, number: int) -> str:
    file = home / "questions.csv"
    rows = "".join(f'"What is a run, number {n}?",MLflow\n' for n in range(number))
    file.write_text("question,answer\n" + rows, encoding="utf-8")
    return str(file)


def test_a_promotion_needs_evidence(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = ["--benchmark", questions(home, 12), "--scorer", "contains"]
    first = document(capsys, "promote", f"{NAME}/1", *few)
    assert (first["promoted"], first["verdict"], first["champion_before"]) == (
        True,
        "no_champion",
        None,
    )
    again = document(capsys, "promote", f"{NAME}/1", *few)
    assert (again["promoted"], again["verdict"], again["evaluation"]) == (True, "champion", None)
    assert again.keys() == first.keys()
    assert registry("promote", f"{NAME}/2", *few) == 5
    assert "too few rows" in capsys.readouterr().err
    assert registry("promote", f"{NAME}/2", *few, "--margin", "0.5", "--max-latency", "1e-9") == 5
    second = document(capsys, "promote", f"{NAME}/2", *few, "--margin", "0.5")
    assert (second["promoted"], second["champion_before"]) == (True, "1")
    # Every answer was paid for before.
    assert [c["calls"]["sent"] for c in second["evaluation"]["candidates"]] == [0, 0]
    shown = document(capsys, "show", f"{NAME}@champion")
    assert shown["version"] == "2"
    assert shown["evidence"]["evaluation"] == second["evaluation"]["evaluation_id"]
    assert shown["evidence"]["run"] == second["evaluation"]["candidates"][1]["run_id"]
    assert float(shown["evidence"]["lower_bound"]) == pytest.approx(second["lower_bound"], rel=1e-4)
    mean = second["evaluation"]["candidates"][1]["scores"]["contains"]["mean"]
    assert shown["best_scores"] == {"contains": pytest.approx(mean)}
    assert document(capsys, "rollback", NAME)["after"] == "1"


def requests_file(home: Path) -> Path:
    file = home / "requests.jsonl"
    rows: list[dict[str, Any]] = [
        {"messages": [{"role": "user", "content": "What is a run?"}], "params": {"max_tokens": 9}},
        {"messages": "no json"},
        {"messages": [{"role": "user", "content": "What is a trace?"}]},
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def test_a_batch_answers_rows_and_keeps_errors_in_their_place(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["batch", f"{NAME}@staging", "--input", str(requests_file(home)), "--output"]
    done = document(capsys, *asked, "out.jsonl")
    assert (done["rows"], done["answered"], done["failed"]) == (3, 2, 1)
    rows = [json.loads(line) for line in (home / "out.jsonl").read_text("utf-8").splitlines()]
    assert [row["row"] for row in rows] == [1, 2, 3]
    assert "record of one execution" in rows[0]["content"]
    assert (rows[1]["content"], rows[1]["error"]) == (
        None,
        "The messages are no JSON: Expecting value at character 1.",
    )
    assert registry(*asked, "out.jsonl") == 2
    assert "exists" in capsys.readouterr().err
    document(capsys, *asked, "out.csv")
    with (home / "out.csv").open(encoding="utf-8-sig", newline="") as file:
        assert len(list(csv.DictReader(file))) == 3
    assert not list(home.glob("*.journal"))


def test_a_version_registered_with_guardrails_keeps_them_where_it_answers(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "policy.yaml").write_text("own: [Nightjar]\nout: {toxicity: warn}\n", "utf-8")
    registering = ("register", "--model", "guide:docs", "--guardrails")
    (bare,) = document(capsys, *registering, "off")["registered"]
    (made,) = document(capsys, *registering, str(home / "policy.yaml"))["registered"]
    assert made["version"] != bare["version"]
    shown = document(capsys, "show", f"{NAME}/{made['version']}")["configuration"]
    assert shown["guardrails"]["own"] == ["Nightjar"]
    assert (
        "guardrails" not in document(capsys, "show", f"{NAME}/{bare['version']}")["configuration"]
    )
    # What holds in the home holds for whoever says nothing else.
    os.environ["LLMFLOWLAB_GUARDRAILS"] = str(home / "policy.yaml")
    (same,) = document(capsys, *registering[:-1])["registered"]
    del os.environ["LLMFLOWLAB_GUARDRAILS"]
    assert same["version"] == made["version"]
    rows = [
        {"messages": [{"role": "user", "content": f"What is {it}?"}]}
        for it in ("a run", "Nightjar")
    ]
    (home / "asked.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    answers = {}
    for version in (bare["version"], made["version"]):
        command = ("batch", f"{NAME}/{version}", "--input", "asked.jsonl", "--output")
        document(capsys, *command, f"out{version}.jsonl")
        lines = (home / f"out{version}.jsonl").read_text("utf-8").splitlines()
        answers[version] = [json.loads(line)["content"] for line in lines]
    assert not any("was not sent" in each for each in answers[bare["version"]])
    fine, refused = answers[made["version"]]
    assert fine == answers[bare["version"]][0]
    assert refused == (
        "This was not sent: the guardrails see something in it that is not taken here. Put it in other "
        "words."
    )


def test_a_taken_port_and_a_missing_version_end_with_2(
    looked_at: None, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert registry("serve", f"{NAME}@staging", "--port", port) == 2
    assert f"Port {port}" in capsys.readouterr().err
    assert registry("serve", f"{NAME}@nobody", "--port", port) == 2


def test_a_missing_key_ends_with_3(home: Path, settings: Settings) -> None:
    os.environ["GEMINI_API_KEY"] = "no-key-at-all"
    assert registry("register", "--model", "gemini:gemini-2.5-flash") == 0
    del os.environ["GEMINI_API_KEY"]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    assert registry("serve", "llm_gemini_chat@staging", "--port", port) == 3


def test_an_alias_that_moves_drops_no_request(home: Path, settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, str(ROOT / "main.py"), "registry"]
    front = subprocess.Popen(
        [*command, "serve", f"{NAME}@staging", "--port", str(port), "--every", "0.2"],
        cwd=home,
        # MLflow looks at the model that is served while it is imported: nothing is forked here.
        env={name: value for name, value in os.environ.items() if name != SOURCE},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert front.stderr is not None
    try:
        assert any("answers at" in line for line in front.stderr)
        url = f"http://127.0.0.1:{port}/invocations"
        payload = {"messages": [{"role": "user", "content": "What is a run?"}]}
        streamed = httpx.post(url, json={**payload, "stream": True}, timeout=PATIENCE)
        assert streamed.headers["content-type"].startswith("text/event-stream")
        assert len(streamed.text.split("data: ")) > 5
        assert "error_code" not in streamed.text
        refused = httpx.post(url, json={"messages": [], "stream": True}, timeout=PATIENCE)
        assert refused.status_code == 400
        seen: Counter[tuple[int, str]] = Counter()
        moved = threading.Event()

        def ask() -> None:
            with httpx.Client(timeout=PATIENCE) as client:
                # A pause, or the asking would take the processor from the server that is to start.
                while not moved.wait(0.05):
                    answered = client.post(url, json=payload)
                    served = answered.headers["x-llmflowlab-model"]
                    seen[answered.status_code, served] += 1
                    if seen[200, f"{NAME}/1"] > 20:
                        moved.set()

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        assert registry("alias", f"{NAME}/1", "staging") == 0
        for thread in threads:
            thread.join()
        assert set(seen) == {(200, f"{NAME}/2"), (200, f"{NAME}/1")}
        if sys.platform != "win32":
            front.send_signal(signal.SIGINT)
            assert front.wait(PATIENCE) == 0
    finally:
        front.kill()
        front.wait()
        front.stderr.close()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/ping")
    store = open_store(settings)
    served = store.client.search_traces(locations=[store.experiment_id("LLMS_Agents")])
    # MLflow writes a trace's spans first: of the last one, its server's end may have cut off the rest.
    whole = [
        each.info.trace_metadata for each in served if each.info.trace_metadata.keys() & VERSION
    ]
    assert len(whole) > 20
    assert all(metadata["mlflow.modelId"] for metadata in whole)
    assert store.client.search_traces(locations=["0"]) == []


def test_mlflows_own_server_answers_and_can_be_evaluated(
    home: Path, capsys: pytest.CaptureFixture[str], requests_allowed: None
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-W", "ignore", "-m", "mlflow", "models", "serve"]
    command += ["-m", f"models:/{NAME}@staging", "--env-manager", "local", "--port", str(port)]
    with (home / "serve.log").open("wb") as log:
        server = subprocess.Popen(
            warm(command),
            cwd=home,
            stdout=log,
            stderr=log,
            env={
                **os.environ,
                "PYTHONPATH": str(SITE),
                "MLFLOW_TRACKING_URI": f"sqlite:///{(home / 'mlflow.db').as_posix()}",
                # MLflow starts its server by name, as in an activated environment.
                "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            },
            start_new_session=True,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and server.poll() is None:
            try:
                httpx.get(f"{address}/ping")
                break
            except httpx.TransportError:
                threading.Event().wait(0.2)
        options = ["--data", questions(home, 3), "--scorer", "contains", "--json"]
        assert main(["evaluate", "--model", f"mlflow:{address}", *options]) == 0
        (candidate,) = json.loads(capsys.readouterr().out)["candidates"]
        assert (candidate["answered"], candidate["cost_usd"]) == (3, None)
        assert candidate["model"].startswith(f"mlflow:{address}#")
    finally:
        if sys.platform == "win32":
            server.terminate()
        elif server.poll() is None:
            os.killpg(server.pid, signal.SIGTERM)
        server.wait(PATIENCE)
