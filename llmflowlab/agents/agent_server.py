"""A logged `responses` agent behind MLflow's agent server, which streams; `mlflow models serve` does not.

`python -m llmflowlab.agents.agent_server MODEL_URI [--host HOST] [--port PORT]` answers `/invocations`
and `/responses`; with `"stream": true` in the request, piece by piece.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

from llmflowlab.errors import InputError
from llmflowlab.settings import Settings, load_settings
from llmflowlab.tracking.service_runs import EXPERIMENT

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["EXPERIMENT", "build_app", "main", "serving_experiment"]


def serving_experiment(settings: Settings) -> str | None:
    """Return the id of that experiment; None where the environment names another.

    Raises:
        TrackingError: The store failed.
    """
    if settings.get("MLFLOW_EXPERIMENT_NAME") or settings.get("MLFLOW_EXPERIMENT_ID"):
        return None
    # Imported here: command lines are read without a store.
    from llmflowlab.tracking.store import open_store

    return open_store(settings).experiment_id(EXPERIMENT)


def build_app(settings: Settings, uri: str) -> FastAPI:
    """Load an agent and return the server's application; once in a process, as MLflow has it.

    Args:
        settings: Names the store that the address is looked up in.
        uri: `models:/…` or a folder.

    Raises:
        InputError: It is no `responses` agent.
        AgentFailed: A key or address is missing.
        TrackingError: The store failed.
        MlflowException: The model cannot be loaded.
    """
    import asyncio

    import mlflow.pyfunc
    from mlflow.genai.agent_server import AgentServer, invoke, stream
    from mlflow.types.responses import ResponsesAgentRequest
    from starlette.concurrency import iterate_in_threadpool

    mlflow.set_tracking_uri(settings.tracking_uri)
    if (experiment := serving_experiment(settings)) is not None:
        mlflow.set_experiment(experiment_id=experiment)
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
    """Serve until the process is told to end.

    Args:
        arguments: As after the program's name: the model (`models:/NAME@ALIAS`,
            `models:/NAME/VERSION` or a folder), then `--host HOST` and `--port PORT` where wanted.

    Raises:
        InputError: They cannot be understood.
    """
    uri, host, port = _read(sys.argv[1:] if arguments is None else arguments)
    import uvicorn

    app = build_app(load_settings(stdin_is_terminal=False), uri)
    uvicorn.run(app, host=host, port=port)


def _read(arguments: Sequence[str]) -> tuple[str, str, int]:
    # Not by argparse: command lines are the console's, which does not travel with a model.
    options = {"--host": "127.0.0.1", "--port": "8000"}
    named: list[str] = []
    left = [part for given in arguments for part in _parts(given)]
    while left:
        word = left.pop(0)
        if word in options and left:
            options[word] = left.pop(0)
        else:
            named.append(word)
    port = options["--port"]
    if len(named) != 1 or named[0].startswith("-") or not port.isdecimal():
        raise InputError(
            "usage: python -m llmflowlab.agents.agent_server MODEL_URI [--host HOST] [--port PORT]"
        )
    return named[0], options["--host"], int(port)


def _parts(given: str) -> list[str]:
    """Take `--port=8000` apart."""
    return given.split("=", 1) if given.startswith("--") else [given]


if __name__ == "__main__":
    try:
        main()
    except InputError as exc:
        sys.stderr.write(exc.message + "\n")
        sys.exit(exc.exit_code)
