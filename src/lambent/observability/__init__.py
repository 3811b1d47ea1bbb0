"""Logs and the REPORT line: writers and queries."""
