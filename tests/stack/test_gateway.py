"""MLflow's AI Gateway as an address of provider `openai`."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.gateway import gateway
from tests.e2e.program import Lab
from tests.loopback import LoopbackServer


def test_what_is_behind_mlflows_gateway_is_asked_as_any_model_of_openais_protocol(
    tmp_path: Path, loopback: LoopbackServer
) -> None:
    # The gateway has a key of its own for the model; who asks the gateway needs none.
    loopback.scenario.keys["openai"] = "benchmark"
    loopback.scenario.models["openai"] = ["bench"]
    with gateway(tmp_path / "gateway", f"{loopback.url}/v1") as where:
        address, _, name = where.partition("#")
        home = tmp_path / "home"
        home.mkdir()
        lab = Lab(home, {"OPENAI_BASE_URL": address, "OPENAI_API_KEY": "none"})
        model = f"openai:{name}"
        answered = lab.run("chat", "--model", model, "--json", "--message", "What is a run?")
        assert answered.code == 0, answered.said
        (turn,) = answered.document["turns"]
        assert turn["answer"] == "You said: What is a run?"
        assert (turn["state"], turn["tokens_estimated"]) == ("complete", False)
        assert turn["prompt_tokens"] is not None
        listed = lab.run("models", "--json")
        assert model in json.dumps(listed.document)
        questions = tmp_path / "q.csv"
        questions.write_text("question,answer\nSay yes,yes\nSay no,no\n", encoding="utf-8")
        scored = ("--data", str(questions), "--scorer", "contains", "--json")
        evaluated = lab.run("evaluate", "--model", model, *scored)
        assert evaluated.code == 0, evaluated.said
        (candidate,) = evaluated.document["candidates"]
        assert candidate["scores"]["contains"]["scored"] == 2
        # A price by the endpoint's name is nobody's: unknown, and not 0.
        assert candidate["cost_usd"] is None
        lost = lab.run("chat", "--model", "openai:nobody", "--message", "Hi")
        assert lost.code == 4
        assert "GatewayEndpoint not found" in lost.err
        loopback.scenario.keys["openai"] = "another"
        refused = lab.run("chat", "--model", model, "--message", "Hi")
        assert refused.code != 0
        assert "Traceback" not in refused.err
