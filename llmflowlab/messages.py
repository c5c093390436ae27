"""What is said to a model: messages, generation parameters, and the request that carries both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
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

    def given(self) -> dict[str, Any]:
        """Return those that are set, by name, in the order of the fields."""
        return {name: value for name, value in asdict(self).items() if value is not None}


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
    stop: tuple[str, ...] = ()
    """Texts that end the answer, for an agent, which ends it there; models know nothing of them."""
    token_chances: bool = False
    """Whether to ask how likely each first token was, where the provider tells."""

    def openai_messages(self) -> list[dict[str, str]]:
        """Return all that is sent as `{"role", "content"}`, the system prompt first."""
        system = [{"role": "system", "content": self.system}] if self.system else []
        return system + [{"role": m.role, "content": m.content} for m in self.messages]
