"""Prompts of MLflow's registry: `NAME` (its latest version), `NAME@VERSION` or `NAME@ALIAS`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from llmflowlab.errors import InputError
from llmflowlab.program import program_name
from llmflowlab.prompts.prompt_template import PromptTemplate
from llmflowlab.tracking.store import Store

if TYPE_CHECKING:
    from mlflow.entities.model_registry import PromptVersion

__all__ = [
    "PromptSummary",
    "RegisteredPrompt",
    "list_prompts",
    "load_prompt",
    "register_version",
    "set_prompt_alias",
    "versions_of",
]

_ABSENT = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}
_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_RESERVED = re.compile(r"latest|v?[0-9]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredPrompt:
    """One version of a prompt."""

    reference: str
    """`NAME@VERSION`, the version as a number whatever was asked for."""
    written: PromptTemplate
    """As it stands in the registry."""
    template: PromptTemplate
    """With the prompts that it includes in their places."""
    included: tuple[str, ...] = ()
    """`NAME@VERSION` of those."""
    commit_message: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    made: str | None = None
    """When, in UTC; None where the registry does not say."""

    @property
    def name(self) -> str:
        return self.reference.rpartition("@")[0]

    @property
    def version(self) -> int:
        return int(self.reference.rpartition("@")[2])

    @property
    def uri(self) -> str:
        """What runs, models and traces name it by in MLflow."""
        return f"prompts:/{self.name}/{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptSummary:
    """A prompt in the list of all."""

    name: str
    latest: int
    description: str | None
    demonstrates: str | None
    aliases: Mapping[str, int]


def load_prompt(store: Store, reference: str) -> RegisteredPrompt:
    """Load a version with all that it includes.

    Raises:
        InputError: There is no such prompt or version, or it cannot be used.
        TrackingError: The store cannot be asked.
    """
    found = _version(store, reference)
    own, written = _read(found)

    def load(name: str) -> tuple[str, PromptTemplate]:
        return _read(_version(store, name, within=own))

    template, included = written.included(load, (own,))
    return RegisteredPrompt(
        reference=own,
        written=written,
        template=template,
        included=included,
        commit_message=found.commit_message,
        tags=dict(found.tags),
        aliases=tuple(found.aliases),
        made=_day(found.creation_timestamp),
    )


def list_prompts(store: Store) -> list[PromptSummary]:
    """Return all prompts, by name.

    Raises:
        TrackingError: The store cannot be asked.
    """
    found = []
    with store.translated():
        for prompt in _pages(store.client.search_prompts):
            versions = list(_pages(store.client.search_prompt_versions, prompt.name))
            if versions:
                latest = max(version.version for version in versions)
                found.append(
                    PromptSummary(
                        name=prompt.name,
                        latest=latest,
                        description=prompt.tags.get("description"),
                        demonstrates=prompt.tags.get("demonstrates"),
                        aliases=_aliases(store, prompt.name, latest),
                    )
                )
    return sorted(found, key=lambda prompt: prompt.name)


def versions_of(store: Store, name: str) -> list[RegisteredPrompt]:
    """Return the versions of a prompt as they are written, the newest first; none where there is no such.

    Raises:
        TrackingError: The store cannot be asked.
    """
    from mlflow.exceptions import MlflowException

    found = []
    with store.translated():
        try:
            listed = list(_pages(store.client.search_prompt_versions, name))
        except MlflowException as exc:
            if exc.error_code not in _ABSENT:
                raise
            return []
        for version in sorted(listed, key=lambda one: -one.version):
            whole = store.client.get_prompt_version(name, str(version.version))
            if whole is None:
                continue
            try:
                own, written = _read(whole)
            except InputError:
                # One that was written elsewhere and cannot be used here is no reason to show none.
                continue
            found.append(
                RegisteredPrompt(
                    reference=own,
                    written=written,
                    template=written,
                    commit_message=whole.commit_message,
                    tags=dict(whole.tags),
                    aliases=tuple(whole.aliases),
                    made=_day(whole.creation_timestamp),
                )
            )
    return found


def register_version(
    store: Store,
    name: str,
    template: PromptTemplate,
    *,
    commit_message: str | None = None,
    tags: Mapping[str, str] | None = None,
    after: RegisteredPrompt | None = None,
) -> int:
    """Write a new version; returns its number.

    Args:
        store: Where.
        name: The prompt, made where it is not there.
        template: What it says.
        commit_message: What changed.
        tags: Of the version, and of the prompt.
        after: The version it was made of, whose model settings on MLflow's page it keeps.

    Raises:
        InputError: A prompt cannot have that name.
        TrackingError: The store failed.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{name!r} cannot name a prompt; use letters, digits, underscores, dots and hyphens."
        )
    with store.translated():
        before = (
            None if after is None else store.client.get_prompt_version(name, str(after.version))
        )
        made = store.client.register_prompt(
            name=name,
            template=template.to_mlflow(),
            commit_message=commit_message,
            tags=dict(tags or {}),
            response_format=None if before is None else before.response_format,
            model_config=None if before is None else before.model_config,
        )
        for key, value in (tags or {}).items():
            store.client.set_prompt_tag(name, key, value)
    return int(made.version)


def set_prompt_alias(store: Store, name: str, alias: str, version: int) -> int | None:
    """Let an alias point to a version; returns the version that it pointed to before.

    Raises:
        InputError: There is no such version, or an alias cannot be called that.
        TrackingError: The store failed.
    """
    if _RESERVED.fullmatch(alias) or not _NAME.fullmatch(alias):
        raise InputError(f"{alias!r} cannot name an alias; use a word such as production.")
    _version(store, f"{name}@{version}")
    before = next((v.version for v in versions_of(store, name) if alias in v.aliases), None)
    with store.translated():
        store.client.set_prompt_alias(name, alias, version)
    return before


def _version(store: Store, reference: str, within: str | None = None) -> PromptVersion:
    import mlflow.genai
    from mlflow.exceptions import MlflowException

    name, _, wanted = reference.partition("@")
    uri = (
        f"prompts:/{name}/{wanted}" if wanted.isdigit() else f"prompts:/{name}@{wanted or 'latest'}"
    )
    with store.translated():
        try:
            found: PromptVersion = mlflow.genai.load_prompt(
                uri, link_to_model=False, cache_ttl_seconds=0
            )
            return found
        except MlflowException as exc:
            if exc.error_code not in _ABSENT:
                raise
    by = "" if within is None else f", which {within} includes"
    raise InputError(
        f"The prompt registry has no {reference!r}{by}; {program_name()} prompts list shows what it has."
    )


def _read(found: PromptVersion) -> tuple[str, PromptTemplate]:
    own = f"{found.name}@{found.version}"
    return own, PromptTemplate.of(found.template, own)


def _aliases(store: Store, name: str, latest: int) -> dict[str, int]:
    held: dict[str, int] = {}
    for number in range(latest, 0, -1):
        version = store.client.get_prompt_version(name, str(number))
        held |= dict.fromkeys(version.aliases if version else (), number)
    return held


def _pages(search: Any, *arguments: Any) -> Any:
    token = None
    while True:
        page = search(*arguments, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _day(milliseconds: int | None) -> str | None:
    if not milliseconds:
        return None
    return f"{datetime.fromtimestamp(milliseconds / 1000, timezone.utc):%Y-%m-%d %H:%M:%S}"
