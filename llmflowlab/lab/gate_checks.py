"""Gates of an evaluation: what must be reached, checked before the first call, told at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

from llmflowlab.candidate import Candidate
from llmflowlab.errors import GateNotMet, InputError, LabError
from llmflowlab.evaluation.conclude.gates import (
    DEFAULT_MIN_COVERAGE,
    Threshold,
    check_known,
    check_thresholds,
    reason_line,
)
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.plan import EvaluationPlan
from llmflowlab.evaluation.scores import DEFAULT_MARGIN
from llmflowlab.files import write_atomically
from llmflowlab.lab.lab import Lab
from llmflowlab.providers.factory import parse_reference

__all__ = [
    "GateCheck",
    "GateRequest",
    "champions_asked",
    "failure",
    "gate_check",
    "write_gate_files",
]

CHAMPION = "champion"

GateCheck: TypeAlias = Callable[[EvaluationResult], Sequence[Mapping[str, Any]]]
"""Says of a result what each gate says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRequest:
    """What a result is to be held against."""

    thresholds: Sequence[Threshold] = ()
    min_coverage: float = DEFAULT_MIN_COVERAGE
    compare_to: str | None = None
    margin: float = DEFAULT_MARGIN
    junit: Path | None = None
    summary: Path | None = None


def champions_asked(
    lab: Lab,
    request: GateRequest,
    models: Sequence[str],
    ledger: Ledger,
    resume: str | None,
    *,
    given: bool = False,
) -> list[Candidate]:
    """Return the champions that candidates are to be compared with; none where not asked for.

    Raises:
        InputError: There is no champion, or candidates can have none: their answers are given.
        TrackingError: The registry cannot be asked.
    """
    if request.compare_to != CHAMPION:
        return []
    # Imported here: it imports MLflow.
    from llmflowlab.evaluation.conclude.champion import champions

    if resume is not None:
        models = [candidate.model for candidate in ledger.plan(resume).candidates]
        given = any(candidate.column for candidate in ledger.plan(resume).candidates)
    if given:
        raise InputError(
            "Answers that are given have no registered model and so no champion; name a run or an "
            "evaluation with --compare-to."
        )
    providers = [parse_reference(model).provider for model in models]
    return champions(lab.store(), providers)


def gate_check(
    request: GateRequest, plan: EvaluationPlan, ledger: Ledger, champions: Sequence[Candidate]
) -> GateCheck | None:
    """Return what holds a result against its gates, which are looked up and checked now.

    Args:
        request: What was asked for.
        plan: The evaluation.
        ledger: Of earlier ones.
        champions: From `champions_asked`.

    Returns:
        None where there is no gate.

    Raises:
        InputError: A gate is about something this evaluation does not measure or cannot compare with.
    """
    check_known(request.thresholds, plan.scorers)
    compare: Callable[[EvaluationResult], Sequence[Any]] | None = None
    exempt: frozenset[int] = frozenset()
    if request.compare_to is not None:
        # Imported here: only a comparison needs it.
        from llmflowlab.evaluation.conclude.baseline import check_baseline, earlier_baseline

        if request.compare_to == CHAMPION:
            from llmflowlab.evaluation.conclude.champion import champion_baseline

            baseline, exempt = champion_baseline(plan, champions)
        else:
            baseline = earlier_baseline(ledger, plan, request.compare_to)

        def compare(result: EvaluationResult) -> Sequence[Any]:
            return check_baseline(
                result,
                baseline,
                margin=request.margin,
                min_coverage=request.min_coverage,
                exempt=exempt,
            )

    if not request.thresholds and compare is None:
        return None

    def check(result: EvaluationResult) -> list[Mapping[str, Any]]:
        found = check_thresholds(
            result, request.thresholds, min_coverage=request.min_coverage, exempt=exempt
        )
        compared = compare(result) if compare is not None else ()
        return [gate.to_json() for gate in (*found, *compared)]

    return check


def write_gate_files(request: GateRequest, result: EvaluationResult) -> None:
    """Write the files that CI systems read, each whole or not at all.

    Raises:
        InputError: One cannot be written where it was asked for.
    """
    if request.junit is not None:
        from llmflowlab.evaluation.reports.junit import junit_xml

        stamp = datetime.now().strftime("%Y-%m-%dT%H:%M:%S")
        _write("--junit", request.junit, junit_xml(result, timestamp=stamp))
    if request.summary is not None:
        from llmflowlab.evaluation.reports.markdown import markdown_summary

        _write("--summary", request.summary, markdown_summary(result))


def _write(option: str, file: Path, text: str) -> None:
    try:
        write_atomically(file.expanduser(), text.encode("utf-8", errors="replace"), shared=True)
    except OSError as exc:
        raise InputError(
            f"{option} {file} cannot be written ({exc.strerror}); the evaluation itself is recorded."
        ) from exc


def failure(result: EvaluationResult) -> LabError | None:
    """Return the error to end with where a gate is not met."""
    line = reason_line(result.gates)
    return None if line is None else GateNotMet(line)
