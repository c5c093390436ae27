"""The steps of an agent as spans of a trace, each with what went in and came out.

Parents are handed on by hand, never by context: rows are answered in threads, and a stream may be
closed in another thread than the one that began it. Only the message of a failure is kept. MLflow's
own recording would keep the chain of exceptions behind it, in which vendors echo keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from llmflowlab.agents import trace_delivery
from llmflowlab.errors import LabError

if TYPE_CHECKING:
    from mlflow.entities import LiveSpan

__all__ = ["Kind", "Step", "begin"]

Kind: TypeAlias = Literal["AGENT", "CHAIN", "CHAT_MODEL"]
"""MLflow's span types, as far as agents have them."""
Hide: TypeAlias = Callable[[Any], Any]


def _as_it_is(value: Any) -> Any:
    return value


class Step:
    """One step under way; without a span where nothing is traced."""

    def __init__(
        self, span: LiveSpan | None, hide: Hide | None = None, *, outermost: bool = False
    ) -> None:
        self._span = span
        self._outermost = outermost
        self._hide = hide or _as_it_is
        self._outputs: Any = None
        self._failure: str | None = None

    def gave(self, outputs: Any) -> None:
        """Remember what came out."""
        self._outputs = self._hide(outputs)

    def failed(self, message: str) -> None:
        """Remember that the step failed, though nothing may be raised."""
        self._failure = message

    def note(self, **attributes: Any) -> None:
        """Attach facts; those that are None are left out."""
        if self._span is not None:
            self._span.set_attributes({k: v for k, v in attributes.items() if v is not None})

    def used(self, prompt: int, completion: int) -> None:
        """Attach the tokens of a model's call; MLflow adds them up over the trace."""
        if self._span is not None:
            from mlflow.tracing.constant import SpanAttributeKey, TokenUsageKey

            tokens = {
                TokenUsageKey.INPUT_TOKENS: prompt,
                TokenUsageKey.OUTPUT_TOKENS: completion,
                TokenUsageKey.TOTAL_TOKENS: prompt + completion,
            }
            self._span.set_attribute(SpanAttributeKey.CHAT_USAGE, tokens)

    @contextmanager
    def step(self, name: str, kind: Kind, inputs: Any = None) -> Iterator[Step]:
        """Open a step within this one for the length of the block."""
        if self._span is None:
            yield self
            return
        import mlflow

        trace_delivery.make_room()
        span = mlflow.start_span_no_context(
            name, span_type=kind, parent_span=self._span, inputs=self._hide(inputs)
        )
        with _ended(Step(span, self._hide)) as step:
            yield step

    def end(self) -> None:
        """Close the span."""
        if self._span is None:
            return
        # Asked before its end, with which MLflow may let go of the trace.
        place = trace_delivery.place_of(self._span) if self._outermost else None
        self._end(self._span)
        if place is not None:
            trace_delivery.ended(place)

    def _end(self, span: LiveSpan) -> None:
        if self._failure is not None:
            from mlflow.entities import SpanStatus, SpanStatusCode

            span.set_attribute("error", self._failure)
            span.end(outputs=self._outputs, status=SpanStatus(SpanStatusCode.ERROR, self._failure))
            return
        span.end(outputs=self._outputs, status="OK")


@contextmanager
def begin(
    name: str,
    inputs: Any,
    *,
    traced: bool,
    attributes: Mapping[str, Any] | None = None,
    hide: Hide | None = None,
) -> Iterator[Step]:
    """Open the outermost step of a request, inside the caller's trace where it has one.

    Args:
        name: The span's name.
        inputs: What was asked.
        traced: Nothing is recorded where this is False.
        attributes: Facts about the request.
        hide: Makes of what went in or came out what may be kept of it, for all steps.
    """
    if not traced:
        yield Step(None)
        return
    import mlflow

    trace_delivery.make_room()
    parent = mlflow.get_current_active_span()
    span = mlflow.start_span_no_context(
        name,
        span_type="AGENT",
        parent_span=parent,
        inputs=inputs if hide is None else hide(inputs),
        experiment_id=trace_delivery.home() if parent is None else None,
    )
    with _ended(Step(span, hide, outermost=parent is None)) as step:
        step.note(**(attributes or {}))
        yield step


@contextmanager
def _ended(step: Step) -> Iterator[Step]:
    try:
        yield step
    except LabError as exc:
        step.failed(exc.message)
        raise
    except GeneratorExit:
        step.failed("The caller left before the end.")
        raise
    except BaseException as exc:
        # Foreign words may hold anything, so only the kind of failure is kept.
        step.failed(type(exc).__name__)
        raise
    finally:
        step.end()
