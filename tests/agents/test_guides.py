"""The pages on agents are run as they stand, step by step."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from tests.agents.test_serving import post, server
from tests.loopback import closed_port
from tests.warm import SITE, warm

ROOT = Path(__file__).parents[2]
STEPS = 10


def blocks(page: str) -> list[tuple[int, str, str]]:
    """Return each block of a page with the step it stands in and its language."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    found = []
    step = 0
    for title, language, code in re.findall(
        r"^## ([^\n]*)$|^```(\w+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL
    ):
        if title:
            number = re.match(r"Step (\d+):", title)
            step = int(number[1]) if number else 0
        else:
            found.append((step, language, code))
    return found


def test_ten_steps_lead_from_nothing_to_an_answer_over_http(mlflow_home: Path) -> None:
    """`mlflow_home` is the folder, so that making a database need not be waited for."""
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{SITE}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    port = closed_port()
    serve: list[str] = []
    printed: dict[int, str] = {}
    run: set[int] = set()
    for step, language, code in blocks("custom-agent.md"):
        run.add(step)
        if language == "python":
            name, _, continued = code.partition("\n")[0].removeprefix("# ").partition(", ")
            with (mlflow_home / name).open("a" if continued else "w", encoding="utf-8") as file:
                file.write(code)
            continue
        for line in code.splitlines():
            words = shlex.split(line)
            if words[0] == "mkdir":
                (mlflow_home / words[-1]).mkdir()
            elif words[0] == "export":
                name, _, value = words[1].partition("=")
                environment[name] = value
            elif words[0] == "python":
                done = subprocess.run(
                    warm([sys.executable, "-W", "ignore", *words[1:]]),
                    cwd=mlflow_home,
                    env=environment,
                    capture_output=True,
                    text=True,
                    check=False,
                )
                assert done.returncode == 0, done.stderr
                printed[step] = done.stdout.strip()
            elif words[0] == "mlflow":
                serve = ["-m", *(str(port) if word == "5002" else word for word in words[:-1])]
            else:
                assert words[0] == "curl"
                payload = json.loads(words[words.index("-d") + 1])
                with server(serve, port, mlflow_home, environment) as address:
                    status, body = post(address, "/invocations", payload)
                assert status == 200, body
                printed[step] = body
    assert run == set(range(1, STEPS + 1))
    assert printed[6] == "models:/support/1"
    *text, ticket = printed[7].splitlines()
    assert "judge" in " ".join(text).lower()
    assert ticket == "closed"
    assert printed[8] == "['support_agent', 'conversation', 'model_call', 'ticket']"
    answer = json.loads(printed[10])
    assert "judge" in answer["choices"][0]["message"]["content"].lower()
    assert answer["custom_outputs"]["ticket"] == "closed"


def test_what_the_agents_page_shows_in_python_runs(mlflow_home: Path) -> None:
    code = [code for _, language, code in blocks("agents.md") if language == "python"]
    assert len(code) == 4
    done = subprocess.run(
        warm([sys.executable, "-W", "ignore", "-c", "\n".join(code)]),
        cwd=mlflow_home,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "models:/help_desk/1",
        "models:/panel/1",
        "tutorial_agent.py is tutorial_agent/1.",
        "See the page on judges.",
    ]
