"""The process that writes one run for Weights & Biases; alone it knows the package.

Reads the run as JSON from standard input, and says on standard output `{"error": null}` or why it failed. Of
the machine, its code and its environment nothing is captured.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

__all__ = ["main", "write_run"]

_BEGIN = 30.0
"""Seconds for its server to answer: MLflow's sessions wait behind it in the process that delivers."""
_FINISH = 600.0
"""Seconds for what is to be uploaded."""


def write_run(wandb: Any, run: Mapping[str, Any], folder: Path, project: str) -> None:
    """Write a run.

    Args:
        wandb: The package.
        run: A `WandbRun` as JSON values.
        folder: Where its files go.
        project: Which it belongs to.
    """
    for torn in folder.glob(f"*run-*-{run['id']}"):
        # Of an attempt that was cut off, offline or not: a file is whole or is not there.
        shutil.rmtree(torn)
    settings = wandb.Settings(
        # Its own `wandb` folder is made in here.
        root_dir=str(folder.parent),
        silent=True,
        console="off",
        disable_git=True,
        disable_code=True,
        save_code=False,
        disable_job_creation=True,
        host="-",
        x_disable_meta=True,
        x_disable_stats=True,
        x_disable_machine_info=True,
        x_save_requirements=False,
        init_timeout=_BEGIN,
        finish_timeout=_FINISH,
        finish_timeout_raises=True,
        **({} if run["started_ms"] is None else {"x_start_time": run["started_ms"] / 1000}),
    )
    begun = wandb.init(
        id=run["id"],
        # What was written of it before is gone on with, on the server too.
        resume="allow",
        project=project,
        name=run["name"],
        group=run["group"],
        job_type=run["kind"],
        tags=list(run["tags"]),
        notes=run["notes"],
        config=dict(run["config"]),
        allow_val_change=True,
        settings=settings,
    )
    for step in run["steps"]:
        # A step that the server has is not taken twice.
        begun.log({**step["metrics"], "_timestamp": step["at_ms"] / 1000}, step=step["step"])
    longest = max((len(each["rows"]) for each in run["tables"]), default=0)
    # Rows beyond that it leaves out, with a warning where nobody reads it.
    for limit in ("MAX_ROWS", "MAX_ARTIFACT_ROWS"):
        setattr(wandb.Table, limit, max(getattr(wandb.Table, limit), longest))
    tables = {
        each["name"]: wandb.Table(
            columns=list(each["columns"]), data=[list(row) for row in each["rows"]]
        )
        for each in run["tables"]
    }
    charts = {
        each["name"]: wandb.plot.bar(
            tables[each["table"]], each["label"], each["value"], title=each["title"]
        )
        for each in run["charts"]
    }
    if tables:
        # After the last step, whose moment is not theirs.
        step = max((step["step"] for step in run["steps"]), default=None)
        begun.log({**tables, **charts}, step=None if step is None else step + 1)
    begun.summary.update(dict(run["summary"]))
    begun.finish(exit_code=0 if run["state"] == "finished" else 1)


def main() -> int:
    """Write the run that standard input holds; returns the exit code."""
    order = json.load(sys.stdin)
    folder = Path(order["folder"])
    # Whoever ordered it may have died, and another have come: one writes at a time.
    with FileLock(folder / ".writing.lock"):
        try:
            import wandb

            write_run(wandb, order["run"], folder, order["project"])
        except Exception as exc:  # noqa: BLE001 - other people's code; whoever ordered it is told
            said, unreachable = _in_words(exc)
            _tell(error=said, unreachable=unreachable)
            return 1
    _tell(error=None)
    return 0


def _in_words(exc: Exception) -> tuple[str, bool]:
    name = type(exc).__name__
    if isinstance(exc, ImportError):
        return 'wandb is not installed; run: pip install "llmflowlab[wandb]".', True
    if isinstance(exc, OSError):
        return f"Weights & Biases' files cannot be written ({exc.strerror or name}).", False
    if name in {"UsageError", "AuthenticationError"} and "key" in str(exc).lower():
        return (
            "Weights & Biases takes no run without a valid key; set WANDB_API_KEY, or "
            "WANDB_MODE=offline to keep runs on this machine.",
            True,
        )
    if name in {"CommError", "TimeoutError", "FinishTimeoutError"} or "timed out" in str(exc):
        return "Weights & Biases does not answer.", True
    return f"Weights & Biases could not take a run ({name}).", False


def _tell(**values: Any) -> None:
    print(json.dumps(values), flush=True)  # noqa: T201 - the protocol


if __name__ == "__main__":
    sys.exit(main())
