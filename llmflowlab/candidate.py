"""Who answers: a model with its system prompt and generation parameters.

One value in every room: a chat's session, an evaluation's column, a registered version, an agent.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from llmflowlab.messages import Message, Parameters, Request
from llmflowlab.template import filled, spoken, variables_of
from llmflowlab.text.digests import digest_of

__all__ = ["GIVEN", "Candidate"]

GIVEN = "answers"
"""What stands in the place of a provider where the answers are in the data file and nobody is asked."""

_PARAMETERS = tuple(field.name for field in fields(Parameters))


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A model reference with what it is told and how it generates."""

    model: str
    """Model reference, with the model named: `gemini:gemini-2.5-flash`."""
    display_name: str
    """The {Name} of run names and the run parameter `model_name`: `Gemini`."""
    supplier: str
    """The run parameter `supplier`: `Google`."""
    system: str | None = None
    """The system prompt, its variables not filled in."""
    messages: tuple[Message, ...] = ()
    """What a prompt template says beside it: worked examples, and last the place of the question."""
    values: Mapping[str, str] | None = None
    """Of the template's variables, where they are the same for every question."""
    prompt: str | None = None
    """`NAME@VERSION` where `system` and `messages` came from the prompt registry."""
    parameters: Parameters = Parameters()
    weights: Mapping[str, str] | None = None
    """Name and SHA-256 of the model's file, where the reference alone does not tell which it is."""
    guardrails: Mapping[str, Any] | None = None
    """The policy of its guardrails, as JSON values; None without any."""
    variant: str | None = None
    """What tells it from others of the same model: `system 2`, `temperature 0.2`."""

    @property
    def provider(self) -> str:
        """As in a model reference: `gemini`."""
        return self.model.partition(":")[0]

    @property
    def model_id(self) -> str:
        """The model at the provider: `gemini-2.5-flash`."""
        return self.model.partition(":")[2]

    @property
    def column(self) -> str | None:
        """The data file's column that holds its answers; None where a model is asked."""
        return self.model_id if self.provider == GIVEN else None

    @property
    def label(self) -> str:
        """What tables and columns call it."""
        parts = [self.model, self.prompt, None if self.guardrails is None else "guardrails"]
        label = " + ".join(part for part in parts if part is not None)
        return label if self.variant is None else f"{label} ({self.variant})"

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables of its prompt."""
        return variables_of(self.system, *(message.content for message in self.messages))

    def request(
        self,
        turns: Sequence[Message],
        *,
        values: Mapping[str, Any] | None = None,
        parameters: Parameters | None = None,
    ) -> Request:
        """Return what it is asked.

        Args:
            turns: What was said, the person's question last.
            values: Of its prompt's variables, beside those that it has itself.
            parameters: Instead of its own.
        """
        known = {**(self.values or {}), **(values or {})}
        return Request(
            messages=spoken(self.messages, turns, known),
            system=filled(self.system, known),
            parameters=parameters or self.parameters,
        )

    @property
    def digest(self) -> str:
        """Changes whenever another answer could come out; answers are kept under it."""
        more: list[dict[str, Any]] = [] if self.weights is None else [dict(self.weights)]
        more += [{"template": self.template()}] if self.template() else []
        more += [] if self.guardrails is None else [{"guardrails": dict(self.guardrails)}]
        return digest_of([self.model, self.system, asdict(self.parameters), *more])

    @property
    def version_digest(self) -> str:
        """The same for two sessions exactly when their registered versions are."""
        config = {name: value for name, value in self.model_config().items() if name != "tracing"}
        text = json.dumps(config, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode("utf-8", errors="replace")).hexdigest()

    def template(self) -> dict[str, Any]:
        """Return what it says beside its system prompt as JSON values; empty without any."""
        said = {"messages": list(map(asdict, self.messages)), "values": dict(self.values or {})}
        return {name: value for name, value in said.items() if value}

    @property
    def template_param(self) -> dict[str, str]:
        """The run parameter that holds it; none without any."""
        said = self.template()
        return {"prompt_template": json.dumps(said, ensure_ascii=False)} if said else {}

    def model_config(self) -> dict[str, Any]:
        """Return what a registered version of it holds, as JSON values."""
        config = {
            "provider": self.provider,
            "model": self.model_id,
            "system_prompt": self.system,
            "parameters": self.parameters.given(),
            **self.template(),
        }
        if self.prompt is not None:
            config["prompt"] = self.prompt
        if self.weights is not None:
            config["weights"] = dict(self.weights)
        if self.guardrails is not None:
            config["guardrails"] = dict(self.guardrails)
        # Named although it is the default: MLflow lets whoever loads a model change only what is there.
        return {**config, "tracing": True}

    @classmethod
    def of_column(cls, column: str) -> Candidate:
        """Return the candidate whose answers stand in a column of the data file."""
        return cls(model=f"{GIVEN}:{column}", display_name="Answers", supplier="Data file")

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Candidate:
        """Return what `dataclasses.asdict` was made of, as it stands in the ledger."""
        parameters = Parameters(**values["parameters"])
        return cls(**{**values, **cls.said_in(values), "parameters": parameters})

    @staticmethod
    def said_in(values: Mapping[str, Any]) -> dict[str, Any]:
        """Return what `template` returned as fields; without it, those of a candidate that has none."""
        return {"messages": _messages(values), "values": values.get("values") or None}

    def to_record(self) -> dict[str, Any]:
        """Return its flat form, as it stands in the journals of chats."""
        return {
            "provider": self.provider,
            "model_name": self.display_name,
            "supplier": self.supplier,
            "model_id": self.model_id,
            "system_prompt": self.system,
            "prompt_version": self.prompt,
            **self.template(),
            **({} if self.weights is None else {"weights": dict(self.weights)}),
            **({} if self.guardrails is None else {"guardrails": dict(self.guardrails)}),
            **asdict(self.parameters),
        }

    @classmethod
    def from_record(cls, values: Mapping[str, Any]) -> Candidate:
        """Return what `to_record` was made of; unknown names (of a later version) are left out."""
        return cls(
            model=f"{values['provider']}:{values['model_id']}",
            display_name=values["model_name"],
            supplier=values["supplier"],
            system=values.get("system_prompt"),
            **cls.said_in(values),
            prompt=values.get("prompt_version"),
            weights=values.get("weights"),
            guardrails=values.get("guardrails"),
            parameters=Parameters(**{name: values.get(name) for name in _PARAMETERS}),
        )


def _messages(values: Mapping[str, Any]) -> tuple[Message, ...]:
    return tuple(Message(**message) for message in values.get("messages") or ())
