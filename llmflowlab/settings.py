"""Where things are and how the lab behaves: read once from the environment and a `.env` file.

A plain frozen dataclass on purpose: the menu must be on screen before pydantic could be imported.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from llmflowlab.errors import InputError
from llmflowlab.program import checkout

__all__ = ["SERVING_EXPERIMENT", "Settings", "load_settings"]

_TRACKERS = ("mlflow", "wandb")
SERVING_EXPERIMENT = "LLMS_Serving"
"""Where the traces of what is served stand that have no experiment of their own; nobody looks in `Default`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One snapshot of the configuration; every room gets it handed in, none reads `os.environ`."""

    home: Path
    """Folder of `mlflow.db`, `artifacts/`, `info_by_model/`, `models/` and `.llmflowlab/`; absolute."""
    environment: Mapping[str, str] = field(repr=False)
    """The environment over the `.env` file, empty values left out. Holds keys: never print it."""
    home_note: str | None = None
    """Why the home is not the current folder though nobody named another; None where it is, or was."""
    plain: bool = False
    """Line by line, without menus and colours."""
    debug: bool = False
    """Show tracebacks."""
    judge: str | None = None
    """Model reference of the default judge."""
    judge_temperature: float | None = 0.0
    """What judges are asked with; None: their models' own."""
    judge_exam: int = 5
    """Rows on which judges are examined before they judge; 0: not at all."""
    connect_timeout: float = 10.0
    """Seconds to reach a provider, and for it to list its models."""
    first_token_timeout: float = 120.0
    """Seconds from sending a request to the first token."""
    token_timeout: float = 60.0
    """Seconds between two tokens."""
    answer_timeout: float = 3600.0
    """Seconds one answer may take in all."""
    max_tries: int = 5
    """Tries of one call in all, the first included."""
    max_retry_seconds: float = 120.0
    """Ceiling on the time one call may spend on retries and their waits."""
    delivery_timeout: float = 15.0
    """Seconds to wait at the end for MLflow to take the sessions; later ones go to the next start."""
    trackers: tuple[str, ...] = ("mlflow",)
    """Where sessions and evaluations are recorded beside the files; MLflow is always among them."""
    concurrency: int = 8
    """Calls in flight during an evaluation unless the command says otherwise."""

    @property
    def artifacts_dir(self) -> Path:
        return self.home / "artifacts"

    @property
    def info_dir(self) -> Path:
        return self.home / "info_by_model"

    @property
    def models_dir(self) -> Path:
        return self.home / "models"

    @property
    def state_dir(self) -> Path:
        """Journals, answer cache, prompt history: the lab's own memory."""
        return self.home / ".llmflowlab"

    @property
    def journals_dir(self) -> Path:
        return self.state_dir / "journals"

    @property
    def ledger_file(self) -> Path:
        return self.state_dir / "evaluations.db"

    @property
    def people_file(self) -> Path:
        """What people said of answers."""
        return self.state_dir / "people.db"

    @property
    def prices_file(self) -> Path:
        """The person's own prices, read beside genai-prices; see `docs/providers.md`."""
        return Path(self.get("LLMFLOWLAB_PRICES") or self.home / "prices.json")

    @property
    def tracking_uri(self) -> str:
        """`MLFLOW_TRACKING_URI`, or the SQLite file in the home folder."""
        default = "sqlite:///" + (self.home / "mlflow.db").as_posix()
        return self.get("MLFLOW_TRACKING_URI") or default

    def get(self, name: str) -> str | None:
        """Return a variable's value, or None where it is unset or empty."""
        return self.environment.get(name) or None


def load_settings(
    environ: Mapping[str, str] | None = None,
    *,
    cwd: Path | None = None,
    stdin_is_terminal: bool | None = None,
) -> Settings:
    """Read the settings.

    Args:
        environ: The environment; `os.environ` unless a test hands in another.
        cwd: The folder in which `.env` is looked for and which is the default home.
        stdin_is_terminal: Whether menus can be shown; asked of `sys.stdin` by default.

    Raises:
        InputError: A variable of ours holds something that cannot be used.
    """
    real = dict(os.environ if environ is None else environ)
    folder = (cwd or Path.cwd()).resolve()
    merged = {**_read_dotenv(folder / ".env"), **{k: v for k, v in real.items() if v}}
    merged = {name: value for name, value in merged.items() if value}
    if stdin_is_terminal is None:
        stdin_is_terminal = bool(sys.stdin) and sys.stdin.isatty()
    named = merged.get("LLMFLOWLAB_HOME")
    home = Path(named).expanduser() if named else _default_home(folder)
    if home.exists() and not home.is_dir():
        raise InputError(f"LLMFLOWLAB_HOME is {str(home)!r}, which is a file; name a folder.")
    return Settings(
        home=home.resolve(),
        environment=merged,
        home_note=None
        if named or home == folder
        else f"{folder} cannot be written, so everything is kept in {home}; LLMFLOWLAB_HOME names another.",
        plain=_flag(merged, "LLMFLOWLAB_PLAIN")
        or merged.get("TERM") == "dumb"
        or not stdin_is_terminal,
        debug=_flag(merged, "LLMFLOWLAB_DEBUG"),
        judge=merged.get("LLMFLOWLAB_JUDGE"),
        judge_temperature=_judge_temperature(merged),
        judge_exam=_judge_exam(merged),
        connect_timeout=_number(merged, "LLMFLOWLAB_CONNECT_TIMEOUT", 10.0),
        first_token_timeout=_number(merged, "LLMFLOWLAB_FIRST_TOKEN_TIMEOUT", 120.0),
        token_timeout=_number(merged, "LLMFLOWLAB_TOKEN_TIMEOUT", 60.0),
        answer_timeout=_number(merged, "LLMFLOWLAB_ANSWER_TIMEOUT", 3600.0),
        max_tries=int(_number(merged, "LLMFLOWLAB_MAX_TRIES", 5)),
        max_retry_seconds=_number(merged, "LLMFLOWLAB_MAX_RETRY_SECONDS", 120.0),
        delivery_timeout=_number(merged, "LLMFLOWLAB_DELIVERY_TIMEOUT", 15.0),
        trackers=_trackers(merged),
        concurrency=int(_number(merged, "LLMFLOWLAB_CONCURRENCY", 8)),
    )


def _default_home(folder: Path) -> Path:
    """Return the current folder; the platform's own for data where that cannot become a home.

    A home, and a checkout, are taken as they are: what was kept there must not seem to be lost.
    """
    kept = any((folder / name).exists() for name in (".llmflowlab", "mlflow.db"))
    if kept or checkout() is not None or os.access(folder, os.W_OK | os.X_OK):
        return folder
    # Imported here: hardly anybody starts in a folder that cannot be written.
    from platformdirs import user_data_path

    return user_data_path("llmflowlab", appauthor=False)


def _read_dotenv(file: Path) -> dict[str, str]:
    if not file.is_file():
        return {}
    # Imported here: most starts have no .env file, and the menu's budget counts milliseconds.
    from dotenv import dotenv_values

    try:
        return {name: value for name, value in dotenv_values(file).items() if value}
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError(f"{file} cannot be read ({exc}); mend it or remove it.") from exc


def _flag(environment: Mapping[str, str], name: str) -> bool:
    return environment.get(name, "").strip().lower() in {"1", "true", "yes", "on"}


def _judge_temperature(environment: Mapping[str, str]) -> float | None:
    text = environment.get("LLMFLOWLAB_JUDGE_TEMPERATURE", "0").strip().lower()
    if text == "default":
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    # `not >=` also refuses NaN.
    if not 0 <= value <= 2:
        raise InputError(
            f"LLMFLOWLAB_JUDGE_TEMPERATURE is {text!r}; set it to a number from 0 to 2, or to default "
            "for the model's own."
        )
    return value


def _judge_exam(environment: Mapping[str, str]) -> int:
    text = environment.get("LLMFLOWLAB_JUDGE_EXAM", "5").strip()
    if not (text.isascii() and text.isdigit() and int(text) <= 100):
        raise InputError(
            f"LLMFLOWLAB_JUDGE_EXAM is {text!r}; set it to how many rows judges are examined on, from "
            "0 (not at all) to 100."
        )
    return int(text)


def _trackers(environment: Mapping[str, str]) -> tuple[str, ...]:
    text = environment.get("LLMFLOWLAB_TRACKERS", "mlflow")
    named = tuple(dict.fromkeys(part.strip().lower() for part in text.split(",") if part.strip()))
    if unknown := [name for name in named if name not in _TRACKERS]:
        raise InputError(
            f"LLMFLOWLAB_TRACKERS names {unknown[0]!r}; there are {' and '.join(_TRACKERS)}, as in "
            "mlflow,wandb."
        )
    if "mlflow" not in named:
        raise InputError(
            "LLMFLOWLAB_TRACKERS lacks mlflow, on which registry, prompts and evaluations stand; write "
            "mlflow,wandb for both."
        )
    return named


def _number(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    # `not >` also refuses NaN.
    if not value > 0 or value == float("inf"):
        raise InputError(f"{name} is {text!r}; set it to a number above 0 (default {default:g}).")
    return value
