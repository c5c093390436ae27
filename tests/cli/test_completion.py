"""Shell completion is made from the parsers, so that it knows what they know."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from llmflowlab.cli import main
from llmflowlab.cli.commands import COMMANDS

BASH = shutil.which("bash")


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main(["completion", shell]) == 0
    seen = capsys.readouterr()
    assert seen.err == ""
    return seen.out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_knows_every_command_and_its_options_under_the_installed_name(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = script(shell, capsys)
    # fish writes a long option without its dashes.
    for word in ("llmflowlab", *COMMANDS, "save-config", "fail-under", "promote", "clean-env"):
        assert word in text
    assert "main.py" not in text
    assert main(["completion", shell, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["shell"], document["script"].strip()) == (shell, text.strip())


def test_another_shell_is_refused_in_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "bsh"]) == 2
    assert "did you mean bash?" in capsys.readouterr().err


@pytest.mark.skipif(BASH is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        pytest.param(["eva"], ["evaluate"], id="command"),
        pytest.param(["evaluate", "--save"], ["--save-config"], id="option"),
        pytest.param(["registry", "pro"], ["promote"], id="action"),
        pytest.param(["evaluate", "--harness", "f"], ["fast"], id="choice"),
    ],
)
def test_bash_completes(
    typed: list[str], offered: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = " ".join(["llmflowlab", *typed])
    ask = f"""
COMP_WORDS=({words}); COMP_CWORD={len(typed)}
$(complete -p llmflowlab | sed 's/.*-F \\([^ ]*\\).*/\\1/')
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(
        [str(BASH), "--norc"],
        input=script("bash", capsys) + ask,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == offered
