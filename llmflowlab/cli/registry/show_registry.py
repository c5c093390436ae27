"""What the registry's commands print: tables for people, documents for scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from llmflowlab.cli.formatting import percent, plural, shortened
from llmflowlab.cli.ui.screen import Screen, Table
from llmflowlab.lab.model_registry import (
    AliasMove,
    CheckStep,
    EvaluationRun,
    RegisteredModel,
    Version,
    VersionDetail,
)
from llmflowlab.program import program_name

__all__ = [
    "comparison_json",
    "detail_json",
    "models_json",
    "move_json",
    "say_rolled_back",
    "show_check",
    "show_comparison",
    "show_detail",
    "show_models",
    "show_step",
]

_EVALUATIONS_SHOWN = 10


def move_json(name: str, alias: str, move: AliasMove) -> dict[str, Any]:
    """Return the document of a move of an alias."""
    return {"name": name, "alias": alias, "before": move.before, "after": move.after}


def models_json(
    models: Sequence[RegisteredModel], evaluations: Mapping[str, Sequence[EvaluationRun]]
) -> dict[str, Any]:
    """Return the document of `registry list`."""
    return {
        "models": [
            {
                "name": model.name,
                "description": model.description,
                "aliases": dict(model.aliases),
                "versions": [
                    {
                        **_version_json(version),
                        "evaluations": [_run_json(e) for e in evaluations[version.reference]],
                        "best_scores": _best(evaluations[version.reference]),
                    }
                    for version in model.versions
                ],
            }
            for model in models
        ]
    }


def detail_json(
    detail: VersionDetail, history: Sequence[AliasMove] | None = None
) -> dict[str, Any]:
    """Return the document of `registry show`; without a history, what `compare` says of one side."""
    moves = [
        {"at": move.at, "why": move.why, "before": move.before, "after": move.after}
        for move in history or ()
    ]
    return {
        **_version_json(detail.version),
        "configuration": dict(detail.described["config"]),
        "task": detail.described["task"],
        "streams": detail.described["streams"],
        "input_example": detail.described["example"],
        "mlflow_version": detail.described["mlflow_version"],
        "evaluations": [_run_json(run) for run in detail.evaluations],
        "best_scores": _best(detail.evaluations),
        "evidence": detail.version.evidence,
        **({} if history is None else {"champion_history": moves}),
    }


def comparison_json(one: VersionDetail, two: VersionDetail) -> dict[str, Any]:
    """Return the document of `registry compare`."""
    a, b = one.configuration, two.configuration
    return {
        "first": detail_json(one),
        "second": detail_json(two),
        "differing": [name for name in dict.fromkeys([*a, *b]) if a.get(name) != b.get(name)],
    }


def show_models(
    screen: Screen,
    models: Sequence[RegisteredModel],
    evaluations: Mapping[str, Sequence[EvaluationRun]],
) -> None:
    """Print each model's versions."""
    if not models:
        screen.say("No model is registered yet: the first chat with an answer registers one.")
        return
    for model in models:
        rows = []
        for version in model.versions:
            runs = evaluations[version.reference]
            best = ", ".join(f"{n} {percent(v)}" for n, v in list(_best(runs).items())[:2])
            rows.append(
                (
                    version.version,
                    ", ".join(version.aliases) or "-",
                    version.stage or "-",
                    version.model or "-",
                    _date(version.created_ms),
                    (version.run_id or "-")[:8],
                    str(len(runs)),
                    best or "-",
                )
            )
        screen.table(
            Table(
                title=model.name,
                columns=(
                    *("version", "aliases", "stage", "model", "made", "run", "evals"),
                    "best scores",
                ),
                rows=tuple(rows),
                numbers=frozenset({0, 6}),
            )
        )


def show_detail(screen: Screen, detail: VersionDetail, history: Sequence[AliasMove]) -> None:
    """Print everything about one version."""
    version = detail.version
    facts = {
        "aliases": ", ".join(version.aliases) or "none",
        "stage": version.stage or "none",
        "made": _date(version.created_ms),
        "run": version.run_id or "none",
        "served as": str(detail.described["task"] or "a table"),
        "streams": "yes" if detail.described["streams"] else "no",
        **detail.configuration,
    }
    screen.table(
        Table(
            title=version.reference,
            columns=("what", "value"),
            rows=tuple((name, shortened(value, 200)) for name, value in facts.items()),
        )
    )
    if detail.evaluations:
        shown = detail.evaluations[:_EVALUATIONS_SHOWN]
        left = len(detail.evaluations) - len(shown)
        screen.table(
            Table(
                title="Evaluations",
                columns=("begun", "data", "scores", "run"),
                rows=tuple(
                    (
                        _date(run.started_ms),
                        run.dataset,
                        ", ".join(f"{n} {percent(v)}" for n, v in run.scores.items()) or None,
                        run.run_id[:8],
                    )
                    for run in shown
                ),
                notes=(f"{left} older ones are left out.",) if left else (),
            )
        )
    else:
        screen.say("It was not evaluated yet.")
    if version.evidence:
        screen.table(
            Table(
                title="Why it became champion",
                columns=("what", "value"),
                rows=tuple(version.evidence.items()),
            )
        )
    for move in history[-5:]:
        screen.say(
            f"{move.at}: champion {move.before or 'none'} → {move.after or 'none'} ({move.why})",
            tone="quiet",
        )


def say_rolled_back(screen: Screen, name: str, alias: str, move: AliasMove) -> None:
    """Say where an alias stands again."""
    now = f"version {move.after}" if move.after else "no version"
    screen.say(
        f"{name}@{alias} is {now} again (was: {move.before or 'none'}); "
        "the same command once more undoes this."
    )


def show_step(screen: Screen, step: CheckStep) -> None:
    """Print one step of a check."""
    mark = "ok" if step.ok else "FAILED"
    screen.say(f"{mark:<7} {step.name}: {step.text}", tone="plain" if step.ok else "warning")


def show_check(screen: Screen, version: Version, *, passed: bool) -> None:
    """Print what the steps of a check came to; a step that failed has spoken for itself."""
    if passed:
        screen.say(f"{version.reference} can be served.", tone="good")


def show_comparison(screen: Screen, first: VersionDetail, second: VersionDetail) -> None:
    """Print configuration and results of two versions side by side."""
    one, two = first.configuration, second.configuration
    rows = [
        (name, _brief(one.get(name)), _brief(two.get(name)), _same(one.get(name), two.get(name)))
        for name in dict.fromkeys([*one, *two])
    ]
    for name in ("task", "streams"):
        a, b = str(first.described[name]), str(second.described[name])
        rows.append((name, a, b, _same(a, b)))
    columns = ("what", first.version.reference, second.version.reference, "")
    screen.table(Table(title="Configuration", columns=columns, rows=tuple(rows)))
    scorers = dict.fromkeys(n for d in (first, second) for e in d.evaluations for n in e.scores)
    if not scorers:
        screen.say("Neither was evaluated yet.")
        return
    screen.table(
        Table(
            title="Newest results",
            columns=columns[:3],
            rows=tuple(
                (name, percent(first.latest(name)), percent(second.latest(name)))
                for name in scorers
            ),
            numbers=frozenset({1, 2}),
            notes=(
                "Means of their own evaluations, perhaps on different rows; "
                f"`{program_name()} registry promote` compares on the same.",
            ),
        )
    )
    seen = [plural(len(d.evaluations), "evaluation") for d in (first, second)]
    screen.say(f"{columns[1]}: {seen[0]}; {columns[2]}: {seen[1]}", tone="quiet")


def _version_json(version: Version) -> dict[str, Any]:
    return {
        "name": version.name,
        "version": version.version,
        "stage": version.stage,
        "aliases": list(version.aliases),
        "created": _date(version.created_ms),
        "run_id": version.run_id,
        "model": version.model,
    }


def _run_json(run: EvaluationRun) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "evaluation_id": run.evaluation_id,
        "dataset": run.dataset,
        "started": _date(run.started_ms),
        "status": run.status,
        "scores": dict(run.scores),
    }


def _best(runs: Sequence[EvaluationRun]) -> dict[str, float]:
    best: dict[str, float] = {}
    for run in runs:
        for name, value in run.scores.items():
            best[name] = max(value, best.get(name, value))
    return best


def _brief(value: str | None) -> str | None:
    return "-" if value is None else shortened(value, 60)


def _same(a: str | None, b: str | None) -> str:
    return "" if a == b else "differs"


def _date(ms: int) -> str:
    local = datetime.fromtimestamp(ms / 1000, tz=timezone.utc).astimezone()
    return local.strftime("%Y-%m-%d %H:%M:%S")
