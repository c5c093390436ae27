from __future__ import annotations

import pytest

from llmflowlab.candidate import Candidate
from llmflowlab.errors import InputError, TrackingError
from llmflowlab.settings import Settings
from llmflowlab.tracking.aliases import set_stage
from llmflowlab.tracking.model_package import ModelPackage
from llmflowlab.tracking.registered_candidates import candidate_of_run, run_for
from llmflowlab.tracking.registry import (
    Version,
    VersionName,
    alias_history,
    find_version,
    list_models,
    parse_version_name,
)
from llmflowlab.tracking.registry_changes import (
    ModelRegistry,
    archive,
    champion_of,
    delete,
    move_champion,
    roll_back,
    set_alias,
)
from llmflowlab.tracking.store import Store, open_store

NAME = "llm_guide_chat"


@pytest.fixture
def store(lab: Settings, package: ModelPackage) -> Store:
    """A store with three versions of one model."""
    store = open_store(lab)
    registry = ModelRegistry(lab, store, package)
    for system in ("one", "two", "three"):
        candidate = Candidate(
            model="guide:docs",
            display_name="Guide",
            supplier="LLMFlowLab",
            system=system,
        )
        run_id, experiment_id = run_for(store, candidate)
        assert candidate_of_run(store, run_id) == (candidate, experiment_id)
        registry.register(candidate, run_id=run_id, experiment_id=experiment_id)
    return store


def version(store: Store, number: int) -> Version:
    return find_version(store, VersionName(NAME, version=str(number)))


def crown(lab: Settings, store: Store, number: int, instead_of: str | None) -> None:
    move_champion(
        lab,
        store,
        version(store, number),
        instead_of=instead_of,
        why="a test",
        evidence={"run": "r"},
    )


def test_models_are_listed_with_stages_and_aliases(store: Store) -> None:
    (model,) = list_models(store)
    assert [(v.version, v.stage, v.aliases) for v in model.versions] == [
        ("3", "Staging", ("staging",)),
        ("2", "Archived", ()),
        ("1", "Archived", ()),
    ]
    assert model.versions[0].model == "guide:docs"
    assert find_version(store, VersionName(NAME, alias="staging")).version == "3"


@pytest.mark.parametrize("text", ["x", "x/", "x/a", "@a", "x@", "a/b/3", "x/y@z", ""])
def test_what_names_no_version_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="names no model version"):
        parse_version_name(text)


def test_a_missing_version_is_said(store: Store) -> None:
    for wanted in (VersionName(NAME, version="9"), VersionName(NAME, alias="x")):
        with pytest.raises(InputError, match="There is no model version"):
            find_version(store, wanted)
    with pytest.raises(InputError, match="no registered model"):
        champion_of(store, "nobody")


def test_champion_is_not_set_by_hand(lab: Settings, store: Store) -> None:
    with pytest.raises(InputError, match="by evidence only"):
        set_alias(lab, store, version(store, 1), "champion")
    assert champion_of(store, NAME) is None


def test_a_rollback_goes_back_and_a_second_one_undoes_it(lab: Settings, store: Store) -> None:
    crown(lab, store, 1, None)
    crown(lab, store, 2, "1")
    for expected in ("1", "2", "1"):
        roll_back(lab, store, NAME)
        held = champion_of(store, NAME)
        assert held is not None
        assert held.version == expected
    assert [m.why for m in alias_history(store, NAME, "champion")][2:] == ["rollback"] * 3
    assert version(store, 2).evidence == {"run": "r"}


def test_the_first_promotion_can_be_rolled_back_too(lab: Settings, store: Store) -> None:
    crown(lab, store, 1, None)
    assert roll_back(lab, store, NAME).after is None
    assert champion_of(store, NAME) is None
    roll_back(lab, store, NAME)
    assert champion_of(store, NAME) is not None


def test_there_may_be_nothing_to_roll_back(lab: Settings, store: Store) -> None:
    with pytest.raises(InputError, match="never moved here"):
        roll_back(lab, store, NAME)


def test_an_alias_moved_elsewhere_is_not_rolled_back(lab: Settings, store: Store) -> None:
    crown(lab, store, 1, None)
    store.client.set_registered_model_alias(NAME, "champion", "3")
    with pytest.raises(InputError, match="another program moved it"):
        roll_back(lab, store, NAME)


def test_a_champion_that_changed_meanwhile_is_not_replaced(lab: Settings, store: Store) -> None:
    crown(lab, store, 1, None)
    with pytest.raises(TrackingError, match="meanwhile"):
        crown(lab, store, 2, None)
    assert version(store, 2).evidence == {}


def test_the_champion_is_neither_deleted_nor_archived(lab: Settings, store: Store) -> None:
    crown(lab, store, 1, None)
    for change in (delete, archive):
        with pytest.raises(InputError, match="is the champion"):
            change(lab, store, version(store, 1))
    delete(lab, store, version(store, 2))
    archive(lab, store, version(store, 3))
    assert stages(store) == {"3": "Archived", "1": "Production"}


def stages(store: Store) -> dict[str, str | None]:
    (model,) = list_models(store)
    return {v.version: v.stage for v in model.versions}


def test_moving_alias_staging_moves_the_stage(lab: Settings, store: Store) -> None:
    set_alias(lab, store, version(store, 1), "staging")
    assert stages(store) == {"3": "Archived", "2": "Archived", "1": "Staging"}
    roll_back(lab, store, NAME, "staging")
    assert stages(store) == {"3": "Staging", "2": "Archived", "1": "Archived"}
    # The registrations' own moves are part of the history that a rollback follows.
    assert [m.after for m in alias_history(store, NAME, "staging")] == ["1", "2", "3", "1", "3"]


def test_an_archived_version_is_not_staging_any_more(lab: Settings, store: Store) -> None:
    archive(lab, store, version(store, 3))
    (model,) = list_models(store)
    assert (model.aliases, model.versions[0].stage) == ({}, "Archived")
    roll_back(lab, store, NAME, "staging")
    assert stages(store)["3"] == "Staging"


def test_the_champion_is_in_production_and_its_predecessor_is_not(
    lab: Settings, store: Store
) -> None:
    crown(lab, store, 1, None)
    assert stages(store) == {"3": "Staging", "2": "Archived", "1": "Production"}
    crown(lab, store, 3, "1")
    assert stages(store) == {"3": "Production", "2": "Archived", "1": "Archived"}
    roll_back(lab, store, NAME)
    # It still holds alias staging.
    assert stages(store) == {"3": "Staging", "2": "Archived", "1": "Production"}


def test_what_a_person_put_into_production_stays_there(lab: Settings, store: Store) -> None:
    set_stage(store.client, NAME, "2", "Production")
    crown(lab, store, 1, None)
    set_alias(lab, store, version(store, 2), "staging")
    assert stages(store) == {"3": "Archived", "2": "Production", "1": "Production"}
