"""Shell completion is made from the parsers, so that it knows what they know."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from llmflowlab.cli import main
from llmflowlab.cli.commands import COMMANDS
from tests.patience import PATIENCE

BASH, ZSH, FISH = (shutil.which(shell) for shell in ("bash", "zsh", "fish"))
COMPLETED = {
    "command": (["eva"], ["evaluate"]),
    "option": (["evaluate", "--save"], ["--save-config"]),
    "action": (["registry", "pro"], ["promote"]),
    "choice": (["evaluate", "--harness", "f"], ["fast"]),
}
each = pytest.mark.parametrize(("typed", "offered"), COMPLETED.values(), ids=COMPLETED)


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
@each
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


@pytest.mark.skipif(FISH is None, reason="there is no fish")
@each
def test_fish_completes(
    typed: list[str], offered: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "completion.fish").write_text(script("fish", capsys), encoding="utf-8")
    words = " ".join(["llmflowlab", *typed])
    done = subprocess.run(
        [str(FISH), "--no-config", "-c", f"source completion.fish; complete -C '{words}'"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == offered
    assert done.stderr == ""


@pytest.mark.skipif(ZSH is None, reason="there is no zsh")
@pytest.mark.parametrize(
    "loading",
    [
        # It said "can only be called from completion function" where it was sourced.
        pytest.param("autoload -U compinit; compinit -uD; source ./_llmflowlab", id="sourced"),
        pytest.param('autoload -U compinit; compinit -uD; eval "$(<_llmflowlab)"', id="eval"),
        pytest.param("fpath=($PWD $fpath); autoload -U compinit; compinit -uD", id="fpath"),
    ],
)
def test_zsh_completes_however_the_script_is_loaded(
    loading: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import pexpect

    (tmp_path / "_llmflowlab").write_text(script("zsh", capsys), encoding="utf-8")
    shell = pexpect.spawn(
        str(ZSH), ["-f", "-i"], cwd=str(tmp_path), encoding="utf-8", timeout=PATIENCE
    )
    # What was completed is run, and says its words.
    shell.sendline(f"{loading}; llmflowlab() {{ print -r -- \"words=<$*>\" }}; print rea''dy")
    shell.expect("ready")
    assert "_arguments" not in shell.before
    for typed, offered in COMPLETED.values():
        shell.send(" ".join(["llmflowlab", *typed]) + "\t\r")
        shell.expect_exact(f"words=<{' '.join([*typed[:-1], *offered])}>")
    shell.close(force=True)
