"""Builds MLflow spans and traces from values, without the tracing SDK's clocks and queues.

MLflow's fluent tracing measures while it runs and exports through a queue that discards what does not
fit. The lab writes traces after the fact, from its journals, with ids and times of its own, so that
a delivery can be repeated without doubling anything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlflow.entities import Span, TraceInfo
from mlflow.entities.trace_location import TraceLocation
from mlflow.entities.trace_state import TraceState
from mlflow.tracing.constant import (
    TRACE_SCHEMA_VERSION,
    TRACE_SCHEMA_VERSION_KEY,
    SpanAttributeKey,
    TraceMetadataKey,
    TraceTagKey,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags

__all__ = [
    "SpanSpec",
    "TokenUse",
    "TraceSpec",
    "build_spans",
    "build_trace_info",
]

_PREVIEW = 1000
"""Characters of request and response that MLflow keeps for its lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenUse:
    """Tokens and cost of a span or trace; None where unknown."""

    prompt: int | None = None
    completion: int | None = None
    cached: int | None = None
    cost_usd: float | None = None

    def usage(self) -> dict[str, int] | None:
        """Return MLflow's token usage, or None where nothing is known."""
        if self.prompt is None and self.completion is None:
            return None
        prompt, completion = self.prompt or 0, self.completion or 0
        usage = {
            "input_tokens": prompt,
            "output_tokens": completion,
            "total_tokens": prompt + completion,
        }
        if self.cached:
            usage["cache_read_input_tokens"] = self.cached
        return usage

    def cost(self) -> dict[str, float] | None:
        """Return MLflow's cost, or None where the price is unknown."""
        return None if self.cost_usd is None else {"total_cost": self.cost_usd}


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanSpec:
    """One span of a trace; the first of a list is the root, the others are its children."""

    name: str
    kind: str
    """An MLflow span type, as in `CHAT_MODEL`."""
    inputs: Any
    outputs: Any
    start_ns: int
    end_ns: int
    ok: bool = True
    error: str | None = None
    tokens: TokenUse | None = None
    model: str | None = None
    provider: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)


def build_spans(trace_id: str, experiment_id: str, specs: list[SpanSpec]) -> list[Span]:
    """Return MLflow's spans for one trace.

    Span ids follow from the trace id and the position, so building twice gives the same spans.

    Args:
        trace_id: `tr-` and 32 hex digits.
        experiment_id: The experiment the trace belongs to.
        specs: The root first.
    """
    trace = int(trace_id.removeprefix("tr-"), 16)
    seed = trace & 0xFFFF_FFFF_FFFF_0000 or 0x1_0000
    contexts = [
        SpanContext(trace, seed | (i + 1), is_remote=False, trace_flags=TraceFlags(1))
        for i in range(len(specs))
    ]
    return [
        Span(
            ReadableSpan(
                name=spec.name,
                context=contexts[i],
                parent=contexts[0] if i else None,
                start_time=spec.start_ns,
                end_time=max(spec.end_ns, spec.start_ns),
                attributes=_attributes(trace_id, experiment_id, spec),
                status=Status(StatusCode.OK)
                if spec.ok
                else Status(StatusCode.ERROR, spec.error or "failed"),
                resource=Resource({}),
            )
        )
        for i, spec in enumerate(specs)
    ]


def _attributes(trace_id: str, experiment_id: str, spec: SpanSpec) -> dict[str, str]:
    values: dict[str, Any] = {
        SpanAttributeKey.REQUEST_ID: trace_id,
        SpanAttributeKey.EXPERIMENT_ID: experiment_id,
        SpanAttributeKey.SPAN_TYPE: spec.kind,
        SpanAttributeKey.INPUTS: spec.inputs,
        SpanAttributeKey.OUTPUTS: spec.outputs,
        SpanAttributeKey.MODEL: spec.model,
        SpanAttributeKey.MODEL_PROVIDER: spec.provider,
        **spec.attributes,
    }
    if spec.tokens is not None:
        values[SpanAttributeKey.CHAT_USAGE] = spec.tokens.usage()
        values[SpanAttributeKey.LLM_COST] = spec.tokens.cost()
    return {
        name: json.dumps(value, ensure_ascii=False)
        for name, value in values.items()
        if value is not None
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceSpec:
    """The header of a trace."""

    trace_id: str
    experiment_id: str
    name: str
    run_id: str | None
    start_ns: int
    end_ns: int
    ok: bool
    request: str
    response: str
    tokens: TokenUse = TokenUse()
    session_id: str | None = None
    model_id: str | None = None
    """The logged model whose page shows the trace."""
    tags: Mapping[str, str] = field(default_factory=dict)


def build_trace_info(spec: TraceSpec) -> TraceInfo:
    """Return the header of a trace, ready for `TracingClient.start_trace`."""
    known: dict[str, str] = {TRACE_SCHEMA_VERSION_KEY: str(TRACE_SCHEMA_VERSION)}
    if spec.run_id is not None:
        known[TraceMetadataKey.SOURCE_RUN] = spec.run_id
    if spec.session_id is not None:
        known[TraceMetadataKey.TRACE_SESSION] = spec.session_id
    if spec.model_id is not None:
        known[TraceMetadataKey.MODEL_ID] = spec.model_id
    if (usage := spec.tokens.usage()) is not None:
        known[TraceMetadataKey.TOKEN_USAGE] = json.dumps(usage)
    if (cost := spec.tokens.cost()) is not None:
        known[TraceMetadataKey.COST] = json.dumps(cost)
    return TraceInfo(
        trace_id=spec.trace_id,
        trace_location=TraceLocation.from_experiment_id(spec.experiment_id),
        request_time=spec.start_ns // 1_000_000,
        execution_duration=max(0, spec.end_ns - spec.start_ns) // 1_000_000,
        state=TraceState.OK if spec.ok else TraceState.ERROR,
        request_preview=spec.request[:_PREVIEW],
        response_preview=spec.response[:_PREVIEW],
        trace_metadata=known,
        tags={TraceTagKey.TRACE_NAME: spec.name, **spec.tags},
    )
