"""Where everything is kept: the current folder, what `LLMFLOWLAB_HOME` names, or the platform's folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from llmflowlab import settings as settings_module
from llmflowlab.cli import main
from llmflowlab.settings import Settings, load_settings


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return where the platform keeps data, for a program that runs from no checkout."""
    monkeypatch.setattr(settings_module, "checkout", lambda: None)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path))
    import platformdirs

    return platformdirs.user_data_path("llmflowlab", appauthor=False)


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return a folder that says it cannot be written; to root no folder is, whatever its mode."""
    folder = tmp_path / "read-only"
    folder.mkdir()
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != folder and real(path, mode))
    return folder


def at(folder: Path, **environment: str) -> Settings:
    return load_settings(environment, cwd=folder, stdin_is_terminal=False)


def test_the_current_folder_is_the_home_and_nothing_is_said_of_it(
    installed: Path, tmp_path: Path
) -> None:
    assert (at(tmp_path).home, at(tmp_path).home_note) == (tmp_path, None)


def test_where_the_current_folder_cannot_be_written_the_platform_s_is_the_home_and_said(
    installed: Path, read_only: Path
) -> None:
    found = at(read_only)
    assert found.home == installed
    assert found.home_note is not None
    assert str(installed) in found.home_note
    assert "LLMFLOWLAB_HOME" in found.home_note


@pytest.mark.parametrize("name", [".llmflowlab", "mlflow.db"])
def test_a_home_of_before_is_found_where_it_is(installed: Path, read_only: Path, name: str) -> None:
    (read_only / name).mkdir()
    assert (at(read_only).home, at(read_only).home_note) == (read_only, None)


def test_a_checkout_keeps_to_the_current_folder(read_only: Path) -> None:
    assert at(read_only).home == read_only


def test_a_named_home_is_taken_wherever_one_stands(
    installed: Path, read_only: Path, tmp_path: Path
) -> None:
    found = at(read_only, LLMFLOWLAB_HOME=str(tmp_path / "mine"))
    assert (found.home, found.home_note) == (tmp_path / "mine", None)


def test_the_menu_and_doctor_say_that_the_home_is_elsewhere(
    installed: Path,
    read_only: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import io

    from llmflowlab.cli.context import App

    # MLflow imported beside other tests would turn its own warnings into their errors.
    monkeypatch.setattr(App, "warm_up", lambda app: None)
    monkeypatch.setattr("llmflowlab.text.tokens._read_encoding", lambda name: None)
    monkeypatch.chdir(read_only)
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    note = f"{read_only} cannot be written, so everything is kept in {installed}"
    assert main([]) == 0
    assert " ".join(capsys.readouterr().err.split()).count(note) == 1
    main(["doctor"])
    assert note in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["chat", "--model", "guide", "--message", "hi"], id="chat"),
        pytest.param(["evaluate", "--model", "guide"], id="evaluate"),
        pytest.param(["registry", "list"], id="registry"),
    ],
)
def test_a_home_that_cannot_be_written_is_one_sentence_and_code_3_before_any_call(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("LLMFLOWLAB_HOME", str(tmp_path / "file" / "home"))
    assert main(arguments) == 3
    seen = capsys.readouterr()
    assert seen.out == ""
    assert seen.err == (
        f"The home folder {tmp_path / 'file' / 'home'} cannot be written (Not a directory); set "
        "LLMFLOWLAB_HOME to a folder of yours.\n"
    )


@pytest.mark.parametrize("reference", ["azure", "azure:gpt-4.1-mini"])
@pytest.mark.parametrize("command", ["chat", "evaluate"])
def test_azure_that_is_not_set_up_is_one_sentence_and_code_3(
    capsys: pytest.CaptureFixture[str], reference: str, command: str
) -> None:
    message = ["--message", "hi"] if command == "chat" else []
    assert main([command, "--model", reference, *message]) == 3
    seen = capsys.readouterr()
    assert seen.out == ""
    assert "AZURE_OPENAI_" in seen.err
    assert seen.err.count("\n") == 1
