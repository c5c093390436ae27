"""The evaluate mode, and the commands that look after evaluations."""
