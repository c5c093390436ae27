"""The loopback server itself: a fault in it would make every test that stands on it worthless."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.loopback import LoopbackServer, Scenario, Tokens, WireName
from tests.loopback.asking import SCHEMA, WIRES, Reply, ask, events_of, send, text_of
from tests.patience import PATIENCE


@pytest.mark.parametrize("wire", WIRES)
def test_a_whole_answer_is_in_the_vendors_form(loopback: LoopbackServer, wire: WireName):
    loopback.scenario.answers["What is 2 + 2?"] = "4"
    assert text_of(wire, ask(loopback, wire, "What is 2 + 2?").json) == "4"
    assert text_of(wire, ask(loopback, wire, "Please: What is 2 + 2? Now.").json) == "4"
    assert text_of(wire, ask(loopback, wire, "Hi there").json) == "You said: Hi there"


@pytest.mark.parametrize("wire", WIRES)
def test_a_streamed_answer_has_the_same_text_in_pieces(loopback: LoopbackServer, wire: WireName):
    events = events_of(wire, ask(loopback, wire, "Grüße, 世界", stream=True).data)
    pieces = {
        "gemini": lambda event: text_of("gemini", event),
        "ollama": lambda event: text_of("ollama", event),
        "openai": lambda event: (event["choices"] or [{"delta": {}}])[0]["delta"].get("content"),
        "azure": lambda event: (event["choices"] or [{"delta": {}}])[0]["delta"].get("content"),
        "anthropic": lambda event: event.get("delta", {}).get("text"),
    }[wire]
    assert [piece for piece in map(pieces, events) if piece] == [
        "You",
        " said:",
        " Grüße,",
        " 世界",
    ]


@pytest.mark.parametrize(
    ("wire", "usage"),
    [
        (
            "gemini",
            {
                "promptTokenCount": 9,
                "candidatesTokenCount": 5,
                "thoughtsTokenCount": 2,
                "cachedContentTokenCount": 3,
                "totalTokenCount": 16,
            },
        ),
        ("ollama", {"prompt_eval_count": 9, "eval_count": 7}),
        ("openai", {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16}),
        ("azure", {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16}),
        ("anthropic", {"input_tokens": 6, "cache_read_input_tokens": 3, "output_tokens": 7}),
    ],
)
def test_usage_is_counted_as_the_vendor_counts(
    loopback: LoopbackServer, wire: WireName, usage: dict[str, int]
):
    loopback.scenario.tokens[wire] = Tokens(prompt=9, completion=5, cached=3, reasoning=2)
    body = ask(loopback, wire).json
    sent = body["usageMetadata"] if wire == "gemini" else body.get("usage", body)
    assert {name: sent[name] for name in usage} == usage


@pytest.mark.parametrize(
    ("wire", "status", "words"),
    [
        ("gemini", 400, "API_KEY_INVALID"),
        ("openai", 401, "invalid_api_key"),
        ("azure", 401, "invalid subscription key"),
        ("anthropic", 401, "authentication_error"),
    ],
)
def test_a_wrong_key_is_refused_as_the_vendor_does(
    loopback: LoopbackServer, wire: WireName, status: int, words: str
):
    reply = ask(loopback, wire, key="wrong")
    assert reply.status == status
    assert words in reply.data.decode()


@pytest.mark.parametrize(
    ("wire", "words"),
    [
        ("gemini", "models/nope is not found for API version"),
        ("ollama", "model 'nope' not found"),
        ("openai", "model_not_found"),
        ("azure", "DeploymentNotFound"),
        ("anthropic", "not_found_error"),
    ],
)
def test_an_unknown_model_is_refused_as_the_vendor_does(
    loopback: LoopbackServer, wire: WireName, words: str
):
    reply = ask(loopback, wire, model="nope")
    assert reply.status == 404
    assert words in reply.data.decode()


@pytest.mark.parametrize("wire", WIRES)
def test_a_judge_answers_json_that_fits_with_the_tests_verdict(
    loopback: LoopbackServer, wire: WireName
):
    loopback.scenario.verdict = lambda whole: "Paris" in whole
    for question, verdict in (("Is it Paris?", "yes"), ("Is it Rome?", "no")):
        said = json.loads(text_of(wire, ask(loopback, wire, question, schema=SCHEMA).json))
        assert said == {"result": verdict, "rationale": f"The loopback judge says {verdict}."}


def test_a_judge_without_a_schema_is_known_by_its_prompt(loopback: LoopbackServer):
    loopback.scenario.verdict = lambda whole: False
    prompt = 'Answer as {"result": "yes|no", "rationale": "why"}'
    assert json.loads(text_of("openai", ask(loopback, "openai", prompt).json))["result"] == "no"


def test_a_schema_of_another_shape_is_filled(loopback: LoopbackServer):
    schema = {
        "type": "object",
        "properties": {
            "result": {"type": "boolean"},
            "level": {"enum": ["low", "high"]},
            "count": {"type": "integer"},
            "inner": {"type": "object", "properties": {"list": {"type": "array"}}},
        },
    }
    said = json.loads(text_of("openai", ask(loopback, "openai", schema=schema).json))
    assert said == {"result": True, "level": "low", "count": 1, "inner": {"list": []}}


@pytest.mark.parametrize("wire", WIRES)
def test_models_without_schemas_refuse_one(loopback: LoopbackServer, wire: WireName):
    loopback.scenario.schemas = False
    assert ask(loopback, wire, schema=SCHEMA).status == 400
    assert ask(loopback, wire).status == 200


def test_requests_are_recorded_with_path_query_headers_and_body(loopback: LoopbackServer):
    ask(loopback, "azure", "Hi")
    last = loopback.last
    assert (last.method, last.wire) == ("POST", "azure")
    assert last.path == "/openai/deployments/gpt-4.1-mini/chat/completions"
    assert last.query == {"api-version": "2025-04-01-preview"}
    assert last.headers["api-key"] == loopback.scenario.keys["azure"]
    assert last.body["messages"] == [{"role": "user", "content": "Hi"}]


@pytest.mark.parametrize(
    ("headers", "first"),
    [
        ({"authorization": "Bearer loopback-openai-key-0123456789"}, "gpt-4.1-mini"),
        (
            {
                "x_api_key": "loopback-anthropic-key-0123456789",
                "anthropic_version": "2023-06-01",
            },
            "claude-haiku-4-5",
        ),
        ({"x_goog_api_key": "loopback-gemini-key-0123456789"}, "models/gemini-2.5-flash"),
    ],
    ids=["openai", "anthropic", "gemini"],
)
def test_three_vendors_share_the_path_of_their_lists(
    loopback: LoopbackServer, headers: dict[str, str], first: str
):
    body = send(loopback, "GET", "/v1/models", **headers).json
    card = (body.get("data") or body.get("models"))[0]
    assert first in {card.get("id"), card.get("name")}


def test_ollama_pulls_with_progress_and_has_the_model_then(loopback: LoopbackServer):
    assert ask(loopback, "ollama", model="tiny").status == 404
    reply = send(loopback, "POST", "/api/pull", {"model": "tiny"})
    steps = events_of("ollama", reply.data)
    assert steps[-1] == {"status": "success"}
    assert [step["completed"] for step in steps if "completed" in step] == sorted(
        step["completed"] for step in steps if "completed" in step
    )
    assert ask(loopback, "ollama", model="tiny").status == 200
    missing = send(loopback, "POST", "/api/pull", {"model": "missing"})
    assert events_of("ollama", missing.data)[-1] == {
        "error": "pull model manifest: file does not exist"
    }


def test_ollamas_models_answer_openais_protocol_without_a_key(loopback: LoopbackServer):
    assert ask(loopback, "openai", model="llama3.2", key="anything").status == 200


def test_embeddings_are_a_function_of_the_text(loopback: LoopbackServer):
    body = {"model": "text-embedding-3-small", "input": ["a b", "a b", "c"]}
    key = loopback.scenario.keys["openai"]
    reply = send(loopback, "POST", "/v1/embeddings", body, authorization=f"Bearer {key}").json
    first, second, third = (item["embedding"] for item in reply["data"])
    assert first == second != third
    assert sum(value * value for value in first) == pytest.approx(1.0)


def test_an_address_that_nobody_knows_is_404(loopback: LoopbackServer):
    assert send(loopback, "GET", "/nowhere").status == 404


def test_the_environment_names_every_provider(loopback: LoopbackServer):
    everything = loopback.environment()
    assert everything["OLLAMA_HOST"] == loopback.url
    assert set(loopback.environment("openai")) == {"OPENAI_API_KEY", "OPENAI_BASE_URL"}
    assert set(loopback.environment("openai")) < set(everything)


def test_a_failure_of_the_server_itself_is_kept():
    def fail(question: str) -> str:
        raise ZeroDivisionError(question)

    with LoopbackServer(Scenario(answer=fail)) as server:
        with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
            ask(server, "openai")
        assert [type(error) for error in server.failures] == [ZeroDivisionError]


def test_as_a_program_it_prints_its_variables_and_serves_until_its_input_ends(tmp_path: Path):
    answers = tmp_path / "answers.csv"
    answers.write_text("question,answer\nWho?,Me\n", encoding="utf-8")
    command = [sys.executable, "-m", "tests.loopback", "--answers", str(answers)]
    command += ["--fault", "overloaded:every=2,wire=openai,wait=1"]
    with subprocess.Popen(
        command,
        cwd=Path(__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "\n")
        variables = dict(line.rstrip("\n").split("=", 1) for line in lines)
        port = urlsplit(variables["LOOPBACK_URL"]).port
        assert port is not None
        statuses, texts = [], []
        for _ in range(2):
            line = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
            body = {"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "Who?"}]}
            headers = {"authorization": f"Bearer {variables['OPENAI_API_KEY']}"}
            line.request("POST", "/v1/chat/completions", json.dumps(body), headers)
            reply = Reply(line.getresponse())
            line.close()
            statuses.append(reply.status)
            texts.append(reply.data.decode())
        assert statuses == [200, 503]
        assert '"content": "Me"' in texts[0]
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 0


@pytest.mark.parametrize(
    "fault", ["nonsense", "reset:every=x", "reset:colour=red", "reset:wire=fax"]
)
def test_as_a_program_it_refuses_faults_that_it_does_not_know(fault: str):
    done = subprocess.run(
        [sys.executable, "-m", "tests.loopback", "--fault", fault],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 2
    assert "fault" in done.stderr
