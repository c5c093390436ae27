"""A logged `responses` agent behind MLflow's agent server, which streams; `mlflow models serve` does not.

`python -m llmflowlab.agents.agent_server MODEL_URI [--host HOST] [--port PORT]` answers `/invocations`
and `/responses`; with `"stream": true` in the request, piece by piece.
"""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

from llmflowlab.errors import InputError
from llmflowlab.settings import Settings, load_settings

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["build_app", "main"]


def build_app(settings: Settings, uri: str) -> FastAPI:
    """Load an agent and return the server's application; once in a process, as MLflow has it.

    Args:
        settings: Names the store that the address is looked up in.
        uri: `models:/…` or a folder.

    Raises:
        InputError: It is no `responses` agent.
        AgentFailed: A key or address is missing.
        MlflowException: The model cannot be loaded.
    """
    import asyncio

    import mlflow.pyfunc
    from mlflow.genai.agent_server import AgentServer, invoke, stream
    from mlflow.types.responses import ResponsesAgentRequest
    from starlette.concurrency import iterate_in_threadpool

    mlflow.set_tracking_uri(settings.tracking_uri)
    agent = mlflow.pyfunc.load_model(uri).get_raw_model()
    if not isinstance(agent, mlflow.pyfunc.ResponsesAgent):
        raise InputError(
            f"{uri} is no ResponsesAgent; serve it with `mlflow models serve -m {uri}`."
        )

    # In threads: the server calls plain functions in its event loop, where one call holds up all.
    @invoke()
    async def answer(request: ResponsesAgentRequest) -> Any:
        return await asyncio.to_thread(agent.predict, request)

    @stream()
    async def answer_in_pieces(request: ResponsesAgentRequest) -> AsyncIterator[Any]:
        async for event in iterate_in_threadpool(agent.predict_stream(request)):
            yield event

    app: FastAPI = AgentServer("ResponsesAgent").app
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until the process is told to end."""
    parser = argparse.ArgumentParser(prog="python -m llmflowlab.agents.agent_server")
    parser.add_argument("uri", help="the model: models:/NAME@ALIAS, models:/NAME/VERSION, a folder")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    chosen = parser.parse_args(arguments)
    import uvicorn

    app = build_app(load_settings(stdin_is_terminal=False), chosen.uri)
    uvicorn.run(app, host=chosen.host, port=chosen.port)


if __name__ == "__main__":
    main()
