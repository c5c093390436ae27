"""`python -m llmflowlab` is the same program as `python main.py`."""

import os
import sys

# `-m` puts the current folder first: a `queue.py` that lies there must not become part of the program.
# Without pathlib, which would be imported from there.
_ours = os.path.join(os.getcwd(), "llmflowlab", "__main__.py")  # noqa: PTH109, PTH118 - see above
if sys.path[0] == os.getcwd() and os.path.realpath(_ours) != os.path.realpath(__file__):  # noqa: PTH109
    del sys.path[0]

from llmflowlab.cli import run  # noqa: E402 - see above

if __name__ == "__main__":
    run()
