"""The real language model of `make model`, in the program and in this process."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmflowlab.errors import BadRequest, ContextTooLong, NotConfigured
from llmflowlab.messages import Message, Parameters, Request
from llmflowlab.providers.base import Finished, StreamEvent, TextDelta, UsageReport
from llmflowlab.providers.factory import build
from llmflowlab.providers.local.provider import LocalProvider
from llmflowlab.providers.local.shelf import DEFAULT, SHELF
from llmflowlab.settings import load_settings
from tests.agents.test_serving import server
from tests.cli.pseudo_terminal import MAIN, PseudoTerminal
from tests.e2e.program import Lab
from tests.e2e.stored import Everything
from tests.loopback.server import closed_port
from tests.patience import PATIENCE
from tests.warm import warm

MODEL = Path(__file__).parents[2] / "models" / f"{DEFAULT}.gguf"
pytestmark = [
    pytest.mark.skipif(not MODEL.is_file(), reason=f"{MODEL.name} is not there: run `make model`"),
    pytest.mark.skipif(
        importlib.util.find_spec("xllamacpp") is None, reason="xllamacpp has no wheel here"
    ),
    # One of them at a time keeps the processor for the others.
    pytest.mark.xdist_group("local"),
]
REFERENCE = f"local:{DEFAULT}"
# Other tests keep the other cores busy.
THREADS = {"LLMFLOWLAB_LOCAL_THREADS": "1"}


def put_model(home: Path) -> None:
    (home / "models").mkdir()
    (home / "models" / MODEL.name).symlink_to(MODEL)


@pytest.fixture
def lab(mlflow_home: Path) -> Lab:
    put_model(mlflow_home)
    return Lab(mlflow_home, THREADS)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalProvider]:
    home = tmp_path_factory.mktemp("local")
    put_model(home)
    found = build("local", load_settings(THREADS, cwd=home))
    assert isinstance(found, LocalProvider)
    yield found
    found.close()


def asked(text: str, **more: object) -> Request:
    parameters = Parameters(**{"max_tokens": 12, **more})  # type: ignore[arg-type]  # a test's own
    return Request(messages=(Message("user", text),), parameters=parameters)


def said(events: list[StreamEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def test_it_answers_with_its_own_counts_under_the_template_of_its_file(
    model: LocalProvider,
) -> None:
    events = list(model.stream(asked("What is the capital of Australia?", temperature=0)))
    assert "Canberra" in said(events)
    counted = [event.usage for event in events if isinstance(event, UsageReport)][-1]
    # The template adds a system prompt of its own where there is none.
    assert counted.prompt_tokens == 37
    assert counted.completion_tokens
    last = events[-1]
    assert isinstance(last, Finished)
    assert last.model_version == f"{MODEL.name}@{SHELF[DEFAULT].file_sha256[:12]}"


def test_the_same_seed_gives_the_same_answer(model: LocalProvider) -> None:
    request = asked("Tell me a story.", temperature=1.0, seed=11)
    first = said(list(model.stream(request)))
    list(model.stream(asked("Something else.")))
    assert said(list(model.stream(request))) == first


def test_the_length_of_an_answer_is_kept_and_said(model: LocalProvider) -> None:
    *_, counted, last = model.stream(asked("Tell me a story.", max_tokens=3))
    assert isinstance(counted, UsageReport)
    assert counted.usage.completion_tokens == 3
    assert isinstance(last, Finished)
    assert last.reason == "length"


def test_a_schema_holds_it_to_a_form(model: LocalProvider) -> None:
    schema = {
        "type": "object",
        "properties": {"result": {"type": "string", "enum": ["yes", "no"]}},
        "required": ["result"],
        "additionalProperties": False,
    }
    request = Request(messages=(Message("user", "Is it so?"),), response_schema=schema)
    assert "".join(said(list(model.stream(request))).split()) in {
        '{"result":"yes"}',
        '{"result":"no"}',
    }
    with pytest.raises(BadRequest, match="llama.cpp refused the request: .*schema"):  # noqa: RUF043
        list(
            model.stream(
                Request(messages=(Message("user", "x"),), response_schema={"type": "strange"})
            )
        )


def test_a_prompt_over_the_window_is_refused_and_never_cut(model: LocalProvider) -> None:
    with pytest.raises(ContextTooLong, match=r"tokens long, and .* reads 4096 here"):
        list(model.stream(asked("word " * 5000)))


def test_an_answer_that_is_given_up_makes_room_at_once(model: LocalProvider) -> None:
    stream = model.stream(asked("Tell me a very long story.", max_tokens=3000))
    while not isinstance(next(stream), TextDelta):
        pass
    stream.close()  # type: ignore[attr-defined]  # it is a generator
    assert said(list(model.stream(asked("Hello"))))


def test_it_makes_no_embeddings(model: LocalProvider) -> None:
    with pytest.raises(BadRequest, match="makes no embeddings"):
        model.embed(["a"])


def test_a_file_that_is_cut_off_is_told(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    with MODEL.open("rb") as whole:
        (tmp_path / "models" / "cut.gguf").write_bytes(whole.read(3_000_000))
    cut = build("local:cut", load_settings(THREADS, cwd=tmp_path))
    with pytest.raises(NotConfigured, match=r"llama\.cpp cannot load .*cut\.gguf"):
        cut.prepare()


def test_a_chat_is_recorded_registered_and_its_version_served(lab: Lab) -> None:
    chat = ("chat", "--model", "local", "--temperature", "0", "--max-tokens", "8")
    ended = lab.run(*chat, "--message", "What is the capital of Australia?", "--json")
    assert ended.code == 0, ended.err
    (turn,) = lab.records("local")
    assert (turn["model"], turn["cost_usd"]) == (REFERENCE, 0)
    assert turn["prompt_tokens"] == 37
    assert not turn["tokens_estimated"]
    stored = Everything(lab.settings)
    (run,) = stored.runs()
    assert run.info.run_name == "Chat_Local"
    assert run.data.params["supplier"] == "llama.cpp"
    assert run.data.metrics["total_cost_estimate"] == 0
    (version,) = stored.versions("llm_local_chat")
    assert version.current_stage == "Staging"
    held = [file.read_text("utf-8") for file in lab.home.rglob("MLmodel")]
    assert any(SHELF[DEFAULT].file_sha256 in text and MODEL.name in text for text in held)
    assert not list((lab.home / "mlartifacts").rglob("*.gguf"))

    # What was registered is asked as a model of the registry, and behind a server.
    ended = lab.run(
        *("chat", "--model", "mlflow:llm_local_chat@staging", "--json"),
        *("--message", "What is the capital of Australia?"),
    )
    assert ended.code == 0, ended.err
    assert ended.document["turns"][0]["answer"] == turn["answer"]
    port = closed_port()
    command = [str(MAIN), "registry", "serve", "llm_local_chat@staging", "--port", str(port)]
    environment = {**os.environ, **lab._environment({})}
    with server(command, port, lab.home, environment) as address:
        body = b'{"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 5}'
        request = urllib.request.Request(
            f"{address}/invocations", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            assert b'"completion_tokens"' in answer.read()


QUESTIONS = "".join(f"What is {n} plus {n}?,{2 * n}\n" for n in range(1, 11))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_two_people_in_two_terminals_judge_the_same_answers_and_see_how_far_they_agree(
    lab: Lab,
) -> None:
    file = lab.home / "ten.csv"
    # Of which the model answers some within the length.
    file.write_text("question,expected\n" + QUESTIONS.replace("plus", "and"), encoding="utf-8")
    asked = ("--model", "local", "--model", "guide", "--data", str(file), "--max-tokens", "30")
    ended = lab.run("evaluate", *asked, "--temperature", "0", "--scorer", "contains", "--json")
    evaluation = ended.document["evaluation_id"]
    # Answers that were cut are judged by nobody.
    whole = [c["scores"]["contains"]["scored"] for c in ended.document["candidates"]]
    assert min(whole) > 0
    total = sum(whole)
    review = ("review", evaluation, "--as")
    ada, bob = (
        PseudoTerminal(lab.home, *review, person, height=24, environment=lab.environment)
        for person in ("ada", "bob")
    )
    both = {"ada": ada, "bob": bob}
    for person, terminal in both.items():
        shows(terminal, f"0 of {total} judged · answer 1 · {person}")
        assert "local" not in terminal.shown
    # By turns, as two people are at it at once; on every fourth answer they differ.
    for number in range(total):
        ada.type("y3")
        bob.type("n3" if number % 4 == 0 else "y3")
    for terminal in both.values():
        shows(terminal, "All answers are judged.")
        terminal.type("q")
        assert terminal.exit_code() == 0
    document = lab.run("review", evaluation, "--json").document
    people = {e["question"]: e for e in document["agreement"] if e["people"]}
    assert people["correct"]["n"] == total
    assert people["correct"]["same"] == pytest.approx(1 - len(range(0, total, 4)) / total)
    assert people["quality"]["same"] == 1.0
    everybody = [m for m in document["means"] if m["person"] is None and m["question"] == "correct"]
    judged = {m["candidate"].partition(":")[0]: m["n"] for m in everybody}
    assert judged == dict(zip(("local", "guide"), whole, strict=True))


def shows(terminal: PseudoTerminal, text: str) -> None:
    terminal.wait_until(lambda: text in terminal.shown, text)


def test_two_system_prompts_are_compared_and_what_was_killed_goes_on(lab: Lab) -> None:
    file = lab.home / "ten.csv"
    file.write_text("question,expected\n" + QUESTIONS, encoding="utf-8")
    with lab.start(
        *("evaluate", "--model", "local", "--data", str(file), "--max-tokens", "24"),
        *("--system", "Answer with a number only.", "--system", "Answer in a sentence."),
    ) as running:
        running.wait_for_match(r"[1-9]\d*/10 answers")
        running.kill()
    ended = lab.run("evaluate", "--resume", lab.unfinished(), "--json")
    assert ended.code == 0, ended.err
    candidates = ended.document["candidates"]
    assert [candidate["answered"] for candidate in candidates] == [10, 10]
    assert {candidate["cost_usd"] for candidate in candidates} == {0}
    # All of the evaluation's calls, from before it was killed too: none was answered twice.
    assert [candidate["calls"]["sent"] for candidate in candidates] == [10, 10]
    assert {c["scorer"] for c in ended.document["comparisons"]} >= {"exact_match", "contains"}
    assert all(candidate["latency"]["mean"] > 0 for candidate in candidates)
    stored = Everything(lab.settings)
    assert [run.info.status for run in stored.evaluations()] == ["FINISHED"] * 3


def test_it_judges_fails_the_examination_and_nothing_is_concluded_from_it(lab: Lab) -> None:
    file = lab.home / "three.csv"
    file.write_text(
        "question,expected,given\n"
        "What is the capital of France?,Paris,Paris\n"
        "What is the largest planet?,Jupiter,Mars\n"
        "What is the boiling point of water at sea level?,100 degrees Celsius,50 degrees\n",
        encoding="utf-8",
    )
    command = ("evaluate", "--data", str(file), "--answers", "given", "--judge", REFERENCE)
    scorers = ("--scorer", "correctness", "--scorer", "exact_match")
    told = lab.run(*command, *scorers, LLMFLOWLAB_JUDGE_EXAM="3")
    assert told.code == 0, told.said
    doubt = f"the judge {REFERENCE} did not pass its examination"
    assert f"correctness: {doubt}." in told.out
    assert "of 3 wrong ones; it is not believed: its scores are shown" in " ".join(told.out.split())
    # It went on to praise the candidate by the scores that it had just called worthless.
    assert f"given: correctness says nothing of it, as {doubt}; take another judge" in told.out
    # Examined and judged once: the same verdicts are asked for again by nobody, and no gate believes them.
    gate = ("--fail-under", "correctness=0")
    again = lab.run(*command, *scorers, *gate, "--json", LLMFLOWLAB_JUDGE_EXAM="3")
    assert again.code == 5
    document = again.document
    assert [each["passed"] for each in document["gates"]] == [False]
    exam = document["judging"]["correctness"]["exam"]
    assert exam["passed"] is False
    assert exam["asked"] == 6
    assert document["judge_usage"]["calls"]["sent"] == 0
    assert document["candidates"][0]["scores"]["correctness"]["scored"] == 3


def test_it_is_a_role_of_a_panel_that_mlflow_loads_again(lab: Lab) -> None:
    code = (
        "import mlflow\n"
        "from llmflowlab.agents.config import panel_config\n"
        "from llmflowlab.agents.logged import log_agent\n"
        "from llmflowlab.messages import Parameters\n"
        "from llmflowlab.settings import load_settings\n"
        f"panel = panel_config({REFERENCE!r}, 'guide:docs', oracle_instruction='Be brief.',\n"
        "    oracle_parameters=Parameters(temperature=0, max_tokens=20))\n"
        "logged = log_agent(load_settings(), 'panel', panel, name='panel')\n"
        "said = {'messages': [{'role': 'user', 'content': 'What is the capital of France?'}]}\n"
        "answer = mlflow.pyfunc.load_model(logged.uri).predict(said)\n"
        "for role in answer['custom_outputs']['roles']:\n"
        "    print('role', role['name'], role['model'], role['state'], role['completion_tokens'])\n"
    )
    done = subprocess.run(
        warm([sys.executable, "-W", "ignore", "-c", code]),
        cwd=lab.home,
        env={**lab._environment({}), "PYTHONPATH": str(MAIN.parent)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, second = (line for line in done.stdout.splitlines() if line.startswith("role "))
    assert re.fullmatch(rf"role oracle {REFERENCE} answered [1-9]\d*", first)
    assert re.fullmatch(r"role judge guide:docs answered [1-9]\d*", second)


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is another thing there")
def test_ctrl_c_ends_the_answer_and_keeps_what_came(lab: Lab) -> None:
    message = "Tell me a very long story about the sea."
    with lab.start(
        *("chat", "--model", "local", "--max-tokens", "3000", "--message", message)
    ) as running:
        # With a message, what is piped in is read to its end before anything is asked.
        assert running.process.stdin is not None
        running.process.stdin.close()
        running.wait_for_match(r"\w+ \w+ \w+")
        running.process.send_signal(signal.SIGINT)
        ended = running.end()
    assert ended.code == 130, ended.said
    assert "Traceback" not in ended.said
    (turn,) = lab.records("local")
    assert turn["answer"]
    assert turn["finish_reason"] != "stop"


def test_a_process_that_ends_in_the_middle_of_an_answer_ends_cleanly(lab: Lab) -> None:
    code = (
        "from llmflowlab.settings import load_settings\n"
        "from llmflowlab.providers.factory import build\n"
        "from llmflowlab.messages import Message, Request\n"
        "stream = build('local', load_settings()).stream("
        "Request(messages=(Message('user', 'Tell me a long story.'),)))\n"
        "print(next(stream))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=lab.home,
        env={**lab._environment({}), "PYTHONPATH": str(MAIN.parent)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
