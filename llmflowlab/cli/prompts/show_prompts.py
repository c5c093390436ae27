"""What the prompts' commands print: tables for people, documents for scripts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from llmflowlab.cli.formatting import shortened
from llmflowlab.cli.ui.screen import Screen, Table
from llmflowlab.lab.prompts import AliasSet, PromptSummary, RegisteredPrompt, Synced
from llmflowlab.program import program_name
from llmflowlab.template import braced

if TYPE_CHECKING:
    from llmflowlab.lab.optimize_prompt import Optimized

__all__ = [
    "alias_words",
    "prompt_json",
    "prompts_json",
    "show_optimized",
    "show_prompt",
    "show_prompts",
    "synced_words",
]


def prompts_json(prompts: Sequence[PromptSummary]) -> dict[str, Any]:
    """Return the document of `prompts list`."""
    return {
        "prompts": [
            {
                "name": prompt.name,
                "latest": prompt.latest,
                "aliases": dict(prompt.aliases),
                "description": prompt.description,
                "demonstrates": prompt.demonstrates,
            }
            for prompt in prompts
        ]
    }


def prompt_json(
    prompt: RegisteredPrompt, versions: Sequence[RegisteredPrompt] | None = None
) -> dict[str, Any]:
    """Return the document of a version; with `versions`, of all beside it."""
    others = [
        {
            "version": version.version,
            "aliases": list(version.aliases),
            "commit_message": version.commit_message,
            "made": version.made,
        }
        for version in versions or ()
    ]
    return {
        "name": prompt.name,
        "version": prompt.version,
        "uri": prompt.uri,
        "template": prompt.written.to_mlflow(),
        "variables": list(prompt.template.variables),
        "includes": list(prompt.included),
        "aliases": list(prompt.aliases),
        "commit_message": prompt.commit_message,
        "tags": dict(prompt.tags),
        "made": prompt.made,
        **({} if versions is None else {"versions": others}),
    }


def show_prompts(screen: Screen, prompts: Sequence[PromptSummary]) -> None:
    """Print all prompts."""
    if not prompts:
        screen.say(f"There is no prompt yet; {program_name()} prompts sync brings a starting set.")
        return
    screen.table(
        Table(
            title="Prompts",
            columns=("name", "latest", "aliases", "what it shows"),
            rows=tuple(
                (
                    prompt.name,
                    str(prompt.latest),
                    ", ".join(f"{name}: {number}" for name, number in prompt.aliases.items())
                    or "-",
                    shortened(prompt.demonstrates or prompt.description or "-", 60),
                )
                for prompt in prompts
            ),
            numbers=frozenset({1}),
        )
    )


def show_prompt(
    screen: Screen, prompt: RegisteredPrompt, versions: Sequence[RegisteredPrompt]
) -> None:
    """Print a version and which others there are."""
    screen.say(prompt.reference, tone="heading")
    facts = {
        "what changed": prompt.commit_message,
        "made": f"{prompt.made} UTC" if prompt.made else None,
        "aliases": ", ".join(prompt.aliases),
        "variables": braced(prompt.template.variables),
        "includes": ", ".join(prompt.included),
        **prompt.tags,
        "in MLflow": prompt.uri,
        "versions": ", ".join(
            f"{v.version}{' (' + ', '.join(v.aliases) + ')' if v.aliases else ''}" for v in versions
        ),
    }
    for name, text in facts.items():
        if text:
            screen.say(f"  {name}: {text}")
    screen.say()
    screen.say(prompt.written.to_text())


def synced_words(screen: Screen, done: Sequence[Synced]) -> None:
    """Print what became of each file."""
    for one in done:
        later = f"; version {one.latest} goes on from it" if one.latest > one.version else ""
        screen.say(f"  {one.name}@{one.version}  {one.state}{later}")
    changed = sum(one.state != "unchanged" for one in done)
    screen.say(
        f"{changed} of {len(done)} prompts were registered anew." if changed else "Up to date."
    )


def alias_words(done: AliasSet) -> str:
    """Say where an alias points now."""
    before = f" (before: version {done.before})" if done.before not in {None, done.after} else ""
    return f"{done.name}@{done.alias} is version {done.after} now{before}."


def show_optimized(screen: Screen, done: Optimized) -> None:
    """Print what the search came to."""
    for line in done.sentences():
        screen.say(line)
