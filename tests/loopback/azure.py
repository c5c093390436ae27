"""OpenAI's protocol in Azure's dress."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from tests.loopback.exchange import Answered, Recorded, answer
from tests.loopback.openai import OpenAIWire, card, embeddings
from tests.loopback.scenario import Asked, Fault, Reply, Scenario, WireName
from tests.loopback.wires import Frame, sse

__all__ = ["AzureWire"]

_DEPLOYMENT = re.compile(r"/openai/deployments/(?P<model>[^/]+)/(?P<rest>.+)")


class AzureWire(OpenAIWire):
    """Deployments under `/openai/deployments/…`, and the newer `/openai/v1/…`."""

    name: WireName = "azure"

    def recognises(self, request: Recorded) -> bool:
        return request.path.startswith("/openai/")

    def key_of(self, request: Recorded) -> str | None:
        return request.headers.get("api-key") or super().key_of(request)

    def read(self, request: Recorded) -> Asked | None:
        if request.path == "/openai/v1/chat/completions":
            return self.asked(request, str((request.body or {}).get("model", "")))
        found = _DEPLOYMENT.fullmatch(request.path)
        if found is None or found["rest"] != "chat/completions" or not request.query:
            return None
        return self.asked(request, found["model"])

    def other(self, request: Recorded, scenario: Scenario) -> Answered | Iterator[bytes] | None:
        found = _DEPLOYMENT.fullmatch(request.path)
        if found is not None and found["rest"] == "embeddings":
            return embeddings(request)
        if request.path in {"/openai/models", "/openai/v1/models"}:
            cards = [card(name) for name in scenario.models["azure"]]
            return answer({"object": "list", "data": cards})
        # A wrong api-version or path.
        return answer({"error": {"code": "404", "message": "Resource not found"}}, 404)

    def knows(self, asked: Asked, scenario: Scenario) -> bool:
        return asked.model in scenario.models["azure"]

    def frames(self, reply: Reply, asked: Asked) -> Iterator[Frame]:
        filters = {"prompt_index": 0, "content_filter_results": _filter_results(None)}
        first = {
            "id": "",
            "object": "",
            "created": 0,
            "model": "",
            "choices": [],
            "prompt_filter_results": [filters],
        }
        yield Frame(sse(json.dumps(first)))
        yield from super().frames(reply, asked)

    def refusal(self, fault: Fault, asked: Asked) -> Answered:
        wait = {} if fault.wait is None else {"Retry_After": f"{fault.wait:g}"}
        match fault.kind:
            case "rate_limited":
                again = "" if fault.wait is None else f" Please retry after {fault.wait:g} seconds."
                return _azure_error(
                    429,
                    "429",
                    "Requests to the ChatCompletions_Create Operation under Azure OpenAI API have "
                    f"exceeded call rate limit of your current OpenAI S0 pricing tier.{again}",
                    **wait,
                )
            case "quota_used_up":
                return _azure_error(
                    403,
                    "QuotaExceeded",
                    "Out of call volume quota. Quota will be replenished later.",
                )
            case "wrong_key":
                return _azure_error(
                    401,
                    "401",
                    "Access denied due to invalid subscription key or wrong API endpoint. Make sure "
                    "to provide a valid key for an active subscription and use a correct regional "
                    "API endpoint for your resource.",
                )
            case "unknown_model":
                return _azure_error(
                    404,
                    "DeploymentNotFound",
                    "The API deployment for this resource does not exist. If you created the "
                    "deployment within the last 5 minutes, please wait a moment and try again.",
                )
            case "blocked_prompt":
                return _content_filter()
            case _:
                return super().refusal(fault, asked)


def _azure_error(status: int, code: str, message: str, **headers: str) -> Answered:
    return answer({"error": {"code": code, "message": message}}, status, **headers)


def _filter_results(struck: str | None) -> dict[str, Any]:
    return {
        name: {"filtered": name == struck, "severity": "high" if name == struck else "safe"}
        for name in ("hate", "self_harm", "sexual", "violence")
    }


def _content_filter() -> Answered:
    error = {
        "message": "The response was filtered due to the prompt triggering Azure OpenAI's content "
        "management policy. Please modify your prompt and retry.",
        "type": None,
        "param": "prompt",
        "code": "content_filter",
        "status": 400,
        "innererror": {
            "code": "ResponsibleAIPolicyViolation",
            "content_filter_result": _filter_results("violence"),
        },
    }
    return answer({"error": error}, 400)
