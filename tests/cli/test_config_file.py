"""An evaluation file says what flags say; flags win over it."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import llmflowlab
from llmflowlab.cli import main
from llmflowlab.cli.arguments import build_parser, parse
from llmflowlab.errors import InputError

WHOLE = """\
model: [gemini, "guide:docs"]
system:
  - Be brief.
  - "no"
map: {question: Frage, expected: Antwort}
temperature: 0.10
max_tokens: 64
scorer: [contains, "numeric_match:tolerance=0.1"]
judge: openai:gpt-4.1-mini
fail-under: {contains: 0.8}
budget: 1.50
sample: 30
cluster: passage
trials: 5
skip-bad: yes
fresh: false
"""
FLAGS = [
    *("--model", "gemini", "--model", "guide:docs", "--system", "Be brief.", "--system", "no"),
    *("--map", "question=Frage", "--map", "expected=Antwort", "--temperature", "0.10"),
    *("--max-tokens", "64", "--scorer", "contains", "--scorer", "numeric_match:tolerance=0.1"),
    *("--judge", "openai:gpt-4.1-mini", "--fail-under", "contains=0.8", "--budget", "1.50"),
    *("--sample", "30", "--cluster", "passage", "--trials", "5", "--skip-bad"),
]


DOCS = (Path(llmflowlab.__file__).parents[1] / "docs" / "evaluation.md").read_text("utf-8")


def file_of(tmp_path: Path, text: str) -> str:
    file = tmp_path / "evaluation.yaml"
    file.write_text(text, encoding="utf-8")
    return str(file)


def said(*arguments: str) -> dict[str, Any]:
    found = vars(parse(["evaluate", *arguments]))
    return {k: v for k, v in found.items() if k not in {"config", "parser", "save_config"}}


def test_a_file_says_what_the_same_flags_say(tmp_path: Path) -> None:
    assert said("--config", file_of(tmp_path, WHOLE)) == said(*FLAGS)


def test_the_file_that_the_docs_show_is_understood(tmp_path: Path) -> None:
    (shown,) = re.findall(r"^```yaml\n(.*?)^```", DOCS, re.DOTALL | re.M)
    found = said("--config", file_of(tmp_path, shown))
    assert (found["sample"], found["map"]) == (50, ["question=Frage", "expected=Antwort"])


def test_plan_reads_the_same_file(tmp_path: Path) -> None:
    found = parse(["plan", "--config", file_of(tmp_path, WHOLE), "--power", "0.9"])
    assert (found.model, found.trials, found.power) == (["gemini", "guide:docs"], 5, 0.9)


@pytest.mark.parametrize("before", [True, False])
def test_flags_win_wherever_they_stand_and_when_they_say_the_default(
    tmp_path: Path, before: bool
) -> None:
    file = ["--config", file_of(tmp_path, WHOLE)]
    flags = ["--trials", "1", "--model", "ollama", "--seed", "0"]
    found = said(*flags, *file) if before else said(*file, *flags)
    # A list is replaced, not lengthened: nobody could take a model out of the file otherwise.
    assert (found["trials"], found["model"], found["sample"]) == (1, ["ollama"], 30)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(
            "modell: gemini", "'modell' is no option of an evaluation (did you mean", id="key"
        ),
        pytest.param("config: x.yaml", "'config' is no option", id="itself"),
        pytest.param(
            "trials: many", "argument --trials: 'many' must be a whole number", id="value"
        ),
        pytest.param("trials: [1, 2]", "trials takes one value", id="list"),
        pytest.param("model:", "model takes one value", id="empty"),
        pytest.param("model: [[gemini]]", "model takes a value, or a list", id="nested"),
        pytest.param("judge: {a: b}", "judge takes one value", id="mapping"),
        pytest.param("fresh: perhaps", "fresh is true or false", id="switch"),
        pytest.param("harness: fsat", "(did you mean fast?)", id="choice"),
        pytest.param("- gemini", "it holds no options", id="no-mapping"),
        pytest.param("", "it holds no options", id="nothing"),
        pytest.param("model: [gemini", "it is no YAML in line 1", id="no-yaml"),
        pytest.param("[" * 5000, "it is no YAML", id="deep"),
        pytest.param("x: " + "y" * 1_000_001, "too large", id="large"),
    ],
)
def test_what_cannot_be_used_is_one_sentence_that_names_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    file = file_of(tmp_path, text)
    assert main(["evaluate", "--config", file]) == 2
    seen = capsys.readouterr()
    assert seen.err.startswith(f"{file}: ")
    assert words in seen.err
    assert (seen.out, seen.err.count("\n")) == ("", 1)


def test_a_file_that_is_not_there_or_not_text_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no\.yaml: it cannot be read \(No such file"):
        parse(["evaluate", "--config", str(tmp_path / "no.yaml")])
    (tmp_path / "bytes.yaml").write_bytes(b"model: \xff")
    with pytest.raises(InputError, match="it is not UTF-8 text"):
        parse(["evaluate", "--config", str(tmp_path / "bytes.yaml")])


def test_a_key_that_is_executed_nowhere(tmp_path: Path) -> None:
    file = file_of(tmp_path, "model: !!python/object/apply:os.system [true]")
    assert said("--config", file)["model"] == ["true"]


def test_what_is_saved_says_the_same_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "q.csv").write_text("question,answer\nWhat?,it\n", encoding="utf-8")
    flags = [
        "--model",
        "guide",
        "--data",
        "q.csv",
        "--budget",
        "2.5",
        "--fail-under",
        "contains=0.1",
    ]
    flags += ["--system", "- yes: 'no'\n#", "--temperature", "0.5", "--skip-bad"]
    assert main(["evaluate", *flags, "--dry-run", "--json", "--save-config", "my eval.yaml"]) == 0
    assert "evaluate --config 'my eval.yaml'" in capsys.readouterr().err
    kept = yaml.safe_load(Path("my eval.yaml").read_text("utf-8"))
    assert list(kept) == [
        *("model", "system", "temperature", "data", "skip-bad", "budget", "fail-under"),
    ]
    assert said("--config", "my eval.yaml") == said(*flags)
    # What a file said and what was typed beside it are saved together.
    more = ["--config", "my eval.yaml", "--trials", "2", "--dry-run", "--save-config", "b.yaml"]
    assert main(["evaluate", *more]) == 0
    assert said("--config", "b.yaml") == said(*flags, "--trials", "2")


def test_a_place_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", "--model", "guide", "--dry-run", "--save-config", str(tmp_path)]
    assert main(arguments) == 2
    assert f"--save-config {tmp_path} cannot be written" in capsys.readouterr().err


def test_every_option_of_evaluate_can_stand_in_a_file(tmp_path: Path) -> None:
    (commands,) = [
        action
        for action in build_parser(whole=True)._actions
        if isinstance(action, argparse._SubParsersAction)
    ]
    values = {"--resume": "ID", "--margin": "0.1", "--until-decided": "0.1", "--max-cut": "0.1"}
    values |= {"--min-coverage": "0.9", "--temperature": "0.1", "--top-p": "0.1"}
    for action in commands.choices["evaluate"]._actions:
        (option,) = [each for each in action.option_strings if each.startswith("--")]
        if option in {"--help", "--config", "--save-config"}:
            continue
        value = (
            "true" if action.nargs == 0 else values.get(option, [*(action.choices or ["3"])][-1])
        )
        key = option.removeprefix("--").replace("-", "_")
        found = said("--config", file_of(tmp_path, f"{key}: {value}"))
        assert found[action.dest] not in (None, [], action.default), option
