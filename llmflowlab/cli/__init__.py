"""The console: menu, screens and commands.

`main` is the outermost shell: whatever happens inside ends here as one sentence and an exit code.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from llmflowlab.process_end import run_to_the_end

__all__ = ["main", "run"]

_YOUNG = 10_000
"""Objects made, less those gone, after which Python looks for garbage among them."""


def run() -> NoReturn:
    """Run the program as its user started it, and end its process."""
    run_to_the_end(lambda: main(sys.argv[1:]))


def main(argv: Sequence[str]) -> int:
    """Run the lab and return its exit code.

    Args:
        argv: The arguments after the program's name; none opens the menu.
    """
    from llmflowlab.cli.ui.colour import prepare_streams
    from llmflowlab.cli.ui.screen import EndOfInput
    from llmflowlab.errors import ExitCode, LabError

    prepare_streams()
    # An SDK's classes are a quarter of a million objects that never go; Python would look through all of
    # them for garbage again and again while answers come.
    gc.set_threshold(_YOUNG, 20, 20)
    # At the end nothing is left to be closed: to take all of them apart one by one would keep the
    # prompt waiting for a quarter of a second.
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)
    # A home holds conversations: what this program, and what it starts, makes is its owner's alone.
    os.umask(0o077)
    debug = False
    try:
        from llmflowlab.cli import dispatch
        from llmflowlab.settings import load_settings

        if not argv:
            # Without argparse: the menu's budget counts milliseconds.
            settings = load_settings()
            debug = settings.debug
            return int(dispatch.open_menu(settings))
        from llmflowlab.cli.arguments import parse

        arguments = parse(argv)
        settings = load_settings()
        debug = settings.debug
        return int(dispatch.dispatch(arguments, settings))
    except SystemExit as exc:
        # argparse leaves this way after --help and --version.
        return exc.code if isinstance(exc.code, int) else ExitCode.DONE
    except LabError as exc:
        if debug:
            _traceback()
        _complain(exc.message)
        return int(exc.exit_code)
    except EndOfInput:
        return int(ExitCode.DONE)
    except KeyboardInterrupt:
        return int(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        # The reader (`| head`) has what it wanted. What is still buffered has nowhere to go.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(ExitCode.DONE)
    except Exception as exc:  # noqa: BLE001 - the outermost shell
        if debug:
            _traceback()
        _complain(
            f"Something unexpected went wrong ({type(exc).__name__}: {_one_line(exc)}). "
            "Nothing that was recorded is lost; LLMFLOWLAB_DEBUG=1 shows where it happened."
        )
        return int(ExitCode.UNEXPECTED)


def _complain(message: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    from llmflowlab.text.sanitize import neutralise

    message = neutralise(message)
    if sys.stderr.isatty():
        from llmflowlab.cli.ui.wrapping import wrapped

        message = wrapped(message)
    sys.stderr.write(message + "\n")
    sys.stderr.flush()


def _one_line(exc: BaseException) -> str:
    text = " ".join(str(exc).split())
    return text if len(text) <= 300 else text[:299] + "…"


def _traceback() -> None:
    import traceback

    _complain(traceback.format_exc().rstrip("\n"))
