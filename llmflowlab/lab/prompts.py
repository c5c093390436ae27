"""The registry's prompts: list, compare, write, point to."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from llmflowlab.errors import InputError
from llmflowlab.lab.lab import Lab
from llmflowlab.prompts.prompt_files import (
    Synced,
    read_prompt_files,
    starting_set,
    sync,
)
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
from llmflowlab.template import question_variable

__all__ = [
    "SUPPORT_DESK",
    "AliasSet",
    "PromptShelf",
    "PromptSummary",
    "RegisteredPrompt",
    "Synced",
]


SUPPORT_DESK = Path("support_desk")
"""The shipped questions that the starting set answers, by their name."""


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

    def latest(self, name: str) -> RegisteredPrompt | None:
        """Return the latest version of a prompt; None where there is no such prompt yet."""
        versions = versions_of(self._store, name)
        return versions[0] if versions else None

    def checked(self, name: str, text: str) -> PromptTemplate:
        """Read what a new version is to say.

        Raises:
            InputError: The text is no template, includes what is not there, or holds a key.
        """
        refuse_secrets(text, self._lab.settings, "The prompt")
        template = PromptTemplate.of(PromptTemplate.from_text(text).to_mlflow(), name)
        template.included(self._included, (f"{name}@new",))
        return template

    def write(
        self,
        name: str,
        template: PromptTemplate,
        commit_message: str,
        *,
        after: RegisteredPrompt | None = None,
    ) -> RegisteredPrompt:
        """Write a new version, with the tags of the one that it was made of.

        Raises:
            InputError: A prompt cannot have that name.
        """
        tags = {} if after is None else dict(after.tags)
        version = register_version(
            self._store, name, template, commit_message=commit_message, tags=tags, after=after
        )
        return self.load(f"{name}@{version}")

    def styles(self) -> list[str]:
        """Return the starting set's prompts that can be compared, registered where they are not.

        Each as the version that says what its file says.
        """
        parts = {f.name for f in read_prompt_files(starting_set()) if f.tags.get("style") == "part"}
        return [f"{one.name}@{one.version}" for one in self.sync() if one.name not in parts]

    def question_of(self, reference: str, values: Mapping[str, str]) -> str:
        """Return the value that stands in the place of the question.

        Raises:
            InputError: None does.
        """
        variables = self.load(reference).template.variables
        for name in values:
            others = {other for other in values if other != name}
            if name in variables and question_variable(variables, others) == name:
                return name
        raise InputError("There is no question: give --message TEXT, or --value of its variable.")

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
