"""What a promotion says where the version gave no answer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from llmflowlab.cli.registry import promote_command
from llmflowlab.errors import ExitCode
from llmflowlab.settings import Settings
from tests.cli.fakes import FakeApp


@pytest.mark.parametrize(
    ("why", "ending"), [("No key is set.", " No key is set."), (None, "")], ids=["known", "unknown"]
)
def test_a_version_that_answered_nothing_says_what_its_answers_failed_with(
    settings: Settings, capsys: pytest.CaptureFixture[str], why: str | None, ending: str
) -> None:
    candidates = [SimpleNamespace(why_failed=why)]
    version: Any = SimpleNamespace(reference="m/2")
    result: Any = SimpleNamespace(interrupted=False, candidates=candidates)
    code = promote_command._say_nothing_came(FakeApp(settings), version, result)
    assert code == ExitCode.PROVIDER_FAILED
    said = f"m/2 answered nothing; the champion stays as it is.{ending}\n"
    assert capsys.readouterr().err == said
