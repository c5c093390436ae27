"""`main.py cache`, `adjust`, `repair` and `verify`: looking after evaluations past and running."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

from llmflowlab.cli.context import App
from llmflowlab.cli.formatting import bytes_text, count, dollars, number_or_none, plural
from llmflowlab.cli.ui.screen import EndOfInput, Table
from llmflowlab.errors import ExitCode, InputError, TrackingError
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.replay import evaluation_behind, repair
from llmflowlab.evaluation.run.steering import Adjustment, ask_for
from llmflowlab.evaluation.run.upkeep import Kept, clear, compact, kept_evaluations, size

if TYPE_CHECKING:
    from llmflowlab.evaluation.run.verify import Check
    from llmflowlab.tracking.store import Store

__all__ = ["run_command"]


def run_command(app: App, arguments: argparse.Namespace) -> int:
    """Carry one of the commands out; returns the exit code.

    Raises:
        LabError: It cannot be done.
    """
    if arguments.command == "cache":
        return _cache(app, arguments)
    if arguments.command == "adjust":
        return _adjust(app, arguments)
    if arguments.command == "repair":
        return _repair(app, arguments.evaluation)
    return _verify(app, arguments.run, as_json=arguments.json)


def _ledger(app: App) -> Ledger:
    """Open the home's ledger; a question about nothing makes none."""
    path = app.settings.state_dir / "evaluations.db"
    if not path.exists():
        raise InputError(f"No evaluation was made in {app.settings.home} yet.")
    return Ledger(path)


def _cache(app: App, arguments: argparse.Namespace) -> int:
    if not (app.settings.state_dir / "evaluations.db").exists() and arguments.clear is None:
        if arguments.json:
            _print_json({"file": None, "bytes": 0, "evaluations": []})
        else:
            app.screen.say("No evaluation is kept here yet.")
        return ExitCode.DONE
    with closing(_ledger(app)) as ledger:
        if arguments.clear is not None:
            _clear(app, ledger, arguments.clear, sure=arguments.yes, as_json=arguments.json)
        kept = kept_evaluations(ledger)
        if arguments.json:
            _print_json(
                {
                    "file": str(ledger.path),
                    "bytes": size(ledger),
                    "evaluations": [entry.to_json() for entry in kept],
                }
            )
        else:
            _show_kept(app, ledger, kept)
    return ExitCode.DONE


def _show_kept(app: App, ledger: Ledger, kept: list[Kept]) -> None:
    if kept:
        app.screen.table(
            Table(
                title="Evaluations",
                columns=("id", "data", "state", "rows", "models", "answers", "judged", "cost"),
                rows=tuple(_row(entry) for entry in kept),
                numbers=frozenset({3, 4, 5, 6, 7}),
            )
        )
    answers = sum(entry.answers for entry in kept)
    judgements = sum(entry.judgements for entry in kept)
    app.screen.say(
        f"{plural(len(kept), 'evaluation')}, {plural(answers, 'answer')} and "
        f"{plural(judgements, 'judgement')} in {bytes_text(size(ledger))}: {ledger.path}"
    )


def _row(entry: Kept) -> tuple[str | None, ...]:
    plan = entry.stored.plan
    return (
        entry.stored.id,
        plan["dataset"]["name"],
        entry.state,
        count(plan["dataset"]["rows"]),
        str(len(plan["candidates"])),
        count(entry.answers),
        count(entry.judgements),
        dollars(entry.cost_usd),
    )


def _clear(app: App, ledger: Ledger, what: str, *, sure: bool, as_json: bool) -> None:
    kept = kept_evaluations(ledger)
    chosen = [entry for entry in kept if what in {"all", entry.stored.id}]
    if not chosen and what != "all":
        raise InputError(f"There is no evaluation {what!r} here; `cache` lists those there are.")
    running = [entry.stored.id for entry in chosen if entry.state == "running"]
    if running:
        raise InputError(f"{running[0]} is running; stop it or wait for its end.")
    answers = sum(entry.answers for entry in chosen)
    if not sure and not _agreed(app, f"{plural(len(chosen), 'evaluation')}", answers, as_json):
        app.screen.note("Nothing was cleared.")
        return
    for entry in chosen:
        clear(ledger, entry.stored.id)
    if what == "all":
        ledger.forget_vectors()
    if any(entry.state == "running" for entry in kept):
        app.screen.note("The file keeps its size while an evaluation is running.")
    else:
        compact(ledger)
    app.screen.note(f"{plural(len(chosen), 'evaluation')} cleared; MLflow keeps what it has.")


def _agreed(app: App, what: str, answers: int, as_json: bool) -> bool:
    refusal = "Clearing needs a yes: give --yes."
    if app.screen.plain or as_json:
        raise InputError(refusal)
    try:
        return app.screen.confirm(
            f"Forget {what} with {plural(answers, 'answer')}? They would have to be asked again."
        )
    except EndOfInput as exc:
        raise InputError(refusal) from exc


def _adjust(app: App, arguments: argparse.Namespace) -> int:
    wish = Adjustment(concurrency=arguments.concurrency, budget=arguments.budget)
    if wish == Adjustment():
        raise InputError("Say what to change: --concurrency N, --budget USD, or both.")
    with closing(_ledger(app)) as ledger:
        ask_for(ledger, arguments.evaluation, wish)
    parts = []
    if wish.concurrency is not None:
        parts.append(f"concurrency {wish.concurrency}")
    if wish.budget is not None:
        parts.append(f"a budget of {dollars(wish.budget)}")
    app.screen.say(f"{arguments.evaluation} goes on with {' and '.join(parts)} in about a second.")
    return ExitCode.DONE


def _repair(app: App, name: str) -> int:
    with closing(_ledger(app)) as ledger:
        evaluation = evaluation_behind(ledger, name)
        with app.screen.progress(f"repair {evaluation}"):
            result = repair(ledger, app.settings, evaluation, tick=lambda: None)
    app.screen.say(f"{evaluation}: delivered to MLflow again, from what is kept here.")
    for candidate in result.candidates:
        recorded = candidate.rows - candidate.failed.get("not_reached", 0)
        app.screen.say(
            f"{candidate.spec.label}: {recorded} of {candidate.rows} answers with their scores, "
            f"run {candidate.run_id}"
        )
    for problem in result.problems:
        app.screen.warn(problem)
    if result.problems:
        app.screen.warn("MLflow still lacks something; try again when it is well.")
        return ExitCode.PROVIDER_FAILED
    if result.interrupted:
        app.screen.note(f"Some rows were not asked yet; go on with: evaluate --resume {evaluation}")
    return ExitCode.DONE


def _verify(app: App, name: str, *, as_json: bool) -> int:
    # Imported here: it imports MLflow.
    from llmflowlab.evaluation.run.verify import candidate_runs, verify_run
    from llmflowlab.tracking.store import open_store

    runs = _runs_of_evaluation(app, name)
    with app.screen.progress(f"verify {name}"):
        store: Store = open_store(app.settings)
        checked = [
            (run, verify_run(store, run))
            for run in (candidate_runs(store, name) if runs is None else runs)
        ]
    equal = all(check.equal for _, checks in checked for check in checks)
    if as_json:
        _print_json(
            {
                "equal": equal,
                "runs": [
                    {"run_id": run, "checks": [_check_json(check) for check in checks]}
                    for run, checks in checked
                ],
            }
        )
    else:
        for run, checks in checked:
            _show_checks(app, run, checks)
    return ExitCode.DONE if equal else ExitCode.GATE_NOT_MET


def _runs_of_evaluation(app: App, name: str) -> list[str] | None:
    """Return the candidates' runs of an evaluation id; None where the name is none of this home."""
    path = app.settings.state_dir / "evaluations.db"
    if not path.exists():
        return None
    with closing(Ledger(path)) as ledger:
        found = [stored for stored in ledger.evaluations() if stored.id == name]
    if not found:
        return None
    runs: list[str] = found[0].runs.get("candidates") or []
    if not runs:
        raise TrackingError(f"MLflow has no run of {name} yet; deliver it with: repair {name}")
    return runs


def _check_json(check: Check) -> dict[str, Any]:
    return {
        "figure": check.name,
        "reported": number_or_none(check.reported),
        "recomputed": number_or_none(check.recomputed),
        "equal": check.equal,
    }


def _show_checks(app: App, run: str, checks: list[Check]) -> None:
    wrong = sum(not check.equal for check in checks)
    app.screen.table(
        Table(
            title=f"Run {run}",
            columns=("figure", "reported", "recomputed", "equal"),
            rows=tuple(
                (
                    check.name,
                    _figure(check.reported),
                    _figure(check.recomputed),
                    "yes" if check.equal else "NO",
                )
                for check in checks
            ),
            numbers=frozenset({1, 2}),
        )
    )
    if wrong:
        app.screen.warn(f"{wrong} of {plural(len(checks), 'figure')} do not agree with the traces.")
    else:
        app.screen.say(f"All {plural(len(checks), 'figure')} agree with the traces.")


def _figure(value: float | None) -> str:
    return "none" if value is None else f"{value:.9g}"


def _print_json(document: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
