"""The registry's prompts: the screen and the command."""
