"""The chat page: Chainlit over the service's HTTP address, and nothing else of the lab."""
