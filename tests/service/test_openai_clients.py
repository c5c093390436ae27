"""OpenAI's own SDK and shapes against `/v1`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from llmflowlab.errors import Overloaded
from llmflowlab.messages import Message, Parameters
from llmflowlab.providers.base import Finished, ReasoningDelta, TextDelta, Usage, UsageReport
from llmflowlab.providers.scripted import ScriptedProvider
from llmflowlab.settings import Settings
from tests.service.running import Running, frames, key_of, running

ASKED: list[Any] = [{"role": "user", "content": "What is a run?"}]


@pytest.fixture
def model() -> ScriptedProvider:
    return ScriptedProvider(default="A run is a record. Not more.")


@pytest.fixture
def service(settings: Settings, model: ScriptedProvider) -> Iterator[Running]:
    with running(settings, model) as found:
        yield found


@pytest.fixture
def client(settings: Settings, service: Running) -> Iterator[openai.OpenAI]:
    key = key_of(settings, "sdk")["Authorization"].removeprefix("Bearer ")
    with openai.OpenAI(base_url=f"{service.url}/v1", api_key=key, max_retries=0) as found:
        yield found


def test_the_sdk_gets_what_it_expects(client: openai.OpenAI) -> None:
    (model,) = client.models.list().data
    answer = client.chat.completions.create(model=model.id, messages=ASKED)
    # Strictly, as its own types say: the SDK itself lets everything pass.
    ChatCompletion.model_validate(answer.model_dump(), strict=True)
    assert answer.choices[0].message.content == "A run is a record. Not more."
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (4, 7)


def test_the_sdks_streams_are_read_without_a_remark(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="scripted:model",
            messages=ASKED,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk.model_dump(), strict=True)
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert said == "A run is a record. Not more."
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 11
    assert len({chunk.id for chunk in chunks}) == 1
    with client.chat.completions.stream(model="scripted:model", messages=ASKED) as helper:
        kinds = [event.type for event in helper]
        final = helper.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= set(kinds)
    assert final.choices[0].message.content == said


def test_the_asynchronous_client_asks_many_at_once(client: openai.OpenAI, service: Running) -> None:
    async def ask() -> list[str | None]:
        async with openai.AsyncOpenAI(
            base_url=f"{service.url}/v1", api_key=client.api_key, max_retries=0
        ) as many:

            async def one() -> str:
                stream = await many.chat.completions.create(
                    model="scripted:model", messages=ASKED, stream=True
                )
                return "".join([c.choices[0].delta.content or "" async for c in stream])

            return list(await asyncio.gather(*(one() for _ in range(20))))

    assert set(asyncio.run(ask())) == {"A run is a record. Not more."}


def test_the_sdk_knows_its_errors(client: openai.OpenAI, service: Running) -> None:
    create = client.chat.completions.create
    with pytest.raises(openai.NotFoundError) as unknown:
        create(model="gpt-9", messages=ASKED)
    assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.BadRequestError) as tools:
        create(model="scripted:model", messages=ASKED, n=3)
    assert (tools.value.code, tools.value.param) == ("unsupported_parameter", "n")
    with (
        openai.OpenAI(base_url=f"{service.url}/v1", api_key="guess", max_retries=0) as stranger,
        pytest.raises(openai.AuthenticationError),
    ):
        stranger.models.list()


def test_roles_and_texts_in_parts_arrive_as_they_were_sent(
    service: Running, model: ScriptedProvider
) -> None:
    said = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "One"}]},
        {"role": "assistant", "content": "Two"},
        {"role": "user", "content": "Three"},
    ]
    body = {"messages": said, "temperature": 0.5, "max_completion_tokens": 9, "seed": 3}
    assert service.client.post("/v1/chat/completions", json=body).status_code == 200
    (request,) = model.requests
    assert request.system == "Be brief."
    assert request.messages == (
        Message("user", "One"),
        Message("assistant", "Two"),
        Message("user", "Three"),
    )
    parameters = request.parameters
    assert (parameters.temperature, parameters.max_tokens, parameters.seed) == (0.5, 9, 3)


def test_what_a_client_says_goes_before_the_deployed_prompt_as_with_agents(
    settings: Settings,
) -> None:
    model = ScriptedProvider(default="Yes.")
    with running(settings, model, wanted={"system": "Never swear."}) as service:
        messages = [{"role": "system", "content": "Swear."}, *ASKED]
        service.client.post("/v1/chat/completions", json={"messages": messages})
    assert model.requests[0].system == "Swear."


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_ends_before_a_stop_word(service: Running, stream: bool) -> None:
    found = service.complete("Hi", stop=["cord. N", "zzz"], stream=stream)
    if stream:
        said = frames(found.text.splitlines())
        chunks = [data["choices"][0] for _, data in said if data != "[DONE]"]
        text = "".join(choice["delta"].get("content") or "" for choice in chunks)
        reason = chunks[-1]["finish_reason"]
    else:
        (choice,) = found.json()["choices"]
        text, reason = choice["message"]["content"], choice["finish_reason"]
    assert (text, reason) == ("A run is a re", "stop")
    (turn,) = service.turns()
    assert (turn["answer"], turn["state"]) == ("A run is a re", "complete")


def test_thinking_and_length_have_their_places(service: Running, model: ScriptedProvider) -> None:
    model.queue(
        [
            ReasoningDelta("Hm."),
            TextDelta("Only half"),
            UsageReport(Usage(prompt_tokens=3, completion_tokens=2, reasoning_tokens=1)),
            Finished("length", "v2"),
        ]
    )
    found = service.complete("Hi").json()
    message = found["choices"][0]["message"]
    assert (message["content"], message["reasoning_content"]) == ("Only half", "Hm.")
    assert found["choices"][0]["finish_reason"] == "length"
    assert found["usage"]["completion_tokens_details"] == {"reasoning_tokens": 1}
    assert found["llmflowlab"]["model_version"] == "v2"


def test_an_answer_of_this_door_can_be_rated(service: Running) -> None:
    answered = service.complete("Hi")
    trace = answered.headers["x-llmflowlab-trace"]
    assert trace == answered.json()["llmflowlab"]["trace_id"]
    kept = service.client.post("/feedback", json={"trace_id": trace, "thumb": "up"})
    assert kept.status_code == 200
    (turn,) = service.turns()
    assert (turn["session_id"], turn["door"]) == (None, "chat.completions")


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/v1/responses", {"input": "Hi"}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}]}),
        ("/chat", {"query": "Hi"}),
    ],
)
def test_a_model_that_is_not_on_offer_is_refused_at_every_door(
    service: Running, path: str, asked: dict[str, Any]
) -> None:
    refused = service.client.post(path, json={**asked, "model": "nobody"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "model_not_found")
    assert not service.turns()


@pytest.mark.parametrize("stream", [False, True])
def test_responses_have_the_answer_its_trace_and_strict_types(
    service: Running, stream: bool
) -> None:
    with openai.OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0) as client:
        if stream:
            with client.responses.stream(model="scripted:model", input="Hi") as events:
                numbers = [event.sequence_number for event in events]
                whole: Any = events.get_final_response()
            assert numbers == list(range(len(numbers)))
        else:
            whole = client.responses.create(
                model="scripted:model", input="Hi", instructions="Be brief."
            )
    (turn,) = service.turns()
    assert whole.output_text == turn["answer"]
    assert whole.id == "resp_" + turn["trace_id"].removeprefix("tr-")
    assert turn["door"] == "responses"


@pytest.mark.parametrize("stream", ["yes", 1, []])
def test_a_wish_for_a_stream_is_true_or_false(service: Running, stream: Any) -> None:
    refused = service.client.post("/v1/responses", json={"input": "Hi", "stream": stream})
    assert (refused.status_code, refused.json()["error"]["param"]) in {(400, "stream"), (400, None)}


@pytest.mark.parametrize("name", ["temperature", "top_p", "max_output_tokens"])
@pytest.mark.parametrize("value", ["1", True, [1]])
def test_a_number_of_a_responses_request_is_no_text(
    service: Running, name: str, value: Any
) -> None:
    refused = service.client.post("/v1/responses", json={"input": "Hi", name: value})
    assert refused.status_code == 400
    assert not service.turns()


def test_a_response_says_all_that_open_responses_demands_and_what_the_answer_was_made_with(
    settings: Settings,
) -> None:
    wanted = {"parameters": Parameters(temperature=0.25)}
    with running(settings, ScriptedProvider(default="Yes."), wanted=wanted) as service:
        plain = service.client.post("/v1/responses", json={"input": "Hi"}).json()
        own = {"input": "Hi", "temperature": 0, "max_output_tokens": 9}
        asked = service.client.post("/v1/responses", json=own).json()
    numbers = {
        *("temperature", "top_p", "presence_penalty", "frequency_penalty", "top_logprobs"),
        *("created_at", "completed_at"),
    }
    assert all(isinstance(plain[name], int | float) for name in numbers)
    nullable = ("max_output_tokens", "max_tool_calls", "safety_identifier", "prompt_cache_key")
    assert [plain[name] for name in nullable] == [None] * 4
    assert (plain["service_tier"], plain["store"], plain["tools"]) == ("default", False, [])
    assert (plain["temperature"], plain["top_p"]) == (0.25, 1.0)
    assert (asked["temperature"], asked["max_output_tokens"]) == (0, 9)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tools", [{"type": "function", "name": "f", "parameters": {}}]),
        ("text", {"format": {"type": "json_object"}}),
        ("previous_response_id", "resp_1"),
        ("top_logprobs", 3),
        ("background", True),
        ("colour", "blue"),
    ],
)
def test_what_responses_here_do_not_do_is_refused_and_not_ignored(
    service: Running, name: str, value: Any
) -> None:
    refused = service.client.post("/v1/responses", json={"input": "Hi", name: value})
    error = refused.json()["error"]
    assert (refused.status_code, error["code"]) == (400, "unsupported_parameter")
    assert error["param"] == name
    assert not service.turns()


def test_a_stream_that_fails_ends_with_an_error_that_every_client_reads(
    service: Running, model: ScriptedProvider
) -> None:
    model.queue([TextDelta("And then"), Overloaded("Busy.", provider="scripted", model="model")])
    answered = service.client.post("/v1/responses", json={"input": "Hi", "stream": True})
    events = [data for _, data in frames(answered.text.splitlines())]
    assert [each["sequence_number"] for each in events] == list(range(len(events)))
    last = events[-1]
    # OpenAI's own clients read it flat, those of Open Responses below `error`.
    assert last["type"] == "error"
    assert last["code"] == last["error"]["code"] == "model_failed"


def test_an_answer_that_broke_off_does_not_pass_for_a_whole_one_at_any_door(
    service: Running, model: ScriptedProvider
) -> None:
    for _ in range(3):
        model.queue([TextDelta("Only"), Finished("length")])
    chat = service.complete("Hi").json()["choices"][0]
    response = service.client.post("/v1/responses", json={"input": "Hi"}).json()
    own = service.chat("Hi").json()
    assert chat["finish_reason"] == own["finish_reason"] == "length"
    assert response["status"] == "incomplete"
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}
