"""What a local model takes of the machine is the same in document, screen, page, summary and metrics."""

from __future__ import annotations

from dataclasses import replace
from html import escape
from typing import Any

import pytest

from llmflowlab.cli.evaluate.show_evaluation import show_details
from llmflowlab.cli.ui.plain import PlainScreen
from llmflowlab.evaluation.conclude.machine_words import machine_lines
from llmflowlab.evaluation.reports.figures import figures_of
from llmflowlab.evaluation.reports.markdown import escaped, markdown_summary
from llmflowlab.evaluation.reports.page import report_page
from llmflowlab.evaluation.run.closing import closing_of
from llmflowlab.evaluation.system_use import SystemUse
from llmflowlab.settings import Settings
from tests.evaluation.report_data import made_result

USE = SystemUse(
    answers=8, seconds=4.0, cpu_seconds=12.0, peak_memory_bytes=605_600_000, gpu_utilization=0.25
)


def test_what_a_local_model_took_is_one_figure(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    made = made_result(12)
    first, second = made.candidates
    result = replace(made, candidates=[first, replace(second, system=USE)])
    said = (
        f"{second.spec.label} on this machine: {second.tokens_per_second:,.0f} tokens/s, "
        "1.50 CPU s an answer, 605.6 MB peak memory, 25.0 % GPU busy."
    )
    assert machine_lines(result.ordered) == [said]
    show_details(PlainScreen(settings), result)
    assert said in capsys.readouterr().out
    assert escape(said) in report_page(result, figures_of(result))
    assert escaped(said) in markdown_summary(result)
    document: dict[str, Any] = result.to_json()["candidates"][1]
    assert document["system"]["cpu_seconds_per_answer"] == 1.5
    assert document["system"]["gpu_energy_joules"] is None
    metrics = closing_of(result, []).metrics[1]
    assert {name: value for name, value in metrics.items() if name.startswith("system/")} == {
        "system/process_cpu_seconds": 12.0,
        "system/process_cpu_seconds_per_answer": 1.5,
        "system/process_peak_memory_megabytes": 605.6,
        "system/gpu_utilization_percentage": 25.0,
    }
