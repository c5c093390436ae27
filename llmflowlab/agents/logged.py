"""Logs an agent in MLflow: as code, with its input example run first, and never with a key."""

from __future__ import annotations

import contextlib
import json
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmflowlab.agents.config import read_agent_config, read_panel_config
from llmflowlab.agents.package import AgentKind, package
from llmflowlab.errors import InputError, LabError, TrackingError
from llmflowlab.prompts.prompt_registry import load_prompt
from llmflowlab.providers.redact import redact, refuse_secrets
from llmflowlab.settings import Settings
from llmflowlab.template import question_variable, variables_of
from llmflowlab.tracking.model_files import copy_package, needed_by, pinned_requirements
from llmflowlab.tracking.model_package import CHAT_EXAMPLE
from llmflowlab.tracking.store import Store, load_mlflow, open_store

if TYPE_CHECKING:
    from mlflow.models import Model, ModelSignature

__all__ = ["EXPERIMENT", "CustomCode", "LoggedAgent", "example_for", "log_agent", "save_agent"]

EXPERIMENT = "LLMS_Agents"
"""Where logged agents stand, unless another experiment is named."""

_MODEL_TYPES: dict[AgentKind, str] = {
    "chat": "chat",
    "panel": "panel",
    "json": "json",
    "responses": "responses",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedAgent:
    """An agent in MLflow."""

    model_id: str
    uri: str
    """`models:/…`, for `mlflow models serve -m` and `mlflow.pyfunc.load_model`."""
    name: str | None = None
    """The registered model's; None where it was only logged."""
    version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomCode:
    """An agent of your own: a file that ends with `hand_over`."""

    path: Path
    providers: tuple[str, ...]
    """Whose models it calls; their SDKs are among its requirements."""


def example_for(kind: AgentKind, variables: Sequence[str] = ()) -> Any:
    """Return the input example of a kind of agent: a document, or a table for the tabular one.

    Args:
        kind: Which agent.
        variables: Of its prompt, that a request fills; the example says their names.
    """
    message = CHAT_EXAMPLE["messages"][0]
    values = {name: name for name in variables}
    custom = {"custom_inputs": values} if values else {}
    if kind == "json":
        import pandas as pd

        params = {"max_tokens": CHAT_EXAMPLE["max_tokens"], **custom}
        return pd.DataFrame({"messages": [json.dumps([message])], "params": [json.dumps(params)]})
    if kind == "responses":
        limit = {"max_output_tokens": CHAT_EXAMPLE["max_tokens"]}
        return {"input": [dict(message)], **limit, **custom}
    return {**json.loads(json.dumps(CHAT_EXAMPLE)), **custom}


def _asked_for(config: Mapping[str, Any]) -> list[str]:
    """Return the variables that every request has to fill."""
    said = config.get("messages") or ()
    roles = config.get("roles") or ()
    texts = [config.get("system_prompt"), *(role.get("instruction") for role in roles)]
    asked = variables_of(*texts)
    spoken = variables_of(*(message["content"] for message in said))
    known = {*(config.get("values") or {}), *asked}
    taken = question_variable(spoken, known)
    return [
        n
        for n in dict.fromkeys((*asked, *spoken))
        if n not in (config.get("values") or {}) and n != taken
    ]


def log_agent(
    settings: Settings,
    kind: AgentKind,
    config: Mapping[str, Any],
    *,
    prompt: str | None = None,
    name: str | None = None,
    experiment: str = EXPERIMENT,
    example: Any = None,
    code: CustomCode | None = None,
) -> LoggedAgent:
    """Run an agent's input example, log the agent, and register it where a name is given.

    Args:
        settings: Names the store, and holds the keys that the example is answered with.
        kind: Which agent.
        config: Its `model_config`, as `candidate_config` or `panel_config` return it.
        prompt: `NAME`, `NAME@VERSION` or `NAME@ALIAS` of a prompt in the registry: what it says and
            its version stand in the logged configuration.
        name: The registered model to make a version of.
        experiment: Where the logged model stands.
        example: The input example; a short question by default.
        code: An agent of your own that speaks the same protocol as `kind`.

    Raises:
        InputError: The configuration cannot be used, or holds a secret.
        NotConfigured: A key or address is missing.
        ProviderError: The example could not be answered.
        TrackingError: The store failed.
    """
    store = open_store(settings)
    resolved = dict(config)
    if prompt is not None:
        if kind == "panel":
            raise InputError("A panel's instructions stand in its roles; it takes no prompt.")
        found = load_prompt(store, prompt)
        system, messages = found.template.framed((), lone=False)
        resolved |= {"system_prompt": system, "prompt": found.reference}
        resolved |= {"messages": list(map(asdict, messages))} if messages else {}
    _checked(settings, kind, resolved, example, code)
    experiment_id = store.experiment_id(experiment)
    with store.translated():
        model = store.client.create_logged_model(
            experiment_id, name=f"{kind}_agent", model_type=_MODEL_TYPES[kind]
        )
        model_id = str(model.model_id)
        ready = False
        try:
            _write(settings, store, kind, resolved, example, code, model_id)
            ready = True
        finally:
            store.client.finalize_logged_model(model_id, "READY" if ready else "FAILED")
        uri = f"models:/{model_id}"
        if name is None:
            return LoggedAgent(model_id=model_id, uri=uri)
        version = _register(store, name, model_id)
    return LoggedAgent(
        model_id=model_id, uri=f"models:/{name}/{version}", name=name, version=version
    )


def save_agent(
    settings: Settings,
    folder: Path,
    kind: AgentKind,
    config: Mapping[str, Any],
    *,
    example: Any = None,
    code: CustomCode | None = None,
    model: Model | None = None,
) -> None:
    """Run an agent's input example and write the agent as MLflow keeps models.

    Args:
        settings: Holds the keys that the example is answered with.
        folder: Does not exist yet.
        kind: Which agent.
        config: Its `model_config`.
        example: The input example; a short question by default.
        code: An agent of your own that speaks the same protocol as `kind`.
        model: What MLflow is to note about the model, its id for one.

    Raises:
        InputError: The configuration cannot be used, or holds a secret.
        NotConfigured: A key or address is missing.
        ProviderError: The example could not be answered.
        TrackingError: MLflow failed.
    """
    load_mlflow(settings)
    providers = _checked(settings, kind, config, example, code)
    import mlflow.pyfunc
    from mlflow.exceptions import MlflowException

    from llmflowlab.agents.served import AgentFailed, arrived

    carried = package(kind)
    if code is not None:
        carried = replace(carried, code_path=code.path)
    if example is None:
        example = example_for(kind, () if code is not None else _asked_for(config))
    if kind == "json":
        _run_rows(config, example)
    failed: LabError | None = None
    with tempfile.TemporaryDirectory() as temporary, _quiet():
        travels = copy_package(carried, Path(temporary))
        try:
            mlflow.pyfunc.save_model(
                folder,
                python_model=carried.code_path,
                model_config=dict(config),
                input_example=example,
                signature=_signature() if kind == "json" else None,
                code_paths=[str(path) for path in Path(temporary).iterdir()] if travels else None,
                pip_requirements=pinned_requirements(carried, providers),
                mlflow_model=model,
            )
        except AgentFailed as exc:
            failed = exc.error
        except MlflowException as exc:
            raise TrackingError(
                f"MLflow did not take the agent: {redact(exc.message, settings)}"
            ) from exc
        finally:
            # MLflow may have taken the model without loading it.
            arrived()
    if failed is not None:
        raise failed
    _rewritten(folder, carried.code_path.name, kind, own=code is not None)


def _rewritten(folder: Path, file: str, kind: AgentKind, *, own: bool) -> None:
    """Put right what MLflow wrote of a model.

    It notes the path of the code on this machine, and reads its end: the file alone is named. Its
    signature of a `responses` agent drops a part of the requests.
    """
    from mlflow.models import Model

    written = Model.load(folder)
    written.flavors["python_function"]["model_code_path"] = file
    if kind == "responses" and not own:
        from llmflowlab.agents.responses_payload import signature

        written.signature = signature()
    written.save(str(folder / "MLmodel"))


def _write(
    settings: Settings,
    store: Store,
    kind: AgentKind,
    config: Mapping[str, Any],
    example: Any,
    code: CustomCode | None,
    model_id: str,
) -> None:
    from mlflow.models import Model

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "model"
        described = Model(model_uuid=model_id, model_id=model_id)
        save_agent(settings, folder, kind, config, example=example, code=code, model=described)
        store.client.log_model_artifacts(model_id, str(folder))


def _checked(
    settings: Settings,
    kind: AgentKind,
    config: Mapping[str, Any],
    example: Any,
    code: CustomCode | None,
) -> list[str]:
    """Return the providers an agent needs, having refused a configuration that cannot be used."""
    if code is not None:
        # What may stand in its configuration is its own affair; it says so when the example is run.
        if kind == "json":
            raise InputError("An agent of your own is logged as chat or responses.")
        if not code.path.is_file():
            raise InputError(f"There is no file {code.path}; name the agent's code.")
        providers = list(code.providers)
    elif kind == "panel":
        providers = [role.reference.provider for role in read_panel_config(config).roles]
        providers += needed_by(read_panel_config(config).guardrails)
    else:
        read = read_agent_config(config, tabular=kind == "json")
        providers = [read.reference.provider, *needed_by(read.guardrails)]
    shown = example if example is None or isinstance(example, dict | list) else str(example)
    text = json.dumps([config, shown], ensure_ascii=False, default=str)
    refuse_secrets(text, settings, "The agent's configuration or example")
    return providers


def _run_rows(config: Mapping[str, Any], example: Any) -> None:
    """Answer the tabular agent's example; MLflow leaves that out where the signature is known.

    Raises:
        InputError: A row of the example was not answered.
    """
    from mlflow.pyfunc.model import PythonModelContext

    from llmflowlab.agents.json_agent import JsonAgent
    from llmflowlab.agents.served import AgentFailed

    context = PythonModelContext({}, {**config, "tracing": False})  # type: ignore[no-untyped-call]  # MLflow's
    agent, failed, answers = JsonAgent(), None, []
    try:
        agent.load_context(context)
        answers = agent.predict(context, example)
    except AgentFailed as exc:
        failed = exc.error
    if failed is not None:
        raise failed
    for number, text in enumerate(answers, start=1):
        error = json.loads(text)["error"]
        if error is not None:
            raise InputError(f"Row {number} of the example was not answered: {error['message']}")


def _signature() -> ModelSignature:
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, DataType, Schema

    return ModelSignature(
        Schema([ColSpec(DataType.string, "messages"), ColSpec(DataType.string, "params", False)]),
        Schema([ColSpec(DataType.string)]),
    )


def _register(store: Store, name: str, model_id: str) -> str:
    from mlflow.exceptions import MlflowException

    try:
        store.client.create_registered_model(name)
    except MlflowException as exc:
        if exc.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    version = store.client.create_model_version(
        name, source=f"models:/{model_id}", model_id=model_id
    )
    return str(version.version)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep MLflow's remarks on its own interfaces away from the person."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", UserWarning)
        yield
