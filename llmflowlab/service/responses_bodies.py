"""Requests of the Responses protocol as they arrive: what is understood, what may stand there, what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llmflowlab.errors import InputError
from llmflowlab.service.http_refusals import HttpRefusal
from llmflowlab.service.openai_bodies import AnswerWish, flag, name_of, refuse_others, sampling

if TYPE_CHECKING:
    from llmflowlab.agents.responses_payload import Asked

__all__ = ["RESPONSES_SCHEMA", "read_responses_request"]

_NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "background": (None, False),
    "conversation": (None,),
    "frequency_penalty": (None, 0),
    "include": (None, []),
    "parallel_tool_calls": (None, True, False),
    "presence_penalty": (None, 0),
    "previous_response_id": (None,),
    "prompt": (None,),
    "tool_choice": (None, "none", "auto"),
    "tools": (None, []),
    "top_logprobs": (None, 0),
    "truncation": (None, "disabled", "auto"),
}
"""What this service does not do: refused where it is asked for, and not where the default stands there."""
_FOR_OTHERS = frozenset(
    {
        *("context", "max_tool_calls", "metadata", "prompt_cache_key", "prompt_cache_retention"),
        *("reasoning", "safety_identifier", "service_tier", "store", "stream_options", "user"),
    }
)
"""What changes no answer here; nothing is stored, which the response says."""
_UNDERSTOOD = frozenset(
    {
        *("custom_inputs", "input", "instructions", "max_output_tokens", "model", "seed", "stop"),
        *("stream", "temperature", "text", "top_p"),
    }
)


def read_responses_request(document: Any) -> tuple[Asked, AnswerWish]:
    """Read the body of `/v1/responses`; returns it in the protocol's words, and what it asks for.

    Raises:
        HttpRefusal: It cannot be understood, or asks for what this service does not do.
    """
    # Imported here: it imports MLflow.
    from llmflowlab.agents.responses_payload import conversation_of, read_request, wishes_of

    if isinstance(document, Mapping):
        refuse_others(document, _UNDERSTOOD | _FOR_OTHERS, _NEUTRAL)
        form = document["text"].get("format") if isinstance(document.get("text"), Mapping) else None
        if isinstance(form, Mapping) and form.get("type") != "text":
            raise HttpRefusal(
                "unsupported_parameter", "text.format is text alone; leave it out.", param="text"
            )
    try:
        asked = read_request(document)
        conversation, wishes = conversation_of(asked), wishes_of(asked)
    except InputError as exc:
        raise HttpRefusal("bad_request", exc.message) from exc
    # As they were sent: MLflow's class makes numbers of texts, and has no place for the model.
    values = {name: document.get(name) for name in ("temperature", "top_p")}
    most, seed = document.get("max_output_tokens"), wishes.parameters.seed
    return asked, AnswerWish(
        model=name_of(document.get("model")),
        messages=conversation.messages,
        system=conversation.system,
        parameters=sampling({**values, "max_tokens": most, "seed": seed}),
        custom_inputs=wishes.custom_inputs,
        stop=wishes.stop,
        stream=flag(document, "stream"),
    )


RESPONSES_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["input"],
    "additionalProperties": False,
    "properties": {
        **{name: {} for name in sorted(_FOR_OTHERS)},
        **{name: {"enum": list(values)} for name, values in _NEUTRAL.items()},
        "model": {"type": ["string", "null"], "description": "One of GET /v1/models."},
        "input": {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "minItems": 1, "items": {"type": "object"}},
            ]
        },
        "instructions": {"type": ["string", "null"]},
        "temperature": {"type": ["number", "null"], "minimum": 0, "maximum": 2},
        "top_p": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
        "max_output_tokens": {"type": ["integer", "null"], "minimum": 1},
        "stream": {"type": ["boolean", "null"]},
    },
    "example": {"input": "What is a token?"},
}
