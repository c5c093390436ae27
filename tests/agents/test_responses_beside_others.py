"""Agents of the lab and of others in one process: each is given requests of the class it knows."""

from __future__ import annotations

from typing import Any

from mlflow.pyfunc.loaders import responses_agent as loader
from mlflow.types.responses import ResponsesAgentRequest

from llmflowlab.agents.responses_payload import Asked, take_whole_requests

REQUEST = {"input": [{"role": "user", "content": "why?"}]}


class Whole:
    takes_whole_requests = True


def converted(agent: Any, request: Any) -> Any:
    wrapper: Any = vars(loader)["_ResponsesAgentPyfuncWrapper"]
    return wrapper(agent, None)._convert_input(request)


def test_an_agent_of_others_beside_ours_is_given_mlflow_s_own_requests() -> None:
    take_whole_requests()
    take_whole_requests()
    assert type(converted(object(), REQUEST)) is ResponsesAgentRequest
    whole = converted(Whole(), {"input": "why?", "instructions": "Be brief."})
    assert type(whole) is Asked
    assert (whole.input, whole.instructions) == ("why?", "Be brief.")
