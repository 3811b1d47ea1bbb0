"""How a command fails: with one line that says what to do."""

from __future__ import annotations


class CommandError(Exception):
    """The command failed; the message is for the person who typed it."""
