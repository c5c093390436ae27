"""YAML and JSON that a person wrote: as texts, or as the values that YAML sees in them."""

from __future__ import annotations

from typing import Any

from llmflowlab.errors import InputError

__all__ = ["lines_of", "read_texts", "read_values"]


def read_texts(content: bytes, *, kind: str, hint: str = "") -> Any:
    """Return what a document holds, every scalar as the text that stands there.

    `no` may be a label or a prompt and is no truth; 0.10 keeps its digits for whoever reads it.

    Args:
        content: The file's bytes.
        kind: What a broken one is said to be: "no YAML".
        hint: What to do about it, from its punctuation on.

    Raises:
        InputError: It is not UTF-8, or broken; names the line.
    """
    return _read(content, kind, hint, texts=True)


def read_values(content: bytes, *, kind: str, hint: str = "") -> Any:
    """Return what a document holds, with numbers and truths as YAML has them.

    Args:
        content: As for `read_texts`.
        kind: Likewise.
        hint: Likewise.

    Raises:
        InputError: As `read_texts`.
    """
    return _read(content, kind, hint, texts=False)


def _read(content: bytes, kind: str, hint: str, *, texts: bool) -> Any:
    # Imported here: hardly any command reads YAML.
    import yaml

    loader = yaml.BaseLoader if texts else yaml.SafeLoader
    try:
        return yaml.load(content.decode("utf-8-sig"), loader)  # noqa: S506 - neither makes objects
    except UnicodeDecodeError as exc:
        raise InputError("it is not UTF-8 text; save it in UTF-8.") from exc
    except (yaml.YAMLError, RecursionError, ValueError) as exc:
        mark = getattr(exc, "problem_mark", None)
        where = "" if mark is None else f" in line {mark.line + 1}"
        raise InputError(f"it is {kind}{where}{hint or '.'}") from exc


def lines_of(content: bytes) -> dict[tuple[str | int, ...], int]:
    """Return in which line each value of a document stands, by the keys and places that lead to it.

    Raises:
        InputError: A mapping has one key twice; YAML itself would silently take the last.
    """
    import yaml

    found: dict[tuple[str | int, ...], int] = {}
    seen: set[int] = set()

    def walk(node: Any, at: tuple[str | int, ...], line: int) -> None:
        found[at] = line + 1
        if id(node) in seen:
            # Named a second time, perhaps within itself.
            return
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                name = str(key.value)
                if (*at, name) in found:
                    raise InputError(f"line {key.start_mark.line + 1}: {name} stands there twice.")
                walk(value, (*at, name), key.start_mark.line)
        elif isinstance(node, yaml.SequenceNode):
            for place, value in enumerate(node.value):
                walk(value, (*at, place), value.start_mark.line)

    walk(yaml.compose(content.decode("utf-8-sig"), yaml.SafeLoader), (), 0)
    return found
