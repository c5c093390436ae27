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

from llmflowlab.agents.config import plain_panel, read_agent_config, read_panel_config
from llmflowlab.agents.package import AgentKind, package
from llmflowlab.errors import InputError, LabError, TrackingError
from llmflowlab.prompts.prompt_registry import load_prompt
from llmflowlab.providers.redact import redact, refuse_secrets
from llmflowlab.settings import Settings
from llmflowlab.template import question_variable, variables_of
from llmflowlab.text.digests import digest_of
from llmflowlab.tracking.logged_models import CANDIDATE
from llmflowlab.tracking.model_files import copy_package, needed_by, pinned_requirements
from llmflowlab.tracking.model_package import CHAT_EXAMPLE
from llmflowlab.tracking.page_links import prompt_tag
from llmflowlab.tracking.registry_changes import register_logged
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
    run_id: str | None = None
    """The run that says what it is: parameters, tags, the version of its prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomCode:
    """An agent of your own: a file that ends with `hand_over` or `mlflow.models.set_model`."""

    path: Path
    providers: tuple[str, ...] = ()
    """Whose models it calls; their SDKs are among its requirements."""
    requirements: tuple[str, ...] = ()
    """Packages that it needs beside them; pinned to what is installed."""


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

    A run in the experiment says what it is; its version gets alias and stage `staging`.

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
    resolved = plain_panel(config) if kind == "panel" and code is None else dict(config)
    if prompt is not None:
        if kind == "panel":
            raise InputError("A panel's instructions stand in its roles; it takes no prompt.")
        found = load_prompt(store, prompt)
        system, messages = found.template.framed((), lone=False)
        resolved |= {"system_prompt": system, "prompt": found.reference}
        resolved |= {"messages": list(map(asdict, messages))} if messages else {}
    _checked(settings, kind, resolved, example, code)
    from mlflow.entities import LoggedModelOutput, Param

    experiment_id = store.experiment_id(experiment)
    title = name or f"{kind}_agent"
    params, tags = _described(kind, resolved, code)
    with store.translated():
        run = store.client.create_run(experiment_id, run_name=f"Log_{title}", tags=tags)
        run_id = str(run.info.run_id)
        store.client.log_batch(run_id, params=[Param(*each) for each in params.items()])
        model = store.client.create_logged_model(
            experiment_id,
            name=f"{kind}_agent",
            source_run_id=run_id,
            tags=tags,
            params=params,
            model_type=_MODEL_TYPES[kind],
        )
        model_id = str(model.model_id)
        ready = False
        try:
            _write(settings, store, kind, resolved, example, code, model_id, run_id)
            store.client.log_outputs(run_id, [LoggedModelOutput(model_id, step=0)])
            ready = True
        finally:
            store.client.finalize_logged_model(model_id, "READY" if ready else "FAILED")
            store.client.set_terminated(run_id, "FINISHED" if ready else "FAILED")
    if name is None:
        return LoggedAgent(model_id=model_id, uri=f"models:/{model_id}", run_id=run_id)
    version = register_logged(settings, store, name, model_id, run_id=run_id, tags=tags)
    uri = f"models:/{name}/{version}"
    return LoggedAgent(model_id=model_id, uri=uri, name=name, version=version, run_id=run_id)


def _described(
    kind: AgentKind, config: Mapping[str, Any], code: CustomCode | None
) -> tuple[dict[str, str], dict[str, str]]:
    """Return what the run and the logged model of an agent say of it: parameters and tags."""
    flat = {**config, **(config.get("parameters") or {})}
    flat.pop("parameters", None)
    params = {
        key: str(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
        for key, value in flat.items()
        if value is not None
    }
    written = "" if code is None else code.path.read_text(encoding="utf-8", errors="replace")
    tags = {"llmflowlab.kind": kind, CANDIDATE: digest_of([kind, dict(config), written])}
    if config.get("provider") and config.get("model"):
        tags["llmflowlab.provider"] = str(config["provider"])
        tags["llmflowlab.model"] = f"{config['provider']}:{config['model']}"
    prompt = config.get("prompt")
    # MLflow keeps so much of a parameter.
    kept = {key: text[:6000] for key, text in params.items()}
    return kept, {**tags, **(prompt_tag(prompt) if isinstance(prompt, str) else {})}


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
    if kind == "panel" and code is None:
        config = plain_panel(config)
    providers = _checked(settings, kind, config, example, code)
    import mlflow.pyfunc
    from mlflow.exceptions import MlflowException

    from llmflowlab.agents.served import AgentFailed, arrived

    carried = package(kind)
    if code is not None:
        needed = (*carried.requirements, *code.requirements)
        carried = replace(carried, code_path=code.path, requirements=needed)
    if example is None:
        example = example_for(kind, () if code is not None else _asked_for(config))
    if kind == "json" and code is None:
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
                signature=_signature() if kind == "json" and code is None else None,
                code_paths=[str(path) for path in Path(temporary).iterdir()] if travels else None,
                pip_requirements=pinned_requirements(carried, providers),
                mlflow_model=model,
            )
        except AgentFailed as exc:
            failed = exc.error
        except Exception as exc:
            # Somebody's own code runs here, and may raise anything.
            if code is None and not isinstance(exc, MlflowException):
                raise
            if code is not None and not isinstance(exc, MlflowException):
                raise InputError(
                    f"{code.path.name} did not answer its example ({type(exc).__name__}: "
                    f"{redact(str(exc), settings)[:300]}); mend it, or give another --example."
                ) from exc
            raise TrackingError(
                f"MLflow did not take the agent: {redact(str(exc), settings)}"
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
    if own and written.signature is None:
        # MLflow goes on without where the example failed.
        raise InputError(
            f"{file} did not answer its example; mend it, or give another with --example."
        )
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
    run_id: str,
) -> None:
    from mlflow.models import Model

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "model"
        described = Model(model_uuid=model_id, model_id=model_id, run_id=run_id)
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


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep MLflow's remarks on its own interfaces away from the person."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", UserWarning)
        yield
