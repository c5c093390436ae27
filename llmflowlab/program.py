"""How this program was started, so that a hint can be pasted as it stands, and how it starts others."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["checkout", "interpreted", "program_name"]

_RUN = (
    "import sys; sys.path[:] = [path for path in sys.path if path]; import runpy; "
    "what = sys.argv.pop(1); run = runpy.run_path if what.endswith('.py') else runpy.run_module; "
    "run(what, run_name='__main__', **({} if run is runpy.run_path else {'alter_sys': True}))"
)


def interpreted(what: str, *arguments: str) -> list[str]:
    """Return the command that runs a module, or a file `….py`, with this interpreter.

    Nothing is imported from the current folder, nor from the file's: a `queue.py` that lies there must
    not become part of the program. (Python's own `-P` is missing in 3.10.)
    """
    return [sys.executable, "-W", "ignore", "-c", _RUN, what, *arguments]


def checkout() -> Path | None:
    """Return the checkout that this code stands in; None where it is installed."""
    root = Path(__file__).resolve().parents[1]
    # In an installation the root is site-packages, whose files are somebody else's.
    ours = all((root / name).is_file() for name in ("main.py", "pyproject.toml"))
    return root if ours else None


def program_name() -> str:
    """Return what was typed before the command: `python main.py`, `llmflowlab`, ..."""
    # Imported here: the menu's first drawing needs neither.
    import shlex
    import shutil

    started = Path(sys.argv[0])
    python = shlex.quote(sys.orig_argv[0]) if sys.orig_argv else "python"
    if started.name == "main.py":
        return f"{python} {shlex.quote(sys.argv[0])}"
    if started.parts[-2:] == ("llmflowlab", "__main__.py"):
        return f"{python} -m llmflowlab"
    if started.stem == "llmflowlab":
        # A script is told its whole path, however it was called.
        found = shutil.which(started.stem)
        known = found is not None and Path(found).resolve() == started.resolve()
        return started.stem if known else shlex.quote(sys.argv[0])
    # A process that another started, a library, a test.
    return "llmflowlab" if checkout() is None else "python main.py"
