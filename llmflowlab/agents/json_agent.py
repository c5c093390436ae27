"""A candidate behind a table, for batches: a row of JSON texts in, a JSON text out.

MLflow runs this file when the model is loaded (models from code).
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pandas as pd
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from llmflowlab.agents.config import read_agent_config
from llmflowlab.agents.core import AgentCore, Reply, messages_of
from llmflowlab.agents.served import arrived, failures_for_mlflow, hand_over
from llmflowlab.agents.steps import Step, begin
from llmflowlab.asking.pacing import Limiter, limiter_for
from llmflowlab.conversations import (
    Conversation,
    Wishes,
    parse_json,
    read_conversation,
    read_wishes,
)
from llmflowlab.errors import ConfigurationError, InputError, LabError, ProviderError

__all__ = ["JsonAgent"]


@dataclass(frozen=True, slots=True)
class _Loaded:
    core: AgentCore
    limiter: Limiter


class JsonAgent(PythonModel):
    """Answers a table of conversations, several rows at once, within the provider's pace.

    Columns: `messages`, JSON text of a list of `{"role", "content"}`; and `params` where there
    are any, JSON text of an object with `temperature`, `top_p`, `max_tokens`, `seed` and
    `custom_inputs`. What a row asks for goes before what is configured.
    """

    def __init__(self) -> None:
        self._loaded: _Loaded | None = None

    def load_context(self, context: PythonModelContext) -> None:
        """Build the provider.

        Raises:
            AgentFailed: The serving process lacks the provider's key or address, or the model's
                configuration cannot be used.
        """
        arrived()
        with failures_for_mlflow():
            config = read_agent_config(context.model_config, tabular=True)
            core = AgentCore(config)
            limiter = limiter_for(config.reference.provider, core.live.settings, config.concurrency)
            self._loaded = _Loaded(core, limiter)

    def predict(
        self,
        context: PythonModelContext,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> list[str]:
        """Return a JSON text for each row, in order.

        Each holds `content`, `model`, `finish_reason`, `usage` (`prompt_tokens`,
        `completion_tokens`, `total_tokens`, `estimated`) and `error`. Where a row could not be
        answered, `error` holds `reason` and `message`, and the others are null.

        Args:
            context: Not used; the model was loaded with it.
            model_input: A DataFrame with the columns.
            params: Not used; parameters are each row's own.

        Raises:
            AgentFailed: The table has no column `messages`.
        """
        loaded = self._loaded
        assert loaded is not None, "MLflow calls load_context before predict"
        with failures_for_mlflow():
            return _answer_rows(loaded, _cells(model_input))


def _answer_rows(loaded: _Loaded, rows: list[tuple[Any, Any]]) -> list[str]:
    config = loaded.core.config
    with begin(
        "json_agent",
        {"rows": len(rows)},
        traced=config.tracing,
        attributes={"prompt": config.prompt},
        hide=loaded.core.hide,
    ) as step:
        if not rows:
            return []
        workers = min(config.concurrency, len(rows))
        with ThreadPoolExecutor(workers, thread_name_prefix="agent-row") as pool:
            numbers = range(1, len(rows) + 1)
            answers = list(
                pool.map(lambda n, cells: _answer_row(loaded, n, cells, step), numbers, rows)
            )
        failed = sum(answer["error"] is not None for answer in answers)
        step.note(rows=len(rows), failed=failed)
        step.gave(answers)
    return [json.dumps(answer, ensure_ascii=False) for answer in answers]


def _answer_row(loaded: _Loaded, number: int, cells: tuple[Any, Any], step: Step) -> dict[str, Any]:
    """Return what became of a row; its failures stay in it."""
    with step.step(f"row {number}", "CHAIN", {"messages": cells[0], "params": cells[1]}) as own:
        try:
            conversation, wishes = _read(*cells)
            with own.step("conversation", "CHAIN") as assembling:
                request = loaded.core.request(conversation, wishes)
                assembling.gave(messages_of(request))
            answer = _document(loaded.core.answer(request, own, gate=loaded.limiter))
        except LabError as exc:
            own.failed(exc.message)
            answer = _failure(exc)
        own.gave(answer)
    return answer


def _cells(table: pd.DataFrame) -> list[tuple[Any, Any]]:
    """Return each row's two cells; None where there is none."""
    columns = list(table.columns)
    if "messages" not in columns:
        listed = ", ".join(map(repr, columns)) or "none"
        raise InputError(f"The table has no column 'messages'; its columns: {listed}.")
    messages = list(table["messages"])
    params = list(table["params"]) if "params" in columns else [None] * len(messages)
    return list(zip(messages, params, strict=True))


def _read(messages: Any, params: Any) -> tuple[Conversation, Wishes]:
    said = parse_json(messages, "messages") if isinstance(messages, str) else messages
    asked = params
    if isinstance(params, str):
        asked = parse_json(params, "params") if params.strip() else None
    elif params is None or params != params:
        # NaN is how pandas writes a missing cell.
        asked = None
    return read_conversation(said), read_wishes(asked)


def _document(reply: Reply) -> dict[str, Any]:
    return {
        "content": reply.text,
        "model": reply.model,
        "finish_reason": reply.finish_reason,
        "usage": {
            "prompt_tokens": reply.tokens.prompt,
            "completion_tokens": reply.tokens.completion,
            "total_tokens": reply.tokens.total,
            "estimated": reply.tokens.estimated,
        },
        "error": None,
    }


def _failure(exc: LabError) -> dict[str, Any]:
    reason = "failed"
    if isinstance(exc, ProviderError):
        reason = exc.reason
    elif isinstance(exc, InputError):
        reason = "bad_input"
    elif isinstance(exc, ConfigurationError):
        reason = "not_configured"
    return {
        "content": None,
        "model": None,
        "finish_reason": None,
        "usage": None,
        "error": {"reason": reason, "message": exc.message},
    }


hand_over(__name__, JsonAgent())
