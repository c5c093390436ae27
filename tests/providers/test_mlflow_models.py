from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from llmflowlab.agents.package import package
from llmflowlab.candidate import Candidate
from llmflowlab.errors import (
    BadAnswer,
    BadRequest,
    ConnectionFailed,
    InputError,
    Overloaded,
    RateLimited,
    UnknownModel,
)
from llmflowlab.messages import Message, Parameters, Request
from llmflowlab.providers.base import Finished, TextDelta, UsageReport
from llmflowlab.providers.factory import build
from llmflowlab.serving.mlflow_provider import SERVED_BY, MlflowProvider
from llmflowlab.settings import Settings
from llmflowlab.tracking.registered_candidates import run_for
from llmflowlab.tracking.registry_changes import ModelRegistry
from llmflowlab.tracking.store import open_store

ASKED = Request(messages=(Message("user", "What is a run?"),))
NAME = "llm_guide_chat"


def registered(settings: Settings, *systems: str) -> None:
    store = open_store(settings)
    registry = ModelRegistry(settings, store, package())
    for system in systems:
        candidate = Candidate(
            model="guide:docs",
            display_name="Guide",
            supplier="LLMFlowLab",
            system=system,
        )
        run_id, experiment_id = run_for(store, candidate)
        registry.register(candidate, run_id=run_id, experiment_id=experiment_id)


def test_an_alias_is_pinned_to_its_version(mlflow_home: Any, settings: Settings) -> None:
    registered(settings, "one", "two")
    pinned = build(f"mlflow:{NAME}@staging", settings)
    assert pinned.reference == f"mlflow:{NAME}/2"
    open_store(settings).client.set_registered_model_alias(NAME, "staging", "1")
    assert pinned.reference == f"mlflow:{NAME}/2"
    assert build(f"mlflow:{NAME}@staging", settings).reference == f"mlflow:{NAME}/1"


def test_a_version_answers_in_this_process(mlflow_home: Any, settings: Settings) -> None:
    registered(settings, "one")
    provider = build(f"mlflow:{NAME}/1", settings)
    events = list(provider.stream(ASKED))
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    assert "record of one execution" in text
    assert isinstance(events[-1], Finished)
    # The guide does not count tokens: its agent's estimate is no report.
    assert not any(isinstance(event, UsageReport) for event in events)
    assert provider.priced_as == ("guide", "docs")
    assert [model.name for model in provider.list_models()] == [f"{NAME}@staging"]
    assert MlflowProvider.readiness(settings, 1.0).text == "1 registered model"


def test_a_version_that_is_not_there_is_said(mlflow_home: Any, settings: Settings) -> None:
    with pytest.raises(InputError, match="There is no model version"):
        _ = build("mlflow:nobody/1", settings).reference
    with pytest.raises(InputError, match="names no version"):
        build("mlflow:nobody", settings)
    with pytest.raises(InputError, match="no address"):
        build("mlflow:http://", settings)
    assert not MlflowProvider.readiness(settings, 1.0).ready


class Served:
    """A server with one answer."""

    def __init__(self) -> None:
        self.status = 200
        self.kind = "application/json"
        self.body = json.dumps(CHAT)
        self.version: str | None = None
        self.asked: list[dict[str, Any]] = []


CHAT = {
    "model": "inner",
    "choices": [{"message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
}


@contextmanager
def server(served: Served) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            if length:
                served.asked.append(json.loads(self.rfile.read(length)))
            body = served.body.encode()
            self.send_response(served.status)
            self.send_header("content-type", served.kind)
            self.send_header("content-length", str(len(body)))
            if served.version:
                self.send_header(SERVED_BY, served.version)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = answer

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()


@pytest.fixture
def served() -> Served:
    return Served()


@pytest.fixture
def remote(served: Served, settings: Settings, requests_allowed: None) -> Iterator[Any]:
    with server(served) as address:
        provider = build(f"mlflow:{address}", settings)
        yield provider
        provider.close()


def test_a_server_is_sent_openais_payload(remote: Any, served: Served) -> None:
    parameters = Parameters(temperature=1.0, max_tokens=5, seed=7)
    events = list(
        remote.stream(Request(messages=ASKED.messages, system="S", parameters=parameters))
    )
    assert served.asked == [
        {
            "messages": [
                {"role": "system", "content": "S"},
                {"role": "user", "content": "What is a run?"},
            ],
            "temperature": 1.0,
            "max_tokens": 5,
            # MLflow loses a temperature of 1 and has no seed.
            "custom_inputs": {"temperature": 1.0, "seed": 7},
            "stream": True,
        }
    ]
    assert events[0] == TextDelta("Hi")
    assert events[-1] == Finished("stop", model_version="inner")
    (usage,) = [event.usage for event in events if isinstance(event, UsageReport)]
    assert (usage.prompt_tokens, usage.completion_tokens) == (3, 1)


def test_a_stream_is_read_piece_by_piece(remote: Any, served: Served) -> None:
    served.kind = "text/event-stream"
    pieces = [
        {"choices": [{"delta": {"content": "a "}}]},
        {"choices": [{"delta": {"content": "b"}, "finish_reason": "length"}]},
    ]
    served.body = "".join(f"data: {json.dumps(p)}\n\n" for p in pieces) + "data: [DONE]\n\n"
    events = list(remote.stream(ASKED))
    assert events == [TextDelta("a "), TextDelta("b"), Finished("length")]


def test_chunks_without_an_answer_and_other_answers_are_passed_over(
    remote: Any, served: Served
) -> None:
    served.kind = "text/event-stream"
    pieces: list[Any] = [
        {"choices": [], "prompt_filter_results": []},
        {"choices": None},
        {"choices": [{"index": 0, "content_filter_results": {}}]},
        {"choices": [{"index": 1, "delta": {"content": "x"}}, {"delta": {"content": "a "}}]},
        {"choices": [{"index": 1, "delta": {"content": "y"}, "finish_reason": "stop"}]},
        {"choices": [{"index": 0, "delta": {"content": "b"}, "finish_reason": "length"}]},
    ]
    served.body = "".join(f"data: {json.dumps(p)}\n\n" for p in pieces)
    events = list(remote.stream(ASKED))
    assert events == [TextDelta("a "), TextDelta("b"), Finished("length")]


def test_two_looks_at_an_unnamed_server_are_two_models(remote: Any) -> None:
    assert "#2" in remote.reference
    assert remote.reference == remote.reference


def test_a_server_that_names_its_version_is_pinned_to_it(remote: Any, served: Served) -> None:
    served.version = f"{NAME}/3"
    assert remote.reference.endswith(f"#{NAME}/3")
    served.version = f"{NAME}/4"
    with pytest.raises(UnknownModel, match=f"serves {NAME}/4 by now, not {NAME}/3"):
        list(remote.stream(ASKED))


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, BadRequest), (404, UnknownModel), (429, RateLimited), (503, Overloaded)],
)
def test_refusals_become_our_errors_without_the_request_in_them(
    remote: Any, served: Served, status: int, kind: type[Exception]
) -> None:
    served.status = status
    served.body = json.dumps({"message": "Failed to predict data 'secret'. \nError: not so"})
    with pytest.raises(kind, match="not so") as failure:
        list(remote.stream(ASKED))
    assert "secret" not in str(failure.value)


@pytest.mark.parametrize("body", ["no json", "[]", "{}", '{"choices": []}'])
def test_what_is_no_answer_is_said(remote: Any, served: Served, body: str) -> None:
    served.body = body
    with pytest.raises(BadAnswer):
        list(remote.stream(ASKED))


def test_a_server_that_is_away_is_said(settings: Settings, requests_allowed: None) -> None:
    provider = build("mlflow:http://127.0.0.1:9#x", settings)
    with pytest.raises(ConnectionFailed, match="Nothing answers"):
        list(provider.stream(ASKED))
    provider.close()
