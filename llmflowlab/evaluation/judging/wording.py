"""The wording of MLflow's own judges, read from its source files.

Importing `mlflow.genai` costs two seconds of processor time, which an evaluation would pay before its
first judgement although it needs nothing but a few texts. They are constants of MLflow's modules, so
their source is parsed and the constants are taken out. A test asks MLflow's scorers themselves and
compares what they send, word for word; it fails when a newer MLflow moves or changes a text.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from llmflowlab.errors import ConfigurationError

__all__ = ["constant", "text_in_function"]


def constant(module: str, name: str) -> str:
    """Return a text constant of one of MLflow's modules.

    Args:
        module: Below `mlflow.genai.judges`, as in `prompts.correctness`.
        name: The constant; it may be put together from others of the module.

    Raises:
        ConfigurationError: The installed MLflow has no such text.
    """
    try:
        return _constants(module)[name]
    except KeyError as exc:
        raise _unknown(module, name) from exc


def text_in_function(module: str, function: str, variable: str, values: Mapping[str, str]) -> str:
    """Return the f-string that a function assigns to a variable, filled with `values`.

    Raises:
        ConfigurationError: The installed MLflow has no such text.
    """
    for node in ast.walk(_parsed(module)):
        if isinstance(node, ast.FunctionDef) and node.name == function:
            for statement in ast.walk(node):
                if isinstance(statement, ast.Assign) and _target(statement) == variable:
                    text = _text(statement.value, values)
                    if text is not None:
                        return text
    raise _unknown(module, f"{function}.{variable}")


@cache
def _parsed(module: str) -> ast.Module:
    # `find_spec` of a top-level package looks for it without importing it.
    spec = importlib.util.find_spec("mlflow")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError("The package mlflow is missing; install requirements.txt.")
    place = Path(spec.submodule_search_locations[0], "genai", "judges", *module.split("."))
    file = place.with_suffix(".py") if place.with_suffix(".py").is_file() else place / "__init__.py"
    try:
        return ast.parse(file.read_text(encoding="utf-8"))
    except OSError as exc:
        raise _unknown(module, "source") from exc


@cache
def _constants(module: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for statement in _parsed(module).body:
        name = _target(statement) if isinstance(statement, ast.Assign) else None
        if name is not None:
            assert isinstance(statement, ast.Assign)
            text = _text(statement.value, found)
            if text is not None:
                found[name] = text
    return found


def _target(statement: ast.Assign) -> str | None:
    first = statement.targets[0]
    return first.id if isinstance(first, ast.Name) else None


def _text(node: ast.expr, known: Mapping[str, str]) -> str | None:
    """Evaluate texts, names of texts, their sums, and f-strings of names; None for all else."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.FormattedValue):
        return _text(node.value, known)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        parts = [_text(node.left, known), _text(node.right, known)]
    elif isinstance(node, ast.JoinedStr):
        parts = [_text(part, known) for part in node.values]
    else:
        return None
    return None if None in parts else "".join(part for part in parts if part is not None)


def _unknown(module: str, name: str) -> ConfigurationError:
    return ConfigurationError(
        f"The installed MLflow does not have the wording {name} of its judge {module}; install the "
        "version that requirements.txt names."
    )
