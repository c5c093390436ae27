"""Every test gets a home of its own, a clean environment, and no way out to the network."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from filelock import FileLock

from llmflowlab.lab import deliverer
from llmflowlab.providers.base import allow_requests
from llmflowlab.settings import Settings, load_settings
from tests.patience import PATIENCE
from tests.warm import SITE, SOURCE, source

pytest_plugins = (
    ["tests.loopback.fixtures"]
    if (Path(__file__).parent / "loopback" / "fixtures.py").exists()
    else []
)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave what starts servers of its own to `make test-stack`, which names its folder."""
    stack = Path(__file__).parent / "stack"
    named = any(Path(argument).name == "stack" or "stack/" in argument for argument in config.args)
    return True if collection_path == stack and not named else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have each process begin with its share of the longest tests, or one would end with them while others wait.

    They are given out in equal stretches (`--dist worksteal`), what waits at the end of one to whoever has done its own.
    """
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    long = [item for item in items if "e2e" in item.path.parts]
    rest = [item for item in items if "e2e" not in item.path.parts]
    files = list(dict.fromkeys(item.path for item in long))
    items.clear()
    for number in range(processes):
        mine = set(files[number::processes])
        items += [item for item in long if item.path in mine]
        items += rest[len(rest) * number // processes : len(rest) * (number + 1) // processes]


# A shell begins what it runs in the background with Ctrl-C ignored, and `nohup` with the end of the terminal:
# programs that tests start would inherit that, and hear of neither.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# The same examples on every machine: a find of chance must not decide whether a change lands.
hypothesis.settings.register_profile("suite", derandomize=True)
hypothesis.settings.load_profile("suite")

_KEPT = {"PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT", "TEMP", "TMP", "USERPROFILE"}
_KEPT_PREFIXES = ("COV_", "COVERAGE_", "PYTEST_", "PYTHONHASHSEED", "VIRTUAL_ENV")


def _foreign() -> list[str]:
    return [n for n in os.environ if n not in _KEPT and not n.startswith(_KEPT_PREFIXES)]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Clean the environment before any fixture is made, those of a whole module too.

    `mlflow.set_tracking_uri` writes `MLFLOW_TRACKING_URI`, which outlives the test it was called in.
    """
    for name in _foreign():
        del os.environ[name]


@pytest.fixture(autouse=True)
def isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in _foreign():
        monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_MODEL_CATALOG_URI", "")
    monkeypatch.setenv("MLFLOW_SQLALCHEMYSTORE_POOLCLASS", "NullPool")
    # Judges are examined in the tests that are about it.
    monkeypatch.setenv("LLMFLOWLAB_JUDGE_EXAM", "0")
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / "no-tiktoken"))
    monkeypatch.setenv("LLMFLOWLAB_DELIVERY_TIMEOUT", str(PATIENCE))
    monkeypatch.chdir(tmp_path)
    allow_requests(False)
    yield
    allow_requests(False)


@pytest.fixture(autouse=True)
def delivered_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a program hands over at its end is delivered before it returns, by the same code."""

    def here(settings: Settings) -> None:
        deliverer.deliver(settings, linger=0, patience=0, sleep=lambda seconds: None)

    monkeypatch.setattr(deliverer, "start", here)


@pytest.fixture(autouse=True)
def no_code_left_behind() -> Iterator[None]:
    """Forget what MLflow leaves in `sys.modules` when it loads a model from code.

    The files of its modules are gone after the test, and its stand-in for Databricks' `dbutils` has an
    answer to every attribute; Hypothesis reads the files of all modules and trips over both.
    """
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name == "dbutils" or name.startswith("code_model_"):
            del sys.modules[name]


@pytest.fixture(autouse=True)
def no_traces_left_behind() -> Iterator[None]:
    """Look for nothing at the end of all tests that was on its way to the store of one: that is gone."""
    yield
    if (module := sys.modules.get("llmflowlab.agents.trace_delivery")) is not None:
        left = module._delivery
        left._waiting, left._ended, left._stored = {}, 0, 0


@pytest.fixture(scope="session")
def warm_source() -> Iterator[str | None]:
    """The address of the process that has loaded MLflow, where such a process may be forked."""
    if sys.platform != "linux":
        yield None
        return
    sys.path.insert(0, str(SITE))
    with source() as address:
        yield address
    sys.path.remove(str(SITE))


@pytest.fixture(autouse=True)
def programs_start_warm(
    isolated: None, warm_source: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spare each recorder, deliverer and server the seconds of loading MLflow."""
    if warm_source is not None:
        monkeypatch.setenv(SOURCE, warm_source)


@pytest.fixture
def requests_allowed() -> None:
    """Opt in to traffic; the addresses in the settings must all be loopback ones."""
    allow_requests(True)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({}, cwd=tmp_path, stdin_is_terminal=False)


@pytest.fixture(scope="session")
def migrated_db(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """One migrated MLflow database for the whole run: migrating takes seconds, copying does not."""
    root = tmp_path_factory.getbasetemp()
    shared = root if worker_id == "master" else root.parent
    db = shared / "migrated.db"
    with FileLock(str(db) + ".lock"):
        if not db.exists():
            making = shared / "migrating.db"
            code = (
                "from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as S;"
                f"S('sqlite:///{making.as_posix()}', '{(shared / 'x').as_posix()}')"
            )
            env = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
            subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, env=env)
            making.rename(db)
    return db


@pytest.fixture
def mlflow_home(tmp_path: Path, migrated_db: Path) -> Path:
    """A home folder whose `mlflow.db` is already migrated."""
    shutil.copy(migrated_db, tmp_path / "mlflow.db")
    return tmp_path
