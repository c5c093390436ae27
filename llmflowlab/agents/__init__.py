"""Models that MLflow can serve on their own."""

from llmflowlab.agents.old_names import install

# An agent's file imports from here first, wherever it is loaded; see `old_names`.
install()
