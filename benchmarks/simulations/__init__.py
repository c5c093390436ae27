"""What is promised of conclusions, held against worlds whose truth is known: `make simulate`."""
