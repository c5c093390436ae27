"""OpenAI's chat completions as they arrive: what is understood, what may stand there, what is refused."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

from llmflowlab.conversations import (
    Conversation,
    overlaid,
    read_conversation,
    read_parameters,
)
from llmflowlab.errors import InputError
from llmflowlab.messages import Message, Parameters
from llmflowlab.providers.arrival import storable
from llmflowlab.service.http_refusals import HttpRefusal

__all__ = [
    "COMPLETION_SCHEMA",
    "AnswerWish",
    "flag",
    "name_of",
    "read_completion",
    "read_stop",
    "refuse_others",
    "sampling",
]

_NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "audio": (None,),
    "frequency_penalty": (None, 0),
    "function_call": (None, "none", "auto"),
    "functions": (None, []),
    "logit_bias": (None, {}),
    "logprobs": (None, False),
    "modalities": (None, ["text"]),
    "n": (None, 1),
    "parallel_tool_calls": (None, True, False),
    "prediction": (None,),
    "presence_penalty": (None, 0),
    "response_format": (None, {"type": "text"}),
    "store": (None, False),
    "tool_choice": (None, "none", "auto"),
    "tools": (None, []),
    "top_logprobs": (None, 0),
}
"""What this service does not do: refused where it is asked for, and not where the default stands there."""
_FOR_OTHERS = frozenset(
    {
        *("metadata", "prompt_cache_key", "prompt_cache_retention", "safety_identifier"),
        *("service_tier", "user", "verbosity", "reasoning_effort"),
    }
)
"""What changes no answer of a model that does not know it."""
_MOST_STOPS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerWish:
    """A request for an answer, as far as it was understood."""

    model: str | None
    messages: tuple[Message, ...]
    system: str | None
    parameters: Parameters
    custom_inputs: Mapping[str, Any] | None
    stop: tuple[str, ...]
    stream: bool
    usage_in_stream: bool = False


def read_completion(body: Any) -> AnswerWish:
    """Read the body of `/v1/chat/completions`.

    Raises:
        HttpRefusal: It cannot be understood, or asks for what this service does not do.
    """
    if not isinstance(body, Mapping):
        raise HttpRefusal("bad_request", 'The body must be an object, {"messages": [...]}.')
    understood = {
        *("model", "messages", "stream", "stream_options", "temperature", "top_p", "max_tokens"),
        *("max_completion_tokens", "seed", "stop", "custom_inputs"),
    }
    refuse_others(body, understood | _FOR_OTHERS, _NEUTRAL)
    said = body.get("messages")
    try:
        conversation = read_conversation(said)
    except InputError as exc:
        raise HttpRefusal("bad_request", exc.message, param="messages") from exc
    names = ("temperature", "top_p", "seed", "max_tokens")
    parameters = sampling({name: body.get(name) for name in names})
    most = sampling({"max_tokens": body.get("max_completion_tokens")})
    options = body.get("stream_options")
    if options is not None and not isinstance(options, Mapping):
        raise HttpRefusal(
            "bad_request", "stream_options must be an object.", param="stream_options"
        )
    return AnswerWish(
        model=name_of(body.get("model")),
        messages=_clean(conversation),
        system=None if conversation.system is None else storable(conversation.system),
        parameters=overlaid(parameters, most),
        custom_inputs=custom_inputs(body),
        stop=read_stop(body.get("stop")),
        stream=flag(body, "stream"),
        usage_in_stream=bool(options and options.get("include_usage")),
    )


def refuse_others(
    body: Mapping[str, Any], understood: Set[str], neutral: Mapping[str, tuple[Any, ...]]
) -> None:
    """Refuse what is not done, and what nobody knows.

    Args:
        body: The request.
        understood: The names that are looked at elsewhere, or change no answer.
        neutral: The values that change nothing of what is not done.

    Raises:
        HttpRefusal: There is such a parameter.
    """
    for name, value in body.items():
        if name in understood:
            continue
        if name not in neutral:
            raise HttpRefusal(
                "unsupported_parameter",
                f"There is no parameter {name[:100]!r} here.",
                param=name[:100],
            )
        # True is 1 to Python, and no number to JSON.
        if not any(
            value == each and isinstance(value, bool) == isinstance(each, bool)
            for each in neutral[name]
        ):
            raise HttpRefusal(
                "unsupported_parameter", f"{name} is not supported; leave it out.", param=name
            )


def sampling(values: Mapping[str, Any]) -> Parameters:
    """Read generation parameters.

    Raises:
        HttpRefusal: One of them cannot be used.
    """
    try:
        return read_parameters(values)
    except InputError as exc:
        named = next((name for name in values if exc.message.startswith(name)), None)
        raise HttpRefusal("bad_request", exc.message, param=named) from exc


def name_of(value: Any) -> str | None:
    """Read the name of a model.

    Raises:
        HttpRefusal: It is no text.
    """
    if value is not None and not isinstance(value, str):
        raise HttpRefusal("bad_request", "model must be a text.", param="model")
    return value


def flag(body: Mapping[str, Any], name: str) -> bool:
    """Read a true or false.

    Raises:
        HttpRefusal: It is neither.
    """
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise HttpRefusal("bad_request", f"{name} must be true or false.", param=name)
    return bool(value)


def custom_inputs(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Read the values of the prompt's variables.

    Raises:
        HttpRefusal: They are no object.
    """
    value = body.get("custom_inputs")
    if value is not None and not isinstance(value, Mapping):
        raise HttpRefusal("bad_request", "custom_inputs must be an object.", param="custom_inputs")
    return value


def read_stop(value: Any) -> tuple[str, ...]:
    """Read what ends an answer: a text, or up to four.

    Raises:
        HttpRefusal: It is neither.
    """
    words = [value] if isinstance(value, str) else value
    if value is None:
        return ()
    usable = isinstance(words, list) and all(isinstance(one, str) for one in words)
    if not usable or len(words) > _MOST_STOPS or any(len(one) > 1000 for one in words):
        raise HttpRefusal(
            "bad_request", f"stop must be a text or up to {_MOST_STOPS}.", param="stop"
        )
    return tuple(word for word in words if word)


def _clean(conversation: Conversation) -> tuple[Message, ...]:
    return tuple(Message(each.role, storable(each.content)) for each in conversation.messages)


_TEXT = {"type": "string", "minLength": 1, "pattern": r"\S"}
COMPLETION_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["messages"],
    "additionalProperties": False,
    "properties": {
        **{name: {} for name in sorted(_FOR_OTHERS)},
        **{name: {"enum": list(values)} for name, values in _NEUTRAL.items()},
        "model": {"type": ["string", "null"], "description": "One of GET /v1/models."},
        "messages": {
            "type": "array",
            "minItems": 1,
            "contains": {"properties": {"role": {"const": "user"}}},
            "items": {
                "type": "object",
                "required": ["role", "content"],
                "properties": {
                    "role": {"enum": ["system", "developer", "user", "assistant"]},
                    "content": {
                        "anyOf": [
                            _TEXT,
                            {
                                "type": "array",
                                "minItems": 1,
                                "items": {
                                    "type": "object",
                                    "required": ["type", "text"],
                                    "properties": {"type": {"enum": ["text"]}, "text": _TEXT},
                                },
                            },
                        ]
                    },
                },
            },
        },
        "temperature": {"type": ["number", "null"], "minimum": 0, "maximum": 2},
        "top_p": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
        "max_tokens": {"type": ["integer", "null"], "minimum": 1},
        "max_completion_tokens": {"type": ["integer", "null"], "minimum": 1},
        "seed": {"type": ["integer", "null"]},
        "stop": {
            "anyOf": [
                {"type": "string", "maxLength": 1000},
                {
                    "type": "array",
                    "items": {"type": "string", "maxLength": 1000},
                    "maxItems": _MOST_STOPS,
                },
                {"type": "null"},
            ]
        },
        "stream": {"type": ["boolean", "null"]},
        "stream_options": {"type": ["object", "null"]},
        "custom_inputs": {
            "type": ["object", "null"],
            "description": "Values of the prompt's variables.",
        },
    },
    "example": {"messages": [{"role": "user", "content": "What is a token?"}]},
}
