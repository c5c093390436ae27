"""What requests and answers of `/chat` and `/feedback` hold."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    WithJsonSchema,
)

from llmflowlab.providers.arrival import storable

__all__ = [
    "ChatAnswer",
    "ChatBody",
    "ErrorBody",
    "FeedbackBody",
    "FeedbackKept",
    "Sampling",
    "SessionId",
    "SessionList",
    "SessionShown",
    "Text",
]


def _usable(text: str) -> str:
    if not text.strip():
        raise ValueError("it is empty")
    return storable(text)


Text = Annotated[
    str,
    AfterValidator(_usable),
    Field(json_schema_extra={"minLength": 1, "pattern": r"\S"}),
]
"""A text that every database takes."""
SessionId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,100}$")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


Sampling = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "temperature": {"type": ["number", "null"], "minimum": 0, "maximum": 2},
                "top_p": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
                "max_tokens": {"type": ["integer", "null"], "minimum": 1},
                "seed": {"type": ["integer", "null"]},
            },
        }
    ),
]
"""Generation parameters, as `conversations.read_parameters` reads them; those left out are as configured."""


class ScoresWanted(_Body):
    """What an answer is to be scored by, at once; scorers that ask no model."""

    scorers: Annotated[
        list[Annotated[str, Field(max_length=500, examples=["contains"])]],
        Field(min_length=1, max_length=20),
    ]
    expected: Text | None = None


class ChatBody(_Body):
    """One thing said in a session."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"query": "What is a token?"},
                {"query": "And in German?", "session_id": "3f2a", "stream": True},
            ]
        },
    )

    query: Text
    session_id: SessionId | None = Field(
        default=None, description="A session of this key; a new one where it is left out."
    )
    model: Annotated[str, Field(max_length=500)] | None = Field(
        default=None, description="One of GET /v1/models; the first where it is left out."
    )
    parameters: Sampling = Field(default_factory=dict)
    custom_inputs: dict[str, Any] | None = Field(
        default=None, description="Values of the prompt's variables."
    )
    evaluate: ScoresWanted | None = None
    stream: StrictBool = Field(default=False, description="Answer as server-sent events.")


class UsageShown(BaseModel):
    """Tokens; null where nobody knows."""

    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None
    cached_tokens: int | None
    reasoning_tokens: int | None
    estimated: bool = Field(description="Whether a count is the service's own.")


class GuardrailsShown(BaseModel):
    """What the guardrails did."""

    blocked: Literal["in", "out"] | None = Field(
        description="`in`: the query was not sent; `out`: the answer is withheld."
    )
    violations: list[dict[str, Any]]
    remarks: list[str]


class LatencyShown(BaseModel):
    """Seconds since the request came."""

    seconds: float
    time_to_first_token: float | None
    inference_time: float = Field(description="What of it the model took.")


class ScoreShown(BaseModel):
    """What one scorer says."""

    scorer: str
    value: float | None
    not_scored: str | None
    rationale: str | None


class ChatAnswer(BaseModel):
    """An answer with all that is known of it."""

    answer: str = Field(description="A refusal's sentence where the guardrails blocked.")
    state: Literal["complete", "interrupted", "incomplete", "failed", "blocked"]
    session_id: str
    turn: int
    trace_id: str
    model: str
    model_version: str | None
    finish_reason: str | None
    language: str | None
    guardrails: GuardrailsShown
    usage: UsageShown
    cost_usd: str | None = Field(description="A decimal number as text; null where it is unknown.")
    latency: LatencyShown
    evaluation: list[ScoreShown] | None


class ErrorShown(BaseModel):
    message: str
    type: str
    code: str
    param: str | None


class ErrorBody(BaseModel):
    """Every refusal and failure."""

    error: ErrorShown


class FeedbackBody(_Body):
    """What a person thinks of an answer: a thumb, or a grade from 1 to 5."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"trace_id": "tr-0123456789abcdef0123456789abcdef", "thumb": "up"}],
            "oneOf": [
                {
                    "required": [one],
                    "properties": {one: {"not": {"type": "null"}}, other: {"type": "null"}},
                }
                for one, other in (("thumb", "rating"), ("rating", "thumb"))
            ],
        },
    )

    trace_id: Annotated[str, Field(pattern=r"^tr-[0-9a-f]{32}$")]
    thumb: Literal["up", "down"] | None = None
    rating: Annotated[StrictInt, Field(ge=1, le=5)] | None = None
    comment: Annotated[str, Field(max_length=10_000), AfterValidator(storable)] | None = None


class FeedbackKept(BaseModel):
    kept: Literal[True]
    trace_id: str


class TurnShown(BaseModel):
    """A turn of a session."""

    turn: int
    query: str
    answer: str
    state: str
    trace_id: str
    made_ms: int
    model: str | None = Field(description="Which of GET /v1/models answered.")
    model_version: str | None
    finish_reason: str | None
    language: str | None
    blocked: Literal["in", "out"] | None = Field(
        description="As `guardrails.blocked` of the answer."
    )
    usage: UsageShown
    cost_usd: str | None
    inference_time: float = Field(description="Seconds that the model took.")
    thumb: Literal["up", "down"] | None
    rating: int | None
    scores: list[ScoreShown] = Field(description="Those given in the background so far.")


class SessionShown(BaseModel):
    """A session with its turns, oldest first."""

    session_id: str
    turns: list[TurnShown]


class SessionLine(BaseModel):
    session_id: str
    title: str = Field(description="How what was said first begins, 100 characters at most.")
    made_ms: int
    used_ms: int
    turns: int


class SessionList(BaseModel):
    """A key's sessions, the last used first."""

    sessions: list[SessionLine]
