"""What is said to a model: messages, generation parameters, and the request that carries both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

__all__ = ["Message", "Parameters", "Request", "Role"]

Role: TypeAlias = Literal["user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation; the system prompt travels apart, in `Request.system`."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """Generation parameters; None leaves the provider's own default in force.

    A knob that a provider lacks is left out of its call (each provider's page in the docs says so).
    """

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    """Ceiling on generated tokens, reasoning included where the provider counts it there."""
    seed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Everything one call sends."""

    messages: tuple[Message, ...]
    system: str | None = None
    parameters: Parameters = Parameters()
    response_schema: Mapping[str, Any] | None = None
    """A JSON schema the answer must follow, where the provider can hold a model to one."""
    custom_inputs: Mapping[str, Any] | None = None
    """Facts about the caller for an agent that MLflow serves; models know nothing of them."""
