"""The registry's prompts: list, compare, write, point to."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from llmflowlab.lab.lab import Lab
from llmflowlab.prompts.prompt_files import Synced, read_prompt_files, starting_set, sync
from llmflowlab.prompts.prompt_registry import (
    PromptSummary,
    RegisteredPrompt,
    list_prompts,
    load_prompt,
    register_version,
    set_prompt_alias,
    versions_of,
)
from llmflowlab.prompts.prompt_template import PromptTemplate
from llmflowlab.providers.redact import refuse_secrets

__all__ = [
    "AliasSet",
    "PromptShelf",
    "PromptSummary",
    "RegisteredPrompt",
    "Synced",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasSet:
    """Where an alias was and is."""

    name: str
    alias: str
    before: int | None
    after: int


class PromptShelf:
    """What can be done with the registry's prompts.

    Args:
        lab: The parts.

    Raises:
        TrackingError: The store cannot be opened.
    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._store = lab.store()

    def prompts(self) -> list[PromptSummary]:
        """Return all prompts, by name."""
        return list_prompts(self._store)

    def load(self, reference: str) -> RegisteredPrompt:
        """Return a version.

        Raises:
            InputError: There is no such prompt or version, or it cannot be used.
        """
        return load_prompt(self._store, reference)

    def versions(self, name: str) -> list[RegisteredPrompt]:
        """Return all versions, the newest first.

        Raises:
            InputError: There is no such prompt.
        """
        self.load(name)
        return versions_of(self._store, name)

    def sync(self, folder: Path | None = None) -> list[Synced]:
        """Register the prompts of a folder, else the starting set.

        Raises:
            InputError: A file is no prompt, or holds a key.
        """
        files = read_prompt_files(folder or starting_set())
        for file in files:
            refuse_secrets(file.template.to_text(), self._lab.settings, f"{file.name}.md")
        return sync(self._store, files)

    def write(
        self, name: str, text: str, commit_message: str, *, after: RegisteredPrompt | None = None
    ) -> RegisteredPrompt | None:
        """Write a new version; None where it says what the one before it says.

        Raises:
            InputError: The text is no template, includes what is not there, or holds a key.
        """
        template = PromptTemplate.from_text(text)
        if after is not None and (
            template == after.written or text.strip() == after.written.to_text().strip()
        ):
            return None
        refuse_secrets(text, self._lab.settings, "The prompt")
        PromptTemplate.of(template.to_mlflow(), name).included(self._included, (f"{name}@new",))
        tags = {} if after is None else dict(after.tags)
        version = register_version(
            self._store, name, template, commit_message=commit_message, tags=tags, after=after
        )
        return self.load(f"{name}@{version}")

    def set_alias(self, name: str, alias: str, version: int) -> AliasSet:
        """Let an alias point to a version.

        Raises:
            InputError: There is no such version, or an alias cannot be called that.
        """
        before = set_prompt_alias(self._store, name, alias, version)
        return AliasSet(name=name, alias=alias, before=before, after=version)

    def diff(self, name: str, one: str, two: str) -> tuple[RegisteredPrompt, RegisteredPrompt, str]:
        """Return two versions, and what differs, as lines in the form of `diff -u`."""
        a, b = self.load(f"{name}@{one}"), self.load(f"{name}@{two}")
        lines = difflib.unified_diff(
            a.written.to_text().splitlines(),
            b.written.to_text().splitlines(),
            a.reference,
            b.reference,
            lineterm="",
        )
        return a, b, "\n".join(lines)

    def _included(self, reference: str) -> tuple[str, PromptTemplate]:
        found = self.load(reference)
        return found.reference, found.written
