"""Registration of agents that files describe: a configuration, a panel, code of one's own."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmflowlab.errors import InputError
from llmflowlab.lab.lab import Lab
from llmflowlab.lab.model_registry import Registered
from llmflowlab.text.yaml_texts import read_values

if TYPE_CHECKING:
    from llmflowlab.agents.package import AgentKind

__all__ = ["AgentRequest", "register_agent"]

_KINDS: Mapping[str, AgentKind] = {
    "ChatModel": "chat",
    "ResponsesAgent": "responses",
    "PythonModel": "json",
}
_CLASS = re.compile(
    r"^class\s+\w+\((?:[\w., ]*[., ])?(ChatModel|ResponsesAgent|PythonModel)\b", re.M
)
_MOST_BYTES = 5_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRequest:
    """What is to be registered, in files."""

    config: Path | None = None
    """Its `model_config`, as YAML or JSON."""
    panel: bool = False
    """Whether that is one of roles."""
    code: Path | None = None
    """A ChatModel, ResponsesAgent or PythonModel of one's own."""
    kind: AgentKind | None = None
    """How it is asked; None: as a chat, own code by its class."""
    name: str | None = None
    """The registered model's; None: `llm_{provider}_chat`, `llm_panel_chat`, the code's own name."""
    example: Path | None = None
    """A request that it is asked before it is registered, as JSON; None: a short question."""
    needs: Sequence[str] = ()
    """Packages that the code imports."""


def register_agent(lab: Lab, request: AgentRequest) -> Registered:
    """Ask an agent its example, log it with a run of its own, and make a version of it.

    Raises:
        InputError: A file cannot be used, or the agent did not answer its example.
        NotConfigured: A provider lacks something.
        ProviderError: The example could not be answered.
        TrackingError: The store failed.
    """
    from llmflowlab.agents.logged import CustomCode, log_agent

    config = {} if request.config is None else _config(request.config)
    kind, code = request.kind or "chat", None
    if request.code is not None:
        kind = request.kind or _kind_of(request.code)
        code = CustomCode(
            path=request.code, providers=_providers(config), requirements=tuple(request.needs)
        )
    elif request.panel or "roles" in config:
        if request.kind not in {None, "panel"}:
            raise InputError("A panel is asked as a chat; leave --kind out.")
        kind = "panel"
    name = request.name or _name(request, kind, config)
    logged = log_agent(
        lab.settings,
        kind,
        config,
        name=name,
        example=None if request.example is None else _example(request.example, kind),
        code=code,
    )
    model = f"{config.get('provider')}:{config.get('model')}" if "provider" in config else kind
    return Registered(
        name=name,
        version=str(logged.version),
        model=request.code.name if request.code is not None else model,
        run_id=str(logged.run_id),
    )


def _read(file: Path) -> Any:
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise InputError(f"{file} has more than {_MOST_BYTES:,} bytes.")
        content = file.read_bytes()
    except OSError as exc:
        raise InputError(f"{file} cannot be read ({exc.strerror or exc}).") from exc
    try:
        return read_values(content, kind="no YAML")
    except InputError as exc:
        raise InputError(f"{file} cannot be used: {exc.message}") from exc


def _config(file: Path) -> dict[str, Any]:
    found = _read(file)
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise InputError(
            f"{file} cannot be used: it must hold names and values, as provider: guide."
        )
    try:
        json.dumps(found)
    except (TypeError, ValueError) as exc:
        raise InputError(f"{file} cannot be used: {exc}; put dates in quotation marks.") from exc
    return found


def _kind_of(code: Path) -> AgentKind:
    try:
        text = code.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError(f"{code} cannot be read; name a Python file in UTF-8.") from exc
    found = _CLASS.search(text)
    if found is None:
        raise InputError(
            f"{code} has no class of ChatModel, ResponsesAgent or PythonModel; say with --kind how it "
            "is asked: chat, responses or json."
        )
    return _KINDS[found[1]]


def _providers(config: Mapping[str, Any]) -> tuple[str, ...]:
    from llmflowlab.providers.factory import PROVIDERS

    provider = config.get("provider")
    return (provider,) if isinstance(provider, str) and provider in PROVIDERS else ()


def _name(request: AgentRequest, kind: AgentKind, config: Mapping[str, Any]) -> str:
    if request.code is not None:
        return request.code.stem
    if kind == "panel":
        return "llm_panel_chat"
    end = "chat" if kind == "chat" else kind
    return f"llm_{config.get('provider')}_{end}"


def _example(file: Path, kind: AgentKind) -> Any:
    found = _read(file)
    if kind == "json" and isinstance(found, list) and found and isinstance(found[0], dict):
        import pandas as pd

        return pd.DataFrame(found)
    return found
