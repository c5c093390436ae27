"""OpenAI's Responses protocol, to and from the lab's own values.

Requests are read by `read_request`, which knows what MLflow's class leaves out without a word:
`instructions`, an `input` that is a plain text, and `stop`, which the protocol lacks.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mlflow.types.responses import ResponsesAgentRequest, ResponsesAgentResponse
from mlflow.types.responses_helpers import InputTokensDetails, ResponseUsage
from pydantic import ConfigDict, ValidationError

from llmflowlab.agents.core import Reply
from llmflowlab.conversations import (
    Conversation,
    Wishes,
    read_conversation,
    read_parameters,
    read_stop,
)
from llmflowlab.errors import InputError
from llmflowlab.messages import Parameters

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

__all__ = [
    "Answered",
    "Asked",
    "ResponseUnderWay",
    "as_items",
    "asked_of",
    "conversation_of",
    "read_request",
    "shown",
    "wishes_of",
]

_LACKING = ("instructions", "stop", "seed", "previous_response_id", "conversation", "prompt")
_HISTORY = ("previous_response_id", "conversation", "prompt")


class Asked(ResponsesAgentRequest):
    """A request with all that it says; what it holds is looked at where it is used."""

    input: Any
    instructions: Any = None
    stop: Any = None
    seed: Any = None
    previous_response_id: Any = None
    conversation: Any = None
    prompt: Any = None


class _InputTokens(InputTokensDetails):
    cache_write_tokens: int = 0


class _Usage(ResponseUsage):
    input_tokens_details: _InputTokens


class Answered(ResponsesAgentResponse):
    """A response with every name of the protocol; MLflow's class knows a part of them."""

    model_config = ConfigDict(extra="allow")
    usage: _Usage | None = None

    @property
    def complete(self) -> dict[str, Any]:
        """The document with what is unknown as null, which clients of the protocol look for."""
        return self.model_dump(exclude={"custom_outputs"} if self.custom_outputs is None else None)


def read_request(document: Any) -> Asked:
    """Read a request's JSON document.

    Raises:
        InputError: It is no such document; names the place.
    """
    if not isinstance(document, Mapping):
        raise InputError('The request must be an object, such as {"input": "Hello"}.')
    if "input" not in document:
        raise InputError("The request holds no input; send a text or a list of messages.")
    try:
        return Asked(**document)
    except ValidationError as exc:
        first = exc.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{place} cannot be used: {first['msg']}.") from exc


def take_whole_requests() -> None:
    """Have MLflow's loader hand over what a request says and its own class leaves out.

    To agents that say they take it, and to no other: those of others, and of earlier versions, in the same
    process are given what they always were.
    """
    from mlflow.pyfunc.loaders import responses_agent as loader

    wrapper: Any = vars(loader)["_ResponsesAgentPyfuncWrapper"]
    usual = wrapper._convert_input
    if getattr(usual, "of_whole_requests", False):
        return

    def convert(self: Any, model_input: Any) -> Any:
        if not getattr(self.responses_agent, "takes_whole_requests", False):
            return usual(self, model_input)
        if not isinstance(model_input, dict):
            columns = model_input.to_dict(orient="list")
            plain = vars(loader)["_convert_llm_ndarray_to_list"]
            model_input = {name: plain(values[0]) for name, values in columns.items()}
        return Asked(**model_input)

    convert.of_whole_requests = True  # type: ignore[attr-defined]  # a mark on a function
    wrapper._convert_input = convert


def signature() -> ModelSignature:
    """Return the signature that lets such requests through; MLflow's drops what it does not name."""
    from mlflow.models import ModelSignature
    from mlflow.types.responses import RESPONSES_AGENT_INPUT_SCHEMA, RESPONSES_AGENT_OUTPUT_SCHEMA
    from mlflow.types.schema import AnyType, ColSpec, Schema

    anything = AnyType()  # type: ignore[no-untyped-call]  # MLflow annotates nothing here
    loose = [ColSpec(anything, name, False) for name in _LACKING]
    kept = [column for column in RESPONSES_AGENT_INPUT_SCHEMA.inputs if column.name != "input"]
    return ModelSignature(
        Schema([ColSpec(anything, "input"), *kept, *loose]), RESPONSES_AGENT_OUTPUT_SCHEMA
    )


def asked_of(request: Any) -> Asked:
    """Return a request, of MLflow's class or as it came, with the names that the class lacks.

    Raises:
        InputError: It is none.
    """
    if isinstance(request, Asked):
        return request
    known = isinstance(request, ResponsesAgentRequest)
    return read_request(request.model_dump(exclude_none=True) if known else request)


def shown(asked: Asked) -> dict[str, Any]:
    """Return what was asked as a trace shows it."""
    return asked.model_dump(exclude_none=True, include={"input", "instructions", "custom_inputs"})


def conversation_of(asked: Asked) -> Conversation:
    """Return what was said; `instructions` stand before its system messages.

    Raises:
        InputError: It holds something other than messages of text.
    """
    if asked.instructions is not None and not isinstance(asked.instructions, str):
        raise InputError("instructions must be a text.")
    said = _items(asked.input)
    for item in said:
        if item.get("type", "message") != "message":
            raise InputError(
                f"The input holds an item of type {item['type']!r}; this model takes messages only."
            )
    found = read_conversation(said)
    system = "\n\n".join(text for text in (asked.instructions, found.system) if text)
    return replace(found, system=system or None)


def as_items(asked: Asked) -> list[dict[str, Any]]:
    """Return the input as a list, `instructions` as its first message: what any agent reads.

    Raises:
        InputError: It is none.
    """
    first = asked.instructions
    return [*([{"role": "system", "content": first}] if first else []), *_items(asked.input)]


def _items(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, str):
        return [{"role": "user", "content": value}]
    if not isinstance(value, list):
        raise InputError("input must be a text or a list of messages.")
    items = [
        item if isinstance(item, Mapping) else getattr(item, "model_dump", dict)() for item in value
    ]
    # MLflow fills in names with None that nobody sent.
    return [{name: part for name, part in item.items() if part is not None} for item in items]


def wishes_of(asked: Asked) -> Wishes:
    """Return what the request asks for.

    Raises:
        InputError: It asks for something the lab's models do not do.
    """
    if asked.tools or asked.background or any(getattr(asked, name) for name in _HISTORY):
        raise InputError("This model answers at once, without tools and stored conversations.")
    form = asked.text.get("format") if isinstance(asked.text, Mapping) else None
    if form is not None and (not isinstance(form, Mapping) or form.get("type") != "text"):
        raise InputError("This model answers in text; leave text.format out.")
    custom: Mapping[str, Any] = asked.custom_inputs or {}
    wanted = {
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        "max_tokens": asked.max_output_tokens,
        "seed": custom.get("seed") if asked.seed is None else asked.seed,
    }
    return Wishes(
        parameters=read_parameters(wanted),
        custom_inputs=custom or None,
        stop=read_stop(asked.stop),
    )


@dataclass(slots=True)
class ResponseUnderWay:
    """The response to one request, from its beginning to its end, and the events of its stream."""

    asked: Asked
    model: str
    """What is asked; the last word is the reply's, which says what was served."""
    parameters: Parameters = Parameters()
    """What the answer is made with, the configured ones included."""
    id: str = field(default_factory=lambda: f"resp_{uuid.uuid4().hex}")
    item_id: str = field(default_factory=lambda: f"msg_{uuid.uuid4().hex}")
    created_at: int = field(default_factory=lambda: int(time.time()))
    _events: int = 0

    def document(self, reply: Reply | None = None) -> dict[str, Any]:
        """Return the response; under way without a reply.

        Every name of the protocol stands there, as its clients and the Open Responses specification
        expect it; unknown is None, and the protocol's default where it takes no null.
        """
        asked, used = self.asked, self.parameters
        status = "in_progress"
        if reply is not None:
            status = "completed" if reply.finish_reason == "stop" else "incomplete"
        reason = None
        if reply is not None and status == "incomplete":
            cut_off = reply.finish_reason == "length"
            reason = {"reason": "max_output_tokens" if cut_off else "content_filter"}
        custom = {"tokens_estimated": True} if reply and reply.tokens.estimated else None
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created_at,
            "completed_at": int(time.time()) if status == "completed" else None,
            "status": status,
            "error": None,
            "incomplete_details": reason,
            "instructions": asked.instructions,
            "model": self.model if reply is None else reply.model,
            "output": [] if reply is None else [self._item(reply.text, status)],
            "previous_response_id": None,
            "tools": [],
            "tool_choice": "auto",
            "parallel_tool_calls": False,
            "truncation": "disabled",
            "text": {"format": {"type": "text"}},
            "reasoning": None,
            "temperature": 1.0 if used.temperature is None else used.temperature,
            "top_p": 1.0 if used.top_p is None else used.top_p,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "top_logprobs": 0,
            "max_output_tokens": used.max_tokens,
            "max_tool_calls": None,
            "service_tier": "default",
            "safety_identifier": None,
            "prompt_cache_key": None,
            "usage": None if reply is None else _usage(reply),
            "user": asked.user,
            "metadata": asked.metadata or {},
            "store": False,
            "background": False,
            "custom_outputs": custom,
        }

    def begun(self) -> list[dict[str, Any]]:
        """Return the events before the first piece."""
        return [
            self._event("created", response=self.document()),
            self._event("in_progress", response=self.document()),
            self._event("output_item.added", output_index=0, item=self._item(None, "in_progress")),
            self._event("content_part.added", **self._place, part=_part("")),
        ]

    def piece(self, text: str) -> dict[str, Any]:
        """Return the event of a piece of text."""
        return self._event("output_text.delta", **self._place, delta=text, logprobs=[])

    def failed(self, error: Mapping[str, Any]) -> dict[str, Any]:
        """Return the event of a failure: as OpenAI's clients read it, and as Open Responses has it."""
        self._events += 1
        return {
            **error,
            "type": "error",
            "sequence_number": self._events - 1,
            "error": dict(error),
        }

    def ended(self, reply: Reply) -> list[dict[str, Any]]:
        """Return the events after the last piece."""
        document = self.document(reply)
        status = str(document["status"])
        return [
            self._event("output_text.done", **self._place, text=reply.text, logprobs=[]),
            self._event("content_part.done", **self._place, part=_part(reply.text)),
            self._event("output_item.done", output_index=0, item=self._item(reply.text, status)),
            self._event(status, response=document),
        ]

    @property
    def _place(self) -> dict[str, Any]:
        return {"item_id": self.item_id, "output_index": 0, "content_index": 0}

    def _item(self, text: str | None, status: str) -> dict[str, Any]:
        return {
            "id": self.item_id,
            "type": "message",
            "role": "assistant",
            "status": status,
            "content": [] if text is None else [_part(text)],
        }

    def _event(self, kind: str, **fields: Any) -> dict[str, Any]:
        self._events += 1
        return {"type": f"response.{kind}", "sequence_number": self._events - 1, **fields}


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _usage(reply: Reply) -> dict[str, Any]:
    tokens = reply.tokens
    return {
        "input_tokens": tokens.prompt,
        # The protocol knows no "unknown" here.
        "input_tokens_details": {"cached_tokens": tokens.cached or 0, "cache_write_tokens": 0},
        "output_tokens": tokens.completion,
        "output_tokens_details": {"reasoning_tokens": tokens.reasoning or 0},
        "total_tokens": tokens.total,
    }
