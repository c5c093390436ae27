"""A registered model of somebody else's store runs here only after a yes, which is asked for once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmflowlab.cli import main
from llmflowlab.errors import NotConfigured
from llmflowlab.serving import served_model
from llmflowlab.serving.served_model import load_version
from llmflowlab.serving.server import ModelServer
from llmflowlab.serving.trust import is_trusted
from llmflowlab.settings import Settings, load_settings
from llmflowlab.tracking.registry import Version

SERVER = "http://me:secret@lab.example:5000"


def settings_of(home: Path, **environment: str) -> Settings:
    return load_settings(environment, cwd=home, stdin_is_terminal=False)


@pytest.fixture
def version() -> Version:
    return Version(
        name="llm_guide_chat",
        version="1",
        stage=None,
        aliases=(),
        created_ms=0,
        run_id=None,
        model=None,
        source="",
        description="",
        tags={},
    )


def test_the_home_s_own_store_is_trusted_however_it_is_named(tmp_path: Path) -> None:
    assert is_trusted(settings_of(tmp_path))
    for own in ("sqlite:///mlflow.db", f"sqlite:///{tmp_path.as_posix()}/mlflow.db"):
        assert is_trusted(settings_of(tmp_path, MLFLOW_TRACKING_URI=own))
    for foreign in (SERVER, "sqlite:////srv/other/mlflow.db", "postgresql://lab.example/db"):
        assert not is_trusted(settings_of(tmp_path, MLFLOW_TRACKING_URI=foreign))


def test_nothing_of_another_store_is_loaded_before_a_yes(
    tmp_path: Path, version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(settings: Settings) -> None:
        raise AssertionError("the store was opened")

    monkeypatch.setattr(served_model, "open_store", refuse)
    foreign = settings_of(tmp_path, MLFLOW_TRACKING_URI=SERVER)
    said = r"runs the code .*lab\.example:5000 decides .* registry trust .*LLMFLOWLAB_TRUST_STORE="
    for load in (load_version, ModelServer):
        with pytest.raises(NotConfigured, match=said) as refused:
            load(foreign, version)
        assert "secret" not in refused.value.message
    for_script = settings_of(tmp_path, MLFLOW_TRACKING_URI=SERVER, LLMFLOWLAB_TRUST_STORE=SERVER)
    with pytest.raises(AssertionError, match="the store was opened"):
        load_version(for_script, version)
    other = settings_of(
        tmp_path, MLFLOW_TRACKING_URI="http://elsewhere:5000", LLMFLOWLAB_TRUST_STORE=SERVER
    )
    assert not is_trusted(other)


def test_a_yes_is_remembered_for_that_store_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", SERVER)
    assert main(["registry", "trust"]) == 2
    assert "give --yes" in capsys.readouterr().err
    assert not is_trusted(settings_of(tmp_path, MLFLOW_TRACKING_URI=SERVER))
    assert main(["registry", "trust", "--yes", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown == {"store": "http://***@lab.example:5000", "trusted": True}
    assert is_trusted(settings_of(tmp_path, MLFLOW_TRACKING_URI=SERVER))
    assert not is_trusted(settings_of(tmp_path, MLFLOW_TRACKING_URI="http://elsewhere:5000"))
    kept = (tmp_path / ".llmflowlab" / "trusted_stores.json").read_text("utf-8")
    assert "secret" not in kept
    assert main(["registry", "trust"]) == 0
