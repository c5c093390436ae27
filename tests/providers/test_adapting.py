"""What a server refuses by name is renamed, weakened or left out: once, remembered, and said once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from llmflowlab.providers.adapting import Memory, adapted
from llmflowlab.providers.refused_requests import Refusal
from llmflowlab.providers.scripted import ScriptedProvider

SYSTEM = {"role": "system", "content": "Be kind."}
USER = {"role": "user", "content": "Hi"}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "answer"}}
EXTRA_FORBIDDEN = (
    "[{'type': 'extra_forbidden', 'loc': ['body', '%s'], 'msg': 'Extra inputs are not permitted'}]"
)


class Refused(Exception):
    def __init__(self, text: str, *, status: int = 400, **more: Any) -> None:
        super().__init__(text)
        self.refusal = Refusal(status=status, text=text, **more)


class Server:
    """Refuses what `wrong` finds wrong with a body, and answers everything else with it."""

    def __init__(self, wrong: Any) -> None:
        self.wrong = wrong
        self.bodies: list[dict[str, Any]] = []
        self.memory = Memory()
        self.provider = ScriptedProvider(model="m")

    def ask(self, address: str = "https://one", **body: Any) -> dict[str, Any]:
        async def send(sent: dict[str, Any]) -> dict[str, Any]:
            self.bodies.append(sent)
            if (error := self.wrong(sent)) is not None:
                raise error
            return sent

        return asyncio.run(
            adapted(
                send,
                {"messages": [SYSTEM, USER], **body},
                provider=self.provider,
                address=address,
                refused=Refused,
                refusal=lambda exc: exc.refusal,
                memory=self.memory,
            )
        )


def where(name: str, error: Refused) -> Any:
    return lambda body: error if name in {**body, **body.get("extra_body", {})} else None


@pytest.mark.parametrize(
    ("body", "error", "sent"),
    [
        pytest.param(
            {"max_tokens": 9},
            Refused(
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
                "'max_completion_tokens' instead.",
                param="max_tokens",
            ),
            {"max_completion_tokens": 9},
            id="new-limit",
        ),
        pytest.param(
            {"max_completion_tokens": 9},
            Refused(EXTRA_FORBIDDEN % "max_completion_tokens", status=422),
            {"max_tokens": 9},
            id="old-limit-validated",
        ),
        pytest.param(
            {"max_completion_tokens": 9},
            Refused("Unrecognized request argument supplied: max_completion_tokens"),
            {"max_tokens": 9},
            id="old-limit",
        ),
        pytest.param(
            {"temperature": 0.2, "seed": 1},
            Refused("'temperature' does not support 0.2 with this model.", param="temperature"),
            {"seed": 1},
            id="temperature",
        ),
        pytest.param(
            {"extra_body": {"temperature": 0.2, "top_p": 0.9}},
            Refused("`temperature` is deprecated for this model."),
            {"extra_body": {"top_p": 0.9}},
            id="temperature-in-extra-body",
        ),
        pytest.param(
            {"stream_options": {"include_usage": True}},
            Refused(EXTRA_FORBIDDEN % "stream_options", status=422),
            {},
            id="stream-options",
        ),
        pytest.param({"seed": 1}, Refused(EXTRA_FORBIDDEN % "seed", status=422), {}, id="seed"),
        pytest.param(
            {"response_format": SCHEMA},
            Refused("'response_format.type' must be 'text'"),
            {},
            id="no-response-format",
        ),
    ],
)
def test_what_is_refused_by_name_is_sent_otherwise(body, error, sent):
    name = next(iter(body.get("extra_body", body)))
    server = Server(where(name, error))
    assert server.ask(**body) == {"messages": [SYSTEM, USER], **sent}
    assert len(server.bodies) == 2


def test_a_schema_is_first_weakened_to_json_and_then_left_out():
    def wrong(body: dict[str, Any]) -> Refused | None:
        kind = body.get("response_format", {}).get("type")
        return None if kind is None else Refused(f"response_format {kind} is not supported")

    server = Server(wrong)
    assert "response_format" not in server.ask(response_format=SCHEMA)
    kinds = [body.get("response_format", {}).get("type") for body in server.bodies]
    assert kinds == ["json_schema", "json_object", None]


def test_a_system_prompt_that_is_refused_stands_before_the_first_message():
    def wrong(body: dict[str, Any]) -> Refused | None:
        text = "Unsupported value: 'messages[0].role' does not support 'system' with this model."
        system = body["messages"][0]["role"] == "system"
        return Refused(text, param="messages[0].role") if system else None

    sent = Server(wrong).ask()
    assert sent["messages"] == [{"role": "user", "content": "Be kind.\n\nHi"}]


def test_what_was_found_out_is_remembered_for_that_server_alone_and_said_once():
    server = Server(where("seed", Refused("seed is not supported")))
    for _ in range(3):
        server.ask(seed=1)
    assert len(server.bodies) == 4
    assert server.provider.told() == ["scripted:m does not take seed, which is left out."]
    assert server.provider.told() == []
    server.ask("https://another", seed=1)
    assert len(server.bodies) == 6


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(
            Refused("temperature must be between 0 and 1", param="temperature"), id="range"
        ),
        pytest.param(
            Refused("max_tokens is too large: this model supports at most 64 tokens"),
            id="too-large",
        ),
        pytest.param(Refused("Unsupported value: 'logprobs' is not supported"), id="not-sent"),
        pytest.param(Refused("seed is not supported", status=429), id="another-status"),
    ],
)
def test_a_value_out_of_range_and_other_errors_are_left_to_the_person(error):
    server = Server(lambda body: error)
    with pytest.raises(Refused):
        server.ask(temperature=1.5, max_tokens=99, seed=1)
    assert len(server.bodies) == 1


def test_a_limit_that_is_known_by_neither_name_is_never_dropped():
    def wrong(body: dict[str, Any]) -> Refused | None:
        name = next((name for name in body if name.startswith("max_")), None)
        return None if name is None else Refused(f"Unknown parameter: {name}", param=name)

    server = Server(wrong)
    with pytest.raises(Refused):
        server.ask(max_tokens=9)
    assert len(server.bodies) <= 3


def test_chances_are_done_without_where_they_are_not_told():
    def wrong(body: dict[str, Any]) -> Refused | None:
        if "logprobs" in body:
            return Refused("logprobs is not supported with this model")
        return Refused("top_logprobs is not allowed") if "top_logprobs" in body else None

    server = Server(wrong)
    sent = server.ask(logprobs=True, top_logprobs=20, seed=1)
    assert {"logprobs", "top_logprobs"}.isdisjoint(sent)
    assert sent["seed"] == 1
