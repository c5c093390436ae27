"""The table of commands: each is there, declared and loaded only when it is named."""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

import llmflowlab
from llmflowlab.cli import main, options
from llmflowlab.cli.arguments import build_parser, parse
from llmflowlab.cli.commands import COMMANDS
from llmflowlab.cli.output import print_json

ROOT = Path(llmflowlab.__file__).parent.parent


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_declares_its_options_and_can_be_run(name: str) -> None:
    module = COMMANDS[name].load()
    parser = argparse.ArgumentParser()
    module.declare_options(parser)
    assert callable(module.run_command)


def test_one_command_does_not_load_the_others() -> None:
    code = (
        "import sys; from llmflowlab.cli.arguments import parse; parse(['models'])\n"
        "print([c.path for c in __import__('llmflowlab.cli.commands').cli.commands.COMMANDS.values()"
        " if f'llmflowlab.cli.{c.path}' in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['models_command']"


def test_a_file_of_the_console_is_found_by_its_name() -> None:
    names = Counter(
        file.name
        for file in (ROOT / "llmflowlab" / "cli").rglob("*.py")
        if file.name != "__init__.py"
    )
    assert [name for name, number in names.items() if number > 1] == []


@pytest.mark.parametrize(
    ("read", "good", "value", "bad"),
    [
        pytest.param(options.whole, "3", 3, ["0", "-1", "1.5", "x", ""], id="whole"),
        pytest.param(options.share, "0.5", 0.5, ["-0.1", "1.1", "nan", "x"], id="share"),
        pytest.param(options.margin, "0.02", 0.02, ["0", "1", "nan", "x"], id="margin"),
        pytest.param(options.power, "0.8", 0.8, ["0.49", "1", "nan"], id="power"),
        pytest.param(options.seconds, "2", 2.0, ["0", "-1", "inf", "nan"], id="seconds"),
        pytest.param(options.port, "80", 80, ["0", "65536", "x"], id="port"),
        pytest.param(options.concurrency, "8", 8, ["0", "1001", "x"], id="concurrency"),
        pytest.param(options.usd, "0.5", Decimal("0.5"), ["0", "-1", "1e9", "NaN", "x"], id="usd"),
    ],
)
def test_a_reader_takes_what_fits_and_says_what_does_not(
    read: object, good: str, value: object, bad: list[str]
) -> None:
    assert callable(read)
    assert read(good) == value
    for text in bad:
        with pytest.raises(argparse.ArgumentTypeError, match=r"^'.*[^.]$"):
            read(text)


def test_nan_is_no_json() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        print_json({"x": float("nan")})


def leaves(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield the parser of every command, and of every action of one."""
    inner = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    for action in inner:
        for sub in action.choices.values():
            yield from leaves(sub)
    if not inner:
        yield parser


LEAVES = [pytest.param(leaf, id=leaf.prog) for leaf in leaves(build_parser(whole=True))]


@pytest.mark.parametrize("leaf", LEAVES)
def test_every_command_takes_json(leaf: argparse.ArgumentParser) -> None:
    assert "--json" in leaf.format_help()


def test_help_lists_every_command_once_under_a_heading(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for command in COMMANDS.values():
        assert f"{command.group}:" in lines
        assert [line.split(maxsplit=1) for line in lines].count([command.name, command.help]) == 1
    # A heading that came twice would part a group.
    assert len({line for line in lines if line.endswith(":")}) == sum(
        line.endswith(":") for line in lines
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_s_help_has_two_examples_that_can_be_typed(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([name, "--help"]) == 0
    shown = capsys.readouterr().out.partition("\nexamples:\n")[2].splitlines()
    assert len(shown) == 2
    for line in shown:
        assert line.startswith(f"  python main.py {name}")
        assert len(line) <= 90
        assert parse(shlex.split(line)[2:]).command == name
