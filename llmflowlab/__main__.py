"""`python -m llmflowlab` is the same program as `python main.py`."""

from llmflowlab.cli import run

if __name__ == "__main__":
    run()
