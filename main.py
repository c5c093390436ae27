"""The doorbell: `python main.py` opens the menu, `python main.py --help` lists the commands."""

from llmflowlab.cli import run

if __name__ == "__main__":
    run()
