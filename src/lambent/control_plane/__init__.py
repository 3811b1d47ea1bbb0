"""Lifecycle of functions and versions: validation, states, publishing. Never in the path of an invocation."""
