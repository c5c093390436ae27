"""`docs/service.md` says what the service does, and what it says to run can be run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from llmflowlab.service.http_refusals import CODES
from llmflowlab.service.measures import Measures
from llmflowlab.service.service_limits import ServiceLimits, WrongKeys
from llmflowlab.settings import Settings
from tests.patience import PATIENCE
from tests.service.running import key_of, running

PAGE = (Path(__file__).parents[2] / "docs" / "service.md").read_text("utf-8")


def table(head: str) -> list[str]:
    """Return the lines of the table that begins so."""
    return PAGE.split(head)[1].split("\n\n")[0].splitlines()[2:]


def test_every_refusal_is_listed_with_its_status() -> None:
    assert table("| status | code |") == [
        f"| {status} | `{code}` | {says} |" for code, (status, says) in CODES.items()
    ]


def test_every_measure_is_listed_with_its_kind() -> None:
    registry = CollectorRegistry()
    Measures(registry)
    assert table("| name | type |") == [
        f"| `{one.name}{'_total' if one.type == 'counter' else ''}` | {one.type} | "
        f"{one.documentation} |"
        for one in registry.collect()
    ]


def test_the_limits_are_those_that_hold() -> None:
    listed = dict(re.findall(r"^\| [^|]*\| `(--[a-z-]+)` \| (\w+) \|", PAGE, re.M))
    limits = ServiceLimits()
    assert listed == {
        "--max-body": str(limits.body_bytes),
        "--max-turns": str(limits.most_turns),
        "--concurrent": str(limits.concurrent),
        "--queue": str(limits.queue),
        "--deadline": f"{limits.deadline:.0f}",
        "--per-minute": str(limits.per_minute),
        "--daily-budget": str(limits.daily_usd).lower(),
    }
    others = re.findall(r"^\| [^|]* \| \| ([^|]*) \|", PAGE, re.M)
    assert others == [
        str(limits.most_messages),
        f"{limits.head_seconds:.0f}; {limits.body_seconds:.0f}",
        str(WrongKeys()._most),
    ]
    assert set(re.findall(r"`([a-z]+_[a-z_]+)`", "\n".join(table("| what |")))) <= set(CODES)
    assert f"{limits.drain:.0f} seconds (`--drain`)" in PAGE


@pytest.mark.skipif(sys.platform == "win32", reason="the page's lines are a shell's")
def test_what_the_page_asks_by_curl_and_by_the_sdk_is_answered(settings: Settings) -> None:
    shell = re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.M)
    (program,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.M)
    with running(settings, "guide:docs") as service:
        key = key_of(settings, "page")["Authorization"].removeprefix("Bearer ")
        trace, said = "", ""
        for block in shell:
            # A refusal is to be a failure; the page need not say so.
            asked = block.replace("curl -s", "curl --fail-with-body -s")
            ran = subprocess.run(
                ["/bin/sh", "-ec", asked.replace("http://127.0.0.1:8000", service.url)],
                env={**os.environ, "KEY": key, "TRACE": trace, "no_proxy": "*"},
                capture_output=True,
                text=True,
                timeout=PATIENCE,
            )
            assert ran.returncode == 0, ran.stdout + ran.stderr
            said += ran.stdout
            trace = trace or (re.findall(r"tr-[0-9a-f]{32}", said) or [""])[0]
        assert "event: done" in said
        assert '"scorer":"contains","value":1.0' in said
        assert '"kept":true' in said
        program = program.replace("http://127.0.0.1:8000", service.url).replace("KEY", repr(key))
        ran = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE
        )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("A run is MLflow's record") == 2
