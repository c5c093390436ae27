"""An evaluation as JUnit XML, which CI systems show as tests.

One suite per candidate: its gates first, then its rows under the scorer that ranks candidates. A row
that was answered wrongly is a failure, one without a usable answer an error, one that was not scored is
skipped. Elements and attributes follow the common XSD of Apache Ant's `junit` task.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Any

from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.evaluation.scorers.ranking import main_scorer

__all__ = ["RIGHT_FROM", "junit_xml"]

RIGHT_FROM = 0.5
"""The score from which on a row passes; yes/no scorers give 0 or 1."""
_INVALID = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 forbids, also as a character reference."""
_SHOWN = 2_000
"""Characters of an answer that a report shows."""


def junit_xml(result: EvaluationResult, *, timestamp: str) -> str:
    """Return the document.

    Args:
        result: What was found, its gates included.
        timestamp: When, as `YYYY-MM-DDTHH:MM:SS`.
    """
    root = ET.Element("testsuites", name=_clean(f"LLMFlowLab {result.plan.dataset.name}"))
    for index in range(len(result.candidates)):
        _suite(root, result, index, timestamp)
    _total(root, list(root))
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _suite(root: ET.Element, result: EvaluationResult, index: int, timestamp: str) -> None:
    candidate = result.candidates[index]
    suite = ET.SubElement(
        root,
        "testsuite",
        {
            "id": str(index),
            "name": _clean(candidate.spec.label),
            "package": _clean(result.plan.dataset.name),
            "timestamp": timestamp,
            # Which machine it was says nothing of the candidate.
            "hostname": "localhost",
        },
    )
    properties = ET.SubElement(suite, "properties")
    for name, value in _facts(result, index):
        ET.SubElement(properties, "property", name=name, value=_clean(value))
    seconds = 0.0
    for gate in result.gates:
        if gate["candidate"] == candidate.spec.label:
            _gate_case(suite, candidate.spec.label, gate)
    scorer = main_scorer(result.plan.scorers)
    for cell in result.plan.cells():
        if cell.candidate == index:
            seconds += _row_case(suite, result, cell, scorer)
    _total(suite, list(suite.iter("testcase")))
    suite.set("time", f"{seconds:.3f}")
    ET.SubElement(suite, "system-out")
    ET.SubElement(suite, "system-err")


def _facts(result: EvaluationResult, index: int) -> Iterator[tuple[str, str]]:
    candidate = result.candidates[index]
    yield "evaluation", result.plan.evaluation_id
    if candidate.run_id is not None:
        yield "mlflow.run_id", candidate.run_id
    for name, score in candidate.scores.items():
        yield f"{name}.mean", "unknown" if score.mean is None else f"{score.mean:.6g}"
        yield f"{name}.coverage", f"{score.coverage:.6g}"


def _gate_case(suite: ET.Element, label: str, gate: Any) -> None:
    case = ET.SubElement(
        suite,
        "testcase",
        {"name": _clean(str(gate["gate"])), "classname": _clean(f"{label}.gates"), "time": "0"},
    )
    if not gate["passed"]:
        reason = _clean(str(gate["reason"]))
        ET.SubElement(case, "failure", {"message": reason, "type": "gate"}).text = reason


def _row_case(suite: ET.Element, result: EvaluationResult, cell: Cell, scorer: str) -> float:
    row = result.plan.dataset.rows[cell.row]
    answer = result.answers.get(cell)
    score = result.scores.get(cell, {}).get(scorer)
    trial = f" (trial {cell.trial + 1})" if result.plan.trials > 1 else ""
    label = result.candidates[cell.candidate].spec.label
    seconds = (answer.latency or 0.0) if answer else 0.0
    question = " ".join(row.question.split())
    if len(question) > 120:
        question = question[:119] + "…"
    case = ET.SubElement(
        suite,
        "testcase",
        {
            "name": _clean(f"{row.id}{trial}: {question}"),
            "classname": _clean(f"{label}.{scorer}"),
            "time": f"{seconds:.3f}",
        },
    )
    if answer is None:
        ET.SubElement(case, "skipped", {"message": "not reached"})
    elif not answer.answered and answer.state == "budget_exhausted":
        ET.SubElement(case, "skipped", {"message": "budget_exhausted"})
    elif not answer.answered:
        reason = answer.reason or answer.state
        error = ET.SubElement(
            case, "error", {"message": _clean(answer.error or reason), "type": _clean(reason)}
        )
        error.text = _clean(answer.error or reason)
    elif score is None or score.value is None:
        why = "not_reached" if score is None else (score.not_scored or "scorer_failed")
        ET.SubElement(case, "skipped", {"message": _clean(f"not scored: {why}")})
    elif score.value < RIGHT_FROM:
        failure = ET.SubElement(
            case, "failure", {"message": f"{scorer} {score.value:g}", "type": _clean(scorer)}
        )
        failure.text = _clean(
            f"question: {row.question[:_SHOWN]}\nexpected: {row.expected or ''}\n"
            f"answer: {answer.text[:_SHOWN]}\n{score.rationale or ''}".rstrip()
        )
    return seconds


def _total(element: ET.Element, parts: list[ET.Element]) -> None:
    """Set the counts of a suite from its cases, or of the document from its suites."""
    if element.tag == "testsuite":
        counts = {
            "tests": len(parts),
            "failures": sum(case.find("failure") is not None for case in parts),
            "errors": sum(case.find("error") is not None for case in parts),
            "skipped": sum(case.find("skipped") is not None for case in parts),
        }
    else:
        counts = {
            name: sum(int(suite.get(name, "0")) for suite in parts)
            for name in ("tests", "failures", "errors")
        }
    for name, count in counts.items():
        element.set(name, str(count))


def _clean(text: str) -> str:
    return _INVALID.sub("\ufffd", text)
