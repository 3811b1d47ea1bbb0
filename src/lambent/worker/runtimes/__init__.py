"""Runtime identifier → interpreter on this host."""
