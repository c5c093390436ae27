"""Which registered version may be served here."""

from __future__ import annotations

from dataclasses import dataclass

from llmflowlab.files import require_home
from llmflowlab.lab.lab import Lab
from llmflowlab.serving import trust
from llmflowlab.tracking.registry import (
    Version,
    VersionName,
    find_version,
    model_config_of,
    parse_version_name,
)

__all__ = ["Servable", "is_trusted", "require_configured", "servable", "trust_store"]


@dataclass(frozen=True, slots=True)
class Servable:
    """What is to be served: an alias that is followed, or a version by its number, and what it means now."""

    wanted: VersionName
    version: Version


def servable(lab: Lab, text: str) -> Servable:
    """Return what `NAME/VERSION` or `NAME@ALIAS` means.

    Raises:
        InputError: There is no such version.
        TrackingError: The store failed.
    """
    wanted = parse_version_name(text)
    return Servable(wanted, find_version(lab.store(), wanted))


def require_configured(lab: Lab, what: Servable) -> None:
    """Find out before anything is started that a key is missing.

    Raises:
        NotConfigured: A provider inside lacks something.
    """
    config = model_config_of(lab.store(), what.version)["config"]
    if config.get("key_file"):
        return
    references = [role["model"] for role in config.get("roles") or ()]
    if config.get("provider") and config.get("model"):
        references.append(f"{config['provider']}:{config['model']}")
    for reference in references:
        lab.provider(reference).close()


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
