"""Writes a chat model as MLflow stores it, without running it.

`mlflow.pyfunc.log_model` calls a `ChatModel` to check it, which would cost money at every
registration; the files are the same, the input example among them. The session itself has shown that
the candidate answers.
"""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from llmflowlab.candidate import Candidate
from llmflowlab.tracking.model_package import CHAT_EXAMPLE, ModelPackage

__all__ = ["copy_package", "pinned_requirements", "write_model"]

_LOADER = "mlflow.pyfunc.loaders.code_model"
_EXAMPLE = "input_example.json"
_SERVING_EXAMPLE = "serving_input_example.json"


def write_model(
    folder: Path,
    package: ModelPackage,
    candidate: Candidate,
    *,
    model_id: str,
    run_id: str,
    artifact_location: str,
) -> None:
    """Write the model's folder: `MLmodel`, its code, its requirements.

    Args:
        folder: Does not exist yet.
        package: The code.
        candidate: Who answers.
        model_id: The logged model's id.
        run_id: The session's run.
        artifact_location: Where the store will keep the folder.

    Raises:
        OSError: The folder cannot be written.
    """
    from mlflow.models import Model, ModelSignature
    from mlflow.pyfunc import add_to_model
    from mlflow.types.llm import CHAT_MODEL_INPUT_SCHEMA, CHAT_MODEL_OUTPUT_SCHEMA

    folder.mkdir(parents=True)
    shutil.copyfile(package.code_path, folder / package.code_path.name)
    carried = copy_package(package, folder / "code")
    _write_environment(
        folder, pinned_requirements(package, [candidate.provider, *needed_by(candidate.guardrails)])
    )
    (folder / _EXAMPLE).write_text(json.dumps(CHAT_EXAMPLE, indent=2) + "\n", encoding="utf-8")
    (folder / _SERVING_EXAMPLE).write_text(
        json.dumps(CHAT_EXAMPLE, indent=2) + "\n", encoding="utf-8"
    )
    model = Model(
        artifact_path=artifact_location,
        model_uuid=model_id,
        run_id=run_id,
        model_id=model_id,
        metadata={"task": "agent/v1/chat"},
        saved_input_example_info={
            "artifact_path": _EXAMPLE,
            "serving_input_path": _SERVING_EXAMPLE,
            "type": "json_object",
        },
        signature=ModelSignature(CHAT_MODEL_INPUT_SCHEMA, CHAT_MODEL_OUTPUT_SCHEMA),
    )
    add_to_model(  # type: ignore[no-untyped-call]  # MLflow annotates nothing here
        model,
        loader_module=_LOADER,
        code="code" if carried else None,
        conda_env="conda.yaml",
        python_env="python_env.yaml",
        model_config=candidate.model_config(),
        model_code_path=package.code_path.name,
        streamable=True,
    )
    model.save(str(folder / "MLmodel"))


def copy_package(package: ModelPackage, into: Path) -> bool:
    """Copy the package that travels with a model into a folder; say whether there is one.

    Raises:
        OSError: The folder cannot be written.
    """
    root = package.package_path
    if root is None:
        return False
    shutil.copytree(root, into / root.name, ignore=_left_out(package))
    return True


def needed_by(guardrails: Mapping[str, Any] | None) -> list[str]:
    """Return under which names of a package stands what a policy of guardrails needs."""
    if guardrails is None:
        return []
    detector = guardrails.get("detector")
    return ["guardrails", *([] if detector is None else [str(detector).partition(":")[0]])]


def pinned_requirements(package: ModelPackage, providers: Iterable[str]) -> list[str]:
    """Return requirements that say what is installed; what is not is named without a version."""
    names = [*package.requirements]
    for provider in providers:
        names += package.provider_requirements.get(provider, ())
    return _pinned(names)


def _left_out(package: ModelPackage) -> Callable[[str, list[str]], set[str]]:
    root = str(package.package_path)

    def ignore(folder: str, names: list[str]) -> set[str]:
        unwanted = {name for name in names if name == "__pycache__" or name.endswith(".pyc")}
        return unwanted | (package.left_out & set(names) if folder == root else set())

    return ignore


def _pinned(distributions: list[str]) -> list[str]:
    lines = []
    for name in dict.fromkeys(distributions):
        try:
            lines.append(f"{name}=={version(name)}")
        except PackageNotFoundError:
            lines.append(name)
    return lines


def _write_environment(folder: Path, requirements: list[str]) -> None:
    (folder / "requirements.txt").write_text("\n".join(requirements) + "\n", encoding="utf-8")
    # JSON is YAML, and needs no YAML library here.
    conda = {
        "name": "mlflow-env",
        "channels": ["conda-forge"],
        "dependencies": [f"python={platform.python_version()}", "pip", {"pip": requirements}],
    }
    python = {
        "python": platform.python_version(),
        "build_dependencies": ["pip"],
        "dependencies": ["-r requirements.txt"],
    }
    for name, document in (("conda.yaml", conda), ("python_env.yaml", python)):
        (folder / name).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
