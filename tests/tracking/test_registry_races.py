"""Homes that register in one store at once, step by step in every order that hypothesis thinks of.

The store is a fake that takes a home's steps one at a time, as PostgreSQL does between two commits: what
looks a version up and then writes it, as MLflow does to set a stage, may have another home between the two,
and so may what reads versions and then their tags. What two write for the first time at once is refused to
the second.
"""

from __future__ import annotations

import itertools
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, RESOURCE_DOES_NOT_EXIST

from llmflowlab.candidate import Candidate
from llmflowlab.errors import TrackingError
from llmflowlab.messages import Parameters
from llmflowlab.tracking.registry_changes import ModelRegistry
from llmflowlab.tracking.store_errors import translate
from tests.patience import PATIENCE
from tests.tracking.helpers import CANDIDATE, settings_for

NAME = "llm_gemini_chat"
CANDIDATES = [CANDIDATE, replace(CANDIDATE, parameters=Parameters(temperature=1.5))]
DELETED = "Deleted_Internal"


class Died(Exception):
    """A home's program was killed."""


class Registry:
    """What the homes share."""

    def __init__(self) -> None:
        self.made = False
        self.rows: list[SimpleNamespace] = []
        self.aliases: dict[str, str] = {}
        self.tags: dict[str, str] = {}
        self.deleted_models: set[str] = set()
        self.run_tags: dict[str, dict[str, str]] = {}
        self.outputs: dict[str, list[Any]] = {}

    @property
    def alive(self) -> list[SimpleNamespace]:
        return [row for row in self.rows if row.current_stage != DELETED]


class Client:
    """A home's client; each method waits for its turn."""

    def __init__(self, registry: Registry, step: Any) -> None:
        self._all = registry
        self._step = step

    def _row(self, number: str) -> SimpleNamespace:
        for row in self._all.alive:
            if row.version == int(number):
                return row
        raise MlflowException(f"no version {number}", RESOURCE_DOES_NOT_EXIST)

    def create_registered_model(self, name: str, description: str | None) -> None:
        self._step()
        if self._all.made:
            raise MlflowException("there is one", RESOURCE_ALREADY_EXISTS)
        self._all.made = True

    def get_registered_model(self, name: str) -> SimpleNamespace:
        self._step()
        return SimpleNamespace(aliases={**self._all.aliases}, tags={**self._all.tags})

    def _merge(self, into: dict[str, str], key: str, value: str) -> None:
        """Look whether it is there, and write it after that."""
        there = key in into
        self._step()
        if not there and key in into:
            raise MlflowException('(psycopg) duplicate key value violates constraint "tag_pk"')
        into[key] = value

    def set_registered_model_tag(self, name: str, key: str, value: str) -> None:
        self._step()
        self._merge(self._all.tags, key, value)

    def set_registered_model_alias(self, name: str, alias: str, version: str) -> None:
        self._step()
        self._row(version)
        self._merge(self._all.aliases, alias, version)

    def search_model_versions(self, filter_string: str) -> list[SimpleNamespace]:
        self._step()
        found = deepcopy(self._all.alive)
        self._step()
        there = {row.version: row for row in self._all.alive}
        for row in found:
            row.tags = {**there[row.version].tags} if row.version in there else {}
        return found

    def create_model_version(
        self, name: str, *, source: str, run_id: str, model_id: str, tags: dict[str, str]
    ) -> SimpleNamespace:
        self._step()
        row = SimpleNamespace(
            name=name,
            version=len(self._all.rows) + 1,
            source=source,
            run_id=run_id,
            model_id=model_id,
            tags=tags,
            current_stage="None",
        )
        self._all.rows.append(row)
        return deepcopy(row)

    def set_model_version_tag(self, name: str, version: str, key: str, value: str) -> None:
        self._step()
        self._merge(self._row(version).tags, key, value)

    def transition_model_version_stage(self, name: str, version: str, stage: str) -> None:
        self._step()
        row = self._row(version)
        self._step()
        row.current_stage = stage

    def delete_model_version(self, name: str, version: str) -> None:
        self._step()
        row = self._row(version)
        self._step()
        row.current_stage = DELETED
        for alias in [a for a, number in self._all.aliases.items() if number == version]:
            del self._all.aliases[alias]

    def delete_logged_model(self, model_id: str) -> None:
        self._step()
        self._all.deleted_models.add(model_id)

    def set_logged_model_tags(self, model_id: str, tags: dict[str, str]) -> None:
        self._step()

    def get_run(self, run_id: str) -> SimpleNamespace:
        self._step()
        return SimpleNamespace(
            outputs=SimpleNamespace(model_outputs=self._all.outputs.get(run_id, []))
        )

    def log_outputs(self, run_id: str, models: list[Any]) -> None:
        self._step()
        self._all.outputs.setdefault(run_id, []).extend(models)

    def log_batch(self, run_id: str, tags: list[Any]) -> None:
        self._step()
        self._all.run_tags.setdefault(run_id, {}).update((tag.key, tag.value) for tag in tags)


class Home:
    """A home that registers its candidate, again and again until it is done, a step at a time."""

    def __init__(self, folder: Path, registry: Registry, candidate: Candidate, dies: int) -> None:
        folder.mkdir()
        self.run_id = folder.name
        self.candidate = candidate
        self.ended = False
        self.problem: BaseException | None = None
        self._steps_left = dies
        self._mine, self._yours = threading.Semaphore(0), threading.Semaphore(0)
        store: Any = SimpleNamespace(client=Client(registry, self._step), translated=_translated)
        self._registers = _WithoutFiles(settings_for(folder), store, SimpleNamespace())  # type: ignore[arg-type]
        self._thread = threading.Thread(target=self._go, name=f"home-{self.run_id}", daemon=True)
        self._thread.start()

    def go_on(self) -> None:
        """Take one step, and come back before the next one."""
        self._mine.release()
        assert self._yours.acquire(timeout=PATIENCE)

    def _step(self) -> None:
        self._yours.release()
        assert self._mine.acquire(timeout=PATIENCE)
        self._steps_left -= 1
        if self._steps_left == 0:
            raise Died

    def _go(self) -> None:
        assert self._mine.acquire(timeout=PATIENCE)
        try:
            for _ in range(10):
                try:
                    self._registers.register(self.candidate, run_id=self.run_id, experiment_id="1")
                    break
                except (Died, TrackingError) as exc:
                    self.problem = exc
            else:
                return
            self.problem = None
        except BaseException as exc:
            self.problem = exc
        finally:
            self.ended = True
            self._yours.release()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except MlflowException as exc:
        raise translate(exc, "postgresql://host/name") from exc


class _WithoutFiles(ModelRegistry):
    def _logged_model(
        self, name: str, candidate: Candidate, run_id: str, experiment_id: str
    ) -> str:
        deleted = self._store.client._all.deleted_models  # type: ignore[attr-defined]
        made = (f"m-{run_id}-{number}" for number in itertools.count())
        return next(model_id for model_id in made if model_id not in deleted)


def played(folder: Path, turns: Iterator[int], candidates: list[int], dies: list[int]) -> Registry:
    """Have homes register in this order of steps, and then, one after the other, to their ends."""
    registry = Registry()
    homes = [
        Home(folder / f"run-{number}", registry, CANDIDATES[which], death)
        for number, (which, death) in enumerate(zip(candidates, dies, strict=True))
    ]
    while waiting := [home for home in homes if not home.ended]:
        waiting[next(turns, 0) % len(waiting)].go_on()
    assert [home.problem for home in homes] == [None] * len(homes)
    return registry


@given(
    turns=st.lists(st.tuples(st.integers(0, 5), st.integers(1, 12)), max_size=60),
    candidates=st.lists(st.integers(0, 1), min_size=3, max_size=3),
    dies=st.lists(st.integers(0, 25), min_size=3, max_size=3),
)
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_equal_versions_are_one_and_every_run_names_one_that_is_there(
    tmp_path: Path, turns: list[tuple[int, int]], candidates: list[int], dies: list[int]
) -> None:
    # Some steps in a row each: what goes wrong, goes wrong between two of another home's.
    order = itertools.chain.from_iterable(itertools.repeat(which, n) for which, n in turns)
    registry = played(Path(tempfile.mkdtemp(dir=tmp_path)), order, candidates, dies)
    alive = registry.alive
    digests = [row.tags["llmflowlab.candidate"] for row in alive]
    assert all(one != next_one for one, next_one in itertools.pairwise(digests))
    there = {str(row.version): row for row in alive}
    for number, which in enumerate(candidates):
        run_id = f"run-{number}"
        named = there[registry.run_tags[run_id]["llmflowlab.model_version"]]
        assert named.tags["llmflowlab.candidate"] == CANDIDATES[which].version_digest
        (output,) = registry.outputs[run_id]
        assert named.source == f"models:/{output.model_id}"
        assert output.model_id not in registry.deleted_models
    if len(set(candidates)) == 1:
        assert len(alive) == 1
    latest = str(alive[-1].version)
    assert registry.aliases == {"staging": latest}
    assert {n for n, row in there.items() if row.current_stage == "Staging"} == {latest}
