"""`python -m tests.architecture`: draws the rooms and their arrows into `docs/architecture.md`.

The drawing is made from the code: what each room is, is the first line of its docstring; an arrow is
an import, wherever in a file it stands. `--check` writes nothing and ends with 1 where the page
differs. The order of the rooms is that of the layers in `pyproject.toml`.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = "llmflowlab"
PAGE = ROOT / "docs" / "architecture.md"
BEGIN = "<!-- drawn by `python -m tests.architecture`; do not edit -->"
END = "<!-- end of the drawing -->"


def modules(root: Path = ROOT) -> dict[str, Path]:
    """Return every module of the package by its dotted name."""
    found = {}
    for path in sorted((root / PACKAGE).rglob("*.py")):
        name = ".".join(path.relative_to(root).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path
    return found


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


@cache
def imported(path: Path) -> set[str]:
    """Return what a file imports, by dotted name, in whatever place of it."""
    names: set[str] = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@cache
def file_arrows() -> dict[str, set[str]]:
    """Return which modules of the package each of its modules imports."""
    known = modules()
    arrows: dict[str, set[str]] = {}
    for name, path in known.items():
        found = imported(path) & set(known)
        # `from a.b import c` names a.b and a.b.c; where the second is a module the first is its room.
        arrows[name] = {
            each
            for each in found
            if each != PACKAGE and not any(other.startswith(each + ".") for other in found)
        } - {name}
    return arrows


def layers() -> list[str]:
    """Return the rooms from top to bottom, as the contract has them."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    listed = re.search(r'type = "layers".*?^layers = \[(.*?)^\]', text, re.DOTALL | re.M)
    assert listed is not None
    return re.findall(r"\w+", listed[1])


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def room_arrows() -> dict[str, set[str]]:
    """Return which rooms each room imports, in the order of the layers."""
    arrows: dict[str, set[str]] = defaultdict(set)
    for module, targets in file_arrows().items():
        room = room_of(module)
        arrows[room] |= {room_of(target) for target in targets} - {room, ""}
    return {room: arrows[room] for room in layers()}


def circles(arrows: Mapping[str, set[str]]) -> list[list[str]]:
    """Return every group of nodes from each of which all others of the group can be reached."""
    reached = {node: _reachable(node, arrows) for node in arrows}
    groups = {
        frozenset(other for other in reached[node] if node in reached[other]) for node in arrows
    }
    return sorted(sorted(group) for group in groups if group)


def _reachable(start: str, arrows: Mapping[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = [*arrows[start]]
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            waiting += arrows.get(node, ())
    return seen


def _telling(arrows: Mapping[str, set[str]]) -> list[tuple[str, str]]:
    """Leave out arrows that a way over other rooms implies."""
    return [
        (room, target)
        for room in arrows
        for target in sorted(arrows[room], key=list(arrows).index)
        if not any(target in _reachable(other, arrows) for other in arrows[room] if other != target)
    ]


def drawing() -> str:
    """Return the drawing, markers included."""
    arrows = room_arrows()
    lines = [BEGIN, "", "```mermaid", "flowchart TD"]
    lines += [f"  {room} --> {target}" for room, target in _telling(arrows)]
    lines += ["```", "", "| room | what it is | imports |", "| --- | --- | --- |"]
    for room, targets in arrows.items():
        named = ", ".join(sorted(targets, key=list(arrows).index)) or "nothing of ours"
        lines.append(f"| `{_place(room)}` | {_says(room)} | {named} |")
    return "\n".join([*lines, "", END])


def _place(room: str) -> str:
    return f"{room}/" if (ROOT / PACKAGE / room).is_dir() else f"{room}.py"


def _says(room: str) -> str:
    path = modules()[f"{PACKAGE}.{room}"]
    text = ast.get_docstring(parsed(path))
    assert text, f"{path.relative_to(ROOT)} has no docstring that says what the room is."
    return text.splitlines()[0].rstrip(".")


def drawn(page: str) -> str:
    """Return a page with the drawing as it is today."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    assert begin, "The page has no place for the drawing."
    assert end, "The page does not say where the drawing ends."
    return head + drawing() + tail


def main(argv: Sequence[str]) -> int:
    before = PAGE.read_text("utf-8")
    after = drawn(before)
    if "--check" in argv:
        return int(before != after)
    PAGE.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
