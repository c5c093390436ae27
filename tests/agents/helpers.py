"""Agents on scripted providers, and their traces."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import mlflow
import pytest
from mlflow.entities import Trace
from mlflow.pyfunc.model import PythonModelContext
from mlflow.tracing.export.async_export_queue import AsyncTraceExportQueue

from llmflowlab.agents import live
from llmflowlab.providers.scripted import Script, ScriptedProvider

CONFIG = {
    "provider": "gemini",
    "model": "gemini-2.5-flash",
    "system_prompt": "Be brief.",
    "parameters": {"temperature": 0.2, "max_tokens": 50, "seed": 7},
    "tracing": False,
}


def scripted(
    monkeypatch: pytest.MonkeyPatch, **scripts: Sequence[Any] | Script
) -> dict[str, ScriptedProvider]:
    """Put scripted providers behind agents: by provider's name, a list in turn or one for all."""
    providers = {
        name: ScriptedProvider(script)
        if isinstance(script, list)
        else ScriptedProvider(default=script)
        for name, script in scripts.items()
    }

    def build(reference: Any, settings: Any) -> ScriptedProvider:
        return providers[reference.provider]

    monkeypatch.setattr(live, "build", build)
    return providers


def loaded(kind: type, config: Mapping[str, Any]) -> Any:
    """Return an agent as MLflow makes it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        agent = kind()
    agent.load_context(context(config))
    return agent


def context(config: Mapping[str, Any] = CONFIG) -> PythonModelContext:
    return PythonModelContext({}, dict(config))


@contextmanager
def traces_in(home: Path) -> Iterator[None]:
    """Let traces go to the store of a home folder."""
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{(home / 'mlflow.db').as_posix()}")
    mlflow.tracing.reset()
    with mock.patch.object(AsyncTraceExportQueue, "__init__", _looking_often):
        try:
            yield
        finally:
            mlflow.flush_trace_async_logging()
            mlflow.set_tracking_uri(before)


_make_queue = AsyncTraceExportQueue.__init__


def _looking_often(self: AsyncTraceExportQueue) -> None:
    """Make a queue whose thread looks once in a while whether it is to end, and not each second alone."""
    _make_queue(self)
    get = self._queue.get

    def soon(block: bool = True, timeout: float | None = None) -> Any:
        return get(block, None if timeout is None else min(timeout, 0.02))

    self._queue.get = soon  # type: ignore[method-assign]  # of this one queue


def last_trace() -> Trace:
    """Return the trace of the last request of this thread."""
    mlflow.flush_trace_async_logging()
    trace_id = mlflow.get_last_active_trace_id()
    assert trace_id is not None
    trace = mlflow.get_trace(trace_id)
    assert trace is not None
    return trace


def tree(trace: Trace) -> dict[str, list[str]]:
    """Return the names of each span's children, by its name."""
    names = {span.span_id: span.name for span in trace.data.spans}
    found: dict[str, list[str]] = {}
    for span in sorted(trace.data.spans, key=lambda s: s.start_time_ns):
        if span.parent_id is not None:
            found.setdefault(names[span.parent_id], []).append(span.name)
    return found
