"""The doorbell: `python main.py` opens the menu, `python main.py --help` lists the commands."""

import sys

from llmflowlab.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
