"""Serving a registered version, following its alias."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llmflowlab.files import require_home
from llmflowlab.lab.lab import Lab
from llmflowlab.serving import trust
from llmflowlab.serving.server import bound_socket, serve
from llmflowlab.tracking.registry import (
    find_version,
    model_config_of,
    parse_version_name,
)

__all__ = ["is_trusted", "serve_version", "trust_store"]


def serve_version(
    lab: Lab,
    text: str,
    *,
    host: str,
    port: int,
    every: float,
    tell: Callable[[str], None],
    ready: Callable[[str, str], None],
) -> None:
    """Answer `/invocations` with a version until Ctrl-C.

    Args:
        lab: The parts.
        text: `NAME/VERSION` or `NAME@ALIAS`; an alias is followed.
        host: Where to listen.
        port: Likewise.
        every: Seconds between two looks at the alias.
        tell: Hears what happens, in sentences.
        ready: Hears once which version answers, and at which address.

    Raises:
        InputError: There is no such version, or the port is taken.
        NotConfigured: A provider inside lacks something.
    """
    wanted = parse_version_name(text)
    listening = bound_socket(host, port)
    with listening:
        store = lab.store()
        version = find_version(store, wanted)
        _require_configured(lab, model_config_of(store, version)["config"])
        tell(f"Loading {version.reference} ...")
        serve(lab.settings, wanted, version, listening, every=every, tell=tell, ready=ready)


def is_trusted(lab: Lab) -> bool:
    """Whether models of the store may run their code here."""
    return trust.is_trusted(lab.settings)


def trust_store(lab: Lab) -> None:
    """Remember that they may.

    Raises:
        HomeUnwritable: It cannot be written down.
    """
    require_home(lab.settings)
    trust.trust(lab.settings)


def _require_configured(lab: Lab, config: dict[str, Any]) -> None:
    """Find out before anything is started that a key is missing.

    Raises:
        NotConfigured: A provider inside lacks something.
    """
    if config.get("key_file"):
        return
    references = [role["model"] for role in config.get("roles") or ()]
    if config.get("provider") and config.get("model"):
        references.append(f"{config['provider']}:{config['model']}")
    for reference in references:
        lab.provider(reference).close()
