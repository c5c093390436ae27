"""A canary: its state, rounds, evidence and figures are the same wherever they are told, and so is its cost."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from llmflowlab.cli.arguments import parse
from llmflowlab.cli.monitor.canary_command import run_canary
from llmflowlab.cli.monitor.canary_words import status_json
from llmflowlab.errors import ExitCode
from llmflowlab.monitoring import canary_search
from llmflowlab.monitoring.canary_store import CanaryFolder
from llmflowlab.monitoring.canary_verdict import verdict
from llmflowlab.providers.scripted import ScriptedProvider
from llmflowlab.settings import Settings
from tests.cli.fakes import FakeApp
from tests.monitoring.canary_models import OPEN, model


class Priced(ScriptedProvider):
    """Answers as another does, under a name that has a price."""

    name = "openai"
    free = False

    def __init__(self, like: ScriptedProvider, name: str = "gpt-4.1-mini") -> None:
        super().__init__(default=like._default, model=name)


class Told:
    """A canary, and the doors through which it is told of.

    Args:
        settings: Its home.
        capsys: Has what is printed.
        name: Of the model at the provider.
    """

    def __init__(
        self, settings: Settings, capsys: pytest.CaptureFixture[str], name: str = "gpt-4.1-mini"
    ) -> None:
        self.settings = settings
        self._capsys = capsys
        self._model = name

    def says(self, character: str, *words: str, code: int = ExitCode.DONE, **how: Any) -> str:
        provider = Priced(model(character, **how), self._model)
        app = FakeApp(self.settings, providers=[provider])
        assert run_canary(app, parse(["monitor", "canary", *words])) == code
        return self._capsys.readouterr().out

    def document(self, *words: str, **more: Any) -> Any:
        return json.loads(self.says(*words, "--json", **more))

    def begin(self, *more: str) -> str:
        few = ("--prompts", "4", "--questions", "2", "--every", "1d", *more)
        return self.says("one", "init", "--model", f"openai:{self._model}", "--name", "desk", *few)

    @property
    def folder(self) -> CanaryFolder:
        return CanaryFolder(self.settings, "desk")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(canary_search, "CANDIDATES", OPEN)
    return Settings(home=tmp_path, environment={}, concurrency=1, max_tries=1)


def test_state_evidence_and_figures_of_a_canary_are_the_same_through_every_door(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    told = Told(settings, capsys)
    told.begin()
    quiet = told.document("one", "run", "desk", "--rounds", "13")
    assert (quiet["state"], quiet["rounds"]) == ("quiet", 13)
    gate = ExitCode.GATE_NOT_MET
    ran = told.document("two", "run", "desk", code=gate, served="served-2", knows=False)
    status = told.document("two", "status", "desk", code=gate)
    (listed,) = told.document("two", "status", code=gate)
    screen = told.says("two", "status", "desk", code=gate)
    table = told.says("two", "status", code=gate)
    kept = told.folder
    computed = status_json("desk", kept.canary(), verdict(kept.canary(), kept.rounds()))

    assert {key: ran[key] for key in computed} == status == listed == computed
    assert status["state"] == "changed"
    assert f"desk: {status['state']}, {status['rounds']} rounds." in screen
    assert re.search(rf"desk +\S+ +{status['rounds']} +{status['state']}", table)
    for each in status["layers"]:
        words = [f"{2.718281828459045 ** each[key]:.2g}" for key in ("log_e", "log_e_needed")]
        assert re.search(rf"  {re.escape(words[0])} +{re.escape(words[1])}\n", screen), each
    for when, label in (("before", "baseline"), ("last", "since")):
        (line,) = [one for one in screen.splitlines() if re.match(rf" *{label}  ", one)]
        for share in ("right", "refused"):
            assert f"{100 * status[when][share]:.1f} %" in line
        assert f"  {status[when]['length']:g}  " in line
    for name in (*status["served_new"], *status["served_before"]):
        assert name in screen
    last = kept.rounds()[-1].evidence
    assert last == {
        each["layer"]: each["log_e"] for each in status["layers"] if each["log_e"] is not None
    }


def test_what_its_rounds_cost_is_one_figure(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    told = Told(settings, capsys)
    (said,) = re.findall(r"The search cost \$([0-9.]+)\.", told.begin())
    searched = json.loads(told.begin("--again", "--json"))["cost_usd"]
    assert float(said) == pytest.approx(searched, rel=0.01)
    ran = told.document("one", "run", "desk", "--rounds", "2")
    costs = [each.cost_usd for each in told.folder.rounds()]
    assert None not in costs
    assert ran["cost_usd"] == pytest.approx(float(sum(Decimal(str(cost)) for cost in costs)))
    assert ran["cost_usd"] > 0


def test_rounds_without_a_price_cost_an_unknown_amount_and_not_nothing(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    told = Told(settings, capsys, "a-model-without-a-price")
    assert "What the search cost is not known" in told.begin()
    assert json.loads(told.begin("--again", "--json"))["cost_usd"] is None
    ran = told.document("one", "run", "desk", "--rounds", "2")
    assert [each.cost_usd for each in told.folder.rounds()] == [None, None]
    assert ran["cost_usd"] is None
