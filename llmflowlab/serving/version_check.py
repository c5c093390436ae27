"""Tries a version out as it would be served, step by step."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmflowlab.errors import LabError
from llmflowlab.program import interpreted
from llmflowlab.serving.served_model import load_version
from llmflowlab.serving.server import served_environment
from llmflowlab.settings import Settings
from llmflowlab.tracking.registry import Version
from llmflowlab.tracking.store import Store

__all__ = ["CheckStep", "check_version"]

_CLEAN_PATIENCE = 1800
"""Seconds for an environment to be built and the model to answer in it."""


@dataclass(frozen=True, slots=True)
class CheckStep:
    """One step of a check."""

    name: str
    ok: bool
    text: str


def check_version(
    settings: Settings, store: Store, version: Version, *, clean_env: bool = False
) -> Iterator[CheckStep]:
    """Yield the steps as they are done; the first that fails is the last.

    Args:
        settings: The configuration.
        store: The open store.
        version: What is checked.
        clean_env: Predict in a fresh environment made from the version's own requirements.
    """
    try:
        served = load_version(settings, version)
    except LabError as exc:
        yield CheckStep("load", False, exc.message)
        return
    yield CheckStep("load", True, f"loads as {served.kind}{', streams' if served.streams else ''}")
    with tempfile.TemporaryDirectory() as temporary:
        try:
            example = _example(store, version, Path(temporary))
        except LabError as exc:
            yield CheckStep("input example", False, exc.message)
            return
        if example is None:
            yield CheckStep(
                "input example", False, "the version was logged without an input example"
            )
            return
        yield CheckStep("input example", True, f"{len(example)} characters of JSON")
        payload = _convert(served.model, example)
        yield payload
        if not payload.ok:
            return
        yield _predict(served.model, example)
        if clean_env:
            yield _predict_clean(settings, version, example, Path(temporary))


def _example(store: Store, version: Version, folder: Path) -> str | None:
    import mlflow.artifacts
    from mlflow.models import Model

    with store.translated():
        local = mlflow.artifacts.download_artifacts(version.uri, dst_path=str(folder / "model"))
        found = Model.load(local).get_serving_input(local)
    return None if found is None else str(found)


def _convert(model: Any, example: str) -> CheckStep:
    from mlflow.pyfunc import scoring_server

    try:
        schema = model.metadata.get_input_schema()
        parsed = scoring_server._parse_json_data(  # type: ignore[no-untyped-call]  # MLflow annotates nothing here
            example, model.metadata, schema
        )
    except Exception as exc:  # noqa: BLE001 - any failure is what the step is to tell
        return CheckStep("payload", False, _words(exc))
    data = parsed.data
    names = [
        str(name) for name in (data if isinstance(data, dict) else getattr(data, "columns", ()))
    ]
    return CheckStep("payload", True, f"as a server reads it: {', '.join(names) or 'a list'}")


def _predict(model: Any, example: str) -> CheckStep:
    from mlflow.pyfunc import scoring_server

    schema = model.metadata.get_input_schema()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            answered = scoring_server.invocations(  # type: ignore[no-untyped-call]  # as above
                example.encode(), scoring_server.CONTENT_TYPE_JSON, model, schema
            )
            document = json.loads(answered.response)
        except Exception as exc:  # noqa: BLE001 - any failure is what the step is to tell
            return CheckStep("prediction", False, _words(exc))
    if answered.status != 200:
        return CheckStep("prediction", False, f"HTTP {answered.status}: {answered.response[:300]}")
    return CheckStep("prediction", True, _said(document))


def _predict_clean(settings: Settings, version: Version, example: str, folder: Path) -> CheckStep:
    name = "prediction in a clean environment"
    manager = "uv" if shutil.which("uv") else "virtualenv"
    given, answered = folder / "example.json", folder / "answer.json"
    given.write_text(example, encoding="utf-8")
    command = interpreted(
        *("mlflow", "models", "predict"),
        *("-m", version.uri, "-i", str(given), "-o", str(answered), "-t", "json"),
        *("--env-manager", manager),
    )
    try:
        done = subprocess.run(
            command,
            env=served_environment(settings, version),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=_CLEAN_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return CheckStep(name, False, f"not done within {_CLEAN_PATIENCE // 60} minutes")
    if done.returncode != 0 or not answered.is_file():
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        last = lines[-1] if lines else f"exit code {done.returncode}"
        return CheckStep(name, False, f"{manager}: {last[:300]}")
    return CheckStep(name, True, _said(json.loads(answered.read_text(encoding="utf-8"))))


def _said(document: Any) -> str:
    text: Any = document
    if isinstance(document, dict):
        choices = document.get("choices")
        if choices:
            text = choices[0].get("message", {}).get("content", "")
        elif "predictions" in document:
            text = document["predictions"]
        elif "output" in document:
            text = document["output"]
    line = " ".join(str(text).split())
    return line if len(line) <= 120 else line[:119] + "…"


def _words(exc: Exception) -> str:
    inner = getattr(exc, "error", None)
    if isinstance(inner, LabError):
        return inner.message
    text = str(getattr(exc, "message", None) or exc)
    return " ".join(text.rpartition("\nError: ")[2].split())[:300]
