"""A server on 127.0.0.1 that speaks Gemini's, Ollama's, OpenAI's, Azure's and Anthropic's protocols.

    with LoopbackServer() as server:
        settings = load_settings(server.environment("openai"), cwd=home, stdin_is_terminal=False)
        server.scenario.answers["What is 2 + 2?"] = "4"
        server.fail(Fault("rate_limited", wait=0.01), "drop")
        ...
        assert server.last.body["messages"][-1]["content"] == "What is 2 + 2?"

`python -m tests.loopback` runs it for manual trials.
"""

from __future__ import annotations

from tests.loopback.exchange import Recorded
from tests.loopback.scenario import Asked, Fault, FaultKind, Reply, Scenario, Tokens, WireName
from tests.loopback.server import LoopbackServer, closed_port

__all__ = [
    "Asked",
    "Fault",
    "FaultKind",
    "LoopbackServer",
    "Recorded",
    "Reply",
    "Scenario",
    "Tokens",
    "WireName",
    "closed_port",
]
