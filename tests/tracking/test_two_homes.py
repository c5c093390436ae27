"""Two homes that register in one store at the same moment, interleaved where it hurts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llmflowlab.candidate import Candidate
from llmflowlab.messages import Parameters
from llmflowlab.settings import Settings
from llmflowlab.tracking import aliases
from llmflowlab.tracking.aliases import versions_of
from llmflowlab.tracking.logged_models import LAST_RUN
from llmflowlab.tracking.model_package import ModelPackage
from llmflowlab.tracking.registry_changes import ModelRegistry
from llmflowlab.tracking.store import open_store
from tests.patience import PATIENCE
from tests.tracking.conftest import MakeDelivery
from tests.tracking.helpers import CANDIDATE, Stored, record, settings_for, start, turn

OTHER = replace(CANDIDATE, parameters=Parameters(temperature=1.5))


@pytest.fixture
def homes(mlflow_home: Path) -> list[Settings]:
    """Two homes on one store."""
    uri = f"sqlite:///{(mlflow_home / 'mlflow.db').as_posix()}"
    made = [mlflow_home / "one", mlflow_home / "two"]
    for home in made:
        home.mkdir()
    return [settings_for(home, MLFLOW_TRACKING_URI=uri) for home in made]


def meanwhile(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, act: Callable[[], None]
) -> None:
    """Have another home act just before a step of the first one."""
    real = getattr(owner, name)
    acted: list[bool] = []

    def step(*args: Any, **kwargs: Any) -> Any:
        if not acted:
            acted.append(True)
            act()
        return real(*args, **kwargs)

    monkeypatch.setattr(owner, name, step)


@pytest.mark.parametrize(
    ("candidate", "versions"),
    [pytest.param(CANDIDATE, 1, id="the same"), pytest.param(OTHER, 2, id="another")],
)
@pytest.mark.parametrize(
    ("owner", "name"),
    [
        pytest.param(ModelRegistry, "_create", id="before it makes its version"),
        pytest.param(aliases, "set_stage", id="before it stages it"),
    ],
)
def test_one_candidate_is_one_version_and_the_latest_one_is_staged(
    homes: list[Settings],
    deliver: MakeDelivery,
    package: ModelPackage,
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    name: str,
    candidate: Candidate,
    versions: int,
) -> None:
    one, two = (deliver(home, package=package) for home in homes)

    def of_the_other_home() -> None:
        record(homes[1], two, turn(0), session=start(candidate))
        assert two.wait(PATIENCE)

    meanwhile(monkeypatch, owner, name, of_the_other_home)
    record(homes[0], one, turn(0))
    assert one.wait(PATIENCE)
    stored = Stored(homes[0])
    found = stored.versions()
    assert len(found) == versions
    assert [v.current_stage for v in found] == ["Archived", "Staging"][-versions:]
    aliased = stored.client.get_model_version_by_alias("llm_gemini_chat", "staging")
    assert aliased.version == found[-1].version
    named = {run.data.tags["llmflowlab.model_version"] for run in stored.runs()}
    assert named == {str(v.version) for v in found}
    outputs = {run.outputs.model_outputs[0].model_id for run in stored.runs()}
    assert {f"models:/{model_id}" for model_id in outputs} == {v.source for v in found}


def test_a_version_that_was_made_at_once_and_whose_home_died_is_taken_back(
    homes: list[Settings],
    deliver: MakeDelivery,
    package: ModelPackage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, two = (deliver(home, package=package) for home in homes)

    def of_the_other_home() -> None:
        record(homes[1], two, turn(0))
        assert two.wait(PATIENCE)

    def dies(*args: Any) -> None:
        raise RuntimeError

    meanwhile(monkeypatch, ModelRegistry, "_create", of_the_other_home)
    with monkeypatch.context() as patch:
        # It comes to itself between the making of its version and the look at the others.
        patch.setattr(
            "llmflowlab.tracking.registry_changes.first_of_equals",
            lambda client, version: version if version.version == 1 else dies(),
        )
        record(homes[0], one, turn(0))
        assert not one.wait(PATIENCE)
    assert len(Stored(homes[0]).versions()) == 2
    assert one.wait(PATIENCE)
    (version,) = Stored(homes[0]).versions()
    assert (str(version.version), version.current_stage) == ("1", "Staging")


def at_statement(client: Any, words: str, act: Callable[[], None]) -> None:
    """Have another home act just before a statement of this one's store."""
    from sqlalchemy import event

    engine = client._get_registry_client().store.engine
    acted: list[bool] = []

    def step(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if not acted and words in " ".join(statement.split()):
            acted.append(True)
            act()

    event.listen(engine, "before_cursor_execute", step)


def test_a_version_that_is_taken_back_while_versions_are_read_is_none(
    homes: list[Settings],
) -> None:
    """MLflow reads versions, then their tags: it came without any, and two equal ones stayed."""
    one, two = (open_store(home).client for home in homes)
    one.create_registered_model("m")
    for tags in ({"of": "the lab"}, {"of": "the lab"}, {}):
        one.create_model_version("m", source="/somewhere", tags=tags)
    at_statement(one, "JOIN model_version_tags", lambda: two.delete_model_version("m", "2"))
    read = versions_of(one, "m")
    assert [(int(version.version), bool(version.tags)) for version in read] == [
        (3, False),
        (1, True),
    ]


def test_what_two_homes_write_for_the_first_time_at_once_is_written_without_a_word(
    homes: list[Settings], deliver: MakeDelivery, package: ModelPackage, notices: list[str]
) -> None:
    """The second was refused: its person read that the session could not be saved."""
    one, two = (deliver(home, package=package) for home in homes)
    record(homes[0], one, turn(0))
    assert one.wait(PATIENCE)
    stores = [open_store(home).client for home in homes]
    stores[0].delete_model_version_tag("llm_gemini_chat", "1", LAST_RUN)
    at_statement(
        stores[0],
        "INSERT INTO model_version_tags",
        lambda: stores[1].set_model_version_tag("llm_gemini_chat", "1", LAST_RUN, "of another"),
    )
    record(homes[1], two, turn(0))
    assert two.wait(PATIENCE)
    assert notices == []
    (version,) = Stored(homes[0]).versions()
    assert version.tags[LAST_RUN] in {run.info.run_id for run in Stored(homes[0]).runs()}
