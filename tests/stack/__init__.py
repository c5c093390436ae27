"""The lab on real stores: what needs servers of its own is run by `make test-stack` alone."""
