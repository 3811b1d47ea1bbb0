"""Sandboxes: isolation around a group of processes. Knows nothing of Lambda; imports nothing of ours but `model`."""
