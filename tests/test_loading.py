"""The one door for heavy packages: what comes out of it is finished, whichever threads want it."""

from __future__ import annotations

import importlib
import io
import re
import subprocess
import sys
import threading
from contextlib import redirect_stdout
from pathlib import Path

import pytest

import llmflowlab
from llmflowlab.loading import load, missing
from tests.patience import PATIENCE

PACKAGE = Path(llmflowlab.__file__).parent

# Runs in an interpreter of its own: a module is imported for the first time only once. Each provider is
# asked by several threads at a port where nothing listens, so that every one goes all the way from the
# first import of its SDK to the mapping of a refused connection. That used to read a module from
# `sys.modules` which another thread was still importing ("partially initialized module").
RACE = """
import os, socket, sys, threading, traceback
sys.setswitchinterval(1e-5)
with socket.socket() as held:
    held.bind(("127.0.0.1", 0))
    port = held.getsockname()[1]
from llmflowlab.errors import ConnectionFailed
from llmflowlab.messages import Message, Request
from llmflowlab.providers.factory import build
from llmflowlab.settings import load_settings
from pathlib import Path
here = f"http://127.0.0.1:{port}"
settings = load_settings(
    {
        "OPENAI_API_KEY": "k" * 20, "OPENAI_BASE_URL": here + "/v1",
        "GEMINI_API_KEY": "k" * 20, "GOOGLE_GEMINI_BASE_URL": here,
        "ANTHROPIC_API_KEY": "k" * 20, "ANTHROPIC_BASE_URL": here,
        "AZURE_OPENAI_ENDPOINT": here, "AZURE_OPENAI_API_KEY": "k" * 20,
        "OLLAMA_HOST": here,
    },
    cwd=Path.cwd(),
    stdin_is_terminal=False,
)
hello = Request(messages=(Message("user", "hello"),))
references = sys.argv[1:]
start = threading.Barrier(2 * len(references))
wrong = []
def ask(reference, listing):
    start.wait()
    try:
        provider = build(reference, settings)
        if listing and not reference.startswith("azure"):
            provider.list_models()
        else:
            list(provider.stream(hello))
    except ConnectionFailed:
        return
    except BaseException:
        wrong.append(f"{reference}: {traceback.format_exc()}")
    else:
        wrong.append(f"{reference}: an answer from nowhere")
threads = [
    threading.Thread(target=ask, args=(reference, listing))
    for reference in references for listing in (True, False)
]
for thread in threads: thread.start()
for thread in threads: thread.join(100)
if any(thread.is_alive() for thread in threads): wrong.append("threads wait for each other")
print("\\n".join(wrong), flush=True)
os._exit(bool(wrong))
"""

ALL = ("gemini:m", "openai:m", "azure:m", "anthropic:m", "ollama:m")


@pytest.mark.parametrize(
    "references", [(one, one) for one in ALL] + [ALL], ids=[*(one[:-2] for one in ALL), "all"]
)
def test_threads_that_meet_at_an_sdk_s_first_import_all_get_it_whole(
    references: tuple[str, ...], tmp_path: Path
):
    ran = subprocess.run(
        [sys.executable, "-c", RACE, *references],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(PACKAGE.parent)},
        timeout=PATIENCE,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_package_comes_out_with_the_parts_that_were_asked_for():
    assert load("xml", "xml.etree.ElementTree").etree.ElementTree.Element("a").tag == "a"


def test_a_package_that_is_missing_is_an_import_error_each_time():
    for _ in range(2):
        with pytest.raises(ImportError):
            load("no_such_package_anywhere")


def test_nobody_looks_into_a_module_that_may_be_half_imported():
    looks = [
        str(file.relative_to(PACKAGE))
        for file in PACKAGE.rglob("*.py")
        if re.search(r"\bsys\.modules\b|from sys import .*\bmodules\b", file.read_text("utf-8"))
        and file.name != "loading.py"
    ]
    assert looks == []


@pytest.mark.parametrize("family", ["gemini", "ollama", "openai", "anthropic"])
def test_a_provider_s_sdk_is_imported_through_the_door_first(family: str):
    # Types under TYPE_CHECKING are not imported; every other import of an SDK stands below a `load`.
    room = PACKAGE / "providers" / family
    for file in room.glob("*.py"):
        text = file.read_text("utf-8")
        for found in re.finditer(
            r"^(?:import|from) (google|ollama|openai|anthropic|httpx2?)\b", text, re.MULTILINE
        ):
            pytest.fail(f"{file.name} imports {found[1]} while it is itself imported")


def test_a_package_is_missing_for_one_thread_and_as_long_as_that_is_wanted() -> None:
    found: list[bool] = []

    def look() -> None:
        try:
            importlib.import_module("this")
        except ModuleNotFoundError:
            found.append(False)
        else:
            found.append(True)

    with redirect_stdout(io.StringIO()):
        with missing("this", "that"):
            look()
            other = threading.Thread(target=look)
            other.start()
            other.join()
            del sys.modules["this"]
        look()
    assert found == [False, True, True]


def test_what_records_an_evaluation_loads_no_data_frames() -> None:
    """They were a third of what it took before its first row, and 60 MB."""
    program = (
        "import sys; from llmflowlab.evaluation.run.recorder import mlflow_without_frames; mlflow_without_frames();"
        "print('mlflow' in sys.modules, sys.modules.keys() & {'pandas', 'pyarrow', 'polars'});"
        "import pandas; print(len(pandas.DataFrame([[1]])))"
    )
    said = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == "True set()\n1\n"
