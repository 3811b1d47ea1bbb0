"""Commands: argument parsing and printing; clients of the API (but for `serve`, which runs it)."""
