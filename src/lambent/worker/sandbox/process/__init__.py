"""The `process` backend: programs as plain child processes, WITHOUT isolation, for development where nothing better is
to be had. Works as an ordinary user.

Theory of operation: a sandbox is a *supervisor* (`supervisor.py`, a script of its own) and the program it starts. The
supervisor is a child subreaper, so that everything the program starts stays below it, detached or not; when the
program ends, or the server says so or dies (end of file on its standard input), it kills all of it and exits. What a
sandbox would see at other places is pointed to where it really is by rewriting paths and ports in the program's
arguments and environment (`rewrite.py`). A program that wants to get around any of this can.
"""
