"""Prompts as files, of which the starting set is made: YAML between two lines `---`, then the template."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from llmflowlab.errors import InputError
from llmflowlab.prompts.prompt_registry import register_version, versions_of
from llmflowlab.prompts.prompt_template import PromptTemplate
from llmflowlab.tracking.store import Store

__all__ = ["PromptFile", "Synced", "read_prompt_files", "starting_set", "sync"]

_FILE = re.compile(r"\A---\n(.*?)\n---\n(.*)\Z", re.DOTALL)
_KEYS = {"name", "description", "demonstrates", "tags", "commit_message"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptFile:
    """A prompt as its file has it."""

    name: str
    template: PromptTemplate
    commit_message: str
    tags: Mapping[str, str]
    """Of the version: the file's own, its description, and what it demonstrates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """What became of a file."""

    name: str
    state: Literal["new", "changed", "unchanged"]
    version: int
    """The one that says what the file says."""
    latest: int
    """Higher where somebody went on from there."""


def starting_set() -> Path:
    """Return the folder of the prompts that come with the lab."""
    return Path(__file__).with_name("starting_set")


def read_prompt_files(folder: Path) -> list[PromptFile]:
    """Read every prompt of a folder, by name; its README is none.

    Raises:
        InputError: A file is no prompt, or there is none.
    """
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}.")
    files = [file for file in sorted(folder.glob("*.md")) if file.stem.lower() != "readme"]
    if not files:
        raise InputError(f"{folder} holds no prompt; a prompt is a file NAME.md.")
    return [_read(file) for file in files]


def sync(store: Store, files: list[PromptFile]) -> list[Synced]:
    """Register what the registry lacks; what it has in any version is left alone.

    Raises:
        TrackingError: The store failed.
    """
    done = []
    for file in files:
        versions = versions_of(store, file.name)
        same = [v for v in versions if v.written == file.template and v.tags == file.tags]
        if same:
            version, state = same[0].version, "unchanged"
        else:
            version = register_version(
                store,
                file.name,
                file.template,
                commit_message=file.commit_message,
                tags=file.tags,
            )
            state = "changed" if versions else "new"
        latest = max([version, *(v.version for v in versions)])
        done.append(Synced(name=file.name, state=state, version=version, latest=latest))  # type: ignore[arg-type]  # one of the three
    return done


def _read(file: Path) -> PromptFile:
    import yaml

    try:
        found = _FILE.match(file.read_text(encoding="utf-8"))
        head: Any = None if found is None else yaml.safe_load(found[1])
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
        raise InputError(f"{file.name} cannot be read ({type(exc).__name__}).") from exc
    if found is None or not isinstance(head, dict):
        raise InputError(
            f"{file.name} is no prompt: it begins with a line ---, YAML, and a line ---; the template follows."
        )
    if head.keys() != _KEYS:
        raise InputError(f"{file.name}: between the lines --- stand {', '.join(sorted(_KEYS))}.")
    tags = head["tags"] if isinstance(head["tags"], dict) else {None: None}
    told = {key: head[key] for key in ("description", "demonstrates")}
    texts = [head["name"], head["commit_message"], *told.values(), *tags.keys(), *tags.values()]
    if not all(isinstance(text, str) and text.strip() for text in texts):
        raise InputError(f"{file.name}: every value between the lines --- is a text, tags too.")
    if head["name"] != file.stem:
        raise InputError(
            f"{file.name} is called {head['name']!r}; the file's name is the prompt's."
        )
    try:
        template = PromptTemplate.from_text(found[2])
    except InputError as exc:
        raise InputError(f"{file.name}: {exc.message}") from exc
    return PromptFile(
        name=file.stem,
        template=template,
        commit_message=head["commit_message"].strip(),
        tags={key: value.strip() for key, value in {**tags, **told}.items()},
    )
