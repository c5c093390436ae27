from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llmflowlab.messages import Parameters
from llmflowlab.settings import Settings
from llmflowlab.tracking.model_package import ModelPackage
from tests.known import known
from tests.patience import PATIENCE
from tests.tracking.conftest import MakeDelivery
from tests.tracking.helpers import CANDIDATE, Stored, failed_turn, record, start, turn


def test_a_first_session_registers_a_version_in_staging(
    lab: Settings, deliver: MakeDelivery, package: ModelPackage
) -> None:
    delivery = deliver(package=package)
    record(lab, delivery, turn(0))
    assert delivery.wait(PATIENCE)
    stored = Stored(lab)
    (version,) = stored.versions()
    run = stored.run()
    assert version.current_stage == "Staging"
    assert version.run_id == run.info.run_id
    assert version.tags["llmflowlab.candidate"] == CANDIDATE.version_digest
    assert run.data.tags["llmflowlab.model_version"] == str(version.version) == "1"
    aliased = stored.client.get_model_version_by_alias("llm_gemini_chat", "staging")
    assert aliased.version == version.version
    (output,) = run.outputs.model_outputs
    assert version.source == f"models:/{output.model_id}"
    assert stored.client.get_logged_model(output.model_id).status == "READY"


def test_the_same_candidate_gets_no_second_version(
    lab: Settings, deliver: MakeDelivery, package: ModelPackage
) -> None:
    delivery = deliver(package=package)
    record(lab, delivery, turn(0))
    record(lab, delivery, turn(0))
    assert delivery.wait(PATIENCE)
    stored = Stored(lab)
    (version,) = stored.versions()
    tags = {run.data.tags["llmflowlab.model_version"] for run in stored.runs()}
    assert tags == {str(version.version)}
    assert all(len(run.outputs.model_outputs) == 1 for run in stored.runs())
    assert version.tags["llmflowlab.last_run"] in {run.info.run_id for run in stored.runs()}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"parameters": Parameters(temperature=0.9)}, id="temperature"),
        pytest.param({"system": None}, id="system-prompt"),
        pytest.param({"model": "gemini:gemini-2.5-pro"}, id="model"),
        pytest.param({"parameters": Parameters(temperature=0.2, max_tokens=5)}, id="max-tokens"),
    ],
)
def test_another_candidate_gets_a_version_and_the_older_one_is_archived(
    lab: Settings, deliver: MakeDelivery, package: ModelPackage, change: dict[str, Any]
) -> None:
    delivery = deliver(package=package)
    record(lab, delivery, turn(0))
    assert delivery.wait(PATIENCE)
    stored = Stored(lab)
    stored.client.set_registered_model_alias("llm_gemini_chat", "champion", "1")
    record(lab, delivery, turn(0), session=start(replace(CANDIDATE, **change)))
    assert delivery.wait(PATIENCE)
    # The champion is not archived by who comes after it.
    assert [v.current_stage for v in stored.versions()] == ["Production", "Staging"]
    aliases = stored.client.get_registered_model("llm_gemini_chat").aliases
    assert {name: str(number) for name, number in aliases.items()} == {
        "champion": "1",
        "staging": "2",
    }


def test_nothing_is_taken_out_of_production(
    lab: Settings, deliver: MakeDelivery, package: ModelPackage
) -> None:
    delivery = deliver(package=package)
    record(lab, delivery, turn(0))
    assert delivery.wait(PATIENCE)
    stored = Stored(lab)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        stored.client.transition_model_version_stage("llm_gemini_chat", "1", "Production")
    record(lab, delivery, turn(0))
    assert delivery.wait(PATIENCE)
    (version,) = stored.versions()
    assert version.current_stage == "Production"


def test_a_session_without_an_answer_registers_nothing(
    lab: Settings, deliver: MakeDelivery, package: ModelPackage
) -> None:
    delivery = deliver(package=package)
    record(lab, delivery, failed_turn(0))
    assert delivery.wait(PATIENCE)
    assert Stored(lab).versions() == []
    assert Stored(lab).run().info.status == "FINISHED"


def test_two_deliveries_at_once_register_once(
    lab: Settings, deliver: MakeDelivery, package: ModelPackage
) -> None:
    one, other = deliver(package=package), deliver(package=package)
    record(lab, one, turn(0))
    record(lab, other, turn(0))
    assert one.wait(PATIENCE)
    assert other.wait(PATIENCE)
    assert len(Stored(lab).versions()) == 1


def test_the_logged_files_are_code_and_pinned_requirements(
    lab: Settings, deliver: MakeDelivery, package: ModelPackage
) -> None:
    (known(package.package_path) / "__pycache__").mkdir()
    (known(package.package_path) / "__pycache__" / "x.pyc").write_bytes(b"")
    delivery = deliver(package=package)
    record(lab, delivery, turn(0))
    assert delivery.wait(PATIENCE)
    stored = Stored(lab)
    (version,) = stored.versions()
    model = stored.client.get_logged_model(version.source.removeprefix("models:/"))
    folder = Path(model.artifact_location.removeprefix("file://"))
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert names == {
        "MLmodel",
        "conda.yaml",
        "python_env.yaml",
        "requirements.txt",
        "input_example.json",
        "serving_input_example.json",
        "small_agent.py",
        "code/smalllib/__init__.py",
    }
    requirements = (folder / "requirements.txt").read_text(encoding="utf-8").split()
    assert [line.partition("==")[0] for line in requirements] == ["mlflow"]
    assert "==" in requirements[0]
